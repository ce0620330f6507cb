"""A batch ready to be sent: its metrics as JSON, without the series that the server refuses, compressed if it accepts that.

    stored polls -> metrics -> Parcel -> courier.py

courier.py packs a large batch in a thread, as it takes some 10 ms. The same batch makes the same body each time, so it need not
be kept from one attempt to the next: whether it leaves a series out depends on its id only, and the exclusions are kept over
restarts (refused.py).
Pure. Octets, and microseconds since 1970-01-01 UTC (`_us`). The wire's Structs are made of a poll's columns, and a second is
formatted once; text put together by hand costs no less (decision 0011).
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import starmap
from math import isfinite
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric, Metrics, Reachability, SensorReading
from towerops_agent.buffer.format.batch import Batch, LeftOut, StoredPoll
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.model import INTERFACE_COLUMNS, STATES, Layout, LayoutKind, Number, Poll
from towerops_agent.reasons import word_of

ASK_EACH_US = 3_600_000_000
ASK_AGAIN_US = 60_000_000
"""After an ask that was not answered."""

KEPT_US = 25 * 3_600_000_000
"""How long a series that is accepted again stays known: no batch that was sent without it is open for longer."""

MOST_SERIES = 10_000

REFUSALS = 3
"""So many refusals within an hour make a series one that is left out: a single one may be about the value."""


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """One series: batches after `from_batch` leave it out, up to `until_batch` once it is accepted again.

    `asked_us`: when it was last refused, or accepted again.
    """

    reason: str
    from_batch: int
    asked_us: int
    until_batch: int | None = None


def series_of_json(metric: bytes) -> str | None:
    """As series_of, of a metric as JSON; None if it can't be read."""
    try:
        return series_of(msgspec.json.decode(metric, type=Metric))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def series_of(metric: Metric) -> str:
    """The series that the metric is of: its type, and the id of what it was read of."""
    match metric:
        case InterfaceStat():
            return f"interface_stat {metric.interface_id}"
        case EquipmentStatus():
            return f"equipment_status {metric.equipment_id}"
        case Reachability():
            return f"reachability {metric.equipment_id}"
        case _:
            return f"sensor_reading {metric.sensor_id}"


_IDS: Final = {
    "sensor_reading": "sensor_id",
    "interface_stat": "interface_id",
    "equipment_status": "equipment_id",
    "reachability": "equipment_id",
}
"""The field that says what a metric was read of, by its type."""


def beginning_of(series: str) -> bytes:
    """How each metric of the series begins as JSON, and no other."""
    kind, _, series_id = series.partition(" ")
    return msgspec.json.encode({"type": kind, _IDS[kind]: series_id}).removesuffix(b"}") + b","


