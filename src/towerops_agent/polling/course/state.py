"""The state of a device, from its last poll: up, degraded or down, why, and since when; also as a Poll, to be stored.

Pure. The wall clock is passed in, in microseconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from towerops_agent.model import STATES, Poll
from towerops_agent.reasons import ABSENT, code_of


class State(StrEnum):
    """`UP`: answers all that it has. `DEGRADED`: answers, but not all. `DOWN`: does not answer. The API's names."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """`reason`: "" if it is up. `since_us`: when the state (not the reason) last changed."""

    state: State
    reason: str
    since_us: int


def next_state(before: DeviceState | None, silence: str, missing: Mapping[str, int], now_us: int) -> DeviceState:
    """The state after a poll that failed for `silence` ("" if it was answered), with the number of missing values by reason."""
    troubles = [reason for reason in missing if reason not in ABSENT]
    if silence:
        state, reason = State.DOWN, silence
    elif troubles:
        state, reason = State.DEGRADED, max(troubles, key=lambda reason: (missing[reason], reason))
    else:
        state, reason = State.UP, ""
    since_us = before.since_us if before is not None and before.state is state else now_us
    return DeviceState(state, reason, since_us)


def poll_of_state(now: DeviceState, layout: int, at_us: int, rtt_s: float | None) -> Poll:
    """The state as a Poll of the layout with this id. `rtt_s`: the round trip of the device's answer, None without one."""
    response_us = None if rtt_s is None else round(rtt_s * 1_000_000)
    return Poll(layout, at_us, (STATES.index(now.state.value), code_of(now.reason), response_us), ((1, 0),), 1)
