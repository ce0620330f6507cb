"""The list of devices: filtered, sorted, as wide as the terminal; and one device with all that is known of it."""

import re
import shlex

import pytest
from msgspec.structs import replace

from support import devices
from support.snapshots import MINUTE_US, NOW_US
from towerops_agent.model import DeviceState, PingPlan, State
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.telemetry.views.devices import (
    ORDERS,
    device_lines,
    is_named,
    select,
    table,
)
from towerops_agent.telemetry.views.lines import Tone, columns, plain
from towerops_agent.telemetry.views.snapshot import decode_devices, encode_devices, report_devices
from towerops_agent.telemetry.views.status import limits


def made(device_id, state, *, reason="", host="10.0.0.1", rtt_s=None, lacks=(), since_us=NOW_US - 5 * MINUTE_US):
    device = devices.device(equipment_id=device_id, host=host, sensors=["1.3.6.1.4.1.1.0"], interfaces=[1, 2])
    device.state = None if state is None else DeviceState(state, reason, since_us)
    device.traits.srtt_s, device.lacks = rtt_s, lacks
    return device


FLEET = report_devices(
    [
        made("a", State.UP, host="10.0.0.10", rtt_s=0.002, lacks=(("noSuchObject", 1), ("timeout", 2))),
        made("b", State.DOWN, reason="timeout", host="10.0.0.9"),
        made("c", State.DEGRADED, reason="timeout", host="2001:db8::1", rtt_s=0.9, lacks=(("timeout", 7),)),
        made("d", None, host="radio.example"),
        made("e", State.UP, host="10.0.0.2", rtt_s=0.004, since_us=NOW_US),
    ]
)


def ids(**wanted) -> str:
    return "".join(device.id for device in select(FLEET, **wanted))


@pytest.mark.parametrize(
    ("order", "wanted"),
    [("state", "bcdae"), ("name", "abcde"), ("address", "ebacd"), ("rtt", "ceabd"), ("missing", "cabde"), ("since", "eabcd")],
)
def test_each_order_has_the_worst_first(order, wanted):
    assert ids(order=order) == wanted


def test_each_order_is_among_those_offered():
    assert {"state", "name", "address", "rtt", "missing", "since"} == set(ORDERS)


def test_devices_are_filtered_by_state_by_what_they_lack_and_by_text():
    assert ids(states=["down", "degraded"]) == "bc"
    assert ids(lacking=True) == "ca"
    assert ids(lacking=True, states=["up"]) == "a"
    assert ids(text="10.0.0.1") == "a"
    assert ids(text="NAME OF B") == "b"
    assert ids(text="nobody") == ""


def test_the_table_says_what_each_lacks_and_since_when():
    texts = [text for text, _ in table(select(FLEET, order="name"), NOW_US)]
    assert texts[0].split() == ["STATE", "DEVICE", "ADDRESS", "RTT", "MISSING", "WHY"]
    assert texts[1].split("  ")[-1] == "2 timeout, 1 noSuchObject"
    assert texts[2].endswith("timeout, for 5 min")
    assert texts[3].endswith("7  timeout, for 5 min; 7 timeout")
    assert [tone for _, tone in table(FLEET, NOW_US)] == [
        Tone.PLAIN, Tone.GOOD, Tone.BAD, Tone.WARNING, Tone.PLAIN, Tone.GOOD,
    ]  # fmt: skip


def test_a_column_in_which_no_device_has_anything_is_left_out_and_a_device_that_is_down_has_no_round_trip():
    texts = [text for text, _ in table([*report_devices([made("b", State.DOWN, reason="timeout", rtt_s=0.004)])], NOW_US)]
    assert texts == ["STATE  DEVICE     ADDRESS       WHY", "down   name of b  10.0.0.1:161  timeout, for 5 min"]
    assert table([], NOW_US)[0][0].split() == ["STATE", "DEVICE", "ADDRESS", "RTT", "MISSING", "WHY"]


@pytest.mark.parametrize("width", [50, 60, 80, 200])
def test_the_table_fits_the_terminal_and_loses_no_reason(width):
    """A reason for which a line has no room is below it; a long name is cut short."""
    part = made("y", State.DEGRADED, reason="timeout", lacks=(("interface_away", 12),))
    lines = table(report_devices([made("x" * 100, State.DOWN, reason="timeout"), part]), NOW_US, width)
    assert max(len(text) for text, _ in lines) <= width
    text = " ".join(" ".join(text.split()) for text, _ in lines)
    assert text.count("timeout, for 5 min") == 2
    assert "12 interface_away" in text
    assert "10.0.0.1:161" in text


