"""The octets of the tail: what is read back was written, or is known to be damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.buffer.format.codec import Tail, decode_tail, encode_poll, encode_tail, encode_tail_head
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Poll

OCTETS = 4_000
FIRST = 41


def row(number: int, metrics: int):
    return encode_poll(Poll(7, 1_000_000 + number, (number,) * metrics, ((metrics, 5),), metrics))


def octets(rows, room: int = OCTETS) -> bytes:
    written = encode_tail_head(FIRST, len(rows), sum(row[2] for row in rows)) + encode_tail(rows)
    return written + bytes(max(room - len(written), 0))


rows = st.lists(st.integers(1, 9), min_size=1, max_size=20).map(lambda counts: [row(i, n) for i, n in enumerate(counts)])


@given(rows)
def test_the_tail_is_read_as_it_was_written(rows):
    assert decode_tail(octets(rows)) == Tail(FIRST, tuple(rows), sum(row[2] for row in rows))


@given(rows, st.lists(st.integers(1, 9), max_size=20).map(lambda counts: [row(100 + i, n) for i, n in enumerate(counts)]))
def test_what_an_earlier_tail_has_left_behind_it_is_not_of_it(rows, earlier):
    mixed = bytearray(octets(earlier))
    new = octets(rows, room=0)
    mixed[: len(new)] = new
    assert decode_tail(bytes(mixed)).rows == tuple(rows)


@given(rows, st.data())
def test_damage_makes_no_other_poll_and_is_seen(rows, data):
    whole = octets(rows)
    used = len(octets(rows, room=0))
    damaged = bytearray(whole)
    at, width = data.draw(st.integers(0, used - 1)), data.draw(st.integers(1, 60))
    damaged[at : at + width] = data.draw(st.binary(min_size=width, max_size=width))
    damaged = damaged[:OCTETS]
    try:
        tail = decode_tail(bytes(damaged))
    except BufferFailure:
        return
    assert (tail.first, len(tail.rows), tail.metrics) == (FIRST, len(rows), sum(row[2] for row in rows))
    assert all(found is None or found == written for found, written in zip(tail.rows, rows, strict=True))
    assert damaged[:used] == whole[:used] or None in tail.rows


def test_a_tail_of_no_polls_is_empty():
    assert decode_tail(encode_tail_head(0, 0, 0) + bytes(OCTETS)) == Tail(0, (), 0)


@pytest.mark.parametrize("octets", [b"", bytes(19), bytes(40), b"\1" * 40])
def test_a_head_that_does_not_match_its_checksum_is_damage(octets):
    with pytest.raises(BufferFailure, match="head of the database's tail"):
        decode_tail(octets)


def test_polls_behind_the_end_are_missing():
    one = row(1, 3)
    assert decode_tail(octets([one], room=0)[:-1]).rows == (None,)
    assert decode_tail(octets([one, one], room=0)[: -len(encode_tail([one]))]).rows == (one, None)
