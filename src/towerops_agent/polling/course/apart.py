"""OIDs that are known to spoil a request: which part of one is asked behind all others, and what is left out of a poll.

A device may be silent to an OID that it lacks, or answer the whole request with an error for it. So each of these is asked by
itself, in every poll, as it may be there again. If a device has many of them, a poll would be mostly these: of those that it does
not give by GETNEXT either some are asked in each poll, in turn, and the others are missing for the reason that they had. Called
by progress.py, for devices that have such OIDs. Pure.
"""

from dataclasses import dataclass
from typing import Final

from towerops_agent.polling.course.plan import Ask, Plan
from towerops_agent.polling.course.traits import Traits
from towerops_agent.reasons import Reason

SINGLE_A_POLL: Final = 8
"""So many of these OIDs are asked in one poll at least."""

SINGLE_POLLS: Final = 10
"""And so many that each is asked once in so many polls."""


@dataclass(frozen=True, slots=True)
class Division:
    """The columns of one request, each in one part: `rest` are those that spoil none.

    `mute`: the device never answers them. `refused`: it answers them with an error. `by_next`: it gives them by GETNEXT only.
    `suspects`: of a silence.
    """

    rest: list[int]
    mute: list[int]
    refused: list[int]
    by_next: list[int]
    suspects: list[int]


def divide(ask: Ask, traits: Traits) -> Division | None:
    """The parts of `ask`; None if it can be asked as it is."""
    names = dict(zip(ask.columns, ask.request.names, strict=True))
    mute = [c for c in names if names[c] in traits.mute] if ask.attempts > 1 else []
    refused = [c for c in names if names[c] in traits.refused_names and c not in mute] if len(names) > 1 else []
    by_next = [c for c in names if names[c] in traits.by_next and c not in mute]
    by_next = by_next if len(by_next) < len(names) else []
    kept = {*mute, *refused, *by_next}
    fresh = ask.attempts > 1 and not ask.again
    suspects = [c for c in names if names[c] in traits.suspects and c not in kept] if fresh else []
    if not (kept or suspects):
        return None
    kept.update(suspects)
    return Division([c for c in names if c not in kept], mute, refused, by_next, suspects)


def turn_of(plan: Plan, traits: Traits) -> tuple[list[int], dict[int, str]]:
    """Of many such columns those whose turn it is in the next poll, in their order; and those that are not asked, each with the
    reason why it is missing. Both are empty if there are few. Another turn at each call.

    Only values: a name is needed to know an interface by.
    """
    gone = {}
    for column in filter(None, plan.slots):
        name = plan.columns[column]
        reason = Reason.TIMEOUT if name in traits.mute else traits.refusals.get(name) if name in traits.refused_names else None
        if reason is not None and name in traits.not_by_next:
            gone[column] = reason
    count = max(SINGLE_A_POLL, -(-len(gone) // SINGLE_POLLS))
    if len(gone) <= count:
        return [], {}
    columns, first = list(gone), traits.turn % len(gone)
    traits.turn = first + count
    due = (columns + columns)[first : first + count]
    for column in due:
        del gone[column]
    return due, gone
