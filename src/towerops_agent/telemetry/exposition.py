"""The page for Prometheus: the agent's counters and the state of its parts, as text.

Parts -> families -> text; metrics_page.py serves it. It only reads the parts, on the event loop's thread, which owns the
counters.
Nothing is labelled by device: 10,000 devices would be as many series. No label holds text from a device or a server.
Names: Prometheus' conventions (seconds and bytes, `_total` for counters). docs/operations.md lists them; a test compares the two.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from towerops_agent import __version__
from towerops_agent.api.wire.outcomes import Availability, Certificate
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.delivery import Delivery
from towerops_agent.errors import BufferFailure
from towerops_agent.reasons import DROPPED, EVICTED, Skip
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.telemetry.marks import Marks, boot_clock_s
from towerops_agent.telemetry.views.snapshot import count_states

if TYPE_CHECKING:
    from towerops_agent.group.group import Group

PREFIX: Final = "towerops_agent_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

PENDING_WITHIN_S: Final = 2.0
"""How long the page waits for the buffer's pending values; after that it leaves them out. Prometheus waits for 10 s."""

DESTINATION: Final = "destination"

PLACES: Final = (
    *(
        "poll",
        "buffer",
        "config",
        "polling",
        "pings",
        "delivery",
        "cleanup",
        "heartbeat",
        "discovery",
        "memory",
        "status",
        "time",
        "layouts",
    ),
    *("watchdog", "metrics", "group", "signals", "destinations"),
)
"""Where bugs are caught; beside these, `delivery to` each destination."""

_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class HasPending(Protocol):
    """The part of the buffer that the page needs."""

    @property
    def in_memory_because(self) -> str: ...  # noqa: D102  # as Buffer's

    async def pending(self, destination: str = "") -> Pending: ...  # noqa: D102  # as Buffer's


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The live parts of one agent. `dealings`: those with the API, by their names in `status`.

    `database_octets`: what the database takes on the disk, now."""

    counters: Counters
    sync: ConfigSync
    fleet: Fleet
    buffer: HasPending
    courier: Delivery
    dealings: Mapping[str, Availability]
    marks: Marks
    database_octets: Callable[[], int]
    now_us: Callable[[], int]
    group: "Group | None" = None
    certificates: Callable[[], list[Certificate]] = list


@dataclass(frozen=True, slots=True)
class Counted:
    """How a name of `counters` is shown. `label`: the kind of its reasons, or ""; `known`: reasons to show at 0.

    Prometheus sees no rise in a series that begins at 1: an alert on it would miss the first loss, or bug. Of the label
    DESTINATION those in use are known.
    """

    help: str
    label: str = ""
    known: tuple[str, ...] = ()


COUNTED: Final[Mapping[Count, Counted]] = {
    Count.POLLS: Counted("Polls that have ended.", "result", ("complete", "partial", "silent")),
    Count.POLLS_SKIPPED: Counted("Polls that were not made, or not at their time.", "reason", tuple(Skip)),
    Count.READINGS: Counted("Metrics read and stored."),
    Count.READINGS_MISSING: Counted("Values that a poll should have read and did not.", "reason"),
    Count.SNMP_REQUESTS: Counted("SNMP requests sent, by kind.", "kind", ("sent", "retried")),
    Count.SNMP_DISCARDED: Counted("Datagrams that did not answer a request, and failures to send one.", "reason"),
    Count.SNMP_ENGINES: Counted("Changes of the SNMPv3 engines of devices.", "kind"),
    Count.PINGS: Counted("Pings whose round has ended.", "result"),
    Count.PINGS_UNSENT: Counted("Pings that were not sent: they do not count as lost.", "reason"),
    Count.PINGS_DISCARDED: Counted("Echo replies that count for nothing.", "reason"),
    Count.DISCOVERIES: Counted("Discoveries of devices, by how they ended.", "result", ("complete", "cut_short", "silent")),
    Count.CONFIG_FETCHES: Counted("Fetches of the configuration.", "result", ("updated", "unchanged", "failed")),
    Count.CONFIG_REFUSED: Counted(
        "Items that were refused, in each applied configuration.", "kind", ("config", "equipment", "sensor", "interface", "ping")
    ),
    Count.METRICS_DELIVERED: Counted("Metrics that a destination has accepted; without a name it is the API.", DESTINATION),
    Count.METRICS_UNCONFIRMED: Counted("Metrics delivered that the API does not count among those it received."),
    Count.METRICS_REFUSED: Counted(
        "Metrics that a destination refused, kept with its reason; without a name it is the API.", DESTINATION
    ),
    Count.METRICS_EXPIRED: Counted(
        "Metrics removed after a day without delivery to a destination; without a name it is the API.", DESTINATION
    ),
    Count.METRICS_DROPPED: Counted("Metrics lost to the disk, or for want of a time.", "reason", DROPPED),
    Count.METRICS_EVICTED: Counted("Metrics removed to make room.", "reason", EVICTED),
    Count.BATCHES: Counted("Attempts to deliver, by outcome.", "outcome", ("delivered", "refused", "retried", "split")),
    Count.HEARTBEATS: Counted("Heartbeats, by whether the API accepted them.", "result", ("sent", "failed")),
    Count.GROUP_MEMBER_CHANGES: Counted("Changes of the members of a group.", "change"),
    Count.GROUP_DEVICES_MOVED: Counted("Devices that this member of a group polls from then on, or no longer.", "direction"),
    Count.GROUP_MESSAGES_REFUSED: Counted("Messages of a group that are not used.", "reason"),
    Count.LOG_LINES_DROPPED: Counted("Log lines dropped because the log could not be written."),
    Count.BUGS: Counted("Unexpected exceptions, by the place that caught them. Please report them.", "place", PLACES),
}


@dataclass(frozen=True, slots=True)
class Look:
    """The parts at one moment. `pending`: what is, by destination; empty if the buffer does not answer."""

    parts: Parts
    waiting: Mapping[str, Pending]

    @property
    def pending(self) -> Pending | None:
        """Of the API, or of the destination that most waits for; None if the buffer does not answer."""
        return self.waiting.get("") or max(self.waiting.values(), key=lambda one: one.metrics, default=None)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A current value. `read`: the values by label, under "" without a label; empty if the value is not known."""

    name: str
    help: str
    read: Callable[[Look], Mapping[str, float]]
    label: str = ""


