"""Polls and layouts as octets: damage is reported, and what could never be read back is not written."""

import msgspec
import pytest

from towerops_agent.buffer.format.codec import decode_layout, decode_poll, digest, encode_layout, encode_poll
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, LayoutKind, Poll
from unit.buffer.samples import LAYOUT, T0_US, poll


def body_of(times: object, values: object) -> bytes:
    return msgspec.msgpack.encode((times, values))


GOOD_TIMES = [[3, 0], [1, 5]]
GOOD_VALUES = [1, 2.5, None, 1, 2, 3, 4, 5, 6]


def test_a_poll_comes_back_as_it_went_in():
    assert decode_poll(encode_poll(poll(5, metrics=4)), LAYOUT) == poll(5, metrics=4)


UNDECODABLE = "^a stored poll can't be decoded: "
MISFIT = "^a stored poll has {} values: expected 9, and times for 4 items$"
NOT_FINITE = "^a stored poll holds a value that is not a finite number$"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", UNDECODABLE),
        (b"\xc1", UNDECODABLE),
        (body_of(GOOD_TIMES, GOOD_VALUES)[:-1], UNDECODABLE),
        (body_of(GOOD_TIMES, GOOD_VALUES) + b"\x00", UNDECODABLE),
        (body_of(GOOD_TIMES, GOOD_VALUES[:-1]), MISFIT.format(8)),
        (body_of([[3, 0]], GOOD_VALUES), MISFIT.format(9)),
        (body_of([[4, 0], [1, 0]], GOOD_VALUES), MISFIT.format(9)),
        (body_of([[5, 0], [-1, 0]], GOOD_VALUES), UNDECODABLE),
        (body_of(GOOD_TIMES, ["1", *GOOD_VALUES[1:]]), UNDECODABLE),
        (body_of(GOOD_TIMES, [float("nan"), *GOOD_VALUES[1:]]), NOT_FINITE),
        (body_of(GOOD_TIMES, [float("inf"), *GOOD_VALUES[1:]]), NOT_FINITE),
    ],
)
def test_a_damaged_poll_is_a_buffer_failure(body, message):
    assert decode_poll((1, T0_US, 3, body_of(GOOD_TIMES, GOOD_VALUES)), LAYOUT).values == tuple(GOOD_VALUES)
    with pytest.raises(BufferFailure, match=message):
        decode_poll((1, T0_US, 3, body), LAYOUT)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1 << 64, -(1 << 63) - 1])
def test_a_value_that_could_not_be_read_back_is_refused(value):
    with pytest.raises((ValueError, OverflowError)):
        encode_poll(Poll(1, T0_US, (value,), ((1, 0),), 1))


def test_a_value_that_is_not_finite_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"^a poll holds a value that is not a finite number: expected None if nothing was read$"
    ):
        encode_poll(Poll(1, T0_US, (float("nan"),), ((1, 0),), 1))


@pytest.mark.parametrize("field", ["layout", "started_at_us", "metric_count"])
def test_what_fits_no_column_is_refused(field):
    values = {"layout": 1, "started_at_us": T0_US, "metric_count": 1}
    for fits in (0, (1 << 63) - 1):
        assert fits in encode_poll(Poll(values=(1,), times=((1, 0),), **values | {field: fits}))
    for misfit in (-1, 1 << 63):
        with pytest.raises(ValueError, match=r"^a poll's layout, started_at_us or metric_count is not within 0\.\.2\^63-1$"):
            encode_poll(Poll(values=(1,), times=((1, 0),), **values | {field: misfit}))


def test_the_largest_values_are_kept_exactly():
    values = (1 << 63, (1 << 64) - 1, -(1 << 63), 1.7e308, 1.7e308, -1.7e308, None, 0, 0.1)
    row = encode_poll(Poll(1, T0_US, values, ((4, 0),), 4))
    assert decode_poll(row, LAYOUT).values == values


def test_layouts_that_are_equal_have_the_same_digest_and_others_do_not():
    whole = Layout("eq-1", (("s-1", 10),), ("if-1",))
    same = Layout("eq-1", (("s-1", 10.0),), ("if-1",))
    others = [
        Layout("eq-2", (("s-1", 10.0),), ("if-1",)),
        Layout("eq-1", (("s-1", 1.0),), ("if-1",)),
        Layout("eq-1", (("s-1", 10.0), ("if-1", 1.0)), ()),
    ]
    assert digest(encode_layout(whole)) == digest(encode_layout(same))
    assert len({digest(encode_layout(layout)) for layout in [whole, *others]}) == 4
    assert len(digest(encode_layout(whole))) == 16


@pytest.mark.parametrize("layout", [LAYOUT, Layout("eq-1", (), ()), *(Layout("eq-1", kind=kind) for kind in LayoutKind)])
def test_a_layout_comes_back_as_it_went_in(layout):
    assert decode_layout(encode_layout(layout)) == layout


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("eq",), "^a stored layout can't be decoded: "),
        ((1, [], []), "^a stored layout can't be decoded: "),
        (("eq", [], [None]), "^a stored layout can't be decoded: "),
        ({"pings": 1}, "^a stored layout can't be decoded: "),
        ({"echoes": "eq"}, "^a stored layout can't be decoded: "),
        ({}, "^a stored layout is of nothing: expected one of pings$"),
        (("eq", [["s", 0.0]], []), "^a stored layout has a divisor that is 0 or no finite number$"),
        (("eq", [["s", float("nan")]], []), "^a stored layout has a divisor that is 0 or no finite number$"),
        (("eq", [["s", 1.0], ["t", float("inf")]], []), "^a stored layout has a divisor that is 0 or no finite number$"),
    ],
)
def test_a_damaged_layout_is_a_buffer_failure(parts, message):
    with pytest.raises(BufferFailure, match=message):
        decode_layout(msgspec.msgpack.encode(parts))
