"""Replies that are odd: accepted from the device itself, once they were seen twice, and never by anybody who only guesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import asking, usm_agent
from towerops_agent.reasons import Discard
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import encode_message
from towerops_agent.snmp.wire.exchange import MOST_MISSES, Exchanges, Reply, Transaction
from towerops_agent.snmp.wire.message import HIGHEST_ID, LOWEST_ID, Message, Pdu, PduType, Version
from towerops_agent.snmp.wire.oddities import Oddity, without_extra_zeros
from towerops_agent.snmp.wire.usm import UsmSecurity

PEER, OTHER = ("192.0.2.1", 161), ("192.0.2.2", 161)
NAMES = tuple(map(parse_oid, ("1.3.6.1.2.1.1.3.0", "1.3.6.1.4.1.9.1")))
REQUEST = asking.request("1.3.6.1.2.1.1.3.0", "1.3.6.1.4.1.9.1")
FIRST_ID = 0x12345678


class Line:
    """One device asked again and again, with ids that a test knows: those from FIRST_ID on."""

    def __init__(self, security=None, *, timeouts_s=(1.0, 2.0, 4.0), from_any=False):
        ids = iter(range(FIRST_ID, HIGHEST_ID))
        self.security = security or asking.security()
        self.exchanges = Exchanges(lambda: next(ids))
        self.timeouts_s, self.from_any = timeouts_s, from_any

    def ask(self, attempts=1):
        """A new request, after so many attempts, and the request-id of the last."""
        transaction = Transaction(PEER, self.security, REQUEST, self.timeouts_s, self.from_any)
        for _ in range(attempts):
            assert self.exchanges.attempt(transaction, 0.0) is not None
        return transaction, max(transaction.sent_at)

    def again(self, transaction):
        assert self.exchanges.attempt(transaction, 0.0) is not None
        return max(transaction.sent_at)

    def hear(self, request_id, *, peer=PEER, community=b"public", version=Version.V2C, names=NAMES, type=PduType.RESPONSE):  # noqa: A002
        """What becomes of a response that is as said."""
        pdu = Pdu(type, request_id, 0, 0, list(names), bytes([ber.INTEGER]) * len(names), list(range(len(names))))
        return self.exchanges.receive(encode_message(Message(version, community, pdu)), peer, 1.0, 0)

    def accepts(self, *oddities):
        self.security.oddities.accept(oddities)
        return self


def is_reply(outcome):
    return not isinstance(outcome, Discard) and isinstance(outcome[1], Reply)


@pytest.mark.parametrize("community", [b"", b"Public"])
@pytest.mark.parametrize("version", ["1", "2c"])
def test_another_community_is_accepted_at_the_second_attempt_that_has_it(version, community):
    line = Line(asking.security(version))
    odd = {"community": community, "version": asking.VERSIONS[version]}
    transaction, request_id = line.ask()
    assert line.hear(request_id, **odd) == Discard("wrong_community")
    assert line.hear(request_id, **odd) == Discard("wrong_community"), "a copy is not a second reply"
    assert is_reply(line.hear(line.again(transaction), **odd))
    assert line.security.oddities.accepted == {Oddity.OTHER_COMMUNITY}
    assert is_reply(line.hear(line.ask()[1], **odd))


@pytest.mark.parametrize("signed", [False, True])
def test_a_request_id_cut_to_16_bits_is_accepted_once_it_was_seen_twice(signed):
    def cut(request_id):
        return (request_id + 0x8000 & 0xFFFF) - 0x8000 if signed else request_id & 0xFFFF

    line = Line()
    transaction, request_id = line.ask()
    assert line.hear(cut(request_id)) == Discard("unknown_id"), "a first attempt is usually answered"
    assert line.hear(cut(line.again(transaction))) == Discard("unknown_id")
    outcome = line.hear(cut(line.again(transaction)))
    assert is_reply(outcome)
    assert outcome[1].pdu.request_id == FIRST_ID + 2
    assert is_reply(line.hear(cut(line.ask()[1]))), "from then on at the first attempt"
    assert not len(line.exchanges)


def test_requests_of_a_single_attempt_count_too():
    line = Line(timeouts_s=(1.0,))
    transaction, request_id = line.ask()
    assert line.hear(request_id & 0xFFFF) == Discard("unknown_id")
    line.exchanges.give_up(transaction)
    assert is_reply(line.hear(line.ask()[1] & 0xFFFF))


def test_a_proper_reply_shows_that_what_was_odd_was_not_the_device():
    for odd in ({"community": b""}, {"cut": True}):
        line = Line()
        is_cut = odd.pop("cut", False)
        for _ in range(5):
            transaction, request_id = line.ask(2)
            assert isinstance(line.hear(request_id & 0xFFFF if is_cut else request_id, **odd), Discard)
            assert is_reply(line.hear(line.again(transaction)))
        assert line.security.oddities.accepted == frozenset()


def test_a_whole_request_id_ends_that_they_are_cut():
    line = Line().accepts(Oddity.CUT_REQUEST_ID)
    assert is_reply(line.hear(line.ask()[1]))
    assert line.hear(line.ask()[1] & 0xFFFF) == Discard("unknown_id")


def test_names_with_a_0_appended_are_the_names_asked_once_they_were_seen_twice():
    odd = (NAMES[0], NAMES[1] + b"\x00")
    line = Line()
    _, first = line.hear(line.ask()[1], names=odd)
    assert tuple(first.pdu.names) == odd
    for names in (odd, (NAMES[0] + b"\x00", NAMES[1] + b"\x00")):
        _, reply = line.hear(line.ask()[1], names=names)
        assert tuple(reply.pdu.names) == NAMES
        assert reply.pdu.values == [0, 1]


@pytest.mark.parametrize(
    "names",
    [
        (NAMES[0], NAMES[1] + b"\x01"),
        (NAMES[0], NAMES[1] + b"\x00\x00"),
        (NAMES[0],),
        (*NAMES, NAMES[1] + b"\x00"),
        (),
    ],
)
def test_other_names_stay_as_the_device_sent_them(names):
    line = Line().accepts(*Oddity)
    _, reply = line.hear(line.ask()[1], names=names)
    assert tuple(reply.pdu.names) == names
    assert without_extra_zeros(NAMES, names) is None


def test_names_in_another_order_or_fewer_are_those_asked_too():
    longer = [name + b"\x00" for name in NAMES]
    assert without_extra_zeros(NAMES, longer[::-1]) == [*NAMES[::-1]]
    assert without_extra_zeros(NAMES, longer[:1]) == [NAMES[0]]
    assert without_extra_zeros((NAMES[0], longer[0]), [longer[0]]) is None, "it was asked itself"


def test_one_oddity_does_not_excuse_another():
    line = Line().accepts(*Oddity)
    _, request_id = line.ask()
    assert line.hear(request_id & 0xFFFF, community=b"") == Discard("unknown_id")
    assert line.hear(request_id, version=Version.V1) == Discard("wrong_version")
    assert line.hear(request_id & 0xFFFF, version=Version.V1) == Discard("unknown_id")
    assert line.hear(request_id, type=PduType.GET) == Discard("not_a_response")


def test_sixteen_bits_cant_be_tried_out():
    """Not even by somebody who has the community and the device's address: a few wrong numbers, and the whole one is needed."""
    line = Line().accepts(Oddity.CUT_REQUEST_ID)
    _, request_id = line.ask()
    for wrong in range(MOST_MISSES):
        assert line.hear(wrong) == Discard("unknown_id")
    assert line.hear(request_id & 0xFFFF) == Discard("unknown_id")
    assert is_reply(line.hear(request_id))