def test_a_name_of_wide_characters_keeps_the_columns_below_each_other():
    """As a terminal shows them: two columns each, so that no line is longer than it, and --watch stays in place."""
    fleet = report_devices([made("北塔回程无线电" * 5, State.UP, rtt_s=0.002), made("n", State.UP, rtt_s=0.002)])
    texts = [text for text, _ in table(fleet, NOW_US, 60)]
    assert max(map(columns, texts)) <= 60
    assert len({columns(text.partition("10.0.0.1:161")[0]) for text in texts[1:]}) == 1


def test_a_name_is_cut_no_shorter_than_it_must_be():
    texts = [text for text, _ in table(report_devices([made("x" * 40, State.UP)]), NOW_US, 80)]
    assert "x" * 40 in texts[1]


def test_a_name_that_would_control_the_terminal_is_shown_without():
    (device,) = report_devices([made("b\x1b[2J\nup", State.DOWN, reason="timeout")])
    for text in (table([device], NOW_US, 80)[1][0], plain(device_lines(device, NOW_US))):
        assert r"name of b\x1b[2J\nup" in text


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("North Tower", "North Tower"),
        ("x'; touch owned #", "x'; touch owned #"),
        ("$(touch owned)`", "$(touch owned)`"),
        ("a\nb", "b"),
    ],
)
def test_a_command_to_be_copied_has_the_device_s_name_as_one_argument(name, argument):
    """A shell runs nothing of it; one that can't be copied from a terminal has its id instead."""
    (device,) = [replace(device, name=name) for device in FLEET if device.id == "b"]
    commands = [text for line in device_lines(device, NOW_US) for text in re.findall(r"`(.*)`", line.text)]
    assert [shlex.split(command) for command in commands] == [["towerops-agent", "doctor", "--device", argument]]


def test_a_device_that_is_up_has_no_empty_line_below_it_however_narrow_the_terminal_is():
    lines = [line for line, _ in table([device for device in FLEET if not device.reason and not device.missing], NOW_US, 20)]
    assert len(lines) == 3
    assert all(lines)


def test_a_device_is_found_by_id_name_and_address_with_or_without_its_port():
    third = FLEET[2]
    for text in ("c", "name of c", "2001:db8::1", "[2001:db8::1]:161"):
        assert is_named(third, text)
    assert not is_named(third, "name of")
    assert is_named(FLEET[1], "10.0.0.9")
    assert not is_named(FLEET[1], "10.0.0")


def test_one_device_at_length_says_what_it_lacks_in_words_and_what_to_do():
    text = plain(device_lines(FLEET[0], NOW_US))
    for said in (
        "device     name of a (10.0.0.10:161), id a",
        "state      up for 5 min",
        "polled     each 1 min: 1 sensor, 2 interfaces; asked for ",
        "answers    in 2.0 ms",
        "lacks      1 value: not there (noSuchObject)",
        "2 values: met with silence (timeout)",
        "`towerops-agent doctor --device 'name of a'` names each of them",
    ):
        assert said in text
    assert "state      not polled yet" in plain(device_lines(FLEET[3], NOW_US))


def test_a_silent_device_is_one_for_the_doctor_and_its_round_trip_is_a_former_one():
    """A device that is down is not "slow", which is the advice for values that were met with silence."""
    (silent,) = report_devices([made("b", State.DOWN, reason="timeout", rtt_s=0.004)])
    text = plain(device_lines(silent, NOW_US))
    assert "state      down for 5 min; met with silence (timeout)\n" in text
    assert "`towerops-agent doctor --device 'name of b'` looks for the cause" in text
    assert "it is slow" not in text
    assert "answers    in 4.0 ms when it last did" in text
    (refused,) = report_devices([made("b", State.DOWN, reason="refused")])
    assert "does it do SNMP over TCP?" in plain(device_lines(refused, NOW_US))


def test_reports_are_the_same_after_the_socket_and_another_version_s_are_not_read():
    assert decode_devices(encode_devices(FLEET)) == FLEET
    assert decode_devices(b"[{}]") is None


def test_why_the_answers_of_a_device_are_discarded_stands_with_its_silence():
    device = made("f", State.DOWN, reason="timeout")
    device.detail = "its answers are discarded as unknown_id: a request-id that was never used"
    (report,) = report_devices([device])
    (row,) = [text for text, _ in table([report], NOW_US)][1:]
    assert row.endswith(f"timeout, for 5 min; {device.detail}")
    assert device.detail in plain(device_lines(report, NOW_US))


