"""A stretch of the tower's life, posted to a sandbox through its API in a moment: for screenshots, and for tests of the page.

What an agent would have sent when it would have, with the values of the simulated devices at those times. An agent that is run
shows the same, in real time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import sin
from typing import Any

import httpx2

from towerops_agent.api.wire.contract import HEARTBEAT_PATH, METRICS_PATH
from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, Request, Version
from towerops_lab.demo.site import ACCEPTS, TOKEN
from towerops_lab.demo.tower import COMMUNITY, Tower
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.profiles.profile import IF_ENTRY, IF_X_ENTRY

BATCH_S = 30
RESPONSE_MS = 1.8


class Readings:
    """What the devices of `site` answer at any second of the wall clock."""

    def __init__(self, site: Tower) -> None:
        self._site = site

    def raw(self, equipment: dict[str, Any], at_s: float, oid: str) -> Any:  # noqa: ANN401 -- as the device has it
        """The value of this OID."""
        (value,) = self._ask(equipment, at_s, oid)
        return value

    def counters(self, equipment: dict[str, Any], at_s: float, if_index: int) -> list[int | None]:
        """Octets, errors and discards, in and out; of 64 bits if it has them."""
        wide = self._ask(equipment, at_s, f"{IF_X_ENTRY}.6.{if_index}", f"{IF_X_ENTRY}.10.{if_index}")
        narrow = self._ask(equipment, at_s, *(f"{IF_ENTRY}.{column}.{if_index}" for column in (10, 16, 14, 20, 13, 19)))
        return [*(narrow[:2] if None in wide else wide), *narrow[2:]]

    def _ask(self, equipment: dict[str, Any], at_s: float, *oids: str) -> list[Any]:
        """The values of one request; None for one that it does not have."""
        request = Request(tuple(parse_oid(oid) for oid in oids)).pdu(0x01000001)
        answer = self._site.stations[equipment["id"]].answer(Community(Version.V2C, COMMUNITY.encode()).wrap(request), at_s)
        if answer is None:
            raise RuntimeError(f"{equipment['id']} does not answer")
        return list(decode_message(answer).pdu.values)


class Replay:
    """Posts to `sandbox`, which is served at the client's URL, what an agent at `site` would."""

    def __init__(self, sandbox: Sandbox, site: Tower, client: httpx2.AsyncClient) -> None:
        self._sandbox = sandbox
        self._site = site
        self._client = client
        self._readings = Readings(site)
        self._pending: list[dict[str, Any]] = []

    def poll(self, at_s: float) -> None:
        """Poll each device, at this second of the wall clock; one that does not answer is down."""
        for equipment in self._site.equipment:
            self._pending += self._metrics(equipment, at_s)

    async def deliver(self, at_s: float) -> None:
        """Deliver what is pending, at this second."""
        self._sandbox.store.clock_us = lambda: int(at_s * 1e6)
        while self._pending:
            await self._post(METRICS_PATH, {"metrics": self._pending[: ACCEPTS.max_metrics]})
            del self._pending[: ACCEPTS.max_metrics]

    async def beat(self, uptime_s: int) -> None:
        """Send a heartbeat."""
        await self._post(HEARTBEAT_PATH, {"version": "0.1.0", "hostname": "north-ridge", "uptime_seconds": uptime_s})

    async def _post(self, path: str, body: object) -> None:
        answer = await self._client.post(path, json=body, headers={"authorization": f"Bearer {TOKEN}"})
        answer.raise_for_status()

    def _metrics(self, equipment: dict[str, Any], at_s: float) -> Iterator[dict[str, Any]]:
        stamp = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        status = {"type": "equipment_status", "equipment_id": equipment["id"], "timestamp": stamp}
        if not self._site.stations[equipment["id"]].hears(at_s):
            yield status | {"state": "down", "reason": "timeout", "response_time_ms": None}
            return
        for sensor in equipment["sensors"]:
            value = self._readings.raw(equipment, at_s, sensor["oid"])
            value = value / sensor["divisor"] if sensor["divisor"] != 1 else value
            yield {"type": "sensor_reading", "sensor_id": sensor["id"], "value": value, "status": "ok", "timestamp": stamp}
        for interface in equipment["interfaces"]:
            counters = self._readings.counters(equipment, at_s, interface["if_index"])
            named = dict(zip(INTERFACE_COLUMNS, counters, strict=True))
            yield {"type": "interface_stat", "interface_id": interface["id"], **named, "timestamp": stamp}
        yield status | {"state": "up", "reason": "", "response_time_ms": RESPONSE_MS + 0.3 * sin(at_s / 40)}
