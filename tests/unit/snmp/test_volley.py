"""Requests that are under way together, over real UDP sockets."""

import asyncio
import socket

import pytest

from support import asking
from support.answers import answer
from towerops_agent.counters import Count
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_lab.simulator.server import serve

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")
PATIENT_S = asking.PATIENT_S


async def test_several_requests_are_under_way_together_each_with_its_own_answer():
    waiting = []

    def peer(datagram, _uptime_s):
        """Answers when it has all three, the last one first."""
        waiting.append(datagram)
        return [answer(each, ticks=n) for n, each in reversed(list(enumerate(waiting)))] if len(waiting) == 3 else None

    async with asking.open_client() as (client, counters), serve(peer) as port:
        replies = await asking.ask_together(client, port, asking.security(), [REQUEST] * 3)
        assert [reply.pdu.values for reply in replies] == [[0], [1], [2]]
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 3}
        assert client.is_idle


async def test_of_several_requests_one_that_is_lost_is_not_sent_again():
    seen = []

    def peer(datagram, _uptime_s):
        seen.append(datagram)
        return None if len(seen) == 2 else answer(datagram)

    async with asking.open_client() as (client, _), serve(peer) as port:
        replies = await asking.ask_together(client, port, asking.security(), [REQUEST] * 3, (0.3, 9.0))
        assert [type(reply) for reply in replies] == [Reply, NoReply, Reply]
        assert len(seen) == 3
        assert client.is_idle


async def test_what_follows_from_the_answers_is_asked_at_once_until_nothing_follows():
    """A single request is repeated, as if it were asked by itself."""
    seen, taken, follow = [], [], [[REQUEST] * 2, [REQUEST], []]

    def peer(datagram, _uptime_s):
        seen.append(datagram)
        return None if len(seen) == 6 else answer(datagram, ticks=len(seen))

    def take(answers):
        taken.append([reply.pdu.values[0] for reply in answers])
        return follow.pop(0)

    async with asking.open_client() as (client, counters), serve(peer) as port:
        place = ("127.0.0.1", port)
        await client.ask_together(place, asking.security(), [REQUEST] * 3, (0.3, *PATIENT_S), take)
        assert [sorted(values) for values in taken] == [[1, 2, 3], [4, 5], [7]]
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 6, "retried": 1}
        assert client.is_idle


class Prompt:
    """A socket of the client whose datagrams are answered before they are sent, so to speak: at once, by `device`."""

    def __init__(self, real, device):
        self.real, self.device = real, device

    def sendto(self, datagram, _peer):
        return self.device.sendto(answer(datagram), ("127.0.0.1", self.real.getsockname()[1]))

    def __getattr__(self, name):
        return getattr(self.real, name)


async def test_an_answer_that_is_there_before_the_one_before_it_is_read_to_the_end_has_its_own_time():
    """All that has arrived is read at one wakeup, and what follows is sent meanwhile."""
    taken, follow = [], [[REQUEST]] * 3 + [[]]

    def take(answers):
        taken.extend(answers)
        return follow.pop(0)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind(("127.0.0.1", 0))
        async with asking.open_client() as (client, _):
            await client.ask(device.getsockname(), asking.security(), REQUEST, (0.0,))  # it has a socket from now on
            client.sockets[socket.AF_INET] = Prompt(client.sockets[socket.AF_INET], device)
            await client.ask_together(device.getsockname(), asking.security(), [REQUEST], PATIENT_S, take)
    assert len(taken) == 4
    assert all(reply.rtt_s >= 0.0 for reply in taken)
    assert [reply.received_us for reply in taken] == sorted(reply.received_us for reply in taken)


async def test_a_request_that_follows_a_repeated_one_is_repeated_at_its_own_time():
    seen, follow = [], [[REQUEST], []]

    def peer(datagram, _uptime_s):
        seen.append(datagram)
        return answer(datagram) if len(seen) in (2, 4) else None

    async with asking.open_client() as (client, counters), serve(peer) as port:
        await client.ask_together(("127.0.0.1", port), asking.security(), [REQUEST], (0.3, 3600.0), lambda _: follow.pop(0))
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 2, "retried": 2}
        assert client.is_idle


async def test_a_single_request_is_given_up_after_all_its_attempts():
    async with asking.open_client() as (client, counters), serve(lambda _datagram, _uptime_s: None) as port:
        replies = await asking.ask_together(client, port, asking.security(), [REQUEST], (0.01, 0.01, 0.01))
        assert replies == [NoReply(Reason.TIMEOUT, 3)]
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 1, "retried": 2}
        assert client.is_idle


async def test_what_a_follower_raises_is_raised_by_who_asked_and_leaves_nothing():
    def take(_answers):
        raise ZeroDivisionError

    async with asking.open_client() as (client, _), serve(lambda datagram, _uptime_s: answer(datagram)) as port:
        with pytest.raises(ZeroDivisionError):
            await client.ask_together(("127.0.0.1", port), asking.security(), [REQUEST] * 2, PATIENT_S, take)
        assert client.is_idle


async def test_several_requests_that_are_cancelled_leave_nothing():
    async with asking.open_client() as (client, _), serve(lambda _datagram, _uptime_s: None) as port:
        asked = asyncio.ensure_future(asking.ask_together(client, port, asking.security(), [REQUEST] * 3))
        await asyncio.sleep(0)
        assert not client.is_idle
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert client.is_idle


async def test_several_requests_end_with_the_client():
    async with serve(lambda _datagram, _uptime_s: None) as port:
        async with asking.open_client() as (client, _):
            asked = asyncio.ensure_future(asking.ask_together(client, port, asking.security(), [REQUEST] * 3))
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert client.is_idle
