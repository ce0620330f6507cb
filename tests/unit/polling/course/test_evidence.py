"""What shows that a row is an interface: names as devices write them, and counters that go on."""

import itertools
from array import array

import pytest

from support.steps import reply
from towerops_agent.polling.course import evidence
from towerops_agent.polling.course.evidence import (
    folded,
    has_fallen,
    has_gone_on,
    has_passing,
    is_exactly,
    is_name,
    named_of,
    octets_at_most,
    octets_of,
    readings,
    shown,
    unproven,
)
from towerops_agent.polling.course.plan import PER_INTERFACE, Watch, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import AWAY, BY_DESCR, BY_NAME, UNVERIFIABLE, Traits
from towerops_agent.snmp.wire import ber

TEXT = ber.OCTET_STRING


# Names


@pytest.mark.parametrize(
    ("value", "texts", "text"),
    [
        (b"ether1", ("ether1",), "ether1"),
        (b"  Ether1 \0\0\r\n\t", ("ether1",), "Ether1"),
        (b"ether 1", ("ether 1",), "ether 1"),
        ("Straße".encode(), ("strasse", "straã\x9fe"), "Straße"),
        ("Straße".encode("latin-1"), ("strasse",), "Straße"),
        (b"\xff\xfe", ("ÿþ",), "ÿþ"),
        (b"\0\xff\xfe \0", ("ÿþ",), "ÿþ"),
        (b"", (), ""),
        (b" \0\t\r\n", (), ""),
    ],
)
def test_a_device_s_name_is_read_as_utf_8_and_as_latin_1(value, texts, text):
    assert readings(TEXT, value) == texts
    assert shown(value) == text


@pytest.mark.parametrize(("tag", "value"), [(ber.INTEGER, 1), (ber.NULL, None), (ber.IP_ADDRESS, b"eth0"), (TEXT, 7)])
def test_what_is_not_a_text_is_not_a_name(tag, value):
    assert readings(tag, value) == ()
    assert not is_name(tag, value, "eth0")


@pytest.mark.parametrize("value", [7, None])
def test_what_is_not_a_text_is_shown_as_nothing(value):
    assert shown(value) == ""


def test_a_name_is_compared_without_case_and_padding():
    assert is_name(TEXT, b"ETHER1 \0", folded(" ether1"))
    assert not is_name(TEXT, b"ether10", folded("ether1"))
    assert not is_name(TEXT, b"ether1", folded("ether10"))
    assert is_name(TEXT, "größe".encode("latin-1"), folded("GRÖSSE"))


def test_a_name_to_the_octet_is_in_utf_8_or_in_latin_1():
    assert is_exactly(TEXT, b"ether1", "ether1")
    assert not is_exactly(TEXT, b"Ether1", "ether1")
    assert not is_exactly(TEXT, b"ether1\0", "ether1")
    assert not is_exactly(ber.IP_ADDRESS, b"ether1", "ether1")
    assert is_exactly(TEXT, "größe".encode(), "größe")
    assert is_exactly(TEXT, "größe".encode("latin-1"), "größe")
    assert is_exactly(TEXT, "日本".encode(), "日本")
    assert is_exactly(TEXT, b"\xff", "\udcff"), "an octet that is not UTF-8, as the configuration keeps it"
    assert not is_exactly(TEXT, None, "日本"), "Latin-1 does not have it"
    assert not is_exactly(TEXT, 7, "7")


@pytest.mark.parametrize(
    "name",
    [
        "<pppoe-bob>",
        "ppp0",
        "PPP0",
        "l2tp-out1",
        "pptp1",
        "sstp1",
        "ovpn1",
        "lte1",
        "wwan0",
        "tun0",
        "tap3",
        "veth1a",
        "cap1",
        "vpn1",
        "dialer1",
        "Virtual-Access2.1",
    ],
)
def test_interfaces_of_sessions_come_and_go(name):
    assert has_passing(("ether1", name))
    assert not has_passing((f"x{name}", "ether1"))


def test_interfaces_with_a_name_are_known_by_their_places():
    assert named_of(("", "ether1", " \0", "wlan1")) == (1, 3)
    assert named_of(()) == ()


@pytest.mark.parametrize(
    ("names", "octets"),
    [
        (("a",), 10),
        (("a" * 8,), 10),
        (("a" * 9,), 18),
        (("a", "b" * 16), 18),
        (("ü" * 8,), 18),
        (("ü" * 4,), 10),
        (("\udcff",), 10),
    ],
)
def test_the_longest_name_counts_in_octets_rounded_up_by_eights(names, octets):
    assert octets_at_most(names) == octets


