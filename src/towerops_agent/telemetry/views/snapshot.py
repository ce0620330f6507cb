"""The state of a running agent as a value: what `status` and `health` show.

observer.py takes a Snapshot when a command asks (live.py), and writes one into the database each ten minutes and at the stop, for
commands once the agent is gone. The metrics page uses no snapshot: exposition.py reads the live parts, and shares count_states
with this.
Pure. `_us`: microseconds since 1970 by the wall clock; `_s`: seconds; `_ms`: milliseconds.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from towerops_agent.api.wire.outcomes import Certificate
from towerops_agent.model import NOT_POLLED, State
from towerops_agent.polling.course.device import Device
from towerops_agent.telemetry.views.group import GroupView
from towerops_agent.text import counted, duration, moment

KEY: Final = "snapshot"
DEVICES_KEY: Final = "devices"
"""Under which the agent leaves them in its database, the devices when it stops."""

MOST_DEVICES: Final = 200
"""How many failing devices are listed; all are counted."""
SLOWEST: Final = 10
MOST_REFUSALS: Final = 100
MOST_PROBLEMS: Final = 100
"""How many problems of a single run are kept."""


class Dealing(msgspec.Struct, frozen=True):
    """One of the dealings with the API: whether it works (None: not tried yet), since when, and why not."""

    works: bool | None
    since_us: int | None
    last_success_us: int | None
    failures: int
    last_failure: str


class PingReport(msgspec.Struct, frozen=True):
    """The last round of pings: how many were sent and came back; the mean round trip and the jitter, if they were measured."""

    sent: int
    received: int
    rtt_ms: float | None
    jitter_ms: float | None


class DeviceReport(msgspec.Struct, frozen=True):
    """One device as its last poll shows it. `missing`: how many values that lacked, by reason.

    The rest as in Device and in Traits. `max_varbinds`: how many it is asked at once; `refused_at`: the fewest that it refuses.
    `mute`: OIDs never answered. `odd_replies`: what is odd about its replies, and accepted (snmp/wire/oddities.py).
    `detail`: more about why it is down, or why nothing is known of it.
    `gap_s`: it answers one request in this time, and drops the others.
    `by_next`: OIDs that only GETNEXT gives.
    `next_only`: it answers no GET. `pings`: None if it is not pinged, or no round has ended.
    """

    id: str
    name: str
    address: str
    state: str
    reason: str
    since_us: int | None
    rtt_ms: float | None
    interval_s: int
    sensors: int
    interfaces: int
    missing: dict[str, int]
    max_varbinds: int
    refused_at: int | None
    mute: int
    answers_from_elsewhere: bool
    odd_replies: list[str] = []
    gap_s: float | None = None
    detail: str = ""
    by_next: int = 0
    next_only: bool = False
    pings: PingReport | None = None

    @property
    def lacks(self) -> int:
        """How many values its last poll lacked."""
        return sum(self.missing.values())


class RefusedItem(msgspec.Struct, frozen=True):
    """An item of the configuration that can't be used."""

    kind: str
    equipment: str
    item: str
    reason: str


class Configuration(msgspec.Struct, frozen=True):
    """The configuration in use. `refused`: how many items of it are not used; `refusals`: the first of them."""

    version: str
    fetched_us: int | None
    devices: int
    refused: int
    refusals: list[RefusedItem]


class SingleRun(msgspec.Struct):
    """The result of `run --once`. `problems`: a line each, for the operator; empty if everything worked."""

    devices: int = 0
    metrics: int = 0
    problems: list[str] = []

    @property
    def summary(self) -> str:
        """How much was done, for the operator."""
        return f"{counted(self.devices, 'device')} polled, {counted(self.metrics, 'metric')} delivered"


class Undelivered(msgspec.Struct, frozen=True):
    """All values that are not delivered: those that wait for the next batch, and the backlog."""

    metrics: int
    polls: int
    oldest_us: int | None


class Destined(msgspec.Struct, frozen=True):
    """What waits for one destination. `oldest_us`: when the oldest of it was polled."""

    metrics: int
    oldest_us: int | None


