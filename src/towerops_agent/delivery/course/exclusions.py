"""The series that the server refuses: left out of batches, and asked about once an hour.

A series that is refused again and again, beside others that are accepted, is learned (course.py). Whether a batch leaves it out
depends on the batch's id only, and the exclusions are kept over restarts (courier.py): so a batch makes the same body each time.
Pure. Microseconds since 1970 (`_us`).
"""

from collections.abc import Iterable, Mapping

import msgspec

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric

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
        case _:
            return f"sensor_reading {metric.sensor_id}"


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
