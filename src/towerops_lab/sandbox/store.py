"""What the sandbox serves (configuration, tokens, limits) and what it has received (metrics, heartbeats).

app.py reads and fills it; tests, the page and a live table read it. Received data is in records.py's database; the last
requests are in memory. Used on one event loop's thread.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import cast

import msgspec

from towerops_agent.api.wire.contract import Accepts, EquipmentStatus, Heartbeat, InterfaceStat, Metric, SensorReading
from towerops_agent.clocks import wall_us
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.errors import InvalidConfig
from towerops_lab.sandbox.batch import Batch, Contact, Exchange, MetricIdentity
from towerops_lab.sandbox.changes import Changes
from towerops_lab.sandbox.records import MAX_HEARTBEATS, MAX_METRICS, Batches, Records

MAX_EXCHANGES = 20_000

__all__ = ["Batch", "Exchange", "MetricIdentity", "Store"]


class Store:
    """One server's data. `tokens`: the accepted ones; may be changed at any time."""

    def __init__(
        self,
        config: Mapping[str, object] | bytes,
        token: str,
        accepts: Accepts | None = None,
        *,
        path: Path | str = ":memory:",
        max_metrics: int = MAX_METRICS,
        clock_us: Callable[[], int] = wall_us,
    ) -> None:
        """`path`: the database's, which a later Store continues; `max_metrics`: how many are kept, the newest."""
        self.tokens = {token}
        self.records = Records(path, max_metrics)
        self.batches: Sequence[Batch] = Batches(self.records)
        self.heartbeats: list[Heartbeat] = [heartbeat for _, heartbeat in self.records.heartbeats()]
        self.heard_us = max((heard_us for heard_us, _ in self.records.heartbeats()), default=0)
        self.exchanges: list[Exchange] = []
        self.contact = Contact()
        self.repeats = 0  # batches that were sent again with their key, and were not stored again
        self.clock_us = clock_us
        self._listeners: list[Callable[[Batch], None]] = []
        self.changes = Changes()
        self.set_config(config, accepts)

    def set_config(self, config: Mapping[str, object] | bytes, accepts: Accepts | None = None) -> None:
        """Serve this configuration from now on: a document, or octets that are sent as they are, JSON or not.

        `accepts`: the limits to enforce, which are added to a document; None: those that the
        configuration states, else the contract's.
        """
        if isinstance(config, bytes):
            self.config_body = config
        else:
            document = dict(config) if accepts is None else {**config, "accepts": accepts}
            self.config_body = msgspec.json.encode(document)
        self.etag = f'"{sha256(self.config_body).hexdigest()[:16]}"'
        self.accepts = accepts or _stated_limits(self.config_body)

    def take(self, body: bytes, metrics: Sequence[Metric], key: str | None) -> bool:
        """Store a batch, unless its key was seen: then nothing is stored, and False means that the key had another body."""
        digest = sha256(body).digest()
        known = None if key is None else self.records.digest_of(key)
        if known is not None:
            self.repeats += known == digest
            self.changes.tell()
            return known == digest
        batch = Batch(key, tuple(metrics), len(body), self.clock_us())
        self.records.add(batch, digest)
        for listener in tuple(self._listeners):
            listener(batch)
        self.changes.tell()
        return True

    def hear(self, heartbeat: Heartbeat) -> None:
        """Store a heartbeat."""
        self.heard_us = self.clock_us()
        self.records.hear(heartbeat, self.heard_us)
        self.heartbeats.append(heartbeat)
        del self.heartbeats[:-MAX_HEARTBEATS]
        self.changes.tell()

    def record(self, exchange: Exchange) -> None:
        """Note a request that is over."""
        if len(self.exchanges) >= MAX_EXCHANGES:
            del self.exchanges[: MAX_EXCHANGES // 2]
        self.exchanges.append(exchange)
        self.contact.take(exchange)
        self.changes.tell()

    @property
    def metrics(self) -> list[Metric]:
        """Those that are kept, in order of arrival."""
        return self.records.metrics()

    @property
    def metric_count(self) -> int:
        """How many metrics were stored."""
        return self.records.metric_count

    def readings(self, sensor_id: str) -> tuple[SensorReading, ...]:
        """The sensor's readings, in order of arrival."""
        return cast(tuple[SensorReading, ...], self.records.of("sensor_reading", sensor_id))

    def stats(self, interface_id: str) -> tuple[InterfaceStat, ...]:
        """The interface's counters, in order of arrival."""
        return cast(tuple[InterfaceStat, ...], self.records.of("interface_stat", interface_id))

    def statuses(self, equipment_id: str) -> tuple[EquipmentStatus, ...]:
        """The device's states, in order of arrival."""
        return cast(tuple[EquipmentStatus, ...], self.records.of("equipment_status", equipment_id))

    def duplicates(self) -> dict[MetricIdentity, int]:
        """The metrics that were stored more than once, and how often."""
        return self.records.duplicates()

    def listen(self, listener: Callable[[Batch], None]) -> Callable[[], None]:
        """Call `listener` with each batch when it is stored; call the result to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_until(self, condition: Callable[["Store"], bool]) -> None:
        """Return as soon as the condition holds: `await store.wait_until(lambda s: s.metric_count >= 10)`."""
        await self.changes.until(lambda: condition(self))


def _stated_limits(config_body: bytes) -> Accepts:
    """The limits in a configuration, as the agent reads them: one that is bad has its default, and costs no other one."""
    try:
        stated = read_config(config_text(config_body)).accepts
    except InvalidConfig:
        return Accepts()
    return Accepts(
        content_encodings=list(stated.content_encodings),
        max_metrics=stated.max_metrics,
        max_body_bytes=stated.max_body_octets,
        metric_types=list(stated.metric_types),
    )
