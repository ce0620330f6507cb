"""All devices under polling, in virtual time: who is polled when, what one costs the others, what is logged and counted."""

import asyncio
import errno
import itertools
import math
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
SILENT = PollResult(None, silence="timeout")


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
        self.fleet = Fleet(poller, self.counters, self.stored.append, **{"now_us": lambda: 0, **options})
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
    bench.run(599)  # no poll is under way then
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


def test_polls_that_come_too_late_are_in_the_log_once_a_minute_with_their_number():
    """As of a machine that stood still, or whose CPU others use: nothing else says why there are holes in the charts."""
    bench = Bench(FakePoller(), 50)

    def stand_still():
        asyncio.get_running_loop().now += 150

    logs = bench.run(1200, {120: stand_still, 280: stand_still, 800: stand_still})
    lines = [line for line in logs if line["event"] == "polls are skipped, as they would start too late"]
    assert {line["log_level"] for line in lines} == {"warning"}
    assert len(lines) == 3
    assert sum(line["polls"] for line in lines) == bench.counters.get(Count.POLLS_SKIPPED, "late") > 200


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


def test_a_bug_in_one_poll_is_counted_logged_and_costs_only_that_poll():
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


def test_a_poll_without_memory_is_skipped_with_a_reason_and_one_line_a_minute():
    poller = FakePoller()
    poller.of["dev-1"] = (0.1, MemoryError())
    poller.of["dev-2"] = (0.1, OSError(errno.ENOMEM, "Cannot allocate memory"))
    bench = Bench(poller, 3)
    logs = bench.run(300)
    failed = len(poller.times("dev-1")) + len(poller.times("dev-2"))
    assert failed >= 8
    assert bench.counters.by_reason(Count.POLLS_SKIPPED) == {"no_memory": failed}
    assert bench.counters.total(Count.BUGS) == 0
    assert len(bench.stored) == len(poller.times("dev-0"))
    lines = [line for line in logs if line["event"] == "no memory for a poll, skipped"]
    assert 2 <= len(lines) <= 1 + 300 / 60
    assert any(line.get("unlogged") for line in lines)
    assert all("exc_info" not in line for line in lines)
    assert len(lines) + sum(line.get("unlogged", 0) for line in lines) >= failed - 2


def test_readings_that_could_not_be_stored_for_lack_of_memory_are_not_counted_as_read():
    poller = FakePoller()
    bench = Bench(poller, 1)

    def store(poll):
        if len(poller.started) == 2:
            raise MemoryError
        bench.stored.append(poll)

    bench.fleet = Fleet(poller, bench.counters, store, now_us=lambda: 0)
    bench.run(300)
    assert bench.counters.by_reason(Count.POLLS_SKIPPED) == {"no_memory": 1}
    assert len(poller.started) == len(bench.stored) + 1
    assert bench.counters.total(Count.READINGS) == sum(poll.metric_count for poll in bench.stored) > 0
    assert bench.counters.total(Count.POLLS) == len(bench.stored)


def test_a_bug_in_the_store_costs_only_that_poll():
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


def test_a_change_of_state_is_reported_once_and_what_stays_is_counted():
    """Down, in part, up: a line each, however long it stays so; and none at all for what was healthy from the start."""
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


def test_a_change_of_state_is_announced_once_it_is_stored_and_the_first_state_is_not():
    poller = FakePoller()
    stored_at_changes = []
    bench = Bench(poller, 2, changed=lambda: stored_at_changes.append(bench.stored[-1].layout))
    made = bench.make()
    for device in made:
        device.state_layout = 7
    bench.run(
        900,
        devices_=made,
        then={
            300: lambda: poller.of.update({"dev-0": (0.1, PollResult(None, silence="timeout"))}),
            600: lambda: poller.of.update({"dev-0": (0.1, COMPLETE)}),
        },
    )
    assert stored_at_changes == [7, 7]


def test_changes_and_restarts_are_noted_and_what_was_up_from_the_start_is_not():
    poller, noted = FakePoller(), []
    bench = Bench(poller, 2, note=noted.append)

    def becomes(result):
        return lambda: poller.of.update({"dev-0": (0.1, result)})

    other = PollResult(None, silence="refused")
    back = PollResult(POLL, restarted=True)
    bench.run(2000, then={300: becomes(SILENT), 700: becomes(other), 1000: becomes(back), 1055: becomes(COMPLETE)})
    found = [(event.kind, event.subject, event.what, event.why) for event in noted]
    assert found == [("state", "dev-0", "down", "timeout"), ("restart", "dev-0", "", ""), ("state", "dev-0", "up", "")]


