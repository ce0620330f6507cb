"""SNMPv3 messages as octets: what is refused, and at which octet."""

import pytest

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.v3message import decode_v3, encode_parameters, encode_scoped_pdu, encode_v3

ENGINE = ber.encode(ber.OCTET_STRING, b"engine")
USER = ber.encode(ber.OCTET_STRING, b"monitor")
ID = 0x01020304


def message(*, flags=0, boots=b"\x02\x01\x07", time_s=b"\x02\x01\x09", data=None, digest_octets=0, salt=b"", engine=ENGINE):
    parameters = encode_parameters(engine + boots + time_s, USER, digest_octets, salt)
    return encode_v3(ID, flags, parameters, encode_scoped_pdu(b"engine", b"") if data is None else data)


def test_each_part_is_read():
    read = decode_v3(message(flags=3, digest_octets=12, salt=b"12345678", data=ber.encode(ber.OCTET_STRING, b"hidden")) + b"more")
    assert (read.message_id, read.flags, read.engine_id, read.user) == (ID, 3, b"engine", b"monitor")
    assert (read.boots, read.time_s, read.salt, read.data) == (7, 9, b"12345678", b"hidden")
    assert read.digest == read.octets[read.digest_at : read.digest_at + 12] == bytes(12)
    assert not read.octets.endswith(b"more")


@pytest.mark.parametrize("octets", [1, 2, 7, 8])
def test_a_number_of_up_to_eight_octets_is_read_and_what_is_out_of_range_refused(octets):
    assert decode_v3(message(boots=bytes((2, octets)) + bytes(octets - 1) + b"\x07")).boots == 7
    with pytest.raises(MalformedMessage, match="engine boots -1 and time 9: out of range"):
        decode_v3(message(boots=bytes((2, octets)) + b"\xff" * octets))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"boots": b"\x02\x09" + bytes(8) + b"\x07"}, "9"),
        ({"boots": b"\x02\x05\x00\x80\x00\x00\x00"}, "engine boots 2147483648 and time 9: out of range"),
        ({"time_s": b"\x02\x05\x00\x80\x00\x00\x00"}, "engine boots 7 and time 2147483648: out of range"),
        ({"flags": 2}, "flags that ask for privacy without authentication"),
        ({"engine": b"\x04\x80" + bytes(200)}, "octet"),
    ],
)
def test_what_is_out_of_its_bounds_is_malformed(change, what):
    with pytest.raises(MalformedMessage, match=what) as refused:
        decode_v3(message(**change))
    assert refused.value.offset > 0


def test_flags_of_several_octets_another_model_and_another_version_are_malformed_at_their_place():
    octets = message()
    flags = octets.index(b"\x04\x01\x00\x02\x01\x03")
    longer = octets.replace(b"\x04\x01\x00\x02\x01\x03", b"\x04\x02\x00\x00\x02\x01\x03")
    longer = longer[:1] + bytes((longer[1] + 1,)) + longer[2:6] + bytes((longer[6] + 1,)) + longer[7:]
    with pytest.raises(MalformedMessage, match="flags of 2 octets, expected 1") as refused:
        decode_v3(longer)
    assert refused.value.offset == flags + 2
    with pytest.raises(MalformedMessage, match="security model 4, expected 3") as refused:
        decode_v3(octets.replace(b"\x04\x01\x00\x02\x01\x03", b"\x04\x01\x00\x02\x01\x04"))
    assert refused.value.offset == flags + 3
    with pytest.raises(MalformedMessage, match="flags that ask for") as refused:
        decode_v3(message(flags=2))
    assert refused.value.offset == flags + 2
    with pytest.raises(MalformedMessage, match="version 1, expected 3"):
        decode_v3(octets.replace(b"\x02\x01\x03", b"\x02\x01\x01", 1))
