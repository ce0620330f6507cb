"""A simulated device answers as RFC 1157 and RFC 3416 say, and stays silent if a real one does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import mutated, pdus
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message
from towerops_agent.snmp.wire.message import ErrorStatus, Message, Pdu, PduType, Version
from towerops_lab.simulator.device import SimulatedDevice

V1, V2C = Version.V1, Version.V2C
VALUES = {
    "1.3.6.1.2.1.1.3.0": (ber.TIME_TICKS, lambda uptime_s: int(uptime_s * 100)),
    "1.3.6.1.2.1.1.5.0": (ber.OCTET_STRING, b"tower-7"),
    "1.3.6.1.2.1.31.1.1.1.6.1": (ber.COUNTER64, 2**40),
    "1.3.6.1.2.1.31.1.1.1.6.2": (ber.COUNTER64, 2**41),
    "1.3.6.1.2.1.31.1.1.1.18.1": (ber.OCTET_STRING, b"uplink"),
}
DEVICE = SimulatedDevice({parse_oid(oid): value for oid, value in VALUES.items()})


def ask(*oids, kind=PduType.GET, version=V2C, heads=0, repetitions=0, device=DEVICE, community=b"public"):
    """The response's PDU, or None."""
    count = len(oids)
    request = Pdu(kind, 7, heads, repetitions, [parse_oid(oid) for oid in oids], bytes([ber.NULL]) * count, [None] * count)
    answer = device.answer(encode_message(Message(version, community, request)), uptime_s=12.5)
    if answer is None:
        return None
    message = decode_message(answer)
    assert (message.version, message.community, message.pdu.type, message.pdu.request_id) == (
        version,
        community,
        PduType.RESPONSE,
        7,
    )
    return message.pdu


def rows(pdu):
    return [(format_oid(name), tag, value) for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True)]


def test_get_reads_what_is_asked_in_that_order_and_live_values_follow_the_time():
    assert rows(ask("1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.3.0")) == [
        ("1.3.6.1.2.1.1.5.0", ber.OCTET_STRING, b"tower-7"),
        ("1.3.6.1.2.1.1.3.0", ber.TIME_TICKS, 1250),
    ]


def test_v2c_distinguishes_a_missing_object_from_a_missing_instance():
    pdu = ask("1.3.6.1.2.1.1.5.1", "1.3.6.1.2.1.1.6.0", "1.3.6.1.2.1.1.5.0")
    assert (pdu.error_status, pdu.tags) == (0, bytes([ber.NO_SUCH_INSTANCE, ber.NO_SUCH_OBJECT, ber.OCTET_STRING]))


def test_v1_refuses_the_whole_request_and_names_the_first_that_is_missing():
    pdu = ask("1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.5.1", "1.3.6.1.2.1.1.6.0", version=V1)
    assert (pdu.error_status, pdu.error_index) == (ErrorStatus.noSuchName, 2)
    assert len(pdu.names) == 3


def test_v1_has_no_counter64():
    """It is missing to a GET (RFC 2576 §4.1.2.1) and passed over by a GETNEXT."""
    assert ask("1.3.6.1.2.1.31.1.1.1.6.1", version=V1).error_status == ErrorStatus.noSuchName
    following = ask("1.3.6.1.2.1.1.5.0", kind=PduType.GET_NEXT, version=V1)
    assert rows(following) == [("1.3.6.1.2.1.31.1.1.1.18.1", ber.OCTET_STRING, b"uplink")]
    assert rows(ask("1.3.6.1.2.1.1.5.0", kind=PduType.GET_NEXT))[0][0] == "1.3.6.1.2.1.31.1.1.1.6.1"


def test_behind_the_last_name_is_the_end():
    last = "1.3.6.1.2.1.31.1.1.1.18.1"
    assert rows(ask(last, kind=PduType.GET_NEXT)) == [(last, ber.END_OF_MIB_VIEW, None)]
    assert ask(last, kind=PduType.GET_NEXT, version=V1).error_status == ErrorStatus.noSuchName