def test_of_a_device_that_is_dropped_while_it_is_down_nothing_is_known():
    poller, noted = FakePoller(result=SILENT), []
    bench = Bench(poller, 1, note=noted.append)
    bench.run(300, then={200: lambda: bench.fleet.replace([])})
    assert [(event.subject, event.what) for event in noted] == [("dev-0", "down"), ("dev-0", "unknown")]


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


class Owned:
    """Which devices of a group's are polled here; all others are polled by others, or by nobody `since`."""

    def __init__(self, *ids):
        self.ids = set(ids)
        self.since = None
        self.doubtful = False

    def owns(self, device_id):
        return device_id in self.ids

    def doubts(self):
        return self.doubtful

    def bench(self, poller, count, **options):
        bench = Bench(poller, count, **options)
        bench.fleet.ownership = self
        return bench


def test_only_owned_devices_are_polled():
    poller, owned = FakePoller(), Owned("dev-1", "dev-3")
    bench = owned.bench(poller, 5)
    bench.run(200)
    assert {device_id for _, device_id, _ in poller.started} == {"dev-1", "dev-3"}
    assert len(bench.fleet.devices) == 5
    assert [device.id for device in bench.fleet.polled] == ["dev-1", "dev-3"]
    assert bench.fleet.answering == (2, 0)


def test_a_device_that_another_agent_has_polled_goes_on_at_its_time():
    poller, owned = FakePoller(), Owned("dev-0")
    bench = owned.bench(poller, 2)
    alone = FakePoller()
    Bench(alone, 2).run(600)
    taken = []

    def take():
        owned.ids = {"dev-1"}
        taken.extend(bench.fleet.share(lambda _: math.inf))

    bench.run(600, then={300.5: take})
    assert [device.id for device in taken] == ["dev-1"]
    assert poller.times("dev-1") == [at for at in alone.times("dev-1") if at > 1300.5]
    assert poller.times("dev-0")[1:] == [at for at in alone.times("dev-0") if at < 1300.5][1:]


def test_what_has_missed_its_time_starts_at_once_at_a_pace_and_the_rest_at_its_own_time():
    poller, owned = FakePoller(), Owned()
    bench = owned.bench(poller, 600)
    alone = FakePoller()
    Bench(alone, 600).run(600)

    def take():
        owned.ids = {f"dev-{n}" for n in range(600)}
        bench.fleet.share(lambda _: 1300.0 - 11)

    bench.run(600, then={300: take})
    missed = 0
    for n in range(600):
        first, *rest = poller.times(f"dev-{n}")
        usual = alone.times(f"dev-{n}")
        if any(1289 <= at <= 1300 for at in usual):
            missed += 1
            assert first <= 1300 + 110 / 200 + 0.1
            assert rest == [at for at in usual if at > 1301]
        else:
            assert [first, *rest] == [at for at in usual if at > 1300]
    assert 90 < missed < 140


def test_a_device_that_is_taken_over_is_not_trusted_and_its_state_is_sent_again():
    poller, owned = FakePoller(result=SILENT), Owned("dev-0")
    bench = owned.bench(poller, 1)
    trusted = bench.make()
    trusted[0].traits.check = False

    def move(*ids):
        owned.ids = set(ids)
        bench.fleet.share(lambda _: math.inf)
        states.append(bench.fleet.devices["dev-0"].state)

    states = []
    logs = bench.run(400, devices_=trusted, then={100: move, 200: lambda: move("dev-0")})
    assert states[0] is not None
    assert states[1] is None
    assert trusted[0].traits.check
    assert len([line for line in logs if "does not answer" in line["event"]]) == 2


def test_a_poll_that_ends_after_its_device_has_moved_is_kept_and_says_nothing_of_its_state():
    poller, owned = FakePoller(takes_s=20), Owned("dev-0")
    bench = owned.bench(poller, 1)
    device = bench.make()
    device[0].state_layout = 77

    def give_away():
        owned.ids = set()
        bench.fleet.share(lambda _: math.inf)

    bench.run(100, devices_=device, then={10: give_away})
    assert [poll.layout for poll in bench.stored] == [POLL.layout]
    assert device[0].state is None


def test_a_silent_device_is_not_down_before_another_one_answers():
    """If none answers, it may be this agent that reaches nothing."""
    poller, owned = FakePoller(result=SILENT), Owned(*(f"dev-{n}" for n in range(4)))
    owned.doubtful = True
    bench = owned.bench(poller, 4)
    seen = {}

    def look(name):
        return lambda: seen.update({name: [device.state for device in bench.fleet.devices.values()]})

    def answer():
        poller.of["dev-3"] = (0.1, COMPLETE)

    bench.run(200, then={65: look("silent"), 66: answer, 130: look("one answers")})
    assert seen["silent"] == [None] * 4
    assert [state.state for state in seen["one answers"]] == ["down", "down", "down", "up"]
    assert bench.fleet.answering == (1, 3)