def _of_pending(value: Callable[[Pending, Parts], float]) -> Callable[[Look], Mapping[str, float]]:
    return lambda look: {} if look.pending is None else {"": value(look.pending, look.parts)}


def _oldest_s(pending: Pending, parts: Parts) -> float:
    return 0.0 if pending.oldest_started_at_us is None else max(parts.now_us() - pending.oldest_started_at_us, 0) / 1e6


def _round_trips_s(look: Look) -> Mapping[str, float]:
    """Quantiles over the devices, by the nearest rank."""
    all_s = sorted(device.traits.srtt_s for device in look.parts.fleet.polled if device.traits.srtt_s is not None)
    return {name: all_s[math.ceil(quantile * len(all_s)) - 1] for name, quantile in _QUANTILES.items()} if all_s else {}


def _api_works(look: Look) -> Mapping[str, float]:
    return {name: dealing.works for name, dealing in look.parts.dealings.items() if dealing.works is not None}


def _api_successes_s(look: Look) -> Mapping[str, float]:
    ahead_us = look.parts.fleet.ahead_us
    last = {name: dealing.last_success_us for name, dealing in look.parts.dealings.items()}
    return {name: (last_us + ahead_us) / 1e6 for name, last_us in last.items() if last_us is not None}


def _clock_ahead_s(look: Look) -> Mapping[str, float]:
    ahead_s = look.parts.sync.clock_skew.ahead_s
    return {} if ahead_s is None else {"": ahead_s}


def _overdue_s(look: Look) -> Mapping[str, float]:
    now_s = boot_clock_s()
    return {loop: max(now_s - due_s, 0.0) for loop, due_s in look.parts.marks.due_s.items()}


def _members(look: Look) -> Mapping[str, float]:
    if look.parts.group is None:
        return {}
    beats = [look.parts.group.own_beat(), *(member.beat for member in look.parts.group.membership.members)]
    return Counter(beat.presence.value for beat in beats)


def _engine_away_s(look: Look) -> Mapping[str, float]:
    group = look.parts.group
    if group is None:
        return {}
    return {"": 0.0 if group.away_at is None else asyncio.get_running_loop().time() - group.away_at}


