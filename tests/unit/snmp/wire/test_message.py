"""A request as octets, and the usual answer to it: read as the codec reads it, and nothing else is taken for one."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_pdu
from towerops_agent.snmp.wire.message import (
    SHORT,
    Community,
    Pdu,
    PduType,
    Request,
    Version,
    before_long,
    decode_usual,
    error_name,
)

PUBLIC = Community(Version.V2C, b"public")
SYS_UP_TIME = parse_oid("1.3.6.1.2.1.1.3.0")
SYS_NAME = parse_oid("1.3.6.1.2.1.1.5.0")
GET_SYS_UP_TIME = bytes.fromhex(
    "30 29 020101 0406 7075626c6963 a0 1c 0204 12345678 020100 020100 30 0e 30 0c 0608 2b06010201010300 0500"
)
"""As snmpget -v2c sends it."""


class Awaiting(NamedTuple):
    """A request that awaits its answer."""

    request: Request
    security: Community


def framed(tag, contents, octets_of_length):
    """One tag-length-value, its length in so many octets: 1, or that and one behind the one that says how many there are."""
    if octets_of_length == 1:
        return bytes((tag, len(contents))) + contents
    return bytes((tag, 0x80 | octets_of_length - 1)) + len(contents).to_bytes(octets_of_length - 1, "big") + contents


def test_a_request_is_the_octets_that_net_snmp_sends():
    request = Request((SYS_UP_TIME,))
    assert PUBLIC.wrap(request.pdu(0x12345678)) == GET_SYS_UP_TIME


def test_an_error_status_has_the_name_that_the_rfc_gives_it():
    assert [error_name(status) for status in (0, 1, 2, 5, 18, 19)] == [
        "noError", "tooBig", "noSuchName", "genErr", "inconsistentName", "error-19",
    ]  # fmt: skip


def test_a_device_can_not_make_up_names_of_errors_without_end():
    """Each name is a counter."""
    assert len({error_name(status) for status in (-(2**63), *range(-1000, 1000), 2**63 - 1)}) == 257
    assert [error_name(status) for status in (-1, 255, 256)] == ["error-other", "error-255", "error-other"]


def test_an_answer_that_is_the_same_each_time_reads_as_any_other():
    for ticks in (0x0102, 0x0102, 0x0103):
        octets = PUBLIC.wrap(encode_pdu(Pdu(PduType.RESPONSE, 0x12345678, 0, 0, [SYS_UP_TIME], b"\x43", [ticks])))
        for steady_from in (None, 1, 0):
            one = Awaiting(Request((SYS_UP_TIME,), steady_from=steady_from), PUBLIC)
            usual = decode_usual(octets, {0x12345678: one})
            assert usual is not None
            assert (usual[0], usual[1].values, usual[1].tags) == (one, [ticks], b"\x43")


@pytest.mark.parametrize("octets", [1, 100, 121, 122, 123, 124, 125, 127, 128, 300])
def test_a_long_name_is_asked_as_it_is_and_its_answer_read_in_any_way(octets):
    """A varbind of up to 127 octets has a length of one octet: the name's tag and length, and three of the value, are in it."""
    request_id, name = 0x12345678, b"\x2b" + b"\x01" * (octets - 1)
    request, community = Request((name,)), Community(Version.V2C, b"public")
    assert decode_message(community.encode(request, request_id, 0.0)).pdu.names == [name]
    pdu = Pdu(PduType.RESPONSE, request_id, 0, 0, [name], b"\x43", [5])
    answer = community.wrap(encode_pdu(pdu))
    usual = decode_usual(answer, {request_id: Awaiting(request, community)})
    assert (usual is not None) == (octets <= 122)
    assert decode_message(answer).pdu == pdu


@pytest.mark.parametrize(
    "octets_of_length", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 2, 1), (1, 3, 2), (4, 1, 1), (1, 4, 1), (1, 1, 4)]
)
@pytest.mark.parametrize("names", [(), (SYS_UP_TIME,), (SYS_UP_TIME, SYS_UP_TIME[:-1])])
def test_an_answer_of_which_any_octet_is_another_reads_the_same_if_it_is_a_usual_one(names, octets_of_length):
    """With one octet replaced by each other one, left out or put in, or more octets behind all."""
    request_id, one = 0x12345678, Awaiting(Request(names), Community(Version.V2C, b"public"))
    varbinds = b"".join(ber.encode(0x30, ber.encode(0x06, name) + b"\x43\x02\x01\x02") for name in names)
    of_message, of_pdu, of_list = octets_of_length
    body = b"\x02\x04" + request_id.to_bytes(4, "big") + b"\x02\x01\x00\x02\x01\x00" + framed(0x30, varbinds, of_list)
    octets = framed(0x30, one.security.head + framed(0xA2, body, of_pdu), of_message)
    others = [octets[:at] + bytes((octet,)) + octets[at + 1 :] for at in range(len(octets)) for octet in range(256)]
    others += [octets[:at] + octets[at + 1 :] for at in range(len(octets))]
    others += [octets[:at] + bytes((octet,)) + octets[at:] for at in range(len(octets) + 1) for octet in (0, 1, 0x30, 0x80)]
    assert (decode_usual(octets, {request_id: one}) is not None) == (max(octets_of_length) <= 3)
    assert decode_message(octets).pdu.tags == b"\x43" * len(names)
    for other in others:
        usual = decode_usual(other, {request_id: one})
        if usual is not None:
            general = decode_message(other)
            assert one.security.refuses(general) is None
            assert replace(usual[1], names=list(usual[1].names)) == general.pdu
            assert usual[1].names is names


