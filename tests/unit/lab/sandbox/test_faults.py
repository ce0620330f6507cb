"""The script says which request meets which fault."""

import asyncio

from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH
from towerops_lab.sandbox.faults import Answer, Delay, Faults


def statuses(faults: Faults, path: str, n: int) -> list[int | None]:
    met = [faults.meet(path) for _ in range(n)]
    return [m[1].status if m and isinstance(m[1], Answer) else None for m in met]


def test_without_a_script_nothing_goes_wrong():
    faults = Faults()
    assert faults.meet(METRICS_PATH) is None
    assert list(faults.for_metrics()) == []


def test_faults_are_met_in_the_order_of_the_script_each_as_often_as_it_says():
    faults = Faults()
    faults.answer(503, times=2)
    faults.answer(429, retry_after=7, times=1)
    assert statuses(faults, METRICS_PATH, 5) == [503, 503, 429, None, None]


def test_a_fault_is_met_only_on_its_path():
    faults = Faults()
    fault = faults.answer(503, path=METRICS_PATH)
    assert faults.meet(CONFIG_PATH) is None
    assert faults.meet(METRICS_PATH) == (fault, fault.effect)


def test_a_fault_without_times_lasts_until_it_is_cleared():
    faults = Faults()
    outage = faults.answer(503)
    assert statuses(faults, METRICS_PATH, 100) == [503] * 100
    outage.clear()
    assert faults.meet(METRICS_PATH) is None
    assert outage.hits == 100


def test_clearing_the_script_clears_spent_faults_as_well():
    """A hold that was met as often as it says still holds those that met it."""
    faults = Faults()
    held, outage = faults.hold(times=1), faults.answer(503)
    faults.meet(METRICS_PATH)
    faults.clear()
    assert held.cleared.is_set()
    assert outage.cleared.is_set()
    assert faults.meet(METRICS_PATH) is None


def test_retry_after_is_seconds_or_the_header_s_text():
    for given, sent in ((7, "7"), ("Fri, 09 Jan 2026 12:00:00 GMT", "Fri, 09 Jan 2026 12:00:00 GMT")):
        effect = Faults().answer(503, retry_after=given, headers={"x": "y"}).effect
        assert effect == Answer(503, {"x": "y", "retry-after": sent})


def test_faults_of_metrics_are_apart_from_those_of_requests():
    faults = Faults()
    limit = faults.limit(max_metrics=10, times=1)
    bad = faults.refuse_metrics(lambda _: True, "bad")
    assert faults.meet(METRICS_PATH) is None
    assert [fault for fault, _ in faults.for_metrics()] == [limit, bad]
    limit.hit()
    assert [fault for fault, _ in faults.for_metrics()] == [bad]


async def test_one_can_wait_until_a_fault_is_met():
    faults = Faults()
    fault = faults.delay(3)
    assert fault.effect == Delay(3, taken=False)
    waiting = asyncio.create_task(fault.met(2))
    faults.meet(METRICS_PATH)
    faults.meet(METRICS_PATH)
    await waiting
    await fault.met()
