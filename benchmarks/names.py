"""What it costs to prove the names of all interfaces in each poll: the same devices polled with and without, by turns.

    python benchmarks/names.py [--rounds 250]

Only polling, in one process: a bunch of devices is polled with the names, then without, then with … . Whatever else the machine
does meets both alike; of each the lower quartile is shown. Without names the agent would ask for them in one of ten polls, and
deliver the counters of the others unproven.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from devices import FIRST, INTERFACES, VALUES, Devices, answering
from machine import heading, note, row

from towerops_agent.counters import Counters
from towerops_agent.model import Equipment, Interface, Sensor
from towerops_agent.polling.course import device as devices_of_course
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.plan import Planner, Watch
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.ber import parse_oid

LEARNING_POLLS = 8
CASES = ((17, 0), (1, 0), (17, 40))
"""How many devices are polled together, as many as start together out of 1,000 each minute; and how far they are, in ms."""


def main(rounds: int) -> None:
    heading(f"names: polls of {INTERFACES} interfaces, {VALUES} values, with their names and without, by turns, {rounds} each")
    row("", "requests", "us CPU a value", "requests without", "us without", "names us a value", "of polling")
    for together, round_trip_ms in CASES:
        with tempfile.TemporaryDirectory() as folder, answering(Path(folder), 0, round_trip_ms) as devices:
            asyncio.run(measure(devices, together, round_trip_ms, rounds if not round_trip_ms else -(-rounds // 4)))
    note("of the whole, up to the acknowledged batch, it is less: see benchmarks/peers.py for what a value costs then")


async def measure(devices: Devices, together: int, round_trip_ms: int, rounds: int) -> None:
    async with SnmpClient(Counters()) as client:
        fleets = {named: _Fleet(client, devices, together, named=named) for named in (True, False)}
        for fleet in fleets.values():
            for _ in range(LEARNING_POLLS):
                await fleet.poll()
        spent: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(rounds):
            for named, fleet in fleets.items():
                began_s = time.process_time()
                await fleet.poll()
                spent[named].append((time.process_time() - began_s) / (together * VALUES) * 1e6)
    named_us, bare_us = (sorted(us)[len(us) // 4] for us in spent.values())
    row(
        f"{together} {'at once' if not round_trip_ms else f'1 to {round_trip_ms} ms away'}",
        str(len(fleets[True].devices[0].plan.asks)),
        f"{named_us:.2f}",
        str(len(fleets[False].devices[0].plan.asks)),
        f"{bare_us:.2f}",
        f"{named_us - bare_us:.2f}",
        f"{(named_us / bare_us - 1) * 100:+.0f} %",
    )


class _Fleet:
    def __init__(self, client: SnmpClient, devices: Devices, count: int, *, named: bool) -> None:
        planner = Planner()
        self._poller = Poller(client, planner)
        self._watch = Watch if named else _blind
        self.devices = [_device(devices, n, planner) for n in range(count)]

    async def poll(self) -> None:
        devices_of_course.Watch = self._watch  # type: ignore[misc,assignment]
        results = await asyncio.gather(*(self._poller.poll(device, 30.0) for device in self.devices))
        assert all(result.poll is not None and not result.missing for result in results)


def _blind(names: bytes, *rest: object) -> Watch:
    return Watch(bytes(len(names)), *rest)  # type: ignore[arg-type]


def _device(devices: Devices, n: int, planner: Planner) -> Device:
    sensors = tuple(Sensor(f"s{i}", parse_oid(oid)) for i, oid in enumerate(devices.sensors))
    interfaces = tuple(Interface(f"i{i}", i, name) for i, name in enumerate(devices.if_names, 1))
    equipment = Equipment(f"eq-{n}", f"device {n}", str(FIRST + n), devices.port, sensors=sensors, interfaces=interfaces)
    return make_device(equipment, 1, b"digest", planner)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=250)
    main(parser.parse_args().rounds)
