"""A configuration applied: when its devices are polled, what stays as it was, what a failure leaves."""

import asyncio
import gc
import json

import pytest

from support import virtual_time
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.counters import Counters
from towerops_agent.errors import BufferFailure
from towerops_agent.model import LayoutKind, Poll
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import PollResult
from towerops_agent.scheduling.fleet import STARTS_A_SECOND, Fleet
from towerops_agent.scheduling.roster import AT_ONCE, Roster


def config(count, states=False, **more):
    accepts = {"metric_types": ["sensor_reading", "interface_stat", "equipment_status"]} if states else {}
    equipment = [
        {"id": f"dev-{n}", "ip_address": "192.0.2.1", "sensors": [{"id": "s", "oid": "1.3"}]} | more for n in range(count)
    ]
    return read_config(config_text(json.dumps({"equipment": equipment, "accepts": accepts}).encode()))


class FakeBuffer:
    """Takes 50 ms to register some layouts; fails at the n-th time, where `fails_at` says so."""

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.layouts = []
        self.times = 0

    async def register_all(self, layouts):
        if not layouts:
            return []
        self.times += 1
        await asyncio.sleep(0.05)
        if self.times == self.fails_at:
            raise BufferFailure("disk full")
        self.layouts += layouts
        return list(range(len(self.layouts) - len(layouts), len(self.layouts)))

    async def use_layouts(self, ids):
        self.in_use = ids


class Bench:
    def __init__(self, fails_at=None):
        self.buffer = FakeBuffer(fails_at)
        self.started = []
        self.fleet = Fleet(self, Counters(), lambda _: None, now_us=lambda: 0)
        self.roster = Roster(self.fleet, self.buffer, Planner())

    async def poll(self, device, within_s):
        assert within_s > 0
        self.started.append((asyncio.get_running_loop().time(), device.id))
        return PollResult(Poll(device.layout, 0, (1,), ((1, 0),), 1))

    def run(self, *steps):
        """Each step with the fleet running."""

        async def main():
            running = asyncio.create_task(self.fleet.run())
            for step in steps:
                await step()
            self.fleet.stop()
            await running

        virtual_time.run(main())


def test_the_first_devices_are_polled_while_the_others_are_still_read():
    bench = Bench()
    count = 10 * AT_ONCE
    applied_at = []

    async def apply():
        await bench.roster.apply(config(count))
        applied_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(60)

    bench.run(apply)
    assert bench.started[0][0] < applied_at[0] - 0.3
    assert {device_id for _, device_id in bench.started} == bench.fleet.devices.keys()
    first_at = bench.started[0][0]
    for second in range(1, 9):
        begun = sum(at < first_at + second for at, _ in bench.started)
        assert begun <= (second + 1) * STARTS_A_SECOND, "however they are added, they are begun with at one pace"


def test_a_first_configuration_that_cant_be_kept_leaves_nothing_polled():
    bench = Bench(fails_at=3)

    async def apply():
        with pytest.raises(BufferFailure):
            await bench.roster.apply(config(4 * AT_ONCE))
        bench.started.clear()
        await asyncio.sleep(120)

    bench.run(apply)
    assert bench.fleet.devices == {}
    assert bench.started == []


def test_a_later_one_that_cant_be_kept_leaves_all_as_it_was():
    bench = Bench(fails_at=3)

    async def apply():
        await bench.roster.apply(config(5))
        before = dict(bench.fleet.devices)
        with pytest.raises(BufferFailure):
            await bench.roster.apply(config(3 * AT_ONCE, poll_interval_seconds=10))
        assert dict(bench.fleet.devices) == before

    bench.run(apply)


def test_a_device_whose_part_is_unchanged_stays_the_object_that_it_is():
    bench = Bench()

    async def apply():
        await bench.roster.apply(config(3))
        before = dict(bench.fleet.devices)
        await bench.roster.apply(config(5))
        assert all(bench.fleet.devices[device_id] is device for device_id, device in before.items())
        await bench.roster.apply(config(2, name="renamed"))
        assert bench.fleet.devices.keys() == {"dev-0", "dev-1"}
        assert all(device is not before[device_id] for device_id, device in bench.fleet.devices.items())

    bench.run(apply)
    assert len(bench.buffer.layouts) == 3 + 2 + 2


