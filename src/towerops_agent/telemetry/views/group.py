"""A group of agents, as one of its members sees it: for `status`, `health` and the snapshot.

Pure: the time is passed in. `_us`: microseconds since 1970; `_s`: seconds.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from towerops_agent.telemetry.views.lines import Line, Tone
from towerops_agent.text import counted, duration

SHOWN_DIGEST: Final = 8
"""How much of a configuration's digest is shown."""

CLOCKS_APART_S: Final = 2.0
"""How far a member's clock may be off before it is said."""

_TONES: Final = {"ready": Tone.GOOD, "blind": Tone.BAD}


class MemberView(msgspec.Struct, frozen=True):
    """One member. `heard_s`: how long ago it was heard; None: it is this one. `ahead_s`: its clock, compared with this one's."""

    name: str
    presence: str
    version: str
    configuration: str
    owned: int
    up: int
    down: int
    backlog: int
    api_works: bool | None
    heard_s: float | None = None
    ahead_s: float = 0.0


class GroupView(msgspec.Struct, frozen=True):
    """`server`: the engine's server in use, "" without one. `reasons`: why others are not; `refused`: what it refuses, or "".

    `away_us`: since when the engine is away, `alone_us`: since when this member polls everything; None: it is not so.
    """

    name: str
    member: str
    server: str
    reasons: str
    refused: str
    away_us: int | None
    alone_us: int | None
    members: list[MemberView]


def group_lines(group: GroupView, now_us: int) -> list[Line]:
    """The group, and a line for each member."""
    lines = [Line(f"{group.name}: {group.member} of {counted(len(group.members), 'member')}")]
    trouble = _trouble(group, now_us)
    if trouble:
        lines.append(Line(trouble, Tone.BAD))
    else:
        lines.append(Line(f"engine works, at {group.server}", Tone.GOOD))
    configurations = {member.configuration for member in group.members}
    width = max(len(member.name) for member in group.members)
    for member in sorted(group.members, key=lambda member: member.name):
        tone = _TONES.get(member.presence, Tone.WARNING)
        lines.append(Line(f"{member.name:<{width}}  {'  '.join(_facts(member))}", tone, indent=2))
    if len(configurations) > 1:
        lines.append(Line("members have different configurations: devices may be polled twice", Tone.WARNING))
    return lines


def _facts(member: MemberView) -> Iterable[str]:
    yield f"{member.presence:<9}"
    yield f"polls {member.owned:,} ({member.up:,} up, {member.down:,} down)"
    yield f"backlog {member.backlog:,}"
    yield {True: "API works", False: "API fails", None: "API not tried yet"}[member.api_works]
    yield f"config {member.configuration[:SHOWN_DIGEST] or 'none'}"
    yield member.version
    if abs(member.ahead_s) > CLOCKS_APART_S:
        yield f"clock {duration(abs(member.ahead_s))} {'ahead' if member.ahead_s > 0 else 'behind'}"
    yield "this one" if member.heard_s is None else f"heard {member.heard_s:.1f} s ago"


def group_remarks(group: GroupView, now_us: int) -> list[str]:
    """What is wrong with the group, for `health`: nothing that a restart would help."""
    trouble = _trouble(group, now_us)
    blind = [member.name for member in group.members if member.presence == "blind"]
    return [*([f"group: {trouble}"] if trouble else []), *(f"group: {name} does not reach its devices" for name in blind)]


def _trouble(group: GroupView, now_us: int) -> str:
    if group.away_us is None:
        return f"engine works in part: {group.refused}" if group.refused else ""
    since = duration((now_us - group.away_us) / 1e6)
    polls = "this agent polls all devices" if group.alone_us is not None else "this agent keeps its share of the devices"
    return f"engine has been away for {since}, {polls}: {group.reasons}"
