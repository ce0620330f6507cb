"""The life of a request: which datagrams are its reply, and what becomes of all others."""

import pytest

from support import asking
from towerops_agent.reasons import Discard
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Exchanges, Reply, Transaction
from towerops_agent.snmp.wire.message import (
    LOWEST_ID,
    Community,
    Message,
    Pdu,
    PduType,
    Version,
    decode_message,
    encode_message,
    response,
)

PEER = ("192.0.2.1", 161)
WALL_US = 1_767_986_535_123_456
UP_TIME = asking.request("1.3.6.1.2.1.1.3.0")


class Ids:
    """Draws these, one after the other."""

    def __init__(self, *ids):
        self.ids = list(ids)

    def __call__(self):
        return self.ids.pop(0)


def exchanges(*ids, remembered=4096):
    return Exchanges(Ids(*(LOWEST_ID + n for n in ids or range(1, 50))), remembered)


def transaction(timeouts_s=(1.0, 2.0, 4.0), peer=PEER, community=b"public", version=Version.V2C):
    return Transaction(peer, Community(version, community), UP_TIME, timeouts_s)


def answered(datagram, *, ticks=4711, version=None, community=None, kind=PduType.RESPONSE):
    """The reply to the request in `datagram`."""
    message = decode_message(datagram)
    pdu = response(message.pdu, message.pdu.names, bytes([ber.TIME_TICKS]), [ticks])
    pdu.type = kind
    return encode_message(
        Message(message.version if version is None else version, message.community if community is None else community, pdu)
    )


def test_a_reply_closes_its_transaction_and_measures_the_round_trip():
    under_way, asked = exchanges(), transaction()
    datagram, timeout_s = under_way.attempt(asked, now=10.0)
    assert timeout_s == 1.0
    assert len(under_way) == 1
    closed, reply = under_way.receive(answered(datagram), PEER, 10.25, WALL_US)
    assert closed is asked
    assert (reply.rtt_s, reply.received_us, reply.pdu.values) == (0.25, WALL_US, [4711])
    assert len(under_way) == 0


def test_attempts_end_with_the_timeouts_and_each_has_an_id_of_its_own():
    under_way, asked = exchanges(), transaction()
    attempts = [under_way.attempt(asked, now) for now in (0.0, 1.0, 3.0)]
    assert [timeout_s for _, timeout_s in attempts] == [1.0, 2.0, 4.0]
    assert len({decode_message(datagram).pdu.request_id for datagram, _ in attempts}) == 3
    assert under_way.attempt(asked, 7.0) is None
    assert asked.attempts == 3


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_reply_to_any_attempt_is_the_reply_and_its_round_trip_is_that_attempt_s(answers):
    """The first attempt's reply is heard after the second was sent, too; the others' replies are late then."""
    under_way, asked = exchanges(), transaction()
    datagrams = [under_way.attempt(asked, now)[0] for now in (0.0, 1.0, 3.0)]
    closed, reply = under_way.receive(answered(datagrams[answers]), PEER, 3.5, WALL_US)
    assert closed is asked
    assert reply.rtt_s == 3.5 - (0.0, 1.0, 3.0)[answers]
    assert [under_way.receive(answered(datagram), PEER, 4.0, WALL_US) for datagram in datagrams] == [Discard("late")] * 3


def test_a_second_reply_is_late():
    under_way = exchanges()
    datagram, _ = under_way.attempt(transaction(), 0.0)
    assert not isinstance(under_way.receive(answered(datagram), PEER, 0.1, WALL_US), Discard)
    assert under_way.receive(answered(datagram, ticks=1), PEER, 0.2, WALL_US) == Discard("late")


def test_a_reply_after_the_transaction_was_given_up_is_late():
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    under_way.close(asked)
    under_way.close(asked)
    assert under_way.receive(answered(datagram), PEER, 9.0, WALL_US) == Discard("late")
    assert len(under_way) == 0


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("wrong_community", {"community": b"private"}),
        ("wrong_community", {"community": b""}),
        ("wrong_version", {"version": 0}),
        ("not_a_response", {"kind": PduType.GET}),
        ("not_a_response", {"kind": PduType.REPORT}),
        ("not_a_response", {"kind": 0xA7}),  # a trap of v2c
    ],
)
def test_what_is_not_a_reply_is_discarded_and_the_reply_is_still_awaited(reason, change):
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    assert under_way.receive(answered(datagram, **change), PEER, 0.1, WALL_US) == Discard(reason)
    assert under_way.receive(answered(datagram), PEER, 0.2, WALL_US)[0] is asked


@pytest.mark.parametrize("peer", [("192.0.2.2", 161), ("192.0.2.1", 162), ("::ffff:192.0.2.1", 161, 0, 0)])
def test_a_reply_from_another_address_or_port_is_discarded(peer):
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    assert under_way.receive(answered(datagram), peer, 0.1, WALL_US) == Discard("foreign_peer")
    assert under_way.receive(answered(datagram), PEER, 0.2, WALL_US)[0] is asked


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\x30\x80", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x03\x02\x01\x03"])
def test_garbage_is_discarded(garbage):
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    assert under_way.receive(garbage, PEER, 0.1, WALL_US) == Discard("malformed")
    assert under_way.receive(answered(datagram)[:-1], PEER, 0.1, WALL_US) == Discard("malformed")
    assert len(under_way) == 1


def test_an_id_that_was_never_used_is_unknown():
    under_way = exchanges()
    datagram, _ = under_way.attempt(transaction(), 0.0)
    message = decode_message(datagram)
    message.pdu = Pdu(PduType.RESPONSE, message.pdu.request_id + 1)
    assert under_way.receive(encode_message(message), PEER, 0.1, WALL_US) == Discard("unknown_id")


def test_replies_go_each_to_its_own_transaction_in_any_order():
    """Two devices, and two requests to one of them."""
    under_way = exchanges()
    asked = [transaction(), transaction(peer=("192.0.2.2", 161)), transaction()]
    datagrams = [under_way.attempt(one, 0.0)[0] for one in asked]
    for i in (2, 0, 1):
        closed, reply = under_way.receive(answered(datagrams[i], ticks=i), asked[i].peer, 0.1, WALL_US)
        assert closed is asked[i]
        assert isinstance(reply, Reply)
        assert reply.pdu.values == [i]


def test_an_id_in_use_is_not_drawn_again():
    ids = Ids(*(LOWEST_ID + n for n in (5, 5, 5, 6)))
    under_way = Exchanges(ids)
    one, other = transaction(), transaction()
    first, _ = under_way.attempt(one, 0.0)
    second, _ = under_way.attempt(other, 0.0)
    assert [decode_message(datagram).pdu.request_id - LOWEST_ID for datagram in (first, second)] == [5, 6]
    assert under_way.receive(answered(first), PEER, 0.1, WALL_US)[0] is one
    assert under_way.receive(answered(second), PEER, 0.1, WALL_US)[0] is other


def test_only_so_many_past_ids_are_remembered():
    under_way = exchanges(remembered=3)
    datagrams = []
    for _ in range(4):
        asked = transaction()
        datagrams.append(under_way.attempt(asked, 0.0)[0])
        under_way.close(asked)
    reasons = [under_way.receive(answered(datagram), PEER, 1.0, WALL_US) for datagram in datagrams]
    assert reasons == ["unknown_id", "late", "late", "late"]


def test_neither_a_community_nor_a_transaction_shows_its_secret():
    asked = transaction(community=b"s3cret")
    assert "s3cret" not in repr(asked.security) + str(asked.security) + repr(asked)