# Names that were asked with the counters

NAMES = ("ether1", "ether2")


def answered(
    standings=(BY_NAME, BY_NAME), names=(b"ether1", b"ether2"), counters_us=(10, 10), names_us=(20, 20), octets=(1, 2, 3, 4)
):
    """A poll of two interfaces with their names: when the counters and the names of each arrived."""
    plan = make_plan((), (1, 2), bytes(4), 24, watch=Watch(bytes(standings), 10))
    progress = PollProgress(plan, Traits(widths=bytes(4)))
    for i in (0, 1):
        for slot in plan.interface_slots(i):
            column = plan.slots[slot]
            progress.tags[column], progress.values[column], progress.received_us[column] = ber.COUNTER64, 0, counters_us[i]
        for direction in (0, 1):
            progress.values[plan.slots[plan.interface_slots(i).start + direction]] = octets[2 * i + direction]
        if plan.names and plan.names[i]:
            column = plan.names[i]
            progress.tags[column] = 0 if names[i] is None else TEXT
            progress.values[column], progress.received_us[column] = names[i], names_us[i]
    return progress


@pytest.mark.parametrize(
    ("poll", "silent", "renamed"),
    [
        ({}, [], []),
        ({"names": (b"ETHER1 ", b"ether2")}, [], []),
        ({"names": (b"ether1", b"ether3")}, [], [1]),
        ({"names": (b"ether2", b"ether1")}, [], [0, 1]),
        ({"names": (None, b"ether2")}, [0], []),
        ({"names": (b"", b"ether2")}, [], [0]),
        ({"names_us": (9, 20)}, [0], []),
        ({"names_us": (10, 10)}, [], []),
        ({"names_us": (20, 9)}, [1], []),
        ({"names_us": (9, 9), "names": (b"x", b"y")}, [0, 1], []),
        ({"counters_us": (0, 10), "names": (b"x", b"ether2")}, [], []),
        ({"counters_us": (0, 10), "names": (b"x", b"y")}, [], [1]),
        ({"standings": (UNVERIFIABLE, BY_NAME), "names": (b"", b"ether2")}, [], []),
        ({"standings": (UNVERIFIABLE, BY_NAME), "names": (b"ether1", b"ether2")}, [], [0]),
        ({"standings": (BY_DESCR, BY_NAME), "names": (b"other", b"ether2")}, [], [0]),
        ({"standings": (0, BY_NAME), "names": (b"x", b"ether2")}, [], []),
        ({"standings": (AWAY, BY_NAME), "names": (b"x", b"y")}, [], [1]),
        ({"standings": (0, 0)}, [], []),
    ],
)
def test_a_name_must_follow_the_counters_and_be_the_one_it_was(poll, silent, renamed):
    standings = bytes(poll.get("standings", (BY_NAME, BY_NAME)))
    assert unproven(answered(**poll), standings, NAMES) == (silent, renamed)


def test_names_that_were_answered_as_planned_need_no_times():
    """Their order is known: the wall clock may have been set back."""
    progress = answered(names_us=(9, 9))
    assert unproven(progress, bytes((BY_NAME, BY_NAME)), NAMES) == ([0, 1], [])
    as_planned = answered(names_us=(9, 9))
    asks = as_planned.plan.asks
    as_planned.take_together(asks, [reply(ask.request.names, received_us=10) for ask in asks])
    for i, column in enumerate(as_planned.plan.names):
        as_planned.tags[column], as_planned.values[column] = TEXT, NAMES[i].encode()
        as_planned.received_us[column] = 9
    assert unproven(as_planned, bytes((BY_NAME, BY_NAME)), NAMES) == ([], [])


def test_what_is_found_out_of_all_names_at_once_is_what_is_found_out_one_by_one(monkeypatch):
    times = itertools.product((0, 10, 11), (10, 11), (9, 10, 11), (10, 11))
    names = ((b"ether1", b"ether2"), (b"ether1", b"x"), (b"ETHER1", b"ether2"), (b"", b"ether2"), (None, b"ether2"))
    standings = itertools.product((BY_NAME, BY_DESCR, UNVERIFIABLE, AWAY), (BY_NAME, UNVERIFIABLE))
    polls = []
    for (*counters_us, first_us, second_us), each, standing in itertools.product(times, names, standings):
        progress = answered(standing, each, tuple(counters_us), (first_us, second_us))
        polls.append((progress, bytes(standing), unproven(progress, bytes(standing), NAMES)))
    monkeypatch.setattr(evidence, "all_proven", lambda *_given: False)
    for progress, standing, found in polls:
        assert unproven(progress, standing, NAMES) == found


