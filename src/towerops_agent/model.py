"""The domain's values: the equipment to poll, and what a poll of it read.

They travel one way: config/document/equipment.py makes Equipment from the wire, polling/course/plan.py turns it into requests,
polling/course/interpret.py makes a Poll, buffer keeps it, delivery/course/parcel.py makes the wire's metrics of it.
Pure. Times on the wall clock are microseconds since 1970-01-01 UTC (`_us`); intervals are seconds (`_s`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from towerops_agent.reasons import HARMLESS, MUTE, Reason, code_of


class Secret:
    """A text that repr, str, format, logs and tracebacks show as `***`; only reveal() returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. If a secret has leaked, look at the callers of this."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


class SnmpVersion(StrEnum):
    """The SNMP versions, as the API's contract names them."""

    V1 = "1"
    V2C = "2c"
    V3 = "3"


class Transport(StrEnum):
    """How SNMP messages travel: UDP (RFC 3417) or TCP (RFC 3430)."""

    UDP = "udp"
    TCP = "tcp"


class AuthProtocol(StrEnum):
    """USM authentication protocols (RFC 3414 §6 and §7, RFC 7860)."""

    MD5 = "MD5"
    SHA = "SHA"
    SHA_224 = "SHA-224"
    SHA_256 = "SHA-256"
    SHA_384 = "SHA-384"
    SHA_512 = "SHA-512"


class PrivProtocol(StrEnum):
    """USM privacy protocols (RFC 3414 §8, RFC 3826; AES-192 and -256 with Blumenthal's or, "-C", Cisco's key extension)."""

    DES = "DES"
    AES_128 = "AES-128"
    AES_192 = "AES-192"
    AES_256 = "AES-256"
    AES_192_C = "AES-192-C"
    AES_256_C = "AES-256-C"


@dataclass(frozen=True, slots=True)
class UsmUser:
    """An SNMPv3 user (RFC 3414). `auth` and `priv` are None at the security levels that do without."""

    name: str
    auth: tuple[AuthProtocol, Secret] | None = None
    priv: tuple[PrivProtocol, Secret] | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a device: the community of v1 and v2c, or the user of v3 and the context asked (RFC 3411 §3.3.1)."""

    version: SnmpVersion = SnmpVersion.V2C
    community: Secret = field(default_factory=lambda: Secret("public"))
    user: UsmUser | None = None
    context_name: str = ""


Number = int | float


@dataclass(frozen=True, slots=True)
class Sensor:
    """One reading to take. `oid`: its encoded octets (snmp/wire/ber.py); `divisor`: never 0, and 1 means "as read".

    `skip`: numbers, not divided, by which the device says that there is nothing to read.
    """

    id: str
    oid: bytes
    divisor: float = 1
    skip: frozenset[Number] = frozenset()


@dataclass(frozen=True, slots=True)
class Interface:
    """One row of the interfaces' table to read (RFC 2863). `if_name` is "" if the API sent no name."""

    id: str
    if_index: int
    if_name: str = ""


