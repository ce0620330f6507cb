"""The codec: whatever is encoded is decoded, and whatever arrives is decoded or malformed, and nothing else."""

import contextlib
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.strategies import VALUES, messages, mutated, oids
from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import (
    decode_message,
    decode_varbinds,
    encode_message,
    encode_pdu,
    encode_value,
)
from towerops_agent.snmp.wire.message import (
    HIGHEST_ID,
    LOWEST_ID,
    UNREADABLE,
    Community,
    Pdu,
    PduType,
    Request,
    Version,
    decode_usual,
)

KNOWN = frozenset(range(ber.IP_ADDRESS, ber.UINTEGER32 + 1)) | {UNREADABLE, 0x02, 0x04, 0x05, 0x06, 0x80, 0x81, 0x82}


@given(messages())
def test_a_message_survives_its_encoding(message):
    octets = encode_message(message)
    assert decode_message(octets) == message


@given(messages(), st.binary(max_size=50))
def test_octets_behind_a_message_change_nothing(message, more):
    assert decode_message(encode_message(message) + more) == message


@given(messages(), st.data())
def test_a_message_cut_anywhere_is_malformed(message, data):
    """With an offset that is within what arrived, or at its end."""
    octets = encode_message(message)
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    with pytest.raises(MalformedMessage) as raised:
        decode_message(cut)
    assert 0 <= raised.value.offset <= len(cut)


def decode_or_refuse(octets):
    """Decode it: the columns are of one length, the tags known, and each value of its tag's type; or it is malformed."""
    with contextlib.suppress(MalformedMessage):
        pdu = decode_message(octets).pdu
        assert len(pdu.names) == len(pdu.tags) == len(pdu.values)
        for tag, value in zip(pdu.tags, pdu.values, strict=True):
            assert tag in KNOWN
            if tag in (ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS, ber.UINTEGER32):
                assert 0 <= value < 2**32
            elif tag == ber.COUNTER64:
                assert 0 <= value < 2**64
            elif tag == ber.INTEGER:
                assert -(2**63) <= value < 2**63
            else:
                assert isinstance(value, bytes) == (tag in (0x04, 0x06, 0x40, 0x44, 0x45))


@given(mutated(messages().map(encode_message)))
def test_any_change_to_a_message_is_decoded_or_malformed(octets):
    decode_or_refuse(octets)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x30")
@example(b"\x30\x80\x00\x00")  # the indefinite form
@example(b"\x30\x88" + b"\xff" * 8)
@example(bytes.fromhex("302602010004067075626c6963a419"))  # a trap of SNMPv1
def test_any_octets_are_decoded_or_malformed(octets):
    decode_or_refuse(octets)


@given(st.lists(st.tuples(oids(), st.integers(0, 255), st.binary(max_size=20)), min_size=1, max_size=6))
def test_a_value_of_wrong_octets_costs_only_its_varbind(rows):
    """Any tag with any contents: the names are all there, in order, and what is not a value is marked as unreadable."""
    octets = b"".join(ber.encode(0x30, ber.encode(0x06, name) + ber.encode(tag, contents)) for name, tag, contents in rows)
    names, tags, values = decode_varbinds(octets, 0, len(octets))
    assert names == [name for name, _, _ in rows]
    for (_, tag, _), got, value in zip(rows, tags, values, strict=True):
        assert got in (tag, UNREADABLE)
        assert got != UNREADABLE or value is None


@given(VALUES, st.integers(0, 6))
def test_unsigned_numbers_are_read_with_and_without_leading_zeros(held, zeros):
    """Firmware leaves the first zero octet out, or puts more in."""
    tag, value = held
    if not isinstance(value, int) or tag == ber.INTEGER:
        return
    bare = value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big")
    octets = ber.encode(0x30, b"\x06\x01\x2b" + ber.encode(tag, bytes(zeros) + bare))
    assert decode_varbinds(octets, 0, len(octets)) == ([b"\x2b"], bytes([tag]), [value])


@given(
    st.lists(oids(), max_size=30, unique=True),
    st.sampled_from((PduType.GET, PduType.GET_NEXT, PduType.GET_BULK)),
    st.integers(LOWEST_ID, HIGHEST_ID),
    st.binary(max_size=64),
    st.sampled_from((Version.V1, Version.V2C)),
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
)
def test_a_request_is_what_it_says_with_any_id(names, kind, request_id, community, version, bulk):
    """Of a GETBULK, non-repeaters and max-repetitions too (RFC 3416 §3)."""
    request = Request(tuple(names), kind, *(bulk if kind == PduType.GET_BULK else ()))
    message = decode_message(Community(version, community).wrap(request.pdu(request_id)))
    assert (message.version, message.community) == (version, community)
    pdu = message.pdu
    assert (pdu.type, pdu.request_id) == (kind, request_id)
    assert (pdu.error_status, pdu.error_index) == (bulk if kind == PduType.GET_BULK else (0, 0))
    assert pdu.names == names
    assert pdu.tags == bytes([ber.NULL]) * len(names)