def test_who_lacks_the_community_does_not_use_the_tries_up():
    line = Line().accepts(Oddity.CUT_REQUEST_ID)
    _, request_id = line.ask()
    for wrong in range(2 * MOST_MISSES):
        line.hear(wrong, community=b"guessed")
        line.hear(wrong, peer=OTHER)
    assert is_reply(line.hear(request_id & 0xFFFF))


def test_over_snmpv3_no_reply_is_odd():
    agent = usm_agent.UsmAgent(usm_agent.user())
    line = Line(UsmSecurity(agent.user), timeouts_s=(1.0,) * 9)
    transaction, _ = line.ask()
    for _ in range(5):
        request_id = line.again(transaction)
        assert line.hear(request_id) == Discard("wrong_version")
        assert line.hear(request_id & 0xFFFF) == Discard("unknown_id")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([PEER, OTHER]),
            st.sampled_from([b"public", b"", b"guessed"]),
            st.sampled_from(["whole", "cut", "guessed", "cut and guessed"]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.sets(st.sampled_from(Oddity)),
    st.booleans(),
)
def test_no_datagram_is_the_reply_unless_the_devices_address_and_all_but_one_secret_are_right(datagrams, accepted, from_any):
    """Of a foreign address: all of it. Of the device's: the whole request-id, or 16 bits of it and the community."""
    line = Line(from_any=from_any).accepts(*accepted)
    transaction, request_id = line.ask(2)
    for peer, community, number, is_next in datagrams:
        sent = {"whole": request_id, "cut": request_id & 0xFFFF, "guessed": LOWEST_ID, "cut and guessed": 7}[number]
        before = line.security.oddities.accepted
        outcome = line.hear(sent, peer=peer, community=community)
        if isinstance(outcome, Discard):
            if is_next and transaction.attempts < len(line.timeouts_s):
                request_id = line.again(transaction)
            continue
        assert number in ("whole", "cut")
        if peer == OTHER:
            assert (from_any, number, community) == (True, "whole", b"public")
            assert line.security.oddities.accepted <= before
        elif number == "cut":
            assert community == b"public"
            assert Oddity.CUT_REQUEST_ID in line.security.oddities.accepted
        elif community != b"public":
            assert Oddity.OTHER_COMMUNITY in line.security.oddities.accepted
        transaction, request_id = line.ask(2)


def test_a_request_id_of_more_than_16_bits_is_not_one_that_was_cut():
    line = Line().accepts(Oddity.CUT_REQUEST_ID)
    line.exchanges = Exchanges(lambda: 0x12340000)
    line.ask()
    for other in (0x10000, -0x10000):
        assert line.hear(other) == Discard("unknown_id")
    assert is_reply(line.hear(0))


def test_each_oddity_is_said_behind_the_device():
    assert {oddity.value: oddity.text for oddity in Oddity} == {
        "other_community": "returns another community than the request's",
        "cut_request_id": "cuts request-ids to 16 bits",
        "extra_zero": "appends a 0 to OIDs",
    }
