"""All devices under polling, in virtual time: who is polled when, what one device costs the others, what is told and counted."""

import asyncio
import itertools
from collections import Counter
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from support import devices, virtual_time
from support.fake_client import FakeClient
from towerops_agent.counters import Count, Counters
from towerops_agent.model import Poll
from towerops_agent.polling.course.plan import SYS_UP_TIME, Planner
from towerops_agent.polling.reading import Poller, PollResult
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid
from towerops_lab.simulator.device import SimulatedDevice

POLL = Poll(devices.LAYOUT, 0, (1,), ((1, 0),), 1)
COMPLETE = PollResult(POLL)


class FakePoller:
    """Polls take `takes_s`, and what comes of them is `result`: by device, else as for all."""

    def __init__(self, takes_s=0.1, result=COMPLETE):
        self.takes_s, self.result = takes_s, result
        self.of = {}
        self.started = []
        self.under_way = self.most_under_way = self.cancelled = 0

    async def poll(self, device, within_s):
        self.started.append((asyncio.get_running_loop().time(), device.id, within_s))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        takes_s, result = self.of.get(device.id, (self.takes_s, self.result))
        try:
            await asyncio.sleep(takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if isinstance(result, Exception):
            raise result
        return result

    def times(self, device_id):
        return [at for at, started, _ in self.started if started == device_id]


class Bench:
    """A fleet of so many devices, run for some time."""

    def __init__(self, poller, count=0, **options):
        self.counters, self.stored, self.planner = Counters(), [], Planner()
        self.fleet = Fleet(poller, self.counters, self.stored.append, now_us=lambda: 0, **options)
        self.count = count

    def make(self, count=None, **wanted):
        """Devices dev-0, dev-1 and so on."""
        return [
            devices.device(self.planner, equipment_id=f"dev-{n}", host=f"192.0.2.{n}", **wanted)
            for n in range(count or self.count)
        ]

    def run(self, for_s, then=None, devices_=None):
        """Poll for so many seconds; `then`: by seconds from the start, what to do."""

        async def main():
            self.fleet.replace(self.make() if devices_ is None else devices_)
            running = asyncio.create_task(self.fleet.run())
            passed = 0.0
            for at_s, action in sorted((then or {}).items()):
                await asyncio.sleep(at_s - passed)
                passed = at_s
                action()
            await asyncio.sleep(for_s - passed)
            self.fleet.stop()
            await running

        with capture_logs() as logs:
            virtual_time.run(main())
        return logs


def gaps(times):
    return [round(after - before, 6) for before, after in pairwise(times)]


def test_each_device_is_polled_once_an_interval():
    poller = FakePoller()
    bench = Bench(poller, 50)
    bench.run(600)
    for n in range(50):
        first, *rest = gaps(poller.times(f"dev-{n}"))
        assert 30 <= first <= 90
        assert set(rest) == {60.0}
        assert len(rest) in (8, 9)
    assert len(bench.stored) == len(poller.started) == bench.counters.total(Count.POLLS)
    assert bench.counters.total(Count.POLLS_SKIPPED) == 0
    assert bench.fleet.latest_s < 0.001


def test_ten_devices_are_all_begun_with_at_once_and_many_at_a_pace():
    poller = FakePoller()
    Bench(poller, 10).run(0.1)
    assert len(poller.started) == 10
    poller = FakePoller()
    bench = Bench(poller)
    bench.run(10, devices_=[devices.device(bench.planner, equipment_id=f"dev-{n}") for n in range(2000)])
    assert len(poller.started) == 2000
    started_within_1_s = [at for at, *_ in poller.started if at < poller.started[0][0] + 1]
    assert len(started_within_1_s) < 300


def test_a_poll_is_given_nine_tenths_of_its_interval():
    poller = FakePoller()
    Bench(poller, 1).run(1)
    assert [within_s for *_, within_s in poller.started] == [54.0]


def test_a_slow_device_delays_no_other_and_is_not_polled_twice_at_a_time():
    poller = FakePoller()
    poller.of["dev-0"] = (100.0, COMPLETE)
    bench = Bench(poller, 20)
    bench.run(600)
    assert all(set(gaps(poller.times(f"dev-{n}"))[1:]) == {60.0} for n in range(1, 20))
    assert min(gaps(poller.times("dev-0"))) >= 100
    assert bench.counters.get(Count.POLLS_SKIPPED, "still_running") >= 4
    assert bench.fleet.latest_s < 0.001


def answering():
    return SimulatedDevice({SYS_UP_TIME: (ber.TIME_TICKS, 100)})


def test_dead_devices_delay_no_other():
    """A tenth of 200 are dead, with the real poller: no other starts late, and each dead one is probed once an interval."""
    client = FakeClient({f"192.0.2.{n}": answering() for n in range(200) if n % 10})
    bench = Bench(Poller(client, Planner()), 200)
    bench.run(1200, devices_=bench.make(sensors=[format_oid(SYS_UP_TIME)]))
    assert bench.fleet.latest_s < 0.001
    assert bench.counters.total(Count.POLLS_SKIPPED) == 0
    assert bench.counters.get(Count.POLLS, "complete") >= 180 * 19
    assert bench.counters.get(Count.POLLS, "silent") >= 20 * 19
    assert bench.counters.get(Count.READINGS_MISSING, "timeout") == bench.counters.get(Count.POLLS, "silent")
    assert max(client.asked[f"192.0.2.{n}"] for n in range(0, 200, 10)) <= 6 + 20


def test_no_more_polls_run_at_once_than_allowed_and_what_comes_too_late_is_skipped_and_counted():
    """Room for 3 polls of 4 s is room for 45 a minute: of 60 devices, some are skipped each minute, and nothing piles up."""
    poller = FakePoller(takes_s=4.0)
    bench = Bench(poller, 60, maximum_polls=3)
    bench.run(1200)
    assert poller.most_under_way == 3
    started, late = len(poller.started), bench.counters.get(Count.POLLS_SKIPPED, "late")
    assert 800 <= started <= 903
    assert abs(started + late - 60 * 20) <= 120
    assert bench.fleet.latest_s <= 6.0


def test_a_bug_in_one_poll_is_counted_told_and_costs_that_poll_alone():
    poller = FakePoller()
    poller.of["dev-1"] = (0.1, KeyError("a bug"))
    bench = Bench(poller, 3)
    logs = bench.run(300)
    failed = len(poller.times("dev-1"))
    assert failed >= 4
    assert bench.counters.by_reason(Count.BUGS) == {"poll": failed}
    assert len(bench.stored) == len(poller.times("dev-0")) + len(poller.times("dev-2"))
    told = [line for line in logs if line["log_level"] == "error"]
    assert told
    assert all(line["exc_info"] and line["device"] == "name of dev-1" for line in told)


def test_a_bug_in_the_store_costs_that_poll_alone():
    poller = FakePoller()
    bench = Bench(poller, 1)
    bench.fleet = Fleet(poller, bench.counters, {}.__getitem__, now_us=lambda: 0)
    bench.run(300)
    assert len(poller.started) >= 4
    assert bench.counters.get(Count.BUGS, "poll") == len(poller.started)


def test_a_removed_device_is_polled_no_more_and_the_others_keep_their_times():
    poller = FakePoller()
    bench = Bench(poller, 5)
    alone = FakePoller()
    Bench(alone, 5).run(600)
    bench.run(600, then={200: lambda: bench.fleet.replace(bench.make(4))})
    assert max(poller.times("dev-4")) <= 1200
    for n in range(4):
        assert poller.times(f"dev-{n}") == alone.times(f"dev-{n}")
    assert set(bench.fleet.devices) == {f"dev-{n}" for n in range(4)}


def test_a_device_with_a_new_interval_is_polled_by_that_and_a_new_one_at_once():
    poller = FakePoller()
    bench = Bench(poller, 1)
    bench.run(600, then={200: lambda: bench.fleet.replace(bench.make(2, interval_s=10))})
    assert set(gaps([at for at in poller.times("dev-0") if at > 1200])[1:]) == {10.0}
    assert 1200 <= poller.times("dev-1")[0] <= 1200.1


def test_stopping_cancels_the_polls_under_way_and_starts_no_more():
    poller = FakePoller(takes_s=50.0)
    bench = Bench(poller, 5)
    bench.run(10)
    assert (len(poller.started), poller.cancelled, poller.under_way) == (5, 5, 0)
    assert bench.stored == []
    assert bench.counters.total(Count.BUGS) == 0


def test_a_fleet_that_failed_by_a_bug_polls_all_its_devices_when_it_is_run_again(monkeypatch):
    """Those, too, whose poll was cancelled before its first step: none is taken to run still."""
    poller = FakePoller()
    bench = Bench(poller, 5)
    timetable = bench.fleet.timetable
    take_due = timetable.take_due
    calls = itertools.count()

    def fail(now):
        if next(calls) == 3:
            raise RuntimeError("a bug")
        return take_due(now)

    async def main():
        bench.fleet.replace(bench.make())
        await asyncio.sleep(0.02)
        monkeypatch.setattr(timetable, "take_due", fail)
        with pytest.raises(ExceptionGroup):
            await bench.fleet.run()
        monkeypatch.undo()
        running = asyncio.create_task(bench.fleet.run())
        await asyncio.sleep(200)
        bench.fleet.stop()
        await running

    virtual_time.run(main())
    assert {device_id for _, device_id, _ in poller.started} == {f"dev-{n}" for n in range(5)}
    assert bench.counters.get(Count.POLLS_SKIPPED, "still_running") == 0


def test_a_change_of_state_is_told_once_and_what_stays_is_counted():
    """Down, in part, up: a line each, however long it stays so; and none at all for what was well from the start."""
    poller = FakePoller()
    bench = Bench(poller, 2)
    silent = PollResult(None, silence="timeout")
    part = PollResult(POLL, missing=Counter(genErr=2, noSuchObject=1))

    def becomes(result):
        return lambda: poller.of.update({"dev-0": (0.1, result)})

    logs = bench.run(2000, then={300: becomes(silent), 800: becomes(part), 1300: becomes(COMPLETE)})
    told = [(line["log_level"], line["event"]) for line in logs if line["log_level"] != "debug"]
    assert told == [
        ("warning", "device does not answer, will be probed once each interval"),
        ("warning", "device answers in part"),
        ("info", "device has recovered"),
    ]
    down, partly, up = [line for line in logs if line["log_level"] != "debug"]
    assert (down["device"], down["address"], down["reason"]) == ("name of dev-0", "192.0.2.0:161", "timeout")
    assert (partly["reason"], partly["missing_genErr"], partly["missing_noSuchObject"]) == ("genErr", 2, 1)
    assert (up["after"], up["reason_before"]) == ("degraded", "genErr")
    counts = bench.counters.by_reason(Count.POLLS)
    assert all(counts[state] >= 7 for state in ("complete", "silent", "partial"))
    assert bench.counters.get(Count.READINGS_MISSING, "genErr") == 2 * counts["partial"]


def test_all_devices_are_polled_once_under_the_same_limit():
    poller = FakePoller(takes_s=1.0)
    poller.of["dev-3"] = (1.0, RuntimeError("a bug"))
    bench = Bench(poller, 10, maximum_polls=4)

    async def main():
        bench.fleet.replace(bench.make())
        return await bench.fleet.poll_all_once()

    results = virtual_time.run(main())
    assert set(results) == {f"dev-{n}" for n in range(10) if n != 3}
    assert (poller.most_under_way, len(poller.started)) == (4, 10)
    assert len(bench.stored) == 9


def test_no_devices_are_waited_for_without_a_word():
    bench = Bench(FakePoller())
    assert bench.run(10_000) == []


def test_devices_that_drip_hold_up_no_healthy_one():
    """1,500 devices take 32 s a poll, more than there are places; 100 others start within a second of their time."""
    poller = FakePoller()
    bench = Bench(poller)
    slow = [devices.device(bench.planner, equipment_id=f"slow-{n}") for n in range(1500)]
    healthy = [devices.device(bench.planner, equipment_id=f"dev-{n}") for n in range(100)]
    poller.of = {device.id: (32.0, COMPLETE) for device in slow}
    bench.run(600, devices_=[*slow, *healthy])
    assert bench.fleet.latest_s < 1.0
    for device in healthy:
        assert len(poller.times(device.id)) >= 9
    assert all(len(poller.times(device.id)) >= 9 for device in slow)


def test_more_slow_devices_than_places_are_polled_in_turn_and_what_is_skipped_is_counted():
    poller = FakePoller()
    bench = Bench(poller, maximum_polls=10)
    slow = [devices.device(bench.planner, equipment_id=f"slow-{n}") for n in range(40)]
    healthy = [devices.device(bench.planner, equipment_id=f"dev-{n}") for n in range(5)]
    poller.of = {device.id: (30.0, COMPLETE) for device in slow}
    bench.run(1200, devices_=[*slow, *healthy])
    assert bench.counters.get(Count.POLLS_SKIPPED, "many_slow") > 0
    for device in healthy:
        assert len(poller.times(device.id)) >= 19
