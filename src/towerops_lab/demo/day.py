"""A day of the tower's life, in an agent's own database, written in a moment: for pictures of the agent's page.

What an agent would have read each minute, with the values of the simulated devices at those times: a shower, an hour without
mains, a router that restarts, an outage of the API that was made up for, one that lasts, and a radio that has died.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.event import FAILS, STARTED, WORKS, Event, EventKind
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import CONFIG_KEY, seal
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll, Secret
from towerops_agent.telemetry.views.snapshot import KEY, Configuration, Dealing, Snapshot, Undelivered, encode_snapshot
from towerops_agent.text import counted
from towerops_lab.demo.replay import RESPONSE_MS, Readings
from towerops_lab.demo.site import TOKEN, demo_config
from towerops_lab.demo.tower import Tower

MINUTE_S: Final = 60
DAY_S: Final = 24 * 3600
HOSTNAME: Final = "north-ridge"
STARTED_AGO_S: Final = 31 * 3600

RAIN: Final = (15 * 3600, 13 * 3600 + 1200)  # seconds before the end: from, to
MAINS_OUT: Final = (9 * 3600, 8 * 3600)
API_DOWN: Final = ((20 * 3600, 19 * 3600 + 600), (14 * 60, 0))
RESTART: Final = ("router", 6 * 3600)
DEAD: Final = ("sector-west", 37 * 60)


class Day:
    """`site`, up to `now_s`, the wall clock at the end of the day. The tower's clock is to stand at its beginning."""

    def __init__(self, site: Tower, now_s: float) -> None:
        self._site = site
        self._readings = Readings(site)
        self._now_s = now_s
        self._states: dict[str, str] = {}

    async def write(self, path: Path) -> None:
        """Write it into a new database at `path`."""
        at_s = self._now_s - DAY_S
        self._site.world.rain(False, at_s - 600)
        self._site.world.mains_out(False, at_s - 600)
        config = demo_config(self._site.equipment) | {"poll_interval_seconds": MINUTE_S}
        for equipment in config["equipment"]:
            equipment["poll_interval_seconds"] = MINUTE_S
        async with Buffer(path, Counters(), clock_us=lambda: _us(at_s), monotonic_us=lambda: _us(at_s)) as buffer:
            layouts = await buffer.register_all(map(_layout, self._site.equipment))
            await buffer.put_meta(CONFIG_KEY, seal(Secret(TOKEN), config_text(msgspec.json.encode(config))))
            buffer.note(Event(_us(self._now_s - STARTED_AGO_S), EventKind.AGENT, "", STARTED, "version 0.1.0"))
            buffer.note(
                Event(_us(self._now_s - STARTED_AGO_S), EventKind.CONFIG, "", f"version demo, {counted(len(layouts), 'device')}")
            )
            buffer.note(Event(_us(self._now_s - STARTED_AGO_S), EventKind.API, "metrics", WORKS))
            for left_s in range(DAY_S, 0, -MINUTE_S):
                at_s = self._now_s - left_s
                for event in self._happens(left_s, at_s):
                    buffer.note(event)
                for layout, equipment in zip(layouts, self._site.equipment, strict=True):
                    if self._site.stations[equipment["id"]].hears(at_s):
                        buffer.add(self._poll(layout, equipment, at_s))
                if not any(since > left_s >= until for since, until in API_DOWN) and left_s % 1800 == 0:
                    await _deliver(buffer)
                if left_s == API_DOWN[-1][0]:
                    await _deliver(buffer)
            await buffer.flush()
            await buffer.part_backlog()
            await buffer.put_meta(KEY, encode_snapshot(self._snapshot(len(layouts))))

    def _happens(self, left_s: int, at_s: float) -> Iterator[Event]:
        """What happens in this minute."""
        world, stations = self._site.world, self._site.stations
        if left_s in RAIN:
            world.rain(left_s == RAIN[0], at_s)
        if left_s in MAINS_OUT:
            world.mains_out(left_s == MAINS_OUT[0], at_s)
        for since, until in API_DOWN:
            if left_s == since:
                yield Event(_us(at_s), EventKind.API, "metrics", FAILS, "no answer within 10 s")
            if left_s == until:
                yield Event(_us(at_s), EventKind.API, "metrics", WORKS)
        device, restart_s = RESTART
        if left_s == restart_s:
            stations[device].reboot(at_s)
            yield Event(_us(at_s + MINUTE_S), EventKind.RESTART, device)
        if left_s == DEAD[1]:
            stations[DEAD[0]].is_on = False
        for key, station in stations.items():
            state = "up" if station.hears(at_s) else "down"
            if state != self._states.get(key, "up"):
                yield Event(_us(at_s + 9), EventKind.STATE, key, state, "timeout" if state == "down" else "")
            self._states[key] = state

    def _poll(self, layout: int, equipment: dict[str, Any], at_s: float) -> Poll:
        values = [self._readings.raw(equipment, at_s, sensor["oid"]) for sensor in equipment["sensors"]]
        for interface in equipment["interfaces"]:
            values += self._readings.counters(equipment, at_s, interface["if_index"])
        items = len(equipment["sensors"]) + len(equipment["interfaces"])
        return Poll(layout, _us(at_s), tuple(values), ((items, round(RESPONSE_MS * 1000)),), items)

    def _snapshot(self, devices: int) -> Snapshot:
        now_us = _us(self._now_s)
        return Snapshot(
            version="0.1.0",
            hostname=HOSTNAME,
            pid=1,
            started_us=now_us - STARTED_AGO_S * 1_000_000,
            written_us=now_us - 20_000_000,
            dealings={"metrics": Dealing(False, now_us - API_DOWN[-1][0] * 1_000_000, None, 15, "no answer within 10 s")},
            configuration=Configuration("demo", now_us - 240_000_000, devices, 0, []),
            states={"up": devices - 1, "degraded": 0, "down": 1, "unknown": 0},
            troubled=[],
            slowest=[],
            limited=[],
            missing={},
            lacking=0,
            pending=Undelivered(0, 0, None),
            backlog=None,
            database_octets=1_900_000,
            latest_s=0.0,
            a_minute={},
            counters={},
        )


async def _deliver(buffer: Buffer) -> None:
    await buffer.flush()
    while (batch := await buffer.next_batch(10_000)) is not None:
        await buffer.acknowledge(batch)
    await buffer.clean_up()


def _layout(equipment: dict[str, Any]) -> Layout:
    sensors = tuple((sensor["id"], float(sensor["divisor"])) for sensor in equipment["sensors"])
    return Layout(equipment["id"], sensors, tuple(interface["id"] for interface in equipment["interfaces"]))


def _us(at_s: float) -> int:
    return round(at_s * 1_000_000)
