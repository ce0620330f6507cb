"""The wire of the Towerops API, only as msgspec Structs.

Shared by the agent's client and the sandbox's server. Unknown fields are ignored at every level: either side may add some.
docs/api.md says what each field means, and what the agent does with each answer.
Pure. Timestamps are RFC 3339, UTC, microseconds.
"""

from typing import Any, Literal

from msgspec import Raw, Struct, field

CONFIG_PATH = "/api/v1/agent/config"
METRICS_PATH = "/api/v1/agent/metrics"
HEARTBEAT_PATH = "/api/v1/agent/heartbeat"
PATHS = (CONFIG_PATH, METRICS_PATH, HEARTBEAT_PATH)


class Snmp(Struct, frozen=True, kw_only=True):
    """A device's SNMP credentials. Absent or null fields have the contract's defaults (config/document/equipment.py)."""

    enabled: bool | None = None
    version: str | None = None
    community: str | None = None
    port: int | None = None
    transport: str | None = None
    v3_security_level: str | None = None
    v3_username: str | None = None
    v3_auth_protocol: str | None = None
    v3_auth_password: str | None = None
    v3_priv_protocol: str | None = None
    v3_priv_password: str | None = None
    v3_context_name: str | None = None


class Sensor(Struct, frozen=True, kw_only=True):
    """One sensor of a piece of equipment."""

    id: str
    oid: str
    type: str | None = None
    unit: str | None = None
    divisor: float | None = None
    metadata: dict[str, Any] | None = None


class Interface(Struct, frozen=True, kw_only=True):
    """One interface of a piece of equipment."""

    id: str
    if_index: int
    if_name: str | None = None


class Ping(Struct, frozen=True, kw_only=True):
    """Extension: whether a device is to be pinged, and how. Absent or null: not pinged; 5 echoes, at the device's interval."""

    enabled: bool | None = None
    count: int | None = None
    interval_seconds: int | None = None


class Equipment(Struct, frozen=True, kw_only=True):
    """One device. Sensors and interfaces stay undecoded, so that a bad one costs only itself."""

    id: str
    ip_address: str
    name: str | None = None
    snmp: Snmp | None = None
    poll_interval_seconds: int | None = None
    ping: Ping | None = None
    sensors: list[Raw] | None = None
    interfaces: list[Raw] | None = None


class Accepts(Struct, frozen=True, kw_only=True):
    """Extension: what the server accepts. The defaults are for a server that does not know the extension."""

    content_encodings: list[str] = field(default_factory=list)
    max_metrics: int = 1000
    max_body_bytes: int = 1 << 20
    metric_types: list[str] = field(default_factory=lambda: ["sensor_reading", "interface_stat"])


class Config(Struct, frozen=True, kw_only=True):
    """The body of GET /api/v1/agent/config. Equipment stays undecoded, so that a bad item costs only itself."""

    version: str | None = None
    poll_interval_seconds: int | None = None
    equipment: list[Raw] | None = None
    accepts: Accepts | None = None


class SensorReading(Struct, frozen=True, kw_only=True, tag="sensor_reading"):
    """A sensor's value: the raw reading divided by the divisor; finite."""

    sensor_id: str
    value: int | float
    status: Literal["ok"] = "ok"
    timestamp: str


class InterfaceStat(Struct, frozen=True, tag="interface_stat"):
    """An interface's raw counters; null if the device did not send one.

    Not by keywords only: a batch has hundreds, made of columns (delivery/course/parcel.py).
    """

    interface_id: str
    if_in_octets: int | None
    if_out_octets: int | None
    if_in_errors: int | None
    if_out_errors: int | None
    if_in_discards: int | None
    if_out_discards: int | None
    timestamp: str


class EquipmentStatus(Struct, frozen=True, kw_only=True, tag="equipment_status"):
    """Extension: a device's state, sent only if the server lists the type in `accepts`."""

    equipment_id: str
    state: Literal["up", "down", "degraded"]
    reason: str
    response_time_ms: float | None
    timestamp: str


class Reachability(Struct, frozen=True, kw_only=True, tag="reachability"):
    """Extension: how many pings of a device came back, and after how long; the times are null if none did."""

    equipment_id: str
    sent: int
    received: int
    rtt_min_ms: float | None
    rtt_avg_ms: float | None
    rtt_max_ms: float | None
    jitter_ms: float | None
    timestamp: str


Metric = SensorReading | InterfaceStat | EquipmentStatus | Reachability


class Metrics(Struct, frozen=True, kw_only=True):
    """The body of POST /api/v1/agent/metrics."""

    metrics: list[Metric]


class MetricsAccepted(Struct, frozen=True, kw_only=True):
    """The answer to POST /api/v1/agent/metrics."""

    status: str
    received: int


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The body of POST /api/v1/agent/heartbeat."""

    version: str
    hostname: str
    uptime_seconds: int


class HeartbeatAccepted(Struct, frozen=True, kw_only=True):
    """The answer to POST /api/v1/agent/heartbeat."""

    status: str
