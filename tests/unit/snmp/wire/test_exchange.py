"""The life of a request: which datagrams are its reply, and what becomes of all others."""

import pytest

from support import asking, usm_agent
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.exchange import (
    MOST_DISCARDS,
    MOST_REPEATS,
    MOST_UNREACHABLE,
    UNREACHABLE_S,
    Exchanges,
    NoReply,
    Reply,
    Stage,
    Transaction,
    V3Course,
)
from towerops_agent.snmp.wire.message import LOWEST_ID, Community, Message, Pdu, PduType, Version
from towerops_agent.snmp.wire.usm import AskAgain, UsmSecurity

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
    assert reply.attempts == 3
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


def asked_v3() -> tuple[Exchanges, Transaction]:
    """A transaction of SNMPv3 whose one attempt is sent."""
    under_way = exchanges()
    asked = Transaction(PEER, UsmSecurity(usm_agent.user(None, None)), UP_TIME, (3.0,))
    assert under_way.attempt(asked, 10.0) is not None
    return under_way, asked


def test_an_attempt_is_counted_as_sent_retried_or_an_examination():
    under_way, asked = exchanges(), transaction()
    kinds = []
    while under_way.attempt(asked, 0.0) is not None:
        kinds.append(asked.kind)
    assert kinds == ["sent", "retried", "retried"]
    _, asked = asked_v3()
    asked.v3 = V3Course()
    assert asked.kind == "sent"
    for stage in (Stage.EXAMINING_AUTH, Stage.EXAMINING_PRIV):
        asked.v3.stage = stage
        assert asked.kind == "examining"


def test_one_that_is_given_up_has_timed_out_and_awaits_nothing_more():
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    under_way.attempt(asked, 1.0)
    assert under_way.give_up(asked) == NoReply(Reason.TIMEOUT, 2)
    assert len(under_way) == 0
    assert under_way.receive(answered(datagram), PEER, 3.0, WALL_US) == Discard.LATE


def test_what_icmp_says_is_why_nothing_came():
    under_way, asked = exchanges(), transaction()
    under_way.attempt(asked, 0.0)
    asked.unreachable = Reason.REFUSED, "port unreachable"
    assert under_way.give_up(asked) == NoReply(Reason.REFUSED, 1, "port unreachable")
    other = transaction()
    under_way.attempt(other, 0.0)
    other.unreachable = Reason.REFUSED, "port unreachable"
    assert under_way.give_up(other, Reason.UNREACHABLE, "no route") == NoReply(Reason.UNREACHABLE, 1, "no route")


@pytest.mark.parametrize(
    ("stage", "reason"),
    [(Stage.ASKING, Reason.TIMEOUT), (Stage.EXAMINING_AUTH, Reason.TIMEOUT), (Stage.EXAMINING_PRIV, Reason.WRONG_PRIV)],
)
def test_silence_to_a_small_encrypted_request_means_a_wrong_privacy_key(stage, reason):
    under_way, asked = asked_v3()
    asked.v3 = V3Course(stage=stage)
    assert under_way.give_up(asked) == NoReply(reason, 1)
    again_under_way, again = asked_v3()
    again.v3 = V3Course(stage=stage)
    assert again_under_way.give_up(again, Reason.UNREACHABLE, "lost") == NoReply(Reason.UNREACHABLE, 1, "lost")


GONE = (Reason.UNREACHABLE, "nobody answers ARP")


def test_what_icmp_said_of_the_probe_before_is_why_this_one_gets_no_answer():
    """As ARP's failure is known after three seconds, and a probe waits for less."""
    under_way, asked, other = exchanges(), transaction(), transaction(peer=("192.0.2.2", 161))
    under_way.note_unreachable(PEER, GONE, 5.0)
    for probe in (asked, other):
        under_way.attempt(probe, 60.0)
    assert under_way.give_up(asked) == NoReply(GONE[0], 1, GONE[1])
    assert under_way.give_up(other) == NoReply(Reason.TIMEOUT, 1)
    late = transaction()
    under_way.attempt(late, 5.1 + UNREACHABLE_S)
    assert under_way.give_up(late) == NoReply(Reason.TIMEOUT, 1), "it may have changed since"


def test_what_icmp_said_is_forgotten_as_soon_as_anything_comes_from_there():
    under_way, asked = exchanges(), transaction()
    under_way.note_unreachable(PEER, GONE, 5.0)
    under_way.receive(b"anything", PEER, 6.0, 0)
    under_way.attempt(asked, 7.0)
    assert under_way.give_up(asked) == NoReply(Reason.TIMEOUT, 1)


