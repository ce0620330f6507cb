"""What the sandbox serves (configuration, tokens, limits) and what it was told (metrics, heartbeats), in memory.

app.py reads and fills it; tests and a live table look at it. No I/O and no clock: order of arrival is the only time here.
Used on one event loop's thread. It keeps all that arrives.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from towerops_agent.api.contract import Accepts, Config, EquipmentStatus, Heartbeat, InterfaceStat, Metric, SensorReading
from towerops_agent.sandbox.changes import Changes

MetricIdentity = tuple[str, str, str]
"""What makes two metrics the same one: type, the id of what was read, timestamp."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The metrics of one request that was accepted for the first time. `size_octets`: of the JSON."""

    key: str | None
    metrics: tuple[Metric, ...]
    size_octets: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the status it was answered with; None where the connection ended first.

    `headers` have lower-case names and lack the authorization. `size_octets`: of the body as it was sent.
    """

    method: str
    path: str
    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    size_octets: int


class Store:
    """One server's knowledge. `tokens`: those that it accepts, to be changed at will."""

    def __init__(self, config: Mapping[str, object] | bytes, token: str, accepts: Accepts | None = None) -> None:
        self.tokens = {token}
        self.metrics: list[Metric] = []
        self.batches: list[Batch] = []
        self.heartbeats: list[Heartbeat] = []
        self.exchanges: list[Exchange] = []
        self.repeats = 0  # batches that came again under their key, and were not stored again
        self._readings: defaultdict[str, list[SensorReading]] = defaultdict(list)
        self._stats: defaultdict[str, list[InterfaceStat]] = defaultdict(list)
        self._statuses: defaultdict[str, list[EquipmentStatus]] = defaultdict(list)
        self._times_seen: Counter[MetricIdentity] = Counter()
        self._bodies: dict[str, bytes] = {}  # idempotency key -> digest of its body
        self._listeners: list[Callable[[Batch], None]] = []
        self._changes = Changes()
        self.set_config(config, accepts)

    def set_config(self, config: Mapping[str, object] | bytes, accepts: Accepts | None = None) -> None:
        """Serve this configuration from now on: a document, or octets that go out as they are, JSON or not.

        `accepts`: the limits to enforce, which a document is given as well; where it is None, those that the
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
        """Store a batch, unless its key was seen: then nothing is stored, and False says that the key had another body."""
        if key is not None:
            digest = sha256(body).digest()
            if key in self._bodies:
                self.repeats += self._bodies[key] == digest
                self._changes.tell()
                return self._bodies[key] == digest
            self._bodies[key] = digest
        batch = Batch(key, tuple(metrics), len(body))
        self.batches.append(batch)
        self.metrics += metrics
        for metric in metrics:
            self._times_seen[_identity(metric)] += 1
            match metric:
                case SensorReading():
                    self._readings[metric.sensor_id].append(metric)
                case InterfaceStat():
                    self._stats[metric.interface_id].append(metric)
                case EquipmentStatus():
                    self._statuses[metric.equipment_id].append(metric)
        for listener in tuple(self._listeners):
            listener(batch)
        self._changes.tell()
        return True

    def hear(self, heartbeat: Heartbeat) -> None:
        """Store a heartbeat."""
        self.heartbeats.append(heartbeat)
        self._changes.tell()

    def record(self, exchange: Exchange) -> None:
        """Note a request that is over."""
        self.exchanges.append(exchange)
        self._changes.tell()

    @property
    def metric_count(self) -> int:
        """How many metrics were stored."""
        return len(self.metrics)

    def readings(self, sensor_id: str) -> tuple[SensorReading, ...]:
        """The sensor's readings, in order of arrival."""
        return tuple(self._readings.get(sensor_id, ()))

    def stats(self, interface_id: str) -> tuple[InterfaceStat, ...]:
        """The interface's counters, in order of arrival."""
        return tuple(self._stats.get(interface_id, ()))

    def statuses(self, equipment_id: str) -> tuple[EquipmentStatus, ...]:
        """The device's states, in order of arrival."""
        return tuple(self._statuses.get(equipment_id, ()))

    def duplicates(self) -> dict[MetricIdentity, int]:
        """The metrics that were stored more than once, and how often."""
        return {identity: times for identity, times in self._times_seen.items() if times > 1}

    def listen(self, listener: Callable[[Batch], None]) -> Callable[[], None]:
        """Call `listener` with each batch when it is stored; the result, once called, ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_until(self, condition: Callable[["Store"], bool]) -> None:
        """Return as soon as the condition holds: `await store.wait_until(lambda s: s.metric_count >= 10)`."""
        await self._changes.until(lambda: condition(self))


def _stated_limits(config_body: bytes) -> Accepts:
    try:
        return msgspec.json.decode(config_body, type=Config).accepts or Accepts()
    except ValueError:
        return Accepts()


def _identity(metric: Metric) -> MetricIdentity:
    match metric:
        case SensorReading():
            return "sensor_reading", metric.sensor_id, metric.timestamp
        case InterfaceStat():
            return "interface_stat", metric.interface_id, metric.timestamp
        case EquipmentStatus():
            return "equipment_status", metric.equipment_id, metric.timestamp