class Late(msgspec.Struct, frozen=True):
    """The values that could not be delivered in time. `oldest_us`: when the oldest was polled. `drained_in_s`: an estimate."""

    metrics: int
    oldest_us: int | None
    drained_in_s: float | None


class DiscoverySummary(msgspec.Struct, frozen=True):
    """The devices with `profile: auto`: how many, how many were discovered, the longest ago when.

    `gone`: sensors and interfaces that are not there any more, and are still polled. `troubles`: what failed, in words.
    """

    devices: int
    found: int
    oldest_us: int | None
    gone: int
    troubles: list[str]


class CertificateReport(msgspec.Struct, frozen=True):
    """A certificate in use, as in Certificate. `soon_us`: from when on it is said to end soon."""

    of: str
    is_own: bool
    until_us: int
    soon_us: int

    @classmethod
    def made(cls, certificate: Certificate) -> "CertificateReport":
        """The report of one."""
        return cls(certificate.of, certificate.is_own, round(certificate.until_s * 1e6), round(certificate.soon_s * 1e6))

    def is_expiring(self, now_us: int) -> bool:
        """Whether it ends soon, or has."""
        return now_us > self.soon_us

    def expires(self, now_us: int) -> str:
        """When, and what to do, for the operator."""
        left_s, until = (self.until_us - now_us) / 1e6, moment(self.until_us)
        when = f"expires in {duration(left_s)}, at {until}" if left_s > 0 else f"has expired, at {until}"
        whose = f"the agent's own certificate for {self.of}" if self.is_own else f"the certificate of {self.of}"
        return f"{whose} {when}: {'renew it, and send SIGHUP' if self.is_own else 'renew it at the server'}"


class Snapshot(msgspec.Struct, frozen=True):
    """All of it. `counters`: name -> reason -> count.

    `single_run`: what came of it, if it was `run --once`.
    `in_memory_because`: why polls are in memory only; "" if they are on disk. `delivers`: whether there is a destination.
    `salvaging`: how far the copying of a corrupt database is; "" if there is none.
    `group`: None if the agent is not in one. `destinations`: what waits for each of them, by name; `pending`: for the API, or for
    the destination that most waits for.
    `discovery`: None if no device is to be discovered.
    `a_minute`: polls and metrics in the minute before; empty in the first one. `missing`: the values that the devices' last
    polls lack, by reason; `lacking`: how many devices lack some. `latest_s`: how late a poll has started at most.
    """

    version: str
    hostname: str
    pid: int
    started_us: int
    written_us: int
    dealings: dict[str, Dealing]
    configuration: Configuration
    states: dict[str, int]
    troubled: list[DeviceReport]
    slowest: list[DeviceReport]
    limited: list[DeviceReport]
    missing: dict[str, int]
    lacking: int
    pending: Undelivered
    backlog: Late | None
    database_octets: int
    latest_s: float
    a_minute: dict[str, float]
    counters: dict[str, dict[str, int]]
    clock_skew_s: float | None = None
    stopped_us: int | None = None
    single_run: SingleRun | None = None
    in_memory_because: str = ""
    salvaging: str = ""
    delivers: bool = True
    group: GroupView | None = None
    destinations: dict[str, Destined] = {}
    discovery: DiscoverySummary | None = None
    certificates: list[CertificateReport] = []


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Snapshot)
_device_decoder = msgspec.json.Decoder(list[DeviceReport])


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """`snapshot` as JSON, so that the sqlite3 tool can show it."""
    return _encoder.encode(snapshot)


def decode_snapshot(octets: bytes) -> Snapshot | None:
    """The snapshot in `octets`; None if a version of the agent with another format wrote it."""
    try:
        return _decoder.decode(octets)
    except msgspec.MsgspecError:
        return None


def report_devices(devices: Iterable[Device], ahead_us: int = 0) -> list[DeviceReport]:
    """A report of each. `ahead_us`: how far the wall clock is ahead of the one by which their states are dated."""
    return [_report(device, ahead_us) for device in devices]


