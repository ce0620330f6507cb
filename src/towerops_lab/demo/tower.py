"""The simulated tower of the demo: seven devices, each at its own address on loopback, the weather, and the switches for them.

I/O: one UDP socket a device. The devices themselves are simulator/'s.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

from towerops_agent.text import counted
from towerops_lab.port import serve_at
from towerops_lab.sandbox.switches import Switch
from towerops_lab.simulator.engine import address_engine_id
from towerops_lab.simulator.profiles import PROFILES
from towerops_lab.simulator.server import Answers, serve
from towerops_lab.simulator.station import Station
from towerops_lab.simulator.world import Identity, World

COMMUNITY: Final = "demo-community"
INTERVAL_S: Final = 5
PORT: Final = 1161
"""The port of each device, if it is free; 161 is only for root."""

LOSS: Final = 0.3

_DEVICES: Final = (
    # id, profile, name, SNMP version, start of its uptime before the demo's
    ("backhaul", "mimosa", "North backhaul (Mimosa B5c)", "2c", 19.2 * 86400),
    ("sector-east", "airmax", "East sector (airMAX)", "1", 41.7 * 86400),
    ("sector-west", "epmp", "West sector (ePMP)", "2c", 12.4 * 86400),
    ("router", "mikrotik", "Router (MikroTik)", "3", 88.1 * 86400),
    ("switch", "netonix", "PoE switch (Netonix)", "2c", 88.1 * 86400),
    ("ups", "apc", "UPS (APC Smart-UPS)", "3", 132.9 * 86400),
    ("rectifier", "eltek", "DC rectifier (Eltek)", "2c", 203.6 * 86400),
)


@dataclass(slots=True)
class Tower:
    """The devices as served. `equipment`: for the API's configuration; `elsewhere`: the ids of devices whose port was taken.

    `clock_s`: the wall clock that devices and switches go by.
    """

    world: World
    clock_s: Callable[[], float]
    stations: dict[str, Station] = field(default_factory=dict)
    equipment: list[dict[str, Any]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def switches(self) -> list[Switch]:
        """The switches of the site and of each device."""
        found = [
            Switch(
                "rain",
                "site",
                "Let it rain",
                "The radios' signals fade within a minute, and their rates with them.",
                lambda on: self.world.rain(on, self.clock_s()),
            ),
            Switch(
                "mains",
                "site",
                "Cut the mains",
                "The UPS goes on battery, and the rectifier's batteries carry the site.",
                lambda on: self.world.mains_out(on, self.clock_s()),
            ),
        ]
        for key, station in self.stations.items():
            found += _device_switches(key, station, self.clock_s)
        return found


@asynccontextmanager
async def tower(clock_s: Callable[[], float] = time.time) -> AsyncIterator[Tower]:
    """Serve the devices until the block ends."""
    now_s = clock_s()
    site = Tower(World(now_s), clock_s)
    async with AsyncExitStack() as parts:
        for number, (key, profile_name, name, version, old_s) in enumerate(_DEVICES, 1):
            profile = PROFILES[profile_name]
            host = f"127.77.0.{number}"
            engine_id = address_engine_id(IPv4Address(host).packed)
            identity = Identity(key, "North Ridge, mast 2", b"\x02" + IPv4Address(host).packed[1:] + bytes(2))
            station = Station(
                *(profile.mib, site.world, now_s), community=COMMUNITY, old_s=old_s, engine_id=engine_id, identity=identity
            )
            host, port = await _serve(parts, _at_wall_clock(station, clock_s), host)
            if port != PORT:
                site.elsewhere.append(key)
            site.stations[key] = station
            site.equipment.append(profile.equipment(key, name, host, port, COMMUNITY, INTERVAL_S, version))
        yield site


def _device_switches(key: str, station: Station, clock_s: Callable[[], float]) -> Sequence[Switch]:
    def power(off: bool) -> None:
        station.is_on = not off

    def rebooting() -> str:
        left_s = station.booted_s - clock_s()
        return f"Rebooting: it answers again in {left_s:.0f} s." if left_s > 0 else ""

    def lost() -> str:
        if not station.loss:
            return ""
        return f"Lost so far: {station.lost:,} of {counted(station.asked, 'request')}. The agent asked again."

    return (
        Switch(
            f"{key}-reboot",
            key,
            "Reboot it",
            "Silent for 20 s; then its uptime and counters start at zero.",
            lambda _: station.reboot(clock_s()),
            momentary=True,
            note=rebooting,
        ),
        Switch(f"{key}-off", key, "Switch it off", "It does not answer, like a dead radio.", power),
        Switch(
            f"{key}-loss",
            key,
            f"Lose {100 * LOSS:.0f} % of its packets",
            "Requests are lost on their way to it.",
            lambda on: station.lose(LOSS if on else 0.0),
            note=lost,
        ),
    )


def _at_wall_clock(station: Station, clock_s: Callable[[], float]) -> Answers:
    return lambda datagram, _: station.answer(datagram, clock_s())


async def _serve(parts: AsyncExitStack, answers: Answers, host: str) -> tuple[str, int]:
    """Serve on PORT of the address; if it is taken, on another port; if there is no such address, on 127.0.0.1."""
    try:
        return host, (await serve_at(parts, lambda port: serve(answers, host, port), PORT))[0]
    except OSError:
        return "127.0.0.1", await parts.enter_async_context(serve(answers))
