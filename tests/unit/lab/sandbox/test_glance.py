"""What the page shows of the devices follows from the configuration and from what has arrived, and from nothing else."""

from datetime import UTC, datetime, timedelta

import msgspec

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Reachability, SensorReading
from towerops_agent.reasons import Reason
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.glance import Glance

START = datetime(2026, 1, 9, 19, 0, tzinfo=UTC)
START_US = int(START.timestamp() * 1_000_000)
SECOND = 1_000_000

CONFIG = {
    "poll_interval_seconds": 5,
    "equipment": [
        {
            "id": name,
            "name": name.upper(),
            "ip_address": "127.0.0.1",
            "snmp": {"version": "2c", "port": 1161},
            "sensors": [
                {"id": f"{name}/t", "oid": "1.3.6.1", "type": "temperature", "unit": "C", "metadata": {"descr": "Board"}}
            ],
            "interfaces": [{"id": f"{name}/e", "if_index": 1, "if_name": "ether1"}],
        }
        for name in ("a", "b")
    ],
}


def stamp(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def reading(device: str, second: float, value: float = 1.0) -> SensorReading:
    return SensorReading(sensor_id=f"{device}/t", value=value, timestamp=stamp(second))


def stat(device: str, second: float, octets: int) -> InterfaceStat:
    rest = dict.fromkeys(("if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards"), 0)
    return InterfaceStat(interface_id=f"{device}/e", if_in_octets=octets, if_out_octets=None, timestamp=stamp(second), **rest)


def status(device: str, second: float, state: str, reason: str = "") -> EquipmentStatus:
    return EquipmentStatus(equipment_id=device, state=state, reason=reason, response_time_ms=2.5, timestamp=stamp(second))


def encoded(config: dict) -> bytes:
    return msgspec.json.encode(config)


def glance() -> Glance:
    made = Glance()
    made.configure(encoded(CONFIG))
    return made


def take(of: Glance, *metrics, at: float = 0.0) -> None:
    of.take(Batch("key", tuple(metrics), 100, START_US + int(at * SECOND)))


def states(of: Glance, at: float = 0.0) -> list[tuple[str, str]]:
    return [(device["state"], device["reason"]) for device in of.glance(START_US + int(at * SECOND))]


def test_before_anything_arrives_nothing_is_known():
    assert states(glance()) == [("unknown", "no values yet")] * 2


def test_a_device_is_up_while_its_values_are_as_new_as_the_others():
    of = glance()
    take(of, *(reading(device, second) for second in (0, 5, 10) for device in "ab"), at=11)
    assert states(of) == [("up", "")] * 2


def test_a_device_that_is_silent_while_others_are_not_is_down_and_comes_back():
    of = glance()
    take(of, reading("a", 0), reading("b", 0), *(reading("a", second) for second in (5, 10, 15, 20)), at=21)
    assert states(of) == [("up", ""), ("down", "no values for 20 s")]
    take(of, reading("b", 22), at=30)
    assert states(of) == [("up", "")] * 2


def test_a_device_that_never_answered_while_others_did_is_down():
    """Not yet when the first values arrive: its own may be in the next batch."""
    of = glance()
    take(of, reading("a", 0), at=1)
    assert states(of) == [("up", ""), ("unknown", "no values yet")]
    take(of, *(reading("a", second) for second in (5, 10, 15, 20)), at=21)
    assert states(of) == [("up", ""), ("down", "no values yet, while others answer")]


def test_a_device_that_is_new_is_not_down_though_the_others_have_answered_for_long():
    of = glance()
    take(of, *(reading("a", second) for second in (0, 5, 10, 15, 20)), *(reading("b", second) for second in (0, 5, 10, 15, 20)))
    more = {**CONFIG, "equipment": [*CONFIG["equipment"], {**CONFIG["equipment"][1], "id": "c", "sensors": [], "interfaces": []}]}
    of.configure(encoded(more))
    take(of, reading("a", 25), reading("b", 25))
    assert states(of)[2] == ("unknown", "no values yet")


def test_silence_of_all_says_nothing_of_one():
    """As while the API is cut: what is shown stays as it was."""
    of = glance()
    take(of, reading("a", 0), reading("b", 0), at=1)
    assert states(of, at=3600) == [("up", "")] * 2


def test_the_agent_s_word_counts():
    of = glance()
    take(of, reading("a", 0), reading("b", 0), status("a", 1, "down", "timeout"), status("b", 1, "degraded", "auth"), at=1)
    assert states(of) == [("down", "no answer"), ("degraded", Reason.AUTH.text)]
    take(of, status("a", 6, "up"), at=7)
    assert states(of)[0] == ("up", "")


def test_an_older_word_that_arrives_later_does_not_count():
    of = glance()
    take(of, status("a", 10, "up"), at=11)
    take(of, status("a", 5, "down", "timeout"), at=12)
    assert states(of)[0] == ("up", "")


def test_newer_values_outlive_a_word_that_the_device_is_down():
    of = glance()
    take(of, status("a", 1, "down", "timeout"), at=2)
    take(of, reading("a", 6), reading("b", 6), at=7)
    assert states(of)[0] == ("up", "")


def test_values_are_the_newest_and_interfaces_have_rates():
    of = glance()
    take(of, reading("a", 5, 42.0), reading("a", 0, 41.0), stat("a", 0, 1000), stat("a", 5, 2000), at=6)
    (first, second) = of.glance(START_US + 6 * SECOND)[0]["items"]
    assert (first["label"], first["unit"], first["value"]) == ("Board", "C", [42.0])
    assert (second["label"], second["unit"], second["value"]) == ("ether1", "bit/s", [1600.0, None])


def test_charts_mark_what_came_late_and_close_their_gaps():
    of = glance()
    take(of, reading("a", 0), reading("a", 5), at=6)
    take(of, reading("a", 60), reading("a", 65), at=66)
    assert of.gaps(START_US + 66 * SECOND) == 1
    take(of, *(reading("a", second) for second in range(10, 60, 5)), at=120)
    assert of.gaps(START_US + 120 * SECOND) == 0
    charts = of.charts("a", START_US + 120 * SECOND)
    assert charts is not None
    points = charts["charts"][0]["points"]
    assert [point[2] for point in points] == [False] * 2 + [True] * 10 + [False] * 2
    assert of.late_count == 10
    assert (of.arrivals[-1].late, of.arrivals[-1].oldest_s) == (10, 110.0)


def test_there_are_no_charts_of_a_device_that_is_not_shown():
    assert glance().charts("c", START_US) is None


def test_a_new_configuration_keeps_what_is_known():
    of = glance()
    take(of, reading("a", 0, 42.0), at=1)
    of.configure(encoded(CONFIG | {"equipment": CONFIG["equipment"][:1]}))
    (device,) = of.glance(START_US + SECOND)
    assert (device["state"], device["items"][0]["value"]) == ("up", [42.0])


def test_a_reading_of_2099_turns_no_other_device_red():
    """A device's clock may be wrong; it counts as read when it arrived."""
    of = glance()
    far = SensorReading(sensor_id="a/t", value=1.0, timestamp="2099-01-01T00:00:00.000000Z")
    take(of, far, reading("b", 5), at=6)
    assert states(of, at=7) == [("up", ""), ("up", "")]
    take(of, reading("a", 30), reading("b", 30), at=31)
    take(of, *(reading("b", second) for second in range(35, 80, 5)), at=80)
    assert states(of, at=80)[0][0] == "down"


def test_counters_that_began_again_are_a_restart():
    of = glance()
    take(of, both("a", 0, 5_000), both("a", 5, 6_000), both("b", 0, 5_000), both("b", 5, 6_000), at=6)
    assert restarts(of, at=6) == [0, 0]
    take(of, both("a", 40, 100), both("b", 40, 9_000), at=41)
    assert restarts(of, at=41) == [START_US + 40 * SECOND, 0]
    charts = of.charts("a", START_US + 41 * SECOND)
    assert charts is not None
    assert charts["restarted_us"] == START_US + 40 * SECOND


def both(device: str, second: float, octets: int) -> InterfaceStat:
    return msgspec.structs.replace(stat(device, second, octets), if_out_octets=octets // 2)


def restarts(of: Glance, at: float) -> list[int]:
    return [device["restarted_us"] for device in of.glance(START_US + int(at * SECOND))]


def test_the_response_time_is_a_chart_as_well():
    of = glance()
    take(of, status("a", 0, "up"), status("a", 5, "down", "timeout"), at=6)
    charts = of.charts("a", START_US + 6 * SECOND)
    assert charts is not None
    assert [chart["label"] for chart in charts["charts"]] == ["Board", "ether1", "Response time"]
    assert [values for _, values, _ in charts["charts"][-1]["points"]] == [(2.5,), (2.5,)]


def test_the_newest_pings_are_shown():
    of = glance()
    take(of, pings(5, 4), pings(0, 5), at=6)
    assert of.glance(START_US + 6 * SECOND)[0]["ping"] == {"sent": 5, "received": 4, "rtt_ms": 2.0}


def test_loss_round_trip_and_jitter_of_pings_are_charts_as_well():
    of = glance()
    take(of, pings(0, 5), pings(5, 4), at=6)
    charts = of.charts("a", START_US + 6 * SECOND)
    assert charts is not None
    shown = {chart["label"]: [values for _, values, _ in chart["points"]] for chart in charts["charts"][-3:]}
    assert shown == {"Ping loss": [(0.0,), (20.0,)], "Ping round trip": [(2.0,), (2.0,)], "Ping jitter": [(2.0,), (2.0,)]}


def pings(second: float, received: int) -> Reachability:
    times = dict.fromkeys(("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "jitter_ms"), 2.0)
    return Reachability(equipment_id="a", sent=5, received=received, timestamp=stamp(second), **times)


def test_how_many_values_are_expected_follows_from_the_intervals():
    assert glance().expected_rate() == 4 / 5