class Awaiting(NamedTuple):
    """A request that awaits its answer."""

    request: Request
    security: Community


@st.composite
def requests_for(draw, names):
    """A request for these names: the values of some are expected to stay the same, those of others to be 0."""
    steady_from = draw(st.integers(0, len(names)) | st.none())
    ends = st.lists(st.integers(0, len(names) if steady_from is None else steady_from), max_size=8, unique=True)
    bounds = sorted(draw(ends))
    idle = tuple(slice(*pair) for pair in zip(bounds[::2], bounds[1::2], strict=False))
    return Request(tuple(names), steady_from=steady_from, idle=idle)


@st.composite
def answers(draw):
    """A request, its id, and an answer to it: in order or not, whole or not, with an error or not, mutated or not."""
    message, request_id = draw(messages()), draw(st.integers(LOWEST_ID, HIGHEST_ID))
    status = draw(st.sampled_from((0, 0, 0, 5)))
    message.pdu = replace(message.pdu, type=PduType.RESPONSE, request_id=request_id, error_status=status, error_index=status)
    names = list(message.pdu.names)
    names = draw(st.just(names) | st.permutations(names) | st.just(names[1:]) | st.just([*names, b"\x2b"]))
    version = draw(st.just(message.version) | st.sampled_from((0, 1)))
    community = draw(st.just(message.community) | st.binary(max_size=10))
    one = Awaiting(draw(requests_for(names)), Community(Version(version), community))
    octets = encode_message(message)
    return request_id, one, draw(st.just(octets) | mutated(st.just(octets)))


@given(answers())
def test_an_answer_reads_the_same_whether_it_is_usual_or_not(answer):
    """What decode_usual reads, decode_message reads too, as the same, and it is an answer to that request."""
    request_id, one, octets = answer
    for _ in range(2):  # the second time a steady one is remembered
        usual = decode_usual(octets, {request_id: one})
        if usual is not None:
            found, pdu = usual
            general = decode_message(octets)
            assert found is one
            assert one.security.refuses(general) is None
            assert pdu.names is one.request.names
            assert replace(pdu, names=list(pdu.names)) == general.pdu
            assert (pdu.type, pdu.error_status, pdu.error_index) == (PduType.RESPONSE, 0, 0)


@given(st.lists(st.tuples(oids(), VALUES), min_size=1, max_size=60), st.data())
def test_an_answer_as_it_was_asked_for_is_a_usual_one(rows, data):
    """Its names are then the request's own: that is how progress.py knows it at once."""
    request_id = data.draw(st.integers(LOWEST_ID, HIGHEST_ID))
    names, held = zip(*rows, strict=True)
    tags, values = zip(*held, strict=True)
    request, community = data.draw(requests_for(names)), Community(Version.V2C, data.draw(st.binary(max_size=64)))
    pdu = Pdu(PduType.RESPONSE, request_id, 0, 0, list(names), bytes(tags), list(values))
    octets = community.wrap(encode_pdu(pdu))
    usual = decode_usual(octets, {request_id: Awaiting(request, community)})
    encoded = [ber.encode(ber.OBJECT_IDENTIFIER, name) for name in names]
    short = all(len(name) + len(encode_value(tag, value)) <= 0x7F for name, (tag, value) in zip(encoded, held, strict=True))
    assert (usual is not None) == short, "a varbind whose length takes more than an octet is read the general way"
    assert usual is None or usual[1].names is names
    assert decode_usual(octets, {request_id ^ 1: Awaiting(request, community)}) is None
    assert decode_usual(octets, {request_id: Awaiting(request, Community(Version.V1, b""))}) is None


@given(VALUES)
def test_numbers_take_the_fewest_octets(held):
    """X.690 §8.3.2: the first nine bits are neither all ones nor all zeros."""
    tag, value = held
    if isinstance(value, int):
        contents = encode_value(tag, value)[2:]
        assert len(contents) == 1 or contents[0] not in (0x00, 0xFF) or (contents[0] ^ contents[1]) & 0x80
