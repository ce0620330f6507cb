"""A Mib answers as the plain SimulatedDevice does, which is read by net-snmp in tests of its own."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import encode_oid, parse_oid
from towerops_agent.snmp.wire.message import (
    Community,
    ErrorStatus,
    PduType,
    Request,
    Version,
    decode_message,
    decode_pdu,
)
from towerops_lab.simulator.device import SimulatedDevice, table
from towerops_lab.simulator.mib import MAX_REPETITIONS, REMEMBERED, Mib
from towerops_lab.simulator.world import World

MOMENT = World(0.0).moment(100.0, 0.0)

oids = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda tail: encode_oid([1, 3, *tail]))
values = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(ber.OCTET_STRING), st.binary(max_size=200)),
)
requests = st.builds(
    lambda names, kind, first, second: Request(tuple(names), kind, *((first, second) if kind == PduType.GET_BULK else (0, 0))),
    st.lists(oids, min_size=1, max_size=6),
    st.sampled_from([PduType.GET, PduType.GET_NEXT, PduType.GET_BULK]),
    st.integers(0, 3),
    st.integers(0, 8),
)


def both(rows, request, version):
    """What the plain device and the Mib answer."""
    live = {name: (tag, (lambda _, value=value: value) if tag == ber.COUNTER64 else value) for name, (tag, value) in rows.items()}
    device = SimulatedDevice(table((name, tag, value) for name, (tag, value) in rows.items()), max_octets=65_000)
    message = Community(version, b"public").wrap(request.pdu(0x01000001))
    plain = device.answer(message, 100.0)
    mine = Mib((name, tag, value) for name, (tag, value) in live.items()).respond(
        version, request.pdu(0x01000001), MOMENT, 65_000
    )
    return None if plain is None else decode_message(plain).pdu, None if mine is None else decode_pdu(mine, 0, len(mine))


@given(st.dictionaries(oids, values, min_size=1, max_size=12), requests, st.sampled_from([Version.V1, Version.V2C]))
def test_it_answers_as_the_plain_device_does(rows, request_, version):
    plain, mine = both(rows, request_, version)
    assert mine == plain


NAME = parse_oid("1.3.6.1.2.1.1.1.0")


def mib(count: int = 10, octets: int = 100) -> Mib:
    return Mib((parse_oid(f"1.3.6.1.4.1.1.{i}"), ber.OCTET_STRING, b"x" * octets) for i in range(1, count + 1))


def answer(of: Mib, request: Request, version: Version = Version.V2C, max_octets: int = 1472):
    octets = of.respond(version, request.pdu(0x01000001), MOMENT, max_octets)
    assert octets is not None
    assert len(octets) <= max_octets
    return decode_pdu(octets, 0, len(octets))


def test_an_answer_that_does_not_fit_is_too_big():
    names = tuple(parse_oid(f"1.3.6.1.4.1.1.{i}") for i in range(1, 11))
    pdu = answer(mib(), Request(names), max_octets=500)
    assert (pdu.error_status, pdu.names) == (ErrorStatus.tooBig, [])
    pdu = answer(mib(), Request(names), Version.V1, max_octets=500)
    assert (pdu.error_status, tuple(pdu.names)) == (ErrorStatus.tooBig, names)


def test_a_bulk_answer_is_cut_to_what_fits():
    pdu = answer(mib(), Request((parse_oid("1.3.6"),), PduType.GET_BULK, 0, 10), max_octets=500)
    assert (pdu.error_status, len(pdu.names)) == (0, 4)


def test_absurd_repetitions_cost_no_more_than_fit():
    pdu = answer(mib(3, 1), Request((parse_oid("1.3.6"),) * 3, PduType.GET_BULK, 0, 2**31 - 1), max_octets=60_000)
    assert len(pdu.names) <= 3 * MAX_REPETITIONS


def test_a_live_value_is_asked_for_each_time():
    counted = iter(range(100))
    of = Mib([(NAME, ber.COUNTER32, lambda _: next(counted))])
    assert [answer(of, Request((NAME,))).values for _ in range(3)] == [[0], [1], [2]]


def test_what_it_remembers_of_requests_is_bounded():
    of = mib(1)
    for i in range(REMEMBERED + 10):
        answer(of, Request((parse_oid(f"1.3.6.1.9.{i}"),)))
    assert 0 < of.remembered <= REMEMBERED


def test_a_set_is_refused():
    request = ber.encode(PduType.SET, Request((NAME,)).pdu(0x01000001)[2:])
    for version, status in ((Version.V1, ErrorStatus.readOnly), (Version.V2C, ErrorStatus.notWritable)):
        octets = mib().respond(version, request, MOMENT, 1472)
        assert decode_pdu(octets, 0, len(octets)).error_status == status


def test_what_is_no_request_is_not_answered():
    response = ber.encode(PduType.RESPONSE, Request((NAME,)).pdu(0x01000001)[2:])
    assert mib().respond(Version.V2C, response, MOMENT, 1472) is None
    assert mib().respond(Version.V1, Request((NAME,), PduType.GET_BULK).pdu(0x01000001), MOMENT, 1472) is None
