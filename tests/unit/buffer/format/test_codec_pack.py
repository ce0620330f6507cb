"""Polls of a layout as one pack: they come back as they went in, and damage is found."""

import msgspec
import pytest

from towerops_agent.buffer.format.codec import LEVEL, Packing
from towerops_agent.errors import BufferFailure
from towerops_agent.zstd import Frames

POLLS = [(7, b"first body" * 20), (9, b"first body" * 19 + b"second one"), (10, b"")]


def test_polls_come_back_as_they_went_in():
    packing = Packing()
    assert packing.unpack(packing.pack(POLLS)) == dict(POLLS)
    assert Packing().unpack(packing.pack([])) == {}


def test_neighbours_that_differ_little_take_little_room():
    assert len(Packing().pack(POLLS)) < sum(len(body) for _, body in POLLS) / 2


@pytest.mark.parametrize("at", [0, 5, -1])
def test_a_damaged_octet_is_found(at):
    pack = bytearray(Packing().pack(POLLS))
    pack[at] ^= 0x10
    with pytest.raises(BufferFailure, match=r"^a pack of polls can't be decoded: "):
        Packing().unpack(bytes(pack))


@pytest.mark.parametrize("content", [(1,), ([1], [b"a", b"b"]), (["1"], [b"a"]), ([1], ["a"])])
def test_what_is_not_a_pack_is_a_buffer_failure(content):
    with pytest.raises(BufferFailure, match=r"^a pack of polls can't be decoded: "):
        Packing().unpack(Frames(LEVEL).pack(msgspec.msgpack.encode(content)))