def _report(device: Device, ahead_us: int) -> DeviceReport:
    traits, state = device.traits, device.state
    return DeviceReport(
        id=device.id,
        name=device.name,
        address=device.address,
        state=NOT_POLLED if state is None else state.state.value,
        reason="" if state is None else state.reason,
        since_us=None if state is None else state.since_us + ahead_us,
        rtt_ms=None if traits.srtt_s is None else round(traits.srtt_s * 1000, 1),
        interval_s=device.interval_s,
        sensors=device.plan.sensor_count,
        interfaces=len(device.if_indexes),
        missing=dict(device.lacks),
        max_varbinds=traits.max_varbinds,
        refused_at=traits.refused_at,
        mute=len(traits.mute - traits.unreadable),
        answers_from_elsewhere=traits.any_address,
        odd_replies=sorted(device.odd_replies),
        gap_s=traits.gap_s or None,
        detail=device.detail,
        by_next=len(traits.by_next),
        next_only=traits.next_only,
        pings=_pings_of(device),
    )


def _pings_of(device: Device) -> PingReport | None:
    tally = device.pings
    if tally is None or device.ping is None:
        return None
    rtt_ms, jitter_ms = (None if us is None else round(us / 1000, 2) for us in (tally.rtt_avg_us, tally.jitter_us))
    return PingReport(tally.sent, tally.received, rtt_ms, jitter_ms)


def encode_devices(reports: Sequence[DeviceReport]) -> bytes:
    """The reports as a list in JSON."""
    return _encoder.encode(reports)


def decode_devices(octets: bytes) -> list[DeviceReport] | None:
    """The reports; None if a version of the agent with another format wrote them."""
    try:
        return _device_decoder.decode(octets)
    except msgspec.MsgspecError:
        return None


def count_states(devices: Iterable[Device]) -> dict[str, int]:
    """How many devices are in each state; "unknown": not polled yet."""
    counts = {**{state.value: 0 for state in State}, NOT_POLLED: 0}
    for device in devices:
        counts[device.state.state.value if device.state else NOT_POLLED] += 1
    return counts


def missing_now(devices: Iterable[Device]) -> tuple[dict[str, int], int]:
    """How many values the last polls of these devices lack, by reason, and how many devices lack some."""
    missing: Counter[str] = Counter()
    lacking = 0
    for device in devices:
        missing.update(dict(device.lacks))
        lacking += bool(device.lacks)
    return dict(missing), lacking


def troubled_devices(devices: Iterable[Device], ahead_us: int = 0) -> list[DeviceReport]:
    """The devices that are not up: down before degraded, the longest first; MOST_DEVICES at most."""
    troubled = [(state, device) for device in devices if (state := device.state) is not None and state.state is not State.UP]
    troubled.sort(key=lambda pair: (pair[0].state is State.DEGRADED, pair[0].since_us))
    return report_devices((device for _, device in troubled[:MOST_DEVICES]), ahead_us)


def slowest_devices(devices: Iterable[Device], ahead_us: int = 0) -> list[DeviceReport]:
    """The devices with the longest round trips, the slowest first; not one that is down."""
    timed = [
        (device.traits.srtt_s, device)
        for device in devices
        if device.traits.srtt_s is not None and not (device.state and device.state.state is State.DOWN)
    ]
    timed.sort(key=lambda pair: -pair[0])
    return report_devices((device for _, device in timed[:SLOWEST]), ahead_us)


def limited_devices(devices: Iterable[Device], ahead_us: int = 0) -> list[DeviceReport]:
    """The devices with learned limits that cost more requests; MOST_DEVICES at most."""
    limited = (device for device in devices if _is_limited(device))
    return report_devices(islice(limited, MOST_DEVICES), ahead_us)


def _is_limited(device: Device) -> bool:
    traits = device.traits
    sizes, manners = traits.refused_at or traits.mute, traits.any_address or device.odd_replies
    return bool(sizes or manners or traits.gap_s or traits.by_next or traits.next_only)
