"""What the answers of one poll come to: values, times, what is missing and why, and how many metrics that makes."""

from fractions import Fraction

import pytest

from support.steps import SENSORS, absent, reply
from towerops_agent.model import Poll
from towerops_agent.polling.course.interpret import (
    INTEGRAL,
    LARGEST_FLOAT,
    LARGEST_INTEGER,
    SMALLEST_INTEGER,
    Interpretation,
    Scales,
    interpret,
    lacking_items,
    means_nothing,
    number,
)
from towerops_agent.polling.course.plan import make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import WIDE, Traits
from towerops_agent.polling.course.units import conversion
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid


def answered(sensors=2, interfaces=(1, 2), size=24, *, lacks=(), at_us=(100, 200, 300, 400)):
    """A poll of so much, whose requests are answered at these times; `lacks`: which of its values are absent, by place."""
    widths = bytes([WIDE] * 2 * len(interfaces))
    plan = make_plan(SENSORS[:sensors], interfaces, widths, size)
    progress = PollProgress(plan, Traits(widths=widths, max_varbinds=size, absence_holds=True))
    lacking = {plan.columns[plan.slots[slot]] for slot in lacks}
    for ask, received_us in zip(plan.asks, at_us, strict=False):
        answer = absent(ask.request.names, *(name for name in ask.request.names if name not in lacking))
        taken = reply(answer.pdu.names, answer.pdu.values, tags=answer.pdu.tags, received_us=received_us)
        progress.take(progress.next_ask(), taken)
    return progress


def test_a_poll_has_all_values_in_the_layout_s_order_with_the_time_since_its_start():
    progress = answered()
    result = interpret(progress, 7, 90)
    values = tuple(progress.values[slot] for slot in progress.slots)
    assert result == Interpretation(Poll(7, 90, values, ((4, 10),), 4), {}, (INTEGRAL, INTEGRAL))
    assert len(values) == 14


def test_each_run_of_metrics_has_the_time_of_its_answer():
    """A sensor's is its own, an interface's that of its octets."""
    result = interpret(answered(size=6, interfaces=(1, 2)), 7, 90)
    assert result.poll.times == ((2, 10), (1, 110), (1, 210))
    assert result.poll.metric_count == 4


@pytest.mark.parametrize(("started_us", "began_us"), [(1000, 100), (140, 100), (50, 50)])
def test_each_value_keeps_the_time_of_its_arrival_if_the_clock_is_set_back_within_the_poll(started_us, began_us):
    poll = interpret(answered(size=6, at_us=(150, 200, 100)), 7, started_us).poll
    assert (poll.started_at_us, list(poll.item_times_us())) == (began_us, [150, 150, 200, 100])


def test_what_did_not_arrive_sets_back_no_start():
    progress = answered(size=6, at_us=(100, 200))
    progress.stop(Reason.DEADLINE)
    poll = interpret(progress, 7, 90).poll
    assert (poll.started_at_us, list(poll.item_times_us())[:3], poll.metric_count) == (90, [100, 100, 200], 3)


@pytest.mark.parametrize(
    ("lacks", "metrics"),
    [
        ([0], 3),
        ([0, 1], 2),
        ([2], 4),  # octets in: those out are a metric all the same
        ([3], 4),
        ([2, 3], 3),
        ([2, 3, 8, 9], 2),
        ([4, 5, 6, 7], 4),
        (range(14), 0),
    ],
)
def test_a_metric_is_a_sensor_with_its_value_or_an_interface_with_octets(lacks, metrics):
    result = interpret(answered(lacks=lacks), 7, 90)
    assert result.poll.metric_count == metrics
    assert result.missing == dict.fromkeys(lacks, "noSuchInstance")
    assert [i for i, value in enumerate(result.poll.values) if value is None] == list(lacks)
    assert sum(count for count, _ in result.poll.times) == 4


def test_an_interface_without_octets_in_has_the_time_of_those_out():
    progress = answered(sensors=1, interfaces=(1,), size=1, lacks=[1], at_us=range(100, 900, 100))
    assert interpret(progress, 7, 0).poll.times == ((1, 200), (1, 400))
    whole = answered(sensors=1, interfaces=(1,), size=1, at_us=range(100, 900, 100))
    assert interpret(whole, 7, 0).poll.times == ((1, 200), (1, 300))