GAUGES: Final = (
    Gauge("build_info", "1, with the agent's version.", lambda _: {__version__: 1}, "version"),
    Gauge(
        "devices",
        "Devices, by state; unknown: not polled yet.",
        lambda look: count_states(look.parts.fleet.polled),
        "state",
    ),
    Gauge(
        "device_round_trip_seconds",
        "Smoothed SNMP round trips, over the devices that have answered.",
        _round_trips_s,
        "statistic",
    ),
    Gauge("group_members", "Members of the group, by presence, with this one.", _members, "presence"),
    Gauge("group_engine_away_seconds", "Since when this member has not heard itself; 0 if it does.", _engine_away_s),
    Gauge(
        "poll_lateness_max_seconds",
        "How late a poll has started at most, since the start.",
        lambda look: {"": look.parts.fleet.latest_s},
    ),
    Gauge("buffer_answers", "Whether the buffer answers what is pending: 1 or 0.", lambda look: {"": look.pending is not None}),
    Gauge(
        "buffer_in_memory",
        "Whether polls are kept in memory only, as the disk is full or the database can't be used: 1 or 0.",
        lambda look: {"": bool(look.parts.buffer.in_memory_because)},
    ),
    Gauge("pending_metrics", "Metrics not delivered yet.", _of_pending(lambda pending, _: pending.metrics)),
    Gauge("pending_polls", "Polls not delivered yet.", _of_pending(lambda pending, _: pending.polls)),
    Gauge("pending_oldest_age_seconds", "The age of the oldest of them; 0 if there is none.", _of_pending(_oldest_s)),
    Gauge(
        "backlog_metrics",
        "Metrics not delivered yet that wait behind fresh ones.",
        _of_pending(lambda pending, _: pending.backlog_metrics),
    ),
    Gauge(
        "destination_pending_metrics",
        "Metrics not delivered yet, by destination.",
        lambda look: {name: one.metrics for name, one in look.waiting.items() if name},
        "destination",
    ),
    Gauge(
        "destination_pending_oldest_age_seconds",
        "The age of the oldest of them; 0 if there is none.",
        lambda look: {name: _oldest_s(one, look.parts) for name, one in look.waiting.items() if name},
        "destination",
    ),
    Gauge("deliveries_in_flight", "Requests with metrics under way.", lambda look: {"": look.parts.courier.in_flight}),
    Gauge("database_bytes", "The database and its journal on the disk.", lambda look: {"": look.parts.database_octets()}),
    Gauge("api_reachable", "Whether the last attempt worked: 1 or 0; absent before the first.", _api_works, "dealing"),
    Gauge(
        "api_last_success_timestamp_seconds",
        "When an attempt last worked, since 1970; absent before the first.",
        _api_successes_s,
        "dealing",
    ),
    Gauge(
        "certificate_expiry_timestamp_seconds",
        "Until when a certificate in use is valid, since 1970.",
        lambda look: {one.name: one.until_s for one in look.parts.certificates()},
        "certificate",
    ),
    Gauge("clock_ahead_seconds", "How far this machine's clock is ahead of the API's.", _clock_ahead_s),
    Gauge(
        "loop_overdue_seconds",
        "How long ago the loop should have moved; health fails above 60.",
        _overdue_s,
        "loop",
    ),
)


class Exposition(Collector):
    """The page's text: the families above, and the process's own `process_*`, which prometheus-client reads from /proc."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting: Mapping[str, Pending] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def render(self) -> bytes:
        """The current text, in Prometheus' text format 0.0.4. If the buffer does not answer, only its own lines are missing."""
        try:
            async with asyncio.timeout(PENDING_WITHIN_S):
                self._waiting = {line: await self._parts.buffer.pending(line) for line in self._parts.courier.lines}
        except (BufferFailure, TimeoutError):
            self._waiting = {}
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus-client expects them."""
        for count, counted in COUNTED.items():
            counters, labels = self._parts.counters, [counted.label] if counted.label else []
            known = self._parts.courier.lines if counted.label == DESTINATION else counted.known
            totals = {"": counters.total(count)} if not labels else dict.fromkeys(known, 0) | counters.by_reason(count)
            family = CounterMetricFamily(f"{PREFIX}{count.value}", counted.help, labels=labels)
            for reason, total in sorted(totals.items()):
                family.add_metric([reason] if labels else [], total)
            yield family
        look = Look(self._parts, self._waiting)
        for gauge in GAUGES:
            labels = [gauge.label] if gauge.label else []
            values = GaugeMetricFamily(f"{PREFIX}{gauge.name}", gauge.help, labels=labels)
            for label, value in gauge.read(look).items():
                values.add_metric([label] if labels else [], value)
            yield values
