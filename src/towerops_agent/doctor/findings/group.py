"""What a group's messages show: its members, their token, their configurations and clocks.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.group.course.wire import Beat, Presence
from towerops_agent.text import counted, duration

NAME: Final = "group"
SERVER: Final = "NATS server"

APART_S: Final = 2.0
"""How far clocks of members may be apart: their values would not fit together."""


@dataclass(slots=True)
class Overheard:
    """What was heard in some seconds. `ahead_s`: how far their clocks are ahead; `unreadable`: what can't be opened."""

    beats: dict[str, Beat] = field(default_factory=dict)
    ahead_s: dict[str, float] = field(default_factory=dict)
    unreadable: int = 0


def judge_routes(urls: Sequence[str], heard: Mapping[str, frozenset[str]]) -> list[Check]:
    """Whether what is published at one server arrives at it and at the others. `heard`: by server, from which servers."""
    checks = []
    for url in urls:
        missing = [other for other in heard if other not in heard[url]]
        if url in missing:
            hint = "the user needs the permissions to publish and to subscribe on towerops.<GROUP_NAME>.here and .learned"
            checks.append(Check(SERVER, Result.FAILED, f"{url} accepts the connection and passes no message on", hint))
        elif missing:
            hint = "look at `cluster` and `routes` in the servers' configurations, and at port 6222 between them"
            checks.append(Check(SERVER, Result.FAILED, f"{url} gets no message from {', '.join(missing)}", hint))
        else:
            checks.append(Check(SERVER, Result.OK, f"{url} passes messages on"))
    return checks


def judge_members(overheard: Overheard, configuration: str | None) -> list[Check]:
    """The members, and whether they are alike. `configuration`: the digest of the one fetched now; None: it was not."""
    checks = []
    if overheard.unreadable:
        hint = "give all agents of the group the same token; other groups on these servers need another GROUP_NAME"
        checks.append(
            Check(NAME, Result.FAILED, f"{counted(overheard.unreadable, 'message')} can't be opened with this token", hint)
        )
    beats = sorted(overheard.beats.values(), key=lambda beat: beat.member)
    if not beats:
        return [
            *checks,
            Check(NAME, Result.WARNING, "no member is heard", "start the agents of the group"),
        ]
    blind = [beat.member for beat in beats if beat.presence is Presence.BLIND]
    found = f"{counted(len(beats), 'member')}: {', '.join(f'{beat.member} {beat.presence}' for beat in beats)}"
    hint = f"look at the way of {', '.join(blind)} to the devices" if blind else ""
    checks.append(Check(NAME, Result.WARNING if blind else Result.OK, found, hint))
    checks.append(_configurations(beats, configuration))
    far = {name: ahead_s for name, ahead_s in overheard.ahead_s.items() if abs(ahead_s) > APART_S}
    if not far:
        checks.append(Check("group's clocks", Result.OK, "members' clocks agree with this one"))
    for name, ahead_s in sorted(far.items()):
        off = f"{duration(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'}"
        checks.append(Check("group's clocks", Result.WARNING, f"{name} is {off} this machine", "have NTP set both"))
    return checks


def _configurations(beats: Sequence[Beat], configuration: str | None) -> Check:
    name = "group's configuration"
    digests = {beat.configuration for beat in beats}
    if len(digests) > 1:
        hint = "members that do not reach the API keep an old one: `towerops-agent status` shows which"
        return Check(name, Result.WARNING, "members have different ones, so that devices are polled twice", hint)
    if configuration is not None and configuration not in digests:
        hint = "they fetch it each CONFIG_REFRESH_SECONDS; if it stays so, one agent's token is of another configuration"
        return Check(name, Result.WARNING, "the members' is not the one that was fetched now", hint)
    return Check(name, Result.OK, "the same for all members")