def test_an_interface_whose_row_is_in_doubt_lacks_all_its_counters_for_that():
    result = interpret(answered(), 7, 90, {1: Reason.UNVERIFIED})
    assert result.missing == dict.fromkeys(range(8, 14), Reason.UNVERIFIED)
    assert result.poll.values[8:] == (None,) * 6
    assert None not in result.poll.values[:8]
    assert result.poll.metric_count == 3


def test_a_number_that_means_nothing_is_missing_and_no_metric():
    progress = answered(sensors=3, interfaces=(1,))
    plain = interpret(progress, 7, 90)
    first, second, third, *counters = plain.poll.values
    result = interpret(progress, 7, 90, skips=((0, frozenset({third})), (1, frozenset({-1, second}))))
    assert result.poll.values == (first, None, third, *counters), (
        "the third sensor's number is the first one's sentinel, not its own"
    )
    assert result.missing == {1: "nothing_there"}
    assert result.poll.metric_count == plain.poll.metric_count - 1
    assert interpret(progress, 7, 90, skips=((1, frozenset({second + 1, str(second)})),)) == plain


def texts(*octets, units=(), skips=()):
    """What texts of a poll come to: values, why any is missing, and the units that are known then."""
    progress = PollProgress(make_plan(SENSORS[: len(octets)], (), b"", 24), Traits())
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, *(ber.OCTET_STRING if isinstance(each, bytes) else ber.GAUGE32 for each in octets)])
    progress.take(ask, reply(ask.request.names, [1, *octets], tags=tags))
    result = interpret(progress, 1, 0, units=units, skips=skips)
    return list(result.poll.values), result.missing, result.units


@pytest.mark.parametrize("bits", [31, 32, 63, 64])
def test_a_text_with_the_last_number_of_a_type_is_missing_as_that_number_is(bits):
    """Firmware prints -1 without its sign, or the largest number, for what is not there."""
    last = (1 << bits) - 1
    assert texts(b"%d" % last, b"%d mV" % last, b"5") == ([None, None, 5], {0: "ambiguous", 1: "ambiguous"}, ("", "", "1"))
    assert texts(b"%d" % (last - 1)) == ([last - 1], {}, ("1",))
    assert texts(b"%d C" % last, skips=((0, frozenset({last})),)) == ([None], {0: "nothing_there"}, ())


def test_what_means_nothing_is_the_number_as_it_was_sent_and_shows_nothing_about_the_unit():
    nothing = ((0, frozenset({-1})),)
    assert texts(b"-1", b"5", skips=nothing) == ([None, 5], {0: "nothing_there"}, ("", "1"))
    assert texts(b"-1", units=("V",), skips=nothing) == ([None], {0: "nothing_there"}, ("V",)), "not a changed unit"
    assert texts(b"-1000 mV", units=("V",), skips=nothing) == ([-1], {}, ("V",)), "a reading, converted"
    assert texts(b"-1.0 V", skips=nothing) == ([None], {0: "nothing_there"}, ())
    assert texts(b"n/a", skips=nothing) == ([None], {0: "not_a_number"}, ())


@pytest.mark.parametrize("number", [-(1 << 31), 65535, (1 << 32) - 1, (1 << 64) - 1, 0])
def test_a_number_of_any_type_may_mean_nothing(number):
    for tag in (ber.INTEGER, ber.GAUGE32, ber.COUNTER64) if number < (1 << 31) else (ber.GAUGE32, ber.COUNTER64):
        assert means_nothing(SENSORS[0], tag, number, frozenset({number}))
        assert not means_nothing(SENSORS[0], tag, number, frozenset({number - 1, number + 1}))
        assert not means_nothing(SENSORS[0], tag, number, frozenset())
    assert not means_nothing(SENSORS[0], ber.NO_SUCH_OBJECT, None, frozenset({number}))


def test_a_number_that_lost_its_sign_means_nothing_by_what_it_is():
    gauge = parse_oid("1.3.6.1.4.1.14988.1.1.3.100.1.3.14")
    assert means_nothing(gauge, ber.GAUGE32, (1 << 32) - 273, frozenset({-273}))
    assert not means_nothing(SENSORS[0], ber.GAUGE32, (1 << 32) - 273, frozenset({-273}))


def test_a_counter_of_octets_may_mean_nothing():
    statistic = parse_oid("1.3.6.1.3.94.4.5.1.4.1")
    assert means_nothing(statistic, ber.OCTET_STRING, b"\xff" * 8, frozenset({(1 << 64) - 1}))
    assert not means_nothing(statistic, ber.OCTET_STRING, b"\0" * 8, frozenset({(1 << 64) - 1}))


