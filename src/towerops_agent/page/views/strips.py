"""Strips of states over time: of one device, of the agent, of the API. Without a hole; what is not known is "unknown".

Events, completed (runs.py), + polls -> Span. Pure. Times in microseconds since 1970 (`_us`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from towerops_agent.buffer.format.event import FAILS, STARTED, STOPPED, WORKS, Event, EventKind
from towerops_agent.model import NOT_POLLED, State


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A state from one time to another."""

    from_us: int
    to_us: int
    state: str
    reason: str = ""


def states_over(
    events: Iterable[Event], polls_us: Sequence[int], holds_us: Sequence[int], from_us: int, to_us: int, before: str = NOT_POLLED
) -> list[Span]:
    """The states of one device from `from_us` to `to_us`.

    `events`: of this device and of the agent, in their order. `polls_us`: when polls that read something were started, sorted;
    `holds_us`: for how long each of them says that the device is up; one of which none is stored is up by its event.
    `before`: the state before the first event.
    """
    changes = []
    for event in events:
        if event.kind is EventKind.STATE:
            changes.append((event.at_us, event.what, event.why))
        elif event.kind is EventKind.AGENT:
            changes.append((event.at_us, NOT_POLLED, "the agent did not run" if event.what == STOPPED else ""))
    spans = _spans(changes, from_us, to_us, before)
    return _joined(piece for span in spans for piece in _proven(span, polls_us, holds_us))


def runs_over(events: Iterable[Event], from_us: int, to_us: int) -> list[Span]:
    """When the agent ran: "runs", "does not run"."""
    changes = [
        (event.at_us, "runs" if event.what == STARTED else "does not run", "")
        for event in events
        if event.kind is EventKind.AGENT
    ]
    return _spans(changes, from_us, to_us)


def works_over(events: Iterable[Event], from_us: int, to_us: int) -> list[Span]:
    """When the API worked: "works", or "fails" if one of the dealings with it did."""
    changes = []
    failing: dict[str, str] = {}
    working: set[str] = set()
    for event in events:
        if event.kind is EventKind.AGENT:
            failing, working = {}, set()
            changes.append((event.at_us, NOT_POLLED, ""))
        elif event.kind is EventKind.API:
            failing.pop(event.subject, None)
            working.discard(event.subject)
            if event.what == WORKS:
                working.add(event.subject)
            elif event.what == FAILS:
                failing[event.subject] = event.why
            why = "; ".join(f"{name}: {reason}" for name, reason in failing.items())
            changes.append((event.at_us, "fails" if failing else "works" if working else NOT_POLLED, why))
    return _spans(changes, from_us, to_us)


def _proven(span: Span, polls_us: Sequence[int], holds_us: Sequence[int]) -> list[Span]:
    """The span; if it may be one in which the device was up, cut into those that polls show and those that nothing shows."""
    if span.state not in (State.UP, NOT_POLLED):
        return [span]
    between = (NOT_POLLED, "") if span.state == State.UP and not span.reason else (span.state, span.reason)
    found: list[Span] = []
    at_us = span.from_us
    first = bisect_left(polls_us, span.from_us - max(holds_us, default=0))
    for poll_us, hold_us in zip(polls_us[first:], holds_us[first:], strict=True):
        begin_us, end_us = max(poll_us, at_us), min(poll_us + hold_us, span.to_us)
        if poll_us >= span.to_us:
            break
        if end_us > begin_us:
            found += [Span(at_us, begin_us, *between), Span(begin_us, end_us, State.UP.value)]
            at_us = end_us
    return [*found, Span(at_us, span.to_us, *between)]


def _spans(changes: Iterable[tuple[int, str, str]], from_us: int, to_us: int, before: str = NOT_POLLED) -> list[Span]:
    """Changes, each with its time, state and reason, as spans. One that is later than the one behind it counts from that on.

    So whatever was noted while the clock was ahead takes no time from what was noted after it was set.
    """
    spans = []
    state, why, at_us = before, "", from_us
    noted = list(changes)
    times_us = [*accumulate((change_us for change_us, _, _ in reversed(noted)), min)]
    for change_us, (_, *now) in zip(reversed(times_us), noted, strict=True):
        until_us = min(max(change_us, at_us), to_us)
        spans.append(Span(at_us, until_us, state, why))
        (state, why), at_us = now, until_us
    return _joined([*spans, Span(at_us, to_us, state, why)])


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Those that last; neighbours of the same state and reason are one."""
    found: list[Span] = []
    for span in spans:
        if span.to_us <= span.from_us:
            continue
        if found and (found[-1].state, found[-1].reason) == (span.state, span.reason):
            found[-1] = Span(found[-1].from_us, span.to_us, span.state, span.reason)
        else:
            found.append(span)
    return found