def test_a_device_at_length_line_by_line():
    (device,) = report_devices([made("a", State.UP, host="10.0.0.10", rtt_s=0.002, lacks=(("noSuchObject", 1), ("odd-word", 2)))])
    said = [(line.label, line.text, line.tone, line.indent) for line in device_lines(device, NOW_US)]
    assert said[:2] == [
        ("device", "name of a (10.0.0.10:161), id a", Tone.PLAIN, 0),
        ("state", "up for 5 min", Tone.GOOD, 0),
    ]
    assert said[3] == ("answers", "in 2.0 ms", Tone.PLAIN, 0)
    assert said[4] == ("lacks", "1 value: not there (noSuchObject)", Tone.WARNING, 0)
    assert said[5][2:] == (Tone.PLAIN, 2)
    assert said[6:] == [
        ("", "2 values: odd-word", Tone.WARNING, 0),
        ("", "`towerops-agent doctor --device 'name of a'` names each of them", Tone.PLAIN, 0),
    ]


def test_a_table_line_by_line():
    """Numbers are to the right, the reason is behind or, if there is no room, below."""
    fleet = select(FLEET)
    assert [text for text, _ in table(fleet, NOW_US)] == [
        "STATE     DEVICE     ADDRESS                 RTT  MISSING  WHY",
        "down      name of b  10.0.0.9:161                          timeout, for 5 min",
        "degraded  name of c  [2001:db8::1]:161  900.0 ms        7  timeout, for 5 min; 7 timeout",
        "unknown   name of d  radio.example:161",
        "up        name of a  10.0.0.10:161        2.0 ms        3  2 timeout, 1 noSuchObject",
        "up        name of e  10.0.0.2:161         4.0 ms",
    ]
    assert [text for text, _ in table(fleet, NOW_US, 60)][:5] == [
        "STATE     DEVICE     ADDRESS                 RTT  MISSING",
        "down      name of b  10.0.0.9:161",
        "          timeout, for 5 min",
        "degraded  name of c  [2001:db8::1]:161  900.0 ms        7",
        "          timeout, for 5 min; 7 timeout",
    ]


def test_the_last_round_of_pings_is_shown_with_what_was_measured():
    device = devices.device(ping=PingPlan(5, 60))
    assert "ping" not in plain(device_lines(report_devices([device])[0], NOW_US))
    for tally, text in [
        (Tally(5, 4, 2000, 2345, 3000, 510), "pings      4 of 5 came back in 2.35 ms on average, jitter 0.51 ms"),
        (Tally(5, 1, 2000, 2000, 2000), "pings      1 of 5 came back in 2.00 ms on average"),
        (Tally(5, 0), "pings      0 of 5 came back"),
    ]:
        device.pings = tally
        assert text in plain(device_lines(report_devices([device])[0], NOW_US))


def test_addresses_are_sorted_by_their_numbers_whatever_is_around_them():
    hosts = ["2001:db8::a", "10.0.0.10", "2001:db8::9", "10.0.0.9", "north.example"]
    reports = report_devices([made(host, State.UP, host=host) for host in hosts])
    assert [device.id for device in select(reports, order="address")] == [
        *("10.0.0.9", "10.0.0.10", "2001:db8::9", "2001:db8::a", "north.example"),
    ]


def test_a_device_of_which_nothing_is_known_says_why():
    """It is only pinged, and its name is wrong: before, it was "not polled yet" for good."""
    device = made("g", None)
    device.detail = "it can't be pinged: the device's name was not found"
    (report,) = report_devices([device])
    assert plain(device_lines(report, NOW_US)).splitlines()[1] == f"state      unknown; {device.detail}"
    (_, line) = (text for text, _ in table([report], NOW_US))
    assert line.endswith(device.detail)


def test_one_device_at_length_of_which_everything_is_known():
    device = made("f", State.DOWN, reason="timeout", rtt_s=0.004)
    device.detail = "discarded as unknown_id"
    device.ping, device.pings = PingPlan(5, 60), Tally(5, 4, 2000, 2345, 3000, 510)
    device.traits.max_varbinds, device.traits.refused_at, device.traits.any_address = 9, 10, True
    (report,) = report_devices([device])
    assert limits(report) == "asked for 9 at once, as it refuses 10; answers from another address"
    assert plain(device_lines(report, NOW_US)).splitlines() == [
        "device     name of f (10.0.0.1:161), id f",
        "state      down for 5 min; met with silence (timeout); discarded as unknown_id",
        "             `towerops-agent doctor --device 'name of f'` looks for the cause",
        f"polled     each 1 min: 1 sensor, 2 interfaces; {limits(report)}",
        "answers    in 4.0 ms when it last did",
        "pings      4 of 5 came back in 2.35 ms on average, jitter 0.51 ms",
    ]