def test_what_becomes_of_an_answer_changes_no_other_answer():
    """The list of values of one that stays the same is remembered, and each poll has its own."""
    octets = PUBLIC.wrap(encode_pdu(Pdu(PduType.RESPONSE, 0x12345678, 0, 0, [SYS_UP_TIME], b"\x43", [5])))
    one = Awaiting(Request((SYS_UP_TIME,), steady_from=0), PUBLIC)
    for _ in range(3):
        _, pdu = decode_usual(octets, {0x12345678: one})
        assert pdu.values == [5]
        pdu.values[0] = None


def test_what_is_in_front_of_values_is_shared_by_requests_and_remembered_for_short_ones_only():
    """Texts have many lengths, and there are 100,000s of names."""
    ((head,),), ((same,),) = ((strip.heads for strip in Request((SYS_UP_TIME,)).moving) for _ in range(2))
    assert head is same
    size, known = head
    assert size == len(SYS_UP_TIME) + 6
    longest = 0x7F - len(SYS_UP_TIME) - 4
    for octets in range(longest + 1):
        before = known[octets] if octets <= SHORT else before_long(known, octets)
        assert before == bytes((0x30, len(SYS_UP_TIME) + 4 + octets)) + b"\x06\x08" + SYS_UP_TIME
    for octets in range(longest + 1, 300):
        with pytest.raises(IndexError):
            before_long(known, octets)
    assert len(known) == SHORT + 1


@pytest.mark.parametrize("octets", [0, 1, 113, 114, 115, 116, 127, 128, 255, 256])
def test_a_text_of_any_length_is_read_as_the_general_decoder_reads_it_or_left_to_it(octets):
    names, values = (SYS_NAME, SYS_UP_TIME), [b"x" * octets, 7]
    pdu = Pdu(PduType.RESPONSE, 0x12345678, 0, 0, names, bytes((ber.OCTET_STRING, ber.TIME_TICKS)), values)
    usual = decode_usual(PUBLIC.wrap(encode_pdu(pdu)), {0x12345678: Awaiting(Request(names), PUBLIC)})
    assert (usual is not None) == (len(SYS_NAME) + 4 + octets < 0x80)
    assert usual is None or usual[1] == pdu


@pytest.mark.parametrize("subidentifiers", [100, 128])
def test_counters_under_a_name_that_is_too_long_for_one_octet_of_length_may_be_expected_to_be_0_too(subidentifiers):
    names = (ber.encode_oid((1, 3, *range(1000, 1000 + subidentifiers - 2))),)
    octets = PUBLIC.wrap(encode_pdu(Pdu(PduType.RESPONSE, 0x12345678, 0, 0, names, bytes((ber.COUNTER32,)), [0])))
    assert decode_usual(octets, {0x12345678: Awaiting(Request(names, idle=(slice(0, 1),)), PUBLIC)}) is None


IN_ERRORS, OUT_ERRORS = (ber.parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.7") for column in (14, 20))


@pytest.mark.parametrize("tag", [ber.COUNTER32, ber.GAUGE32, ber.INTEGER, ber.COUNTER64])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("which", [0, 1])
def test_counters_that_were_expected_to_be_0_are_what_the_device_sent(tag, value, which):
    tags, values = [ber.TIME_TICKS, ber.COUNTER32, ber.COUNTER32], [5, 0, 0]
    tags[1 + which], values[1 + which] = tag, value
    names = (SYS_UP_TIME, IN_ERRORS, OUT_ERRORS)
    octets = PUBLIC.wrap(encode_pdu(Pdu(PduType.RESPONSE, 0x12345678, 0, 0, names, bytes(tags), values)))
    for idle in ((), (slice(1, 3),), (slice(1, 2), slice(2, 3)), (slice(0, 3),)):
        one = Awaiting(Request(names, idle=idle), PUBLIC)
        _, pdu = decode_usual(octets, {0x12345678: one})
        assert (pdu.tags, pdu.values) == (bytes(tags), values)


def test_counters_of_0_under_other_names_are_not_those_that_were_asked():
    pdu = Pdu(PduType.RESPONSE, 0x12345678, 0, 0, (SYS_UP_TIME, OUT_ERRORS, IN_ERRORS), b"\x43\x41\x41", [5, 0, 0])
    octets = PUBLIC.wrap(encode_pdu(pdu))
    one = Awaiting(Request((SYS_UP_TIME, IN_ERRORS, OUT_ERRORS), idle=(slice(1, 3),)), PUBLIC)
    assert decode_usual(octets, {0x12345678: one}) is None


def test_a_message_does_not_show_its_community():
    message = decode_message(Community(Version.V2C, b"s3cret").wrap(encode_pdu(Pdu(PduType.RESPONSE, 77))))
    assert message.community == b"s3cret"
    assert "77" in repr(message)
    assert "s3cret" not in repr(message)


def test_a_community_is_like_another_of_its_version_and_name():
    public = Community(Version.V2C, b"public")
    assert public.is_like(Community(Version.V2C, b"public"))
    assert not public.is_like(Community(Version.V1, b"public"))
    assert not public.is_like(Community(Version.V2C, b"private"))
