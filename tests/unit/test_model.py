"""Up, degraded or down: what a poll says of a device."""

import pytest

from towerops_agent.api.wire.contract import EquipmentStatus
from towerops_agent.buffer.format.codec import decode_layout, decode_poll, encode_layout, encode_poll
from towerops_agent.delivery.course.parcel import metrics_of
from towerops_agent.model import STATES, DeviceState, Layout, LayoutKind, State, next_state, poll_of_state


@pytest.mark.parametrize(
    ("silence", "missing", "state", "reason"),
    [
        ("", {}, State.UP, ""),
        ("timeout", {"timeout": 9}, State.DOWN, "timeout"),
        ("unresolved", {}, State.DOWN, "unresolved"),
        ("", {"timeout": 2}, State.DEGRADED, "timeout"),
        ("", {"genErr": 1, "deadline": 5, "noSuchObject": 50}, State.DEGRADED, "deadline"),
        ("", {"noSuchObject": 3, "noSuchInstance": 1, "not_a_number": 2}, State.UP, ""),
        ("", {"ambiguous": 1, "not_finite": 1, "out_of_range": 1, "negative_counter": 2}, State.UP, ""),
        ("", {"unreadable": 9}, State.UP, ""),
        ("", {"not_finite": 9, "unreadable": 8, "omitted": 1}, State.DEGRADED, "omitted"),
    ],
)
def test_silence_is_down_trouble_is_degraded_and_what_was_never_there_is_neither(silence, missing, state, reason):
    assert next_state(None, silence, missing, 5) == DeviceState(state, reason, 5)


def test_a_state_dates_from_when_it_began_whatever_its_reason():
    down = next_state(None, "timeout", {}, 10)
    still = next_state(down, "unreachable", {}, 20)
    assert still == DeviceState(State.DOWN, "unreachable", 10)
    assert next_state(still, "", {}, 30) == DeviceState(State.UP, "", 30)


@pytest.mark.parametrize("reason", ["", "timeout", "genErr", "wrong_priv", "a reason of tomorrow"])
@pytest.mark.parametrize("state", State)
def test_a_state_reaches_the_wire_as_the_contract_has_it(state, reason):
    """Over the buffer's octets; what went wrong with the credentials is one reason there, and an unknown one is `other`."""
    poll = poll_of_state(DeviceState(state, reason, 5), 3, 1_700_000_000_000_000, None if state is State.DOWN else 0.0125)
    layout = Layout("eq-1", kind=LayoutKind.STATE)
    kept_layout = decode_layout(encode_layout(layout))
    assert kept_layout == layout
    (metric,) = metrics_of(kept_layout, decode_poll(encode_poll(poll), kept_layout))
    assert metric == EquipmentStatus(
        equipment_id="eq-1",
        state=state.value,
        reason={"wrong_priv": "auth", "a reason of tomorrow": "other"}.get(reason, reason),
        response_time_ms=None if state is State.DOWN else 12.5,
        timestamp="2023-11-14T22:13:20.000000Z",
    )
    assert metrics_of(kept_layout, poll, 1) == []
    assert poll.metric_count == 1


def test_a_state_is_stored_as_the_same_number_for_good():
    assert list(STATES) == [state.value for state in State] == ["up", "degraded", "down"]