def test_the_first_unit_of_each_text_is_known_from_then_on():
    assert texts(0, b"1.1 V", b"12 A") == ([0, 1.1, 12], {}, ("", "V", "A"))
    assert texts(0, b"980 mV", b"12 A", units=("", "V", "A")) == ([0, 0.98, 12], {}, ("", "V", "A"))
    assert texts(0, b"12 A", b"12 A", units=("", "V", "A")) == ([0, None, 12], {1: "unit_changed"}, ("", "V", "A"))
    assert texts(0, b"7", units=()) == ([0, 7], {}, ("", "1"))
    assert texts(0, 0) == ([0, 0], {}, ())


def test_a_number_in_place_of_a_text_is_one_without_its_unit():
    """After an update of the firmware: 980 may be Mbit/s as before, or bit/s, and 124 tenths of a volt. A count is a count."""
    assert texts(980_000_000, 124, units=("Mbps", "V")) == ([None, None], {0: "unit_changed", 1: "unit_changed"}, ("Mbps", "V"))
    assert texts(0, -61, units=("Mbps", "dBm")) == ([0, None], {1: "unit_changed"}, ("Mbps", "dBm"))
    assert texts(7, b"1.2 Gbps", units=("1", "Mbps")) == ([7, 1200], {}, ("1", "Mbps"))
    assert texts(7, 8, units=("1", "users")) == ([7, 8], {}, ("1", "users"))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"28.0 centigrade", None),
        (b"28 C", None),
        (b"28.0", None),
        (b"980 Mbps", None),
        (b"281", 281),
        (b"281 (ok)", 281),
        (b"0", 0),
        (b"0.0", 0),
        (b"0 V", 0),
        (b"0 C", None),
    ],
)
@pytest.mark.parametrize("beside", [5, b"7", 0])
def test_a_text_with_a_unit_or_decimals_in_place_of_a_whole_number_is_missing(text, read, beside):
    """After an update of the firmware: 280 were tenths of a degree, which the divisor makes 28, and would make 2.8 of `28.0`."""
    before, _, units = texts(280, beside)
    assert before[0] == 280
    values, missing, after = texts(text, beside, units=units)
    assert (values[0], missing) == (read, {} if read is not None else {0: "unit_changed"})
    assert after == units
    assert texts(281, beside, units=units)[0][0] == 281, "and goes on, should it be one again"


def test_a_whole_number_is_known_from_then_on_and_0_shows_nothing():
    assert texts(5, 0, 7) == ([5, 0, 7], {}, (INTEGRAL, "", INTEGRAL))
    assert texts(5, 6, 0, units=(INTEGRAL, "", "")) == ([5, 6, 0], {}, (INTEGRAL, INTEGRAL, ""))
    assert texts(5, 0, b"1.1 V", units=("", INTEGRAL, "")) == ([5, 0, 1.1], {}, (INTEGRAL, INTEGRAL, "V"))
    assert texts(0, 0, units=(INTEGRAL, "")) == ([0, 0], {}, (INTEGRAL, ""))


@pytest.mark.parametrize(("before", "now"), [(280, b"\x9f\x78\x04\x41\xe0\x00\x00"), (280, b"28.0")])
def test_a_float_in_place_of_a_whole_number_is_missing(before, now):
    """28.0, as an Opaque and as a text."""
    tag = ber.OPAQUE if now.startswith(b"\x9f") else ber.OCTET_STRING
    scales = Scales(1)
    assert scales.read_number(0, before) == before
    value = number(tag, now)
    assert value == 28.0
    assert scales.read_number(0, value) is Reason.UNIT_CHANGED


def test_whole_numbers_and_floats_by_turns_are_numbers():
    """As of a script that writes 28 and 28.5, if the first one is a float, or a text without a unit."""
    scales = Scales(1)
    assert [scales.read_number(0, value) for value in (28.5, 28, 29.5)] == [28.5, 28, 29.5]
    assert scales.read(0, 28.5, "C") == 28.5


def test_a_zero_without_a_unit_says_nothing_of_the_next_one():
    scales = Scales(2)
    assert scales.read(1, 0, "Mbps") == 0
    assert scales.units == ()
    assert scales.read(1, 0, "C") == 0
    assert scales.units == ("", "C")