def test_after_three_silent_polls_it_is_down_whatever_the_others_do():
    poller, owned = FakePoller(result=SILENT), Owned("dev-0", "dev-1")
    owned.doubtful = True
    bench = owned.bench(poller, 2, now_us=lambda: int(asyncio.get_running_loop().time() * 1e6))
    seen = {}

    def look(name):
        return lambda: seen.update({name: [device.state for device in bench.fleet.devices.values()]})

    logs = bench.run(400, then={110: look("two"), 200: look("three")})
    assert seen["two"] == [None, None]
    for n, state in enumerate(seen["three"]):
        first_at_us = (poller.times(f"dev-{n}")[0] + 0.1) * 1e6
        assert state.state == "down"
        assert abs(state.since_us - first_at_us) < 1000, "down since it was silent first"
    assert len([line for line in logs if "does not answer" in line["event"]]) == 2


def test_without_doubts_a_silent_device_is_down_at_once():
    bench = Bench(FakePoller(result=SILENT), 1)
    bench.run(2)
    assert bench.fleet.devices["dev-0"].state.state == "down"


def test_polls_under_way_are_awaited_at_the_end_and_no_longer_than_that():
    poller, owned = FakePoller(takes_s=3), Owned(*(f"dev-{n}" for n in range(5)))
    poller.of["dev-0"] = (50, COMPLETE)
    bench = owned.bench(poller, 5)

    async def main():
        bench.fleet.replace(bench.make())
        running = asyncio.create_task(bench.fleet.run())
        await asyncio.sleep(1)
        owned.ids = set()
        bench.fleet.share(lambda _: math.inf)
        began = asyncio.get_running_loop().time()
        await bench.fleet.finish(10)
        assert 9.9 < asyncio.get_running_loop().time() - began < 10.1
        await bench.fleet.finish(100)
        assert 48 < asyncio.get_running_loop().time() - began < 50
        await bench.fleet.finish(100)
        assert 48 < asyncio.get_running_loop().time() - began < 50
        bench.fleet.stop()
        await running

    virtual_time.run(main())
    assert poller.cancelled == 0
    assert len(poller.started) == 5


def test_a_probe_counts_who_answers():
    poller = FakePoller()
    poller.of["dev-1"] = (0.1, SILENT)
    bench = Bench(poller, 3)

    async def main():
        bench.fleet.replace(bench.make())
        assert await bench.fleet.probe(["dev-0", "dev-1", "dev-2", "gone"]) == 2
        assert await bench.fleet.probe([]) == 0

    virtual_time.run(main())
    assert bench.stored == []


def test_with_too_much_to_do_fewer_polls_start_and_one_line_says_so():
    """Polls of which only some find a place in time, while delivery is behind, and the agent uses a whole core."""
    poller, cpu = FakePoller(takes_s=3.0), itertools.count()
    bench = Bench(poller, 300, is_behind=lambda: True, cpu_s=lambda: float(next(cpu)), maximum_polls=100)
    logs = bench.run(120, devices_=bench.make(interval_s=5))
    assert poller.most_under_way == 100
    assert poller.under_way < 20
    line = "more polls are due than the agent can deliver, late ones are skipped"
    assert [log["event"] for log in logs].count(line) == 1
    assert bench.counters.get(Count.POLLS_SKIPPED, "late") > 100


def test_a_device_that_somebody_else_asks_is_not_polled_meanwhile():
    """The block begins when the poll under way has ended; a poll that falls into it is skipped and counted; others go on."""
    poller = FakePoller(takes_s=2)
    bench = Bench(poller, 2)
    times: list[float] = []

    async def ask():
        async with bench.fleet.without_polls("dev-0"):
            times.append(asyncio.get_running_loop().time())
            await asyncio.sleep(150)
            times.append(asyncio.get_running_loop().time())

    tasks = []

    def begin():
        tasks.append(asyncio.get_running_loop().create_task(ask()))

    def begin_during_a_poll():
        assert poller.under_way
        begin()

    bench.run(400, {1: begin_during_a_poll, 2: begin})
    begun, ended = times[:2]
    assert begun == poller.times("dev-0")[0] + 2
    assert not [at for at in poller.times("dev-0") if begun <= at < times[-1]]
    assert times[2] >= ended, "one at a time"
    assert len(poller.times("dev-1")) >= 6
    assert bench.counters.get(Count.POLLS_SKIPPED, "still_running") >= 4