def test_states_have_layouts_where_the_server_takes_them_and_from_the_first_poll_on():
    bench = Bench()

    async def apply():
        await bench.roster.apply(config(2, states=True))
        assert sorted(layout.kind is LayoutKind.STATE for layout in bench.buffer.layouts) == [False, False, True, True]
        assert all(device.state_layout is not None for device in bench.fleet.devices.values())
        await bench.roster.apply(config(2))
        assert all(device.state_layout is None for device in bench.fleet.devices.values())

    bench.run(apply)


def test_devices_that_are_replaced_are_freed_without_the_garbage_collector():
    """It is kept from looking at them (telemetry/collector.py)."""
    bench = Bench()

    async def apply():
        await bench.roster.apply(config(20))
        await asyncio.sleep(120)
        gc.collect()
        gc.disable()
        try:
            await bench.roster.apply(config(3, name="renamed"))
            await asyncio.sleep(120)
            assert sum(isinstance(thing, Device) for thing in gc.get_objects()) == 3
        finally:
            gc.enable()

    bench.run(apply)


def test_a_poll_that_is_under_way_while_its_device_changes_keeps_its_layout():
    """It may last for most of its interval, long after a layout that nobody uses is freed."""
    bench, results = Bench(), []
    bench.fleet = Fleet(bench, Counters(), results.append, now_us=lambda: 0)
    bench.roster = Roster(bench.fleet, bench.buffer, Planner())
    release = asyncio.Event()
    at_once = bench.poll

    async def poll_slowly(device, within_s):
        result = await at_once(device, within_s)
        if device.name != "renamed":
            await release.wait()
        return result

    bench.poll = poll_slowly

    async def change():
        await bench.roster.apply(config(1, poll_interval_seconds=300))
        (before,) = bench.fleet.devices.values()
        await asyncio.sleep(300)
        assert len(bench.started) == 1
        await bench.roster.apply(config(1, name="renamed", poll_interval_seconds=300))
        (now,) = bench.fleet.devices.values()
        assert bench.buffer.in_use == {before.layout, now.layout}
        release.set()
        await asyncio.sleep(300)
        assert results[0].layout == before.layout
        await bench.roster.apply(config(1, name="renamed", poll_interval_seconds=300))
        assert bench.buffer.in_use == {now.layout}

    bench.run(change)


def test_rounds_of_pings_are_stored_of_those_that_are_pinged_if_the_server_takes_them():
    bench = Bench()

    def of(ping, *types):
        equipment = [{"id": f"dev-{n}", "ip_address": "192.0.2.1", "ping": ping if n else None} for n in range(3)]
        accepts = {"metric_types": ["sensor_reading", *types]}
        return read_config(config_text(json.dumps({"equipment": equipment, "accepts": accepts}).encode()))

    def laid_out():
        return [device.ping_layout is not None for device in bench.fleet.devices.values()]

    async def change():
        await bench.roster.apply(of({"enabled": True}))
        assert laid_out() == [False, False, False]
        await bench.roster.apply(of({"enabled": True}, "reachability"))
        assert laid_out() == [False, True, True]
        kept = [device.ping_layout for device in bench.fleet.devices.values()]
        assert {layout for layout in kept if layout is not None} <= set(bench.buffer.in_use)
        await bench.roster.apply(of({"enabled": True}, "reachability"))
        assert [device.ping_layout for device in bench.fleet.devices.values()] == kept
        await bench.roster.apply(of({"enabled": True}, "equipment_status"))
        assert laid_out() == [False, False, False]
        await bench.roster.apply(of({"enabled": False}, "reachability"))
        assert laid_out() == [False, False, False]

    bench.run(change)
    assert [layout.equipment_id for layout in bench.buffer.layouts if layout.kind is LayoutKind.PINGS] == ["dev-1", "dev-2"]