@pytest.mark.parametrize(
    ("value", "unit", "first", "read"),
    [
        (2, "Gbps", "Mbps", 2000),
        (1.5, "Gbps", "Mbps", 1500.0),
        (2500, "Mbps", "Gbps", 2.5),
        (1.1, "mV", "V", 0.0011),
        (3, "min", "s", 180),
    ],
)
def test_a_value_is_converted_exactly_and_an_integer_stays_one_if_it_can(value, unit, first, read):
    got = Scales(1, (first,)).read(0, value, unit)
    assert (got, type(got)) == (read, type(read))
    assert Fraction(repr(value)) * conversion(unit, first) == Fraction(repr(read))


EIGHT = b"12345678"
BINARY = b"\x00\x09\x3e\xe3\xf6\xd5\x3b\x60"


@pytest.mark.parametrize(
    ("octets", "is_text"),
    [(b"12345\x80\xff\t", True), (b"1234567\x7f", False), (b"1\x002345\x01\x02", False), (b"\x1f1234567", False)],
    ids=["Latin-1", "DEL", "controls", "a control"],
)
def test_of_siblings_of_eight_octets_one_that_is_not_a_text_makes_the_others_doubtful(octets, is_text):
    values, missing, _ = texts(EIGHT, octets)
    assert values[0] == (12345678 if is_text else None)
    assert missing.get(0) == (None if is_text else "ambiguous")


def test_siblings_of_other_lengths_say_nothing():
    assert texts(EIGHT, BINARY[:7])[0] == [12345678, None]
    assert texts(b"1234567", BINARY)[0] == [1234567, None]


def test_siblings_differ_in_their_last_number_however_many_octets_it_has():
    names = [child(SENSORS[0], 300), child(SENSORS[0], 70_000), child(SENSORS[1], 300)]
    progress = PollProgress(make_plan(names, (), b"", 24), Traits())
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, *[ber.OCTET_STRING] * 3])
    progress.take(ask, reply(ask.request.names, [1, EIGHT, BINARY, EIGHT], tags=tags))
    assert interpret(progress, 1, 0).missing == {0: "ambiguous", 1: "not_a_number"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"%d" % (LARGEST_INTEGER - 1), LARGEST_INTEGER - 1),
        (b"%d" % SMALLEST_INTEGER, SMALLEST_INTEGER),
        (b"%d" % (LARGEST_INTEGER + 1), 2.0**64),
        (b"%d" % (SMALLEST_INTEGER - 1), -(2.0**63)),
        (b"1e28", LARGEST_FLOAT),
        (b"-1e28", -LARGEST_FLOAT),
        (b"1.1e28", Reason.OUT_OF_RANGE),
        (b"-1.1e28", Reason.OUT_OF_RANGE),
        (b"1e400", Reason.NOT_FINITE),
    ],
    ids=range(9),
)
def test_a_number_in_a_text_is_one_that_can_be_kept_and_divided(text, value):
    got = number(ber.OCTET_STRING, text)
    assert (got, type(got)) == (value, type(value))


def test_a_counter_of_a_fibre_channel_switch_is_a_number_of_eight_octets_only():
    table = parse_oid("1.3.6.1.3.94.4.5.1.6")
    for octets, value in [(BINARY, int.from_bytes(BINARY, "big")), (BINARY[:7], None), (b"7 V", 7)]:
        progress = PollProgress(make_plan([child(table, 1)], (), b"", 24), Traits())
        ask = progress.next_ask()
        progress.take(ask, reply(ask.request.names, [1, octets], tags=bytes([ber.TIME_TICKS, ber.OCTET_STRING])))
        assert interpret(progress, 1, 0).poll.values == (value,)


@pytest.mark.parametrize(
    ("missing", "items"),
    [
        ((), 0),
        ((0,), 0b0001),
        ((1,), 0b0010),
        ((2,), 0),
        ((3,), 0),
        ((2, 3), 0b0100),
        ((3, 4), 0),
        ((8, 9), 0b1000),
        ((7, 8), 0),
        (range(14), 0b1111),
    ],
)
def test_a_sensor_is_lacking_without_its_value_and_an_interface_without_both_octets(missing, items):
    plan = make_plan(SENSORS[:2], (1, 2), bytes(4), 24)
    assert lacking_items(plan, dict.fromkeys(missing, "timeout")) == items


def test_a_sensor_at_which_there_is_nothing_is_not_lacking():
    """An empty cage is nothing to repair: no line in the log each day."""
    plan = make_plan(SENSORS[:3], (), b"", 24)
    assert lacking_items(plan, {0: "nothing_there", 1: "timeout", 2: "nothing_there"}) == 0b010