def test_an_interface_that_is_not_watched_any_more_needs_no_proof():
    renamed = answered(names=(b"x", b"y"))
    assert unproven(renamed, bytes([AWAY, BY_NAME]), NAMES) == ([], [1])
    assert unproven(renamed, bytes([BY_NAME, 0]), NAMES) == ([], [0])


@pytest.mark.parametrize("count", [13, 30])
@pytest.mark.parametrize("wrong", ["nothing", "a name", "a time", "a type", "a missing name"])
def test_names_behind_all_counters_are_proven_as_one_by_one(count, wrong):
    """The plan of many interfaces has names in a range, which are compared at once."""
    names = tuple(f"ether{i}" for i in range(count))
    plan = make_plan((), range(1, count + 1), bytes(2 * count), 24, watch=Watch(bytes([BY_NAME]) * count, 10))
    progress = PollProgress(plan, Traits(widths=bytes(2 * count)))
    for column in range(len(plan.columns)):
        progress.tags[column], progress.values[column], progress.received_us[column] = ber.COUNTER64, 1, 10
    for i, column in enumerate(plan.names):
        progress.tags[column], progress.values[column], progress.received_us[column] = TEXT, names[i].encode(), 20
    column = plan.names[count - 1]
    if wrong == "a name":
        progress.values[column] = b"ether"
    elif wrong == "a time":
        progress.received_us[column] = 9
    elif wrong == "a type":
        progress.tags[column], progress.values[column] = ber.INTEGER, 5
    elif wrong == "a missing name":
        progress.tags[column], progress.values[column], progress.received_us[column] = 0, None, 0
    silent = [count - 1] if wrong in ("a time", "a missing name") else []
    renamed = [count - 1] if wrong in ("a name", "a type") else []
    assert unproven(progress, bytes([BY_NAME]) * count, names) == (silent, renamed)


# Octet counters


def test_the_octets_of_a_poll_are_in_then_out():
    assert octets_of(answered(octets=(1, 2, 3, 4))).tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("value", [None, b"x", -1, 1 << 64])
def test_what_is_not_a_counter_counts_as_0(value):
    assert octets_of(answered(octets=(1, value, (1 << 64) - 1, 4))).tolist() == [1, (1 << 64) - 1, 0, 4]


def test_what_was_not_answered_is_as_it_was():
    progress = answered(octets=(1, 2, 3, 4))
    for slot in (0, PER_INTERFACE + 1):
        progress.tags[progress.slots[slot]] = 0
    assert octets_of(progress, array("Q", [91, 93, 92, 94])).tolist() == [91, 3, 2, 94]
    assert octets_of(progress).tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("before", "now", "unanswered", "fallen", "gone_on"),
    [
        ((5, 5, 5, 5), (5, 5, 5, 5), (), False, True),
        ((5, 5, 5, 5), (6, 5, 5, 5), (), False, True),
        ((5, 5, 5, 5), (4, 5, 5, 5), (), True, True),
        ((5, 5, 5, 5), (5, 5, 5, 4), (), True, True),
        ((5, 5, 5, 5), (4, 4, 4, 4), (), True, False),
        ((5, 5, 5, 5), (None, 6, 6, 6), (), True, True),
        ((5, 5, 5, 5), (None, 6, 6, 6), (0,), False, True),
        ((5, 0, 5, 0), (4, 9, 4, 9), (), True, False),  # what stood at 0 has not gone on
        ((0, 0, 0, 0), (0, 0, 0, 0), (), False, False),
        ((0, 0, 0, 0), (9, 9, 9, 9), (), False, False),
    ],
)
def test_a_counter_that_falls_has_started_again_or_is_another_s(before, now, unanswered, fallen, gone_on):
    earlier = octets_of(answered(octets=before))
    progress = answered(octets=now)
    for slot in unanswered:
        progress.tags[progress.slots[slot]] = 0
    assert has_fallen(earlier, progress) is fallen
    assert has_gone_on(earlier, progress) is gone_on
