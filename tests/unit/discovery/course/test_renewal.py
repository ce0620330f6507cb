"""When a device is discovered again, and what becomes of what is not there any more."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.discovery.course.renewal import (
    EACH_S,
    KEPT_S,
    MOST_PAUSE_S,
    MOST_RETRY_S,
    SETTLED_S,
    SPREAD_S,
    KeptDevice,
    Signs,
    due_at_s,
    failed,
    is_due,
    renewed,
)

NOW = 1_800_000_000.0
DAY_S = 86_400.0


def sensor(number: int, name: str = "") -> dict[str, Any]:
    return {"id": f"s{number}", "oid": f"1.3.6.{number}", "metadata": {"descr": name or f"sensor {number}"}}


def after(before: KeptDevice, now_s: float, *sensors: dict[str, Any], broken: str = "", again: bool = False) -> KeptDevice:
    return renewed(before, now_s, sensors=sensors, interfaces=[], what="X", left_out=[], broken=broken, again=again)


def ids(kept: KeptDevice) -> list[str]:
    return [each["id"] for each in kept.sensors]


def test_a_device_is_discovered_at_once_then_each_day_at_a_time_of_its_own():
    kept = after(KeptDevice(), NOW, sensor(1))
    assert due_at_s("a", KeptDevice(), None) <= NOW
    days = {due_at_s(f"device {i}", kept, None) - NOW for i in range(100)}
    assert min(days) >= EACH_S - SPREAD_S / 2
    assert max(days) <= EACH_S + SPREAD_S / 2
    assert len(days) > 90


def test_a_device_that_has_changed_is_discovered_once_it_has_settled():
    kept = after(KeptDevice(), NOW, sensor(1))
    assert due_at_s("a", kept, NOW + 10) == NOW + 10 + SETTLED_S


def test_what_another_version_of_the_agent_found_is_discovered_again_at_once():
    kept = renewed(KeptDevice(), NOW, sensors=[], interfaces=[], what="", left_out=[], broken="", again=False, by="1.0")
    assert not is_due("a", kept, None, NOW + 1, "1.0")
    assert is_due("a", kept, None, NOW + 1, "1.1")
    assert not is_due("a", failed(kept, "timeout", NOW + 2), None, NOW + 3, "1.1"), "later and later, as any that is silent"


def test_a_clock_that_was_years_ahead_does_not_put_the_next_discovery_off_for_years():
    """Nor does it keep for years what is not there any more."""
    ahead_s = NOW + 3_650 * DAY_S
    found = after(after(KeptDevice(), ahead_s, sensor(1), sensor(2)), ahead_s, sensor(1))
    assert found.gone == {"s2": ahead_s}
    for kept in (found, failed(KeptDevice(), "no answer", ahead_s)):
        assert is_due("a", kept, None, NOW)
    now = after(found, NOW, sensor(1))
    assert not is_due("a", now, None, NOW)
    assert not is_due("a", now, None, NOW - 30)
    assert ids(after(now, NOW + KEPT_S, sensor(1))) == ["s1"]


def test_a_device_that_does_not_answer_is_asked_later_and_later():
    kept, waits = KeptDevice(), []
    for _ in range(12):
        kept = failed(kept, "no answer", NOW)
        waits.append(due_at_s("a", kept, NOW) - NOW)
    assert waits[:3] == [60, 120, 240]
    assert waits[-1] == MOST_RETRY_S
    assert after(kept, NOW).failures == 0


def test_a_failure_costs_nothing_that_is_known():
    kept = after(KeptDevice(), NOW, sensor(1))
    assert ids(failed(kept, "no answer", NOW + DAY_S)) == ["s1"]


def test_what_is_gone_stays_for_seven_days_and_may_come_back():
    first = after(KeptDevice(), NOW, sensor(1), sensor(2))
    second = after(first, NOW + DAY_S, sensor(1))
    assert ids(second) == ["s1", "s2"]
    assert second.gone == {"s2": NOW + DAY_S}
    assert ids(after(second, NOW + 2 * DAY_S, sensor(2), sensor(1))) == ["s2", "s1"]
    assert after(second, NOW + 2 * DAY_S, sensor(2), sensor(1)).gone == {}
    assert ids(after(second, NOW + DAY_S + KEPT_S - 1, sensor(1))) == ["s1", "s2"]
    last = after(second, NOW + DAY_S + KEPT_S, sensor(1))
    assert (ids(last), last.gone) == (["s1"], {})


def test_a_device_that_stops_answering_is_discovered_again_soon_and_then_later_and_later():
    """What it said until then is used meanwhile. One that has more than is asked for waits a day: it would say the same."""
    kept, waits = KeptDevice(), []
    for _ in range(12):
        kept = after(kept, NOW, sensor(1), broken="it stopped answering", again=True)
        waits.append(due_at_s("a", kept, None) - NOW)
    assert waits[:3] == [60, 120, 240]
    assert waits[-1] == MOST_PAUSE_S
    assert (ids(kept), kept.trouble) == (["s1"], "it stopped answering")
    assert due_at_s("a", kept, NOW + 10) == NOW + 10 + SETTLED_S, "it has restarted since"
    whole = after(kept, NOW, sensor(1))
    assert (whole.trouble, whole.failures) == ("", 0)
    large = after(kept, NOW, sensor(1), broken="it is large")
    assert due_at_s("a", large, None) - NOW >= EACH_S - SPREAD_S / 2


def test_a_discovery_that_was_cut_short_shows_nothing_about_what_it_lacks():
    first = after(KeptDevice(), NOW, sensor(1), sensor(2))
    second = after(first, NOW + DAY_S, sensor(1), broken="it is large")
    assert (ids(second), second.gone) == (["s1", "s2"], {})
    gone = after(first, NOW + DAY_S, sensor(1))
    assert ids(after(gone, NOW + 30 * DAY_S, sensor(1), broken="it is large")) == ["s1", "s2"]


def test_a_name_that_another_has_now_is_that_ones():
    """No two series are alike."""
    first = after(KeptDevice(), NOW, sensor(1, "supply A"))
    second = after(first, NOW + DAY_S, sensor(2, "supply A"))
    assert (ids(second), second.gone) == (["s2"], {})


def test_a_restart_and_changed_interfaces_are_signs():
    before = Signs(2, 7)
    assert not Signs(2, 7).differs_from(before)
    assert Signs(3, 7).differs_from(before)
    assert Signs(2, 8).differs_from(before)
    assert not Signs(2, None).differs_from(before)
    assert Signs(3, None).after(before) == Signs(3, 7)
    assert not Signs(0, 7).differs_from(Signs())


def test_a_device_whose_restarts_are_counted_from_the_start_has_restarted_if_there_are_any():
    """As after another agent has polled it."""
    before = Signs(2, 7)
    assert not Signs(0, 7).differs_from(before)
    assert Signs(1, 7).differs_from(before)
    assert Signs(1, 7).differs_from(Signs(0, 7).after(before))


@given(st.lists(st.tuples(st.sets(st.integers(1, 5)), st.floats(0, 3 * DAY_S), st.booleans()), max_size=12))
def test_what_is_there_is_always_polled_and_names_are_never_twice(rounds: list[tuple[set[int], float, bool]]):
    kept, now_s, seen = KeptDevice(), NOW, {}
    for numbers, pause_s, is_cut_short in rounds:
        now_s += pause_s
        kept = after(kept, now_s, *(sensor(number) for number in numbers), broken="it is large" * is_cut_short)
        seen |= {f"s{number}": now_s for number in numbers}
        assert {f"s{number}" for number in numbers} <= set(ids(kept))
        assert len(ids(kept)) == len(set(ids(kept)))
        assert set(kept.gone) <= set(ids(kept))
        assert all(each in ids(kept) for each, at_s in seen.items() if now_s - at_s < KEPT_S)


def interface(number: int, if_index: int, name: str = "") -> dict[str, Any]:
    return {"id": f"i{number}", "if_index": if_index} | ({"if_name": name} if name else {})


def test_an_interface_that_is_gone_stays_unless_another_one_has_its_name_or_else_its_index():
    def found(before: KeptDevice, *interfaces: dict[str, Any]) -> list[str]:
        kept = renewed(before, NOW, sensors=[], interfaces=interfaces, what="X", left_out=[], broken="", again=False)
        return [each["id"] for each in kept.interfaces]

    first = KeptDevice(interfaces=[interface(1, 7, "eth0"), interface(2, 8)])
    assert found(first, interface(3, 9, "eth0")) == ["i3", "i2"], "a name that another one has now"
    assert found(first, interface(3, 7, "eth9")) == ["i3", "i1", "i2"], "an index is not a name"
    assert found(first, interface(3, 8)) == ["i3", "i1"]
    here = interface(3, 0, "eth9") | {"seen_at": 8}
    assert found(first, here) == ["i3", "i1"], "by its index only, it would be read as another one"
    assert found(KeptDevice(interfaces=[interface(2, 7)]), here) == ["i3", "i2"]


def test_what_the_device_is_and_what_was_left_out_are_as_found_last():
    kept = KeptDevice(what="before", left_out=["something"])
    kept = renewed(kept, NOW, sensors=[], interfaces=[], what="vendor model", left_out=["lo: loopback"], broken="", again=False)
    assert (kept.at_s, kept.what, kept.left_out) == (NOW, "vendor model", ["lo: loopback"])
    assert (kept.trouble, kept.failures, kept.failed_at_s) == ("", 0, 0.0)