def test_getbulk_gives_non_repeaters_once_and_the_others_row_by_row():
    pdu = ask("1.3.6.1.2.1.1.3", "1.3.6.1.2.1.31.1.1.1.6", kind=PduType.GET_BULK, heads=1, repetitions=3)
    assert [name.removeprefix("1.3.6.1.2.1.") for name, *_ in rows(pdu)] == [
        "1.3.0",
        "31.1.1.1.6.1",
        "31.1.1.1.6.2",
        "31.1.1.1.18.1",
    ]
    assert ask("1.3.6.1.2.1.1.3", kind=PduType.GET_BULK, heads=9, repetitions=0).names == [parse_oid("1.3.6.1.2.1.1.3.0")]


def test_getbulk_stops_at_the_end_of_the_mib_and_at_the_size_of_a_datagram():
    pdu = ask("1.3.6.1.2.1.31.1.1.1.6.2", kind=PduType.GET_BULK, repetitions=50)
    assert pdu.tags == bytes([ber.OCTET_STRING, ber.END_OF_MIB_VIEW])
    many = SimulatedDevice({parse_oid(f"1.3.6.1.4.1.1.{n}"): (ber.OCTET_STRING, b"x" * 100) for n in range(100)})
    pdu = ask("1.3.6.1.4.1.1", kind=PduType.GET_BULK, repetitions=100, device=many)
    assert (pdu.error_status, 8 <= len(pdu.names) <= 13) == (0, True)


@pytest.mark.parametrize(("version", "varbinds"), [(V1, 2), (V2C, 0)])
def test_an_answer_past_the_size_is_too_big(version, varbinds):
    """SNMPv1 gives the request's varbinds back, v2c none (RFC 3416 §4.2.1)."""
    device = SimulatedDevice({parse_oid("1.3.6.1.4.1.1.1"): (ber.OCTET_STRING, b"x" * 400)}, max_octets=484)
    oids = ["1.3.6.1.4.1.1.1", "1.3.6.1.4.1.1.1"]
    assert ask(oids[0], version=version, device=device).error_status == 0
    pdu = ask(*oids, version=version, device=device)
    assert (pdu.error_status, pdu.error_index, len(pdu.names)) == (ErrorStatus.tooBig, 0, varbinds)


@pytest.mark.parametrize(
    "wrong",
    [
        {"community": b"private"},
        {"kind": PduType.RESPONSE},
        {"kind": PduType.GET_BULK, "version": V1, "repetitions": 5},
    ],
    ids=["community", "response", "GETBULK of SNMPv1"],
)
def test_what_is_not_a_request_of_its_gets_no_answer(wrong):
    assert ask("1.3.6.1.2.1.1.5.0", **wrong) is None


def test_a_value_that_is_put_is_answered_from_then_on():
    device = SimulatedDevice({parse_oid("1.3.6.1.2.1.1.5.0"): (ber.OCTET_STRING, b"before")})
    device.put(parse_oid("1.3.6.1.2.1.1.5.0"), ber.OCTET_STRING, b"after")
    assert ask("1.3.6.1.2.1.1.5.0", device=device).values == [b"after"]


def test_a_set_is_refused():
    assert ask("1.3.6.1.2.1.1.5.0", kind=PduType.SET).error_status == ErrorStatus.notWritable
    assert ask("1.3.6.1.2.1.1.5.0", kind=PduType.SET, version=V1).error_status == ErrorStatus.readOnly


REQUESTS = st.builds(Message, st.sampled_from((V1, V2C)), st.just(b"public"), pdus())


@given(mutated(REQUESTS.map(encode_message)))
def test_any_octets_are_answered_or_not_but_never_a_bug(octets):
    DEVICE.answer(octets, 1.0)


@pytest.mark.parametrize("kind", [PduType.GET, PduType.GET_NEXT])
@pytest.mark.parametrize("name", [b"", b"\x2b\x86"], ids=["empty", "cut"])
def test_a_name_that_is_not_an_oid_gets_no_answer(kind, name):
    request = Pdu(kind, 7, 0, 0, [name], bytes([ber.NULL]), [None])
    assert DEVICE.answer(encode_message(Message(V2C, b"public", request)), 1.0) is None
