import msgspec
import pytest

from support.beats import beat
from towerops_agent.group.course.wire import Beat, Learned, Probe, Wanted, decode_message, encode_message


@pytest.mark.parametrize(
    "message",
    [beat("a", 7, api_works=None), Wanted("b"), Learned("c", {"d1": b"\0\xff"}), Probe("x")],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_itself_after_its_way(message):
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["shout", "a"]),
        msgspec.msgpack.encode(["beat", "a"]),
        encode_message(beat("a", weight=float("nan"))),
        encode_message(beat("a", weight=0.0)),
        encode_message(beat("a", owned=-1)),
        encode_message(beat("")),
        encode_message(beat("a" * 254)),
        encode_message(beat("a", clock_s=float("inf"))),
        b"\x92\xa6wanted\xa1\xff",
    ],
)
def test_what_is_not_a_message_is_not_read(octets):
    assert decode_message(octets) is None


def test_a_later_version_may_append_fields():
    octets = msgspec.msgpack.decode(encode_message(beat("a", 3)))
    assert decode_message(msgspec.msgpack.encode([*octets, "something new"])) == beat("a", 3)
    assert isinstance(decode_message(msgspec.msgpack.encode([*octets, 1, 2])), Beat)