@dataclass(frozen=True, slots=True)
class PingPlan:
    """How to ping a device: rounds of `count` echoes, one each `interval_s`."""

    count: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class Equipment:
    """One device to poll. `host`: an IPv4 or IPv6 address or a DNS name.

    `ping`: None if it is not to be pinged. `has_snmp`: False if it is only to be pinged; then it has no sensors and interfaces.
    """

    id: str
    name: str
    host: str
    port: int = 161
    transport: Transport = Transport.UDP
    credentials: Credentials = field(default_factory=Credentials)
    interval_s: int = 60
    sensors: tuple[Sensor, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    ping: PingPlan | None = None
    has_snmp: bool = True


INTERFACE_COLUMNS = ("if_in_octets", "if_out_octets", "if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards")
"""The columns read of an interface, in the order of a Poll."""


STATE_VALUES = ("state", "reason", "response_time_us")
"""The values of a Poll of an equipment's state: index of STATES, code of a reason (reasons.py), round trip or None."""


class State(StrEnum):
    """`UP`: answers all that it has. `DEGRADED`: answers, but not all, or only ping. `DOWN`: does not answer. The API's names.

    A state's place here is its number on disk: new ones go to the end, and none is removed.
    """

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


STATES = tuple(state.value for state in State)

NOT_POLLED = "unknown"
"""In place of a state, of a device that is not polled, or not polled here, or not yet."""

PING_VALUES = ("sent", "received", "rtt_min_us", "rtt_avg_us", "rtt_max_us", "jitter_us")
"""The values of a Poll of a round of pings. The times are None if nothing came back, the jitter if fewer than two echoes did."""


class LayoutKind(StrEnum):
    """What the values of a Poll are. `READINGS`: sensors' and interfaces'. `STATE`: STATE_VALUES. `PINGS`: PING_VALUES."""

    READINGS = "readings"
    STATE = "state"
    PINGS = "pings"


_VALUES = {LayoutKind.STATE: len(STATE_VALUES), LayoutKind.PINGS: len(PING_VALUES)}


@dataclass(frozen=True, slots=True)
class Layout:
    """Which sensors and interfaces the values of a Poll belong to, in order.

    Kept once per equipment and configuration in the database, so that ids are not repeated in rows or in memory. The divisor
    belongs to it: polls carry raw readings, and a configuration that changes a divisor makes a new layout.
    """

    equipment_id: str
    sensors: tuple[tuple[str, float], ...] = ()  # (sensor id, divisor)
    interfaces: tuple[str, ...] = ()  # interface id
    kind: LayoutKind = LayoutKind.READINGS  # of another kind it has neither sensors nor interfaces

    @property
    def value_count(self) -> int:
        """How many values a Poll of this layout has."""
        if self.kind is not LayoutKind.READINGS:
            return _VALUES[self.kind]
        return len(self.sensors) + len(INTERFACE_COLUMNS) * len(self.interfaces)

    @property
    def item_count(self) -> int:
        """How many items (sensors and interfaces, else one) it has; each has one time."""
        if self.kind is not LayoutKind.READINGS:
            return 1
        return len(self.sensors) + len(self.interfaces)


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll of one device read.

    `layout`: the id that the buffer gave to the Layout.
    `started_at_us`: the wall clock when the poll began.
    `values`: the raw readings (not divided), in the layout's order: a value per sensor, then six per interface
        (INTERFACE_COLUMNS). None: not read. At most 64-bit integers and finite floats.
    `times`: when the items' replies were received, as runs: ((how many items, microseconds after started_at_us), ...), which
        together cover each item of the layout once.
    `metric_count`: how many metrics it makes: the sensors with a value, and the interfaces with octets in or out.
    """

    layout: int
    started_at_us: int
    values: tuple[Number | None, ...]
    times: tuple[tuple[int, int], ...]
    metric_count: int

    def item_times_us(self) -> Iterator[int]:
        """When each item's reply was received, on the wall clock."""
        for count, offset_us in self.times:
            yield from [self.started_at_us + offset_us] * count


@dataclass(frozen=True, slots=True)
class DeviceState:
    """`reason`: "" if it is up. `since_us`: when the state (not the reason) last changed, by a clock that is never set."""

    state: State
    reason: str
    since_us: int


def next_state(
    before: DeviceState | None, silence: str, missing: Mapping[str, int], now_us: int, *, answers_ping: bool = False
) -> DeviceState:
    """The state after a poll that failed for `silence` ("" if it was answered), with the number of missing values by reason.

    `answers_ping`: it did, while SNMP was silent.
    """
    troubles = [reason for reason in missing if reason not in HARMLESS]
    if silence and answers_ping:
        state, reason = State.DEGRADED, Reason.PING_ONLY if silence in MUTE else silence
    elif silence:
        state, reason = State.DOWN, silence
    elif troubles:
        state, reason = State.DEGRADED, max(troubles, key=lambda reason: (missing[reason], reason))
    else:
        state, reason = State.UP, ""
    since_us = before.since_us if before is not None and before.state is state else now_us
    return DeviceState(state, reason, since_us)


def poll_of_state(now: DeviceState, layout: int, at_us: int, rtt_s: float | None) -> Poll:
    """The state as a Poll of the layout with this id. `rtt_s`: the round trip of the device's answer, None without one."""
    response_us = None if rtt_s is None else round(rtt_s * 1_000_000)
    return Poll(layout, at_us, (STATES.index(now.state.value), code_of(now.reason), response_us), ((1, 0),), 1)