def test_what_icmp_said_does_not_explain_the_silence_of_a_device_that_answers_from_another_address():
    """It was down and is back: it is silent to one OID, and a poll that takes it for unreachable ends there."""
    under_way, back, silent = exchanges(), transaction(), transaction()
    back.from_any = silent.from_any = True
    under_way.note_unreachable(PEER, GONE, 5.0)
    datagram, _ = under_way.attempt(back, 60.0)
    assert under_way.receive(answered(datagram), ("192.0.2.9", 161), 60.1, WALL_US)[0] is back
    under_way.attempt(silent, 61.0)
    assert under_way.give_up(silent) == NoReply(Reason.TIMEOUT, 1)


def test_what_icmp_said_is_remembered_of_so_many_addresses():
    under_way = exchanges()
    for number in range(MOST_UNREACHABLE + 1):
        under_way.note_unreachable((f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 161), GONE, 1.0)
    last = f"10.0.{MOST_UNREACHABLE >> 8}.{MOST_UNREACHABLE & 255}"
    first, beyond = transaction(peer=("10.0.0.0", 161)), transaction(peer=(last, 161))
    for probe in (first, beyond):
        under_way.attempt(probe, 2.0)
    assert [under_way.give_up(probe).reason for probe in (first, beyond)] == [Reason.UNREACHABLE, Reason.TIMEOUT]


def test_a_timeout_says_as_what_the_devices_answers_were_discarded():
    under_way, asked = exchanges(), transaction()
    under_way.attempt(asked, 5.0)
    under_way.attempt(asked, 6.0)
    under_way.note_discard(PEER, Discard.WRONG_COMMUNITY, 5.0)
    under_way.note_discard(("192.0.2.2", 161), Discard.MALFORMED, 5.5)
    said = f"its answers are discarded as wrong_community: {Discard.WRONG_COMMUNITY.text}"
    assert under_way.give_up(asked) == NoReply(Reason.TIMEOUT, 2, said, discarded=Discard.WRONG_COMMUNITY)
    again = transaction()
    under_way.attempt(again, 7.0)
    assert under_way.give_up(again) == NoReply(Reason.TIMEOUT, 1), "it is said once"


@pytest.mark.parametrize(("discarded_s", "reason"), [(4.9, Reason.TIMEOUT), (5.5, Reason.UNREACHABLE)])
def test_what_was_discarded_before_it_was_sent_or_does_not_explain_its_end_is_not_said(discarded_s, reason):
    under_way, asked = exchanges(), transaction()
    under_way.attempt(asked, 5.0)
    under_way.note_discard(PEER, Discard.MALFORMED, discarded_s)
    assert under_way.give_up(asked, reason, "why") == NoReply(reason, 1, "why")


def test_discards_of_so_many_addresses_are_remembered_and_then_forgotten_together():
    under_way = exchanges()
    for number in range(MOST_DISCARDS):
        under_way.note_discard((f"10.0.{number // 250}.{number % 250}", 161), Discard.MALFORMED, 1.0)
    first, last = transaction(peer=("10.0.0.0", 161)), transaction(peer=("10.0.0.1", 161))
    under_way.attempt(first, 0.0)
    assert under_way.give_up(first).detail
    for number in range(2):
        under_way.note_discard((f"10.1.0.{number}", 161), Discard.MALFORMED, 1.0)
    under_way.attempt(last, 0.0)
    assert not under_way.give_up(last).detail


def test_a_foreign_answer_with_the_right_id_and_community_says_where_the_device_answers_from():
    under_way, asked = exchanges(), transaction()
    datagram, _ = under_way.attempt(asked, 0.0)
    foreign = ("192.0.2.9", 161)
    assert under_way.receive(answered(datagram, community=b"x"), foreign, 0.1, WALL_US) == Discard.FOREIGN_PEER
    assert asked.answered_from is None
    assert under_way.receive(answered(datagram), foreign, 0.2, WALL_US) == Discard.FOREIGN_PEER
    assert under_way.give_up(asked) == NoReply(Reason.TIMEOUT, 1, answered_from=foreign)


def test_without_any_report_there_is_only_silence_to_believe():
    under_way, asked = asked_v3()
    assert under_way.believe(asked) == NoReply(Reason.TIMEOUT, 1)
    assert len(under_way) == 0


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_ENGINE_ID, Reason.NOT_IN_TIME_WINDOW])
def test_a_believed_report_of_the_engine_makes_it_ask_again_three_times_at_most(reason):
    under_way, asked = asked_v3()
    asked.v3 = V3Course(doubted=reason)
    for repeats in range(1, MOST_REPEATS + 1):
        assert under_way.believe(asked) == AskAgain(reason, False)
        assert asked.v3.repeats == repeats
    assert under_way.believe(asked) == NoReply(reason, 1)


def test_any_other_report_that_is_believed_is_the_end():
    under_way, asked = asked_v3()
    asked.v3 = V3Course(doubted=Reason.UNKNOWN_USER)
    assert under_way.believe(asked) == NoReply(Reason.UNKNOWN_USER, 1)
