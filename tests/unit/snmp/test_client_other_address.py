"""Devices with several addresses that answer from another one than was asked: reported, and accepted only if that is wanted."""

import asyncio
import socket

import pytest

from support import asking, usm_agent
from support.answers import answer
from support.usm_agent import UsmAgent
from towerops_agent.counters import Count
from towerops_agent.reasons import Discard
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire.exchange import Exchanges, NoReply, Reply, Transaction
from towerops_agent.snmp.wire.message import LOWEST_ID
from towerops_agent.snmp.wire.usm import AskAgain, UsmSecurity
from towerops_lab.simulator.server import serve

PEER, OTHER = ("192.0.2.1", 161), ("192.0.2.2", 161)
REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


class Crooked:
    """A device that answers from another address than the one that is asked."""

    def __init__(self, client, reply=answer):
        self.client = client
        self.reply = reply
        self.other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.other.bind(("127.0.0.2", 0))

    def __call__(self, datagram, now):
        octets = self.reply(datagram)
        if octets is not None:
            self.other.sendto(octets, ("127.0.0.1", self.client.sockets[socket.AF_INET].getsockname()[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.other.close()


def sent(security, *, from_any=False):
    """One request that was sent: the exchanges, the transaction and the datagram."""
    ids = iter(range(LOWEST_ID, LOWEST_ID + 100))
    exchanges = Exchanges(lambda: next(ids))
    transaction = Transaction(PEER, security, REQUEST, (1.0,), from_any)
    return exchanges, transaction, exchanges.attempt(transaction, 0.0)[0]


@pytest.mark.parametrize("version", ["1", "2c"])
def test_a_reply_from_another_address_is_discarded_and_reported(version):
    exchanges, transaction, datagram = sent(asking.security(version))
    assert exchanges.receive(answer(datagram), OTHER, 0.1, 0) == Discard("foreign_peer")
    assert exchanges.give_up(transaction) == NoReply("timeout", 1, answered_from=OTHER)


@pytest.mark.parametrize("from_any", [False, True])
def test_another_address_that_does_not_know_the_community_is_neither_reported_nor_accepted(from_any):
    exchanges, transaction, datagram = sent(asking.security(), from_any=from_any)
    assert exchanges.receive(answer(datagram, community=b"guessed"), OTHER, 0.1, 0) == Discard("foreign_peer")
    assert exchanges.give_up(transaction) == NoReply("timeout", 1)


def test_another_address_that_does_not_know_the_id_is_neither_reported_nor_accepted():
    exchanges, transaction, _ = sent(asking.security(), from_any=True)
    _, _, foreign = sent(asking.security())
    octets = answer(foreign.replace(LOWEST_ID.to_bytes(4, "big"), (LOWEST_ID + 50).to_bytes(4, "big")))
    assert exchanges.receive(octets, OTHER, 0.1, 0) == Discard("unknown_id")
    assert exchanges.give_up(transaction) == NoReply("timeout", 1)


def test_over_v3_another_address_is_reported_from_the_discovery_on_and_has_to_authenticate():
    agent = UsmAgent(usm_agent.user())
    security = UsmSecurity(agent.user)
    exchanges, transaction, datagram = sent(security)
    discovered = agent.answer(datagram, 0.0)
    assert exchanges.receive(discovered, OTHER, 0.1, 0) == Discard("foreign_peer")
    assert exchanges.give_up(transaction).answered_from == OTHER

    exchanges, transaction, datagram = sent(security, from_any=True)
    assert isinstance(exchanges.receive(agent.answer(datagram, 0.0), OTHER, 0.1, 0)[1], AskAgain)
    usm_agent.equip(security)
    reply = bytearray(agent.answer(exchanges.repeat(transaction, 0.2)[0], 0.2))
    reply[-1] ^= 1
    assert exchanges.receive(bytes(reply), OTHER, 0.3, 0) == Discard("wrong_digest")
    reply[-1] ^= 1
    assert isinstance(exchanges.receive(bytes(reply), OTHER, 0.3, 0)[1], Reply)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_device_that_answers_from_another_address_is_read_where_that_is_wanted(version):
    async with asking.open_client() as (client, counters):
        with Crooked(client) as device:
            async with serve(device) as port:
                reply = await client.ask(("127.0.0.1", port), asking.security(version), REQUEST, asking.PATIENT_S, from_any=True)
                assert reply.pdu.values == [4711]
                assert counters.total(Count.SNMP_DISCARDED) == 0


async def test_an_answer_to_another_device_s_request_is_only_that_device_s():
    """Both may answer from any address; the id says whose answer it is."""
    async with asking.open_client() as (client, _):
        with Crooked(client) as one, Crooked(client) as other:
            one.reply, other.reply = (lambda datagram: answer(datagram, 1)), (lambda datagram: answer(datagram, 2))
            async with serve(one) as first, serve(other) as second:
                asked = [("127.0.0.1", port) for port in (first, second) * 10]
                security = asking.security()
                replies = await asyncio.gather(
                    *(client.ask(peer, security, REQUEST, asking.PATIENT_S, from_any=True) for peer in asked)
                )
                assert [reply.pdu.values for reply in replies] == [[1], [2]] * 10


async def test_a_session_asks_once_more_accepts_the_other_address_and_says_so():
    """The first silence costs its wait; from then on the device is heard at once."""
    asked = []

    class Crossed:
        async def ask(self, peer, security, request, timeouts_s, *, over_tcp=False, from_any=False):
            asked.append((peer, from_any, over_tcp, timeouts_s))
            return Reply(None, 0.1, 0) if from_any else NoReply("timeout", 1, answered_from=OTHER)

    session = Session(Crossed(), PEER, asking.security(), over_tcp=True, timeouts_s=(0.5,))
    assert session.answers_from is None
    assert isinstance(await session.ask(REQUEST), Reply)
    assert isinstance(await session.ask(REQUEST, (0.7,)), Reply)
    assert session.answers_from == OTHER
    assert asked == [(PEER, False, True, (0.5,)), (PEER, True, True, (0.5,)), (PEER, True, True, (0.7,))]