class Exclusions:
    """The learned exclusions, by series."""

    def __init__(self, kept: bytes | None = None) -> None:
        """`kept`: the output of `encode`, in this run or an earlier one; if it can't be read, it is learned again."""
        self._by_series: dict[str, Exclusion] = {}
        if kept is not None:
            try:
                self._by_series = msgspec.json.decode(kept, type=dict[str, Exclusion])
            except msgspec.MsgspecError:
                self._by_series = {}
        self._wanted_us: dict[str, int] = {}  # from when on to try those that the operator wants tried
        self._refused_us: dict[str, list[int]] = {}  # when, in this run, those that are not left out yet

    def __len__(self) -> int:
        """How many series are left out now."""
        return sum(one.until_batch is None for one in self._by_series.values())

    def encode(self) -> bytes:
        """What is known, for the next start."""
        return msgspec.json.encode(self._by_series)

    def of(self, batch_id: int) -> Mapping[str, str]:
        """The series that this batch leaves out, with the server's reasons."""
        return {
            series: one.reason
            for series, one in self._by_series.items()
            if one.from_batch < batch_id and (one.until_batch is None or batch_id <= one.until_batch)
        }

    def learn(self, series: str, reason: str, newest_batch: int, now_us: int) -> bool:
        """Note that the series was refused; whether it is left out of batches after `newest_batch`, the last one that there is.

        True only if that is new.
        """
        known = self._by_series.get(series)
        if known is not None and known.until_batch is None:
            return False
        recent = [at_us for at_us in self._refused_us.pop(series, []) if abs(now_us - at_us) < ASK_EACH_US]
        if len(recent) + 1 < REFUSALS:
            if len(self._refused_us) < MOST_SERIES:
                self._refused_us[series] = [*recent, now_us]
            return False
        if len(self._by_series) >= MOST_SERIES:
            return False
        self._by_series[series] = Exclusion(reason=reason, from_batch=newest_batch, asked_us=now_us)
        return True

    def due(self, now_us: int) -> str | None:
        """A series to ask the server about, the one that was not asked about for longest; None if none is due."""
        wanted = [series for series, at_us in self._wanted_us.items() if at_us <= now_us]
        if wanted:
            return wanted[0]
        left_out = [(one.asked_us, series) for series, one in self._by_series.items() if one.until_batch is None]
        # A clock that was set back makes a series due early, not never.
        due = [(asked_us, series) for asked_us, series in left_out if abs(now_us - asked_us) >= ASK_EACH_US]
        return min(due)[1] if due else None

    def wanted_in_s(self, now_us: int) -> float | None:
        """In how many seconds a series that the operator wants tried is due, 0 if one is; None if none is left."""
        return max(min(self._wanted_us.values()) - now_us, 0) / 1e6 if self._wanted_us else None

    def want(self, series: Iterable[str]) -> None:
        """Have the server asked about these series now, left out or not."""
        self._wanted_us = dict.fromkeys(series, 0)

    def refused(self, series: str, now_us: int) -> None:
        """Note that the server was asked, and refuses the series still."""
        self._wanted_us.pop(series, None)
        if series in self._by_series:
            self._by_series[series] = msgspec.structs.replace(self._by_series[series], asked_us=now_us)

    def unanswered(self, series: str, now_us: int) -> None:
        """Note that the server was asked, and did not say: it is asked again in a minute."""
        if series in self._wanted_us:
            self._wanted_us[series] = now_us + ASK_AGAIN_US
        if series in self._by_series:
            asked_us = now_us - ASK_EACH_US + ASK_AGAIN_US
            self._by_series[series] = msgspec.structs.replace(self._by_series[series], asked_us=asked_us)

    def accepted(self, series: str, newest_batch: int, now_us: int) -> None:
        """Note that the server accepts the series: batches after the newest one have it again."""
        self._wanted_us.pop(series, None)
        self._refused_us.pop(series, None)
        known = self._by_series.get(series)
        if known is None or known.until_batch is not None:
            return
        self._by_series[series] = msgspec.structs.replace(known, until_batch=newest_batch, asked_us=now_us)
        self._by_series = {
            name: known
            for name, known in self._by_series.items()
            if known.until_batch is None or abs(now_us - known.asked_us) < KEPT_US
        }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


def timestamp(time_us: int) -> str:
    """The moment as RFC 3339: UTC, microseconds, "Z"."""
    second_s, micros = divmod(time_us, 1_000_000)
    return f"{_second(second_s)}.{micros:06}Z"


@lru_cache(8)  # polls that are delivered together were made in few seconds
def _second(time_s: int) -> str:
    return (_EPOCH + timedelta(seconds=time_s)).isoformat()[:19]


def metrics_in(parts: Iterable[tuple[Layout, Poll, int, int]]) -> list[Metric]:
    """The metrics of these parts: polls with their layout, and which of its metrics, [first, stop), are meant."""
    return [metric for part in parts for metric in metrics_of(*part)]


def encode(metrics: list[Metric]) -> bytes:
    """The body of POST /api/v1/agent/metrics that has these metrics; octet for octet the same each time."""
    return _encode(Metrics(metrics=metrics))


def metrics_of(layout: Layout, poll: Poll, first: int = 0, stop: int | None = None) -> list[Metric]:
    """The metrics [first, stop) of `poll`, in the layout's order.

    They are the sensors with a value, then the interfaces with octets in or out. A quotient that is not a finite number is
    counted, but makes no metric.
    """
    if layout.kind is not LayoutKind.READINGS:
        if first > 0 or (stop is not None and stop <= 0):
            return []
        make = _equipment_status if layout.kind is LayoutKind.STATE else _reachability
        return [make(layout, poll, timestamp(next(poll.item_times_us())))]
    times: list[str] = []
    for count, offset_us in poll.times:
        times += [timestamp(poll.started_at_us + offset_us)] * count
    values, begin, width = poll.values, len(layout.sensors), len(INTERFACE_COLUMNS)
    sensors = zip(layout.sensors, values, times, strict=False)
    readings = [(sensor_id, divisor, raw, at) for (sensor_id, divisor), raw, at in sensors if raw is not None]
    metrics: list[Metric] = [
        SensorReading(sensor_id=sensor_id, value=value, timestamp=at)
        for sensor_id, divisor, raw, at in readings[first:stop]
        if (value := quotient(raw, divisor)) is not None
    ]
    columns = [values[begin + n :: width] for n in range(width)]
    rows = zip(layout.interfaces, *columns, times[begin:], strict=True)
    counted = [row for row in rows if row[1] is not None or row[2] is not None]
    passed = len(readings)
    last = None if stop is None else max(stop - passed, 0)
    metrics += starmap(InterfaceStat, counted[max(first - passed, 0) : last])  # counters are integers, as interpret.py makes them
    return metrics


