"""What Prometheus scrapes: each counter and the state of each part, under names that the docs list; no secret, no device."""

import asyncio
import re
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import virtual_time
from support.devices import device
from support.markdown import code, read, rows, sections
from towerops_agent import __version__
from towerops_agent.api.wire.outcomes import Availability, ClockSkew
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure
from towerops_agent.model import DeviceState, State
from towerops_agent.telemetry.exposition import COUNTED, GAUGES, PLACES, PREFIX, Exposition, Parts
from towerops_agent.telemetry.marks import Marks, boot_clock_s

DOCS = sections(read("docs/operations.md"))["Prometheus metrics"]
COUNTERS = sections(read("docs/operations.md"))["Counters"]
NOW_US = 1_800_000_000_000_000


async def nothing_pending(_: str = "") -> Pending:
    return Pending(0, 0, None)


def parts(
    *,
    devices=(),
    pending=nothing_pending,
    counters: Counters | None = None,
    ahead_us: int = 0,
    lines=("",),
    in_memory_because="",
) -> Parts:
    """An agent's parts, with these devices and this answer of the buffer; its wall clock is so far ahead of the steady one."""
    marks = Marks(("polling", "delivery"))
    marks.move("polling", 3600)
    stands_in: dict = {
        "counters": counters or Counters(),
        "sync": SimpleNamespace(availability=Availability(), clock_skew=ClockSkew()),
        "fleet": SimpleNamespace(devices={one.id: one for one in devices}, polled=devices, latest_s=0.25, ahead_us=ahead_us),
        "buffer": SimpleNamespace(pending=pending, in_memory_because=in_memory_because),
        "courier": SimpleNamespace(availability=Availability(), in_flight=3, lines=lines),
    }
    dealings = {"configuration": stands_in["sync"].availability, "metrics": stands_in["courier"].availability}
    stands_in["dealings"] = {**dealings, "heartbeat": Availability()}
    return Parts(**stands_in, marks=marks, database_octets=lambda: 4096, now_us=lambda: NOW_US)


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """The page's samples by name and the value of their label; as Prometheus' own parser reads them."""
    return {
        (sample.name.removeprefix(PREFIX), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def seen(of: Parts) -> dict[tuple[str, str], float]:
    return samples(await Exposition(of).render())


def up(key: str, srtt_s: float):
    one = device(equipment_id=key)
    one.traits.srtt_s = srtt_s
    one.state = DeviceState(State.UP, "", 1)
    return one


def test_each_counter_of_the_agent_is_shown():
    assert set(COUNTED) == set(Count)


async def test_the_docs_list_each_metric_with_its_type_and_label_and_no_other():
    told = {
        (name, kind, "".join(code(label)))
        for (metric, kind, label, *_) in (row for row in rows(DOCS) if len(row) == 4)
        for name in code(metric)
    }
    text = (await Exposition(parts()).render()).decode()
    labels = {f"{PREFIX}{count}_total": counted.label for count, counted in COUNTED.items()}
    labels |= {f"{PREFIX}{gauge.name}": gauge.label for gauge in GAUGES}
    shown = {(name, kind, labels.get(name, "")) for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)}
    assert told == shown
    assert set(re.findall(r"\btowerops_agent_\w+", DOCS)) <= {name for name, *_ in told}, "the alerts' too"


def test_each_row_of_the_docs_says_what_it_is():
    assert [row for row in rows(DOCS) if not row[-1]] == []


async def test_names_are_as_prometheus_wants_them():
    """Counters end in _total, other names do not; units are base units, at the end; each has a help text."""
    for family in text_string_to_metric_families((await Exposition(parts()).render()).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert re.fullmatch(r"(towerops_agent|process)(_[a-z]+)+", name)
        assert family.type in ("counter", "gauge")
        assert not re.search(r"_(ms|us|s|octets|kb|mb|minutes|percent)(_|$)", name)
        assert not (family.type == "gauge" and name.endswith(("_total", "_count", "_sum")))
        assert family.documentation.endswith(".") or name.startswith("process_")
        assert not any(label in sample.labels for sample in family.samples for label in ("quantile", "le", "job", "instance"))


async def test_known_reasons_are_zero_from_the_start_so_that_the_first_one_is_seen_as_a_rise():
    page = await seen(parts())
    assert [page["polls_total", result] for result in ("complete", "partial", "silent")] == [0, 0, 0]
    assert page["metrics_evicted_total", "buffer_full"] == 0
    assert page["metrics_delivered_total", ""] == 0
    assert page["bugs_total", "polling"] == 0
    assert not [name for name, _ in page if name == "readings_missing_total"]


async def test_each_destination_has_its_losses_from_the_start_and_nobody_else():
    page = await seen(parts(lines=("lab", "noc")))
    names = {label for name, label in page if name == "metrics_expired_total"}
    assert names == {"lab", "noc"}
    assert page["metrics_expired_total", "lab"] == page["metrics_delivered_total", "noc"] == 0


def test_each_place_of_bugs_in_the_docs_begins_at_zero():
    (told,) = [cells for cells in rows(COUNTERS) if cells[0] == "`bugs`"]
    assert {*PLACES, "delivery to"} == set(code(told[1]))


async def test_polls_that_are_in_memory_only_are_seen():
    assert (await seen(parts()))["buffer_in_memory", ""] == 0
    assert (await seen(parts(in_memory_because="disk full")))["buffer_in_memory", ""] == 1


async def test_each_reason_is_counted_under_its_own_label():
    counters = Counters()
    counters.add(Count.POLLS, "silent", 7)
    counters.add(Count.READINGS_MISSING, "noSuchName", 3)
    counters.add(Count.READINGS_MISSING, "timeout")
    counters.add(Count.METRICS_DELIVERED, n=1000)
    counters.add(Count.BUGS, "polling")
    page = await seen(parts(counters=counters))
    assert page["polls_total", "silent"] == 7
    assert (page["readings_missing_total", "noSuchName"], page["readings_missing_total", "timeout"]) == (3, 1)
    assert page["metrics_delivered_total", ""] == 1000
    assert page["bugs_total", "polling"] == 1


async def test_devices_are_counted_by_state_and_their_round_trips_are_quantiles():
    down = device(equipment_id="down")
    down.state = DeviceState(State.DOWN, "timeout", 1)
    fleet = [up(f"d{i}", i / 1000) for i in range(1, 101)]
    page = await seen(parts(devices=[*fleet, down, device(equipment_id="new")]))
    assert [page["devices", state] for state in ("up", "degraded", "down", "unknown")] == [100, 0, 1, 1]
    assert [page["device_round_trip_seconds", q] for q in ("p50", "p90", "p99", "max")] == [0.05, 0.09, 0.099, 0.1]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_with_few_devices_each_quantile_is_one_of_theirs(count):
    page = await seen(parts(devices=[up(f"d{i}", float(i)) for i in range(count)]))
    assert page["device_round_trip_seconds", "max"] == count - 1
    assert page["device_round_trip_seconds", "p50"] == (count - 1) // 2


async def test_what_is_not_known_yet_is_absent_and_not_zero():
    page = await seen(parts())
    absent = ("device_round_trip_seconds", "api_reachable", "api_last_success_timestamp_seconds", "clock_ahead_seconds")
    assert not [name for name, _ in page if name in absent]


async def test_the_state_of_the_other_parts_is_there():
    async def pending(_: str) -> Pending:
        return Pending(1200, 30, NOW_US - 90_000_000, backlog_metrics=1000)

    of = parts(pending=pending)
    of.sync.availability.succeeded(NOW_US - 2_000_000)
    of.courier.availability.failed("status 503", NOW_US)
    of.sync.clock_skew.measured(-4.0)
    page = await seen(of)
    assert page["build_info", __version__] == 1
    assert (page["pending_metrics", ""], page["pending_polls", ""], page["backlog_metrics", ""]) == (1200, 30, 1000)
    assert page["pending_oldest_age_seconds", ""] == 90
    assert page["buffer_answers", ""] == 1
    assert page["database_bytes", ""] == 4096
    assert page["deliveries_in_flight", ""] == 3
    assert page["poll_lateness_max_seconds", ""] == 0.25
    assert (page["api_reachable", "configuration"], page["api_reachable", "metrics"]) == (1, 0)
    assert page["api_last_success_timestamp_seconds", "configuration"] == NOW_US / 1e6 - 2
    assert ("api_last_success_timestamp_seconds", "metrics") not in page
    assert page["clock_ahead_seconds", ""] == -4
    assert page["loop_overdue_seconds", "polling"] == 0
    assert 0 <= page["loop_overdue_seconds", "delivery"] <= boot_clock_s()
    assert page["process_resident_memory_bytes", ""] > 0


async def test_the_api_has_worked_when_it_did_though_the_clock_was_set_since():
    of = parts(ahead_us=NOW_US - 90_000_000)
    of.sync.availability.steady_us = lambda: 88_000_000
    of.sync.availability.succeeded(3_600_000_000)
    assert (await seen(of))["api_last_success_timestamp_seconds", "configuration"] == NOW_US / 1e6 - 2


async def test_a_clock_that_was_set_back_makes_nothing_younger_than_new():
    async def pending(_: str) -> Pending:
        return Pending(5, 1, NOW_US + 3_600_000_000)

    assert (await seen(parts(pending=pending)))["pending_oldest_age_seconds", ""] == 0


async def test_a_buffer_that_fails_costs_only_its_own_lines():
    async def pending(_: str) -> Pending:
        raise BufferFailure("no")

    page = await seen(parts(pending=pending))
    assert page["buffer_answers", ""] == 0
    assert ("pending_metrics", "") not in page
    assert page["polls_total", "complete"] == 0


def test_a_buffer_that_hangs_is_not_waited_for_longer_than_prometheus_waits():
    """In virtual time: a disk that gives no answer ever."""

    async def main() -> float:
        page = await seen(parts(pending=lambda _: asyncio.Event().wait()))
        assert page["buffer_answers", ""] == 0
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) - 1000 < 10


async def test_neither_a_secret_nor_a_name_nor_more_series_come_with_more_devices():
    one, many = parts(devices=[up("d", 0.01)]), parts(devices=[up(f"d{i}", 0.01) for i in range(500)])
    assert (await seen(one)).keys() == (await seen(many)).keys()
    text = (await Exposition(many).render()).decode()
    assert not any(word in text for word in ("public", "name of", "127.0.0.1", "d499"))


def test_each_alert_in_the_docs_says_of_which_agent_it_is():
    """Whoever has an agent at each tower is woken by one of them."""
    alerts = [cells[0].strip("`") for cells in rows(DOCS) if re.search(r" (==|>|<) \d", cells[0])]
    assert len(alerts) == 14
    assert [one for one in alerts if re.search(r"\b(sum|max|min)\b", one) and "by (instance" not in one] == []
