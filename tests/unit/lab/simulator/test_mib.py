"""A Mib answers as a plain reading of the RFCs does, request for request. tests/snmpd reads it with net-snmp."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import encode_oid, parse_oid, subidentifiers
from towerops_agent.snmp.wire.codec import decode_pdu
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Request, Version
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


class Plain:
    """RFC 3416 §4.2 and RFC 1157 §4.1, word for word: slow, and of another hand than the Mib."""

    def __init__(self, rows, version):
        self.rows = {subidentifiers(name): (name, tag, value) for name, (tag, value) in rows.items()}
        self.is_v1 = version == Version.V1

    def answer(self, request):
        if request.type == PduType.GET:
            found = [self.get(name) for name in request.names]
        elif request.type == PduType.GET_NEXT:
            found = [self.next(name) for name in request.names]
        elif self.is_v1:
            return None
        else:
            found = self.bulk(request.names, request.first, request.second)
        if self.is_v1:
            for index, (_, tag, _) in enumerate(found, 1):
                if tag >= ber.NO_SUCH_OBJECT:
                    return ErrorStatus.noSuchName, index, [(name, ber.NULL, None) for name in request.names]
        return 0, 0, found

    def visible(self):
        return [key for key in sorted(self.rows) if not (self.is_v1 and self.rows[key][1] == ber.COUNTER64)]

    def get(self, name):
        key = subidentifiers(name)
        if key in self.visible():
            return self.rows[key]
        siblings = any(other[: len(key) - 1] == key[:-1] for other in self.rows)
        return name, ber.NO_SUCH_INSTANCE if siblings else ber.NO_SUCH_OBJECT, None

    def next(self, name):
        after = [key for key in self.visible() if key > subidentifiers(name)]
        return self.rows[after[0]] if after else (name, ber.END_OF_MIB_VIEW, None)

    def bulk(self, names, heads, repetitions):
        found = [self.next(name) for name in names[:heads]]
        last = list(names[heads:])
        for _ in range(repetitions if last else 0):
            row = [self.next(name) for name in last]
            found += row
            last = [name for name, _, _ in row]
            if all(tag == ber.END_OF_MIB_VIEW for _, tag, _ in row):
                break
        return found


@given(st.dictionaries(oids, values, min_size=1, max_size=12), requests, st.sampled_from([Version.V1, Version.V2C]))
def test_it_answers_as_the_rfcs_say(rows, request_, version):
    live = [(name, tag, (lambda _, value=value: value) if tag == ber.COUNTER64 else value) for name, (tag, value) in rows.items()]
    octets = Mib(live).respond(version, request_.pdu(0x01000001), MOMENT, 65_000)
    expected = Plain(rows, version).answer(request_)
    if expected is None:
        assert octets is None
        return
    pdu = decode_pdu(octets, 0, len(octets))
    assert (pdu.error_status, pdu.error_index, list(zip(pdu.names, pdu.tags, pdu.values, strict=True))) == expected


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


def test_what_is_not_a_request_is_not_answered():
    response = ber.encode(PduType.RESPONSE, Request((NAME,)).pdu(0x01000001)[2:])
    assert mib().respond(Version.V2C, response, MOMENT, 1472) is None
    assert mib().respond(Version.V1, Request((NAME,), PduType.GET_BULK).pdu(0x01000001), MOMENT, 1472) is None