def _equipment_status(layout: Layout, poll: Poll, shown_time: str) -> EquipmentStatus:
    state, reason, response_us = poll.values
    return EquipmentStatus(
        equipment_id=layout.equipment_id,
        state=STATES[state] if isinstance(state, int) and 0 <= state < len(STATES) else "down",  # type: ignore[arg-type]  # STATES are the contract's
        reason=word_of(reason),
        response_time_ms=None if response_us is None else response_us / 1000,
        timestamp=shown_time,
    )


def _reachability(layout: Layout, poll: Poll, shown_time: str) -> Reachability:
    sent, received, *times_us = poll.values
    least, mean, greatest, jitter = (None if time_us is None else time_us / 1000 for time_us in times_us)
    return Reachability(
        equipment_id=layout.equipment_id,
        sent=int(sent or 0),
        received=int(received or 0),
        rtt_min_ms=least,
        rtt_avg_ms=mean,
        rtt_max_ms=greatest,
        jitter_ms=jitter,
        timestamp=shown_time,
    )


def quotient(raw: Number, divisor: float) -> Number | None:
    """`raw` over `divisor`, as read where that is 1; None if it is not a finite number.

    Integers are divided as such, which rounds once: 2^63 + 1 over 10 would lose its last digits first as a float.
    """
    if divisor == 1:
        return raw if isfinite(raw) else None
    whole = int(divisor)
    try:
        value = raw / (whole if whole == divisor else divisor)
    except OverflowError:
        return None
    return value if isfinite(value) else None


NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

GZIP_LEVEL = 1
"""1.1 µs a metric and a body of 22 %; level 6 takes 2.5 µs for 20 %."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch and its body, without the metrics that are left out of it.

    `plain_octets`: the body's before its encoding. `metrics`: how many it has. `oldest_us`: when the oldest poll of it began.
    """

    batch: Batch
    body: bytes
    encoding: Literal["gzip"] | None
    plain_octets: int
    metrics: int
    oldest_us: int
    left_out: tuple[LeftOut, ...] = ()
    single: Metric | None = None

    @property
    def label(self) -> str:
        """The batch's name in the log: its first and last poll."""
        return f"{self.batch.start.poll}-{self.batch.last_poll}"

    @property
    def metric(self) -> bytes:
        """The one metric of a batch of one, as JSON."""
        plain = gzip.decompress(self.body) if self.encoding else self.body
        return plain.removeprefix(b'{"metrics":[').removesuffix(b"]}")


METRIC_TYPES: Final = {LayoutKind.STATE: "equipment_status", LayoutKind.PINGS: "reachability"}
"""Of layouts whose metrics not every server accepts. Readings are sent to each, whatever it lists beside them."""


def pack(
    batch: Batch,
    polls: Sequence[StoredPoll],
    accepts: Accepts,
    excluded: Mapping[str, str] = NOTHING,
    *,
    for_others: bool = False,
) -> Parcel:
    """The batch to send, with these of its polls, at least one; others were damaged.

    `excluded`: the series to leave out, with the server's reasons. `for_others`: polls may be stored for other destinations only,
    as this server does not accept their type.
    """
    oldest_us = min(stored.poll.started_at_us for stored in polls)
    if for_others:
        polls = [stored for stored in polls if METRIC_TYPES.get(stored.layout.kind) in (None, *accepts.metric_types)]
    batch = replace(batch, metric_count=sum(stored.stop_metric - stored.first_metric for stored in polls))
    metrics = metrics_in((stored.layout, stored.poll, stored.first_metric, stored.stop_metric) for stored in polls)
    left_out: tuple[LeftOut, ...] = ()
    if excluded and any(series_of(metric) in excluded for metric in metrics):
        metrics = [metric for metric in metrics if series_of(metric) not in excluded]
        left_out = tuple(one for stored in polls for one in _left_out(stored, excluded))
    plain = encode(metrics)
    zipped = "gzip" in accepts.content_encodings
    body = gzip.compress(plain, GZIP_LEVEL, mtime=0) if zipped else plain
    single = metrics[0] if len(metrics) == 1 else None
    return Parcel(batch, body, "gzip" if zipped else None, len(plain), len(metrics), oldest_us, left_out, single)


def _left_out(stored: StoredPoll, excluded: Mapping[str, str]) -> Iterator[LeftOut]:
    for index in range(stored.first_metric, stored.stop_metric):
        for metric in metrics_of(stored.layout, stored.poll, index, index + 1):
            reason = excluded.get(series_of(metric))
            if reason is not None:
                yield LeftOut(stored.id, index, stored.layout.equipment_id, msgspec.json.encode(metric), reason)
