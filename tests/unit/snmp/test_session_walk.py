"""Walks of devices that answer wrongly: each ends, with what was read until then."""

import pytest

from support import asking
from towerops_agent.snmp.session import Session, WalkEndedEarly, walk
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import ErrorStatus, Message, PduType
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

TABLE = "1.3.6.1.2.1.2.2.1"
ROWS = {parse_oid(f"{TABLE}.{column}.{row}"): (ber.INTEGER, 10 * column + row) for column in range(1, 4) for row in range(1, 31)}


async def walked(peer, version="2c", timeouts_s=asking.PATIENT_S):
    """What a walk read, and what ended it early, "" if nothing did."""
    found = []
    async with asking.open_client() as (client, _), serve(peer) as port:
        try:
            (target,) = await client.resolve("127.0.0.1", port)
            async for varbind in walk(Session(client, target, asking.security(version), timeouts_s=timeouts_s), parse_oid(TABLE)):
                found.append(varbind)  # noqa: PERF401 - what was read counts if it raises, too
        except WalkEndedEarly as error:
            return found, str(error)
    return found, ""


def replying(reply):
    """A peer that makes its replies' (names, tags, values[, status]) of a request's PDU."""

    def peer(datagram, _uptime_s):
        message = decode_message(datagram)
        return encode_message(Message(message.version, message.community, response(message.pdu, *reply(message.pdu))))

    return peer


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_walk_reads_all_of_the_subtree_and_nothing_else(version):
    """In order; what lies before and behind it is not read."""
    around = {parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, 1), parse_oid("1.3.6.1.2.1.2.2.2.1"): (ber.INTEGER, 2)}
    found, problem = await walked(SimulatedDevice({**ROWS, **around}), version)
    assert problem == ""
    assert {varbind.name: (varbind.tag, varbind.value) for varbind in found} == ROWS
    assert [varbind.name for varbind in found] == list(ROWS)


async def test_a_device_that_finds_an_answer_too_big_is_asked_for_less():
    """Down to one at a time."""
    asked = []

    def too_big(pdu):
        asked.append(pdu.error_index if pdu.type == PduType.GET_BULK else 1)
        if pdu.type == PduType.GET_BULK:
            return [], b"", [], ErrorStatus.tooBig
        following = [name for name in ROWS if name > pdu.names[0]]
        return (following[:1], bytes([ber.INTEGER]), [7]) if following else (pdu.names, bytes([ber.END_OF_MIB_VIEW]), [None])

    found, problem = await walked(replying(too_big))
    assert (len(found), problem) == (len(ROWS), "")
    assert asked[:6] == [20, 10, 5, 2, 1, 1]


async def test_a_device_that_answers_in_circles_ends_the_walk():
    name = parse_oid(f"{TABLE}.1.1")
    found, problem = await walked(replying(lambda _: ([name], bytes([ber.INTEGER]), [1])))
    assert [varbind.name for varbind in found] == [name]
    assert problem == f"{TABLE}.1.1 after {TABLE}.1.1: the device's MIB does not grow"


async def test_names_that_fall_back_end_the_walk():
    """Compared as numbers: 16383 comes before 16384, though its octets (ff 7f) are the larger ones (81 80 00)."""
    names = [parse_oid(f"{TABLE}.{row}") for row in (9, 16383, 16384, 250)]
    found, problem = await walked(replying(lambda _: (names, bytes([ber.INTEGER]) * 4, [1] * 4)))
    assert [format_oid(varbind.name) for varbind in found] == [f"{TABLE}.{row}" for row in (9, 16383, 16384)]
    assert "does not grow" in problem


async def test_a_table_in_an_order_of_the_devices_own_is_walked_to_its_end():
    """As of switches whose VLANs come behind their ports, and have smaller indexes."""
    order = [272646331, 272646335, 268435456, 268435460]
    names = [*map(parse_oid, (TABLE, *(f"{TABLE}.2.{row}" for row in order), "1.3.6.1.2.1.2.2.2.0"))]

    def next_one(pdu):
        at = names.index(pdu.names[0]) + 1
        count = pdu.error_index if pdu.type == PduType.GET_BULK else 1
        return names[at : at + count], bytes([ber.INTEGER]) * len(names[at : at + count]), [1] * len(names[at : at + count])

    found, problem = await walked(replying(next_one))
    assert ([format_oid(varbind.name) for varbind in found], problem) == ([f"{TABLE}.2.{row}" for row in order], "")


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (lambda pdu: (pdu.names, b"\x05", [None], ErrorStatus.genErr), f"genErr after {TABLE}"),
        (lambda pdu: (pdu.names, b"\x05", [None], 99), f"error-99 after {TABLE}"),
        (lambda _: ([], b"", []), f"an empty answer after {TABLE}"),
        (lambda _: ([parse_oid(TABLE) + b"\x81"], b"\x02", [1]), "are not an OID"),
    ],
    ids=["genErr", "no status of the RFC's", "empty", "no OID"],
)
async def test_a_refusal_ends_the_walk_with_its_reason(reply, says):
    found, problem = await walked(replying(reply))
    assert found == []
    assert says in problem


async def test_silence_ends_the_walk():
    assert await walked(lambda *_: None, timeouts_s=(0.01,)) == ([], f"no answer after {TABLE}: timeout")


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_mib_that_is_empty_or_ends_is_walked_to_its_end(version):
    assert await walked(SimulatedDevice({}), version) == ([], "")
