"""Echo messages as octets: the layout of RFC 792 and RFC 4443, and what is not a reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.ping.wire.echo import Echo, decode_reply, encode_request, without_ip_header

TOKEN = bytes.fromhex("0123456789abcdef")
ECHO = Echo(7, TOKEN, 513)


def reply_to(request: bytes) -> bytes:
    """What a host makes of an echo request: another type, the rest as it is."""
    return bytes([{8: 0, 128: 129}[request[0]]]) + request[1:]


def words(message: bytes) -> list[int]:
    return [int.from_bytes(message[at : at + 2]) for at in range(0, len(message), 2)]


def summed_up(message: bytes) -> int:
    """The ones' complement sum of its words."""
    total = sum(words(message))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_request_is_the_message_of_rfc_792_with_56_octets_of_data():
    message = encode_request(ECHO, is_v6=False, identifier=0x1234)
    assert len(message) == 64
    assert message[:2] == b"\x08\x00"
    assert message[4:20] == bytes.fromhex("1234 0201 00000007") + TOKEN


def test_a_request_of_icmpv6_leaves_its_checksum_to_the_kernel():
    assert encode_request(ECHO, is_v6=True)[:6] == b"\x80\x00\x00\x00\x00\x00"


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(min_size=8, max_size=8), st.integers(0, 0xFFFF))
def test_the_checksum_makes_the_message_sum_up_to_all_ones(identifier, number, token, sequence):
    """RFC 1071 §1: the ones' complement sum over a message with its checksum is 0xFFFF."""
    assert summed_up(encode_request(Echo(number, token, sequence), is_v6=False, identifier=identifier)) == 0xFFFF


def test_a_checksum_whose_carry_carries_again_is_right():
    without = sum(words(encode_request(ECHO, is_v6=False))) - words(encode_request(ECHO, is_v6=False))[1]
    assert without > 0xFFFF
    message = encode_request(ECHO, is_v6=False, identifier=~without & 0xFFFF)
    assert sum(words(message)) - words(message)[1] == without | 0xFFFF, "so that the carry makes another one"
    assert summed_up(message) == 0xFFFF


@pytest.mark.parametrize("is_v6", [False, True])
def test_the_reply_has_the_echo_of_the_request(is_v6):
    assert decode_reply(reply_to(encode_request(ECHO, is_v6=is_v6, identifier=9)), is_v6=is_v6) == (9, ECHO)


@pytest.mark.parametrize("is_v6", [False, True])
def test_a_request_another_family_another_code_and_a_cut_message_are_not_replies(is_v6):
    request = encode_request(ECHO, is_v6=is_v6)
    reply = reply_to(request)
    assert decode_reply(request, is_v6=is_v6) is None
    assert decode_reply(reply, is_v6=not is_v6) is None
    assert decode_reply(reply[:1] + b"\x01" + reply[2:], is_v6=is_v6) is None
    assert decode_reply(reply[:19], is_v6=is_v6) is None
    assert decode_reply(reply[:20], is_v6=is_v6) is not None


@given(st.binary(max_size=80), st.booleans())
def test_octets_of_anybody_are_decoded_or_not_and_nothing_is_raised(octets, is_v6):
    decode_reply(octets, is_v6=is_v6)
    without_ip_header(octets)


def test_an_ip_header_is_as_long_as_it_says():
    assert without_ip_header(b"\x45" + bytes(19) + b"icmp") == b"icmp"
    assert without_ip_header(b"\x46" + bytes(23) + b"icmp") == b"icmp"
    for bad in (b"", b"\x45" + bytes(18), b"\x65" + bytes(40), b"\x44" + bytes(40)):
        assert without_ip_header(bad) == b""
