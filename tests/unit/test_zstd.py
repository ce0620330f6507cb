"""zstd's frames: what goes in comes out, whichever library wrote them; what is damaged, cut short or too large is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.zstd import DamagedFrame, Frames, stream_compressor, stream_reader

MOST = 1 << 20
BY_EITHER_LIBRARY = bytes.fromhex("28b52ffd24487d000048746f7765726f7073200100a4548e04646315")
"""Python 3.14's library and zstandard 0.25 both write this for the text eight times, at level 1 with a checksum."""
TEXT = b"towerops " * 8


@given(st.binary(max_size=4096))
def test_what_was_packed_comes_out(plain):
    frames = Frames(1)
    assert frames.unpack(frames.pack(plain), MOST) == plain
    assert frames.unpack(frames.pack(plain), len(plain)) == plain


def test_both_libraries_agree():
    assert Frames(1).unpack(BY_EITHER_LIBRARY, MOST) == TEXT
    assert Frames(1).pack(TEXT) == BY_EITHER_LIBRARY


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_stream_of_pieces_comes_out_as_one(pieces):
    compressor = stream_compressor(1)
    frame = b"".join([*map(compressor.compress, pieces), compressor.flush()])
    with stream_reader(frame) as reader:
        assert reader.read() == b"".join(pieces)


def test_each_frame_cut_short_is_refused():
    frame = Frames(1).pack(TEXT * 50)
    for length in range(len(frame)):
        with pytest.raises(DamagedFrame):
            Frames(1).unpack(frame[:length], MOST)


def test_each_flipped_bit_is_refused_or_makes_no_difference():
    """The header has a few bits that say nothing of the content, as the size of the window."""
    frame = Frames(1).pack(TEXT)
    for bit in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert Frames(1).unpack(bytes(damaged), MOST) == TEXT
        except DamagedFrame:
            continue


@pytest.mark.parametrize("header", ["28b52ffd c0 58 0000000000010000", "28b52ffd 00 58 010000"], ids=["2^40 octets", "no size"])
def test_a_frame_that_is_too_large_or_does_not_say_is_refused(header):
    with pytest.raises(DamagedFrame, match=r"expected at most 1048576"):
        Frames(1).unpack(bytes.fromhex(header), MOST)


def test_a_frame_larger_than_allowed_is_refused_by_its_header():
    frame = Frames(1).pack(b"a" * 100)
    assert Frames(1).unpack(frame, 100) == b"a" * 100
    with pytest.raises(DamagedFrame, match="expected at most 99"):
        Frames(1).unpack(frame, 99)
