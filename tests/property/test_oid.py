"""OIDs: what holds for all of them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import SUBIDENTIFIERS, oid_numbers
from towerops_agent.errors import InvalidOid
from towerops_agent.snmp.wire.ber import child, encode_oid, format_oid, is_within, parse_oid, subidentifiers


@given(oid_numbers(max_size=126), st.sampled_from(("", ".")))
def test_text_and_octets_say_the_same(numbers, dot):
    text = ".".join(map(str, numbers))
    oid = parse_oid(dot + text)
    assert format_oid(oid) == text
    assert subidentifiers(oid) == numbers
    assert oid == encode_oid(numbers)


@given(oid_numbers(), oid_numbers())
def test_subidentifiers_sort_as_the_numbers_do_and_octets_are_equal_if_they_are(one, other):
    a, b = encode_oid(one), encode_oid(other)
    assert (subidentifiers(a) < subidentifiers(b)) == (one < other)
    assert (a == b) == (one == other)


@given(oid_numbers(), oid_numbers())
def test_an_oid_is_within_another_where_its_numbers_begin_with_the_others(one, other):
    assert is_within(encode_oid(one), encode_oid(other)) == (one[: len(other)] == other)


@given(oid_numbers(), st.lists(SUBIDENTIFIERS, max_size=5))
def test_a_child_is_its_parent_s_numbers_and_its_own(numbers, more):
    oid = child(encode_oid(numbers), *more)
    assert subidentifiers(oid) == (*numbers, *more)
    assert is_within(oid, encode_oid(numbers))


@given(st.binary(max_size=40))
def test_any_octets_are_an_oid_or_refused(octets):
    with contextlib.suppress(InvalidOid):
        assert parse_oid(format_oid(octets)) is not None


@given(
    st.one_of(st.text(max_size=60), st.text("0123456789. ", max_size=60), st.from_regex(r"\.?([0-9]{1,12}\.){0,8}[0-9]{0,12}"))
)
def test_any_text_is_an_oid_or_refused(text):
    try:
        oid = parse_oid(text)
    except InvalidOid:
        return
    assert [int(part) for part in text.strip().lstrip(".").split(".")] == list(subidentifiers(oid))


@given(st.lists(st.integers(-5, 2**33), max_size=130))
def test_any_numbers_are_an_oid_or_refused(numbers):
    try:
        oid = encode_oid(numbers)
    except InvalidOid:
        return
    assert subidentifiers(oid) == tuple(numbers)


@pytest.mark.parametrize("text", ["1." + "9" * 5000, "1.3." + "0" * 5000 + "1.x", "9" * 100_000])
def test_a_text_of_thousands_of_digits_is_refused_as_any_other(text):
    """int() itself raises a ValueError of its own past 4,300 digits."""
    with pytest.raises(InvalidOid):
        parse_oid(text)
