"""While many answers are awaited they are read some at a time, over real UDP sockets and in virtual time."""

import asyncio
import socket
import time
from contextlib import contextmanager

import pytest

from support import asking, virtual_time
from support.answers import answer
from support.arrivals import kept_times
from towerops_agent.counters import Count
from towerops_agent.snmp import client as snmp_client
from towerops_agent.snmp import lull
from towerops_agent.snmp.lull import FEW_AT_ONCE, FEWEST, HURRIED_S, LULL_S
from towerops_agent.snmp.wire.exchange import Exchanges, Reply

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


class Device:
    """A device that answers when the test has it answer. `tasks`: each has one request under way."""

    def __init__(self, client, sock):
        self.tasks = []
        self._client = client
        self.socket = sock
        self._got = []

    async def is_asked(self, count, *, single=False):
        """Have so many more requests under way; `single`: of those who ask one after another."""
        self.tasks += [asyncio.create_task(self._ask(single)) for _ in range(count)]
        await turns()
        self._got += [self.socket.recvfrom(2000) for _ in range(count)]

    async def _ask(self, single):
        port, how = self.socket.getsockname()[1], asking.security()
        if single:
            return [await self._client.ask(("127.0.0.1", port), how, REQUEST, asking.PATIENT_S)]
        return await asking.ask_together(self._client, port, how, [REQUEST])

    def answers(self, *places):
        for place in places:
            datagram, sender = self._got[place]
            self.socket.sendto(answer(datagram), sender)

    def floods(self, count):
        for _ in range(count):
            self.socket.sendto(b"no SNMP", self._got[0][1])

    @property
    def answered(self):
        return [place for place, task in enumerate(self.tasks) if task.done()]

    async def ends(self):
        """Everything is answered."""
        self.answers(*(place for place in range(len(self.tasks)) if place not in self.answered))
        for (reply,) in await asyncio.gather(*self.tasks):
            assert isinstance(reply, Reply)


@contextmanager
def device(client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Device(client, sock)


async def turns():
    """What is ready is done; no time passes."""
    for _ in range(5):
        await asyncio.sleep(0)


def played(scene):
    """`scene`, a coroutine function of a client and a device, in virtual time; nothing must fail on the loop meanwhile."""

    async def play():
        failed = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        async with asking.open_client() as (client, counters):
            with device(client) as one:
                await scene(client, one)
            assert client.is_idle
        await asyncio.sleep(2 * LULL_S)
        return failed, counters

    return virtual_time.run(play())


def test_answers_are_read_some_at_a_time_while_many_are_awaited():
    async def scene(_, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        assert device.answered == [0]  # at once
        device.answers(1, 2)
        await asyncio.sleep(LULL_S * 0.9)
        assert device.answered == [0]
        await asyncio.sleep(LULL_S * 0.2)
        assert device.answered == [0, 1, 2]
        device.answers(3)
        await asyncio.sleep(LULL_S * 0.8)
        assert device.answered == [0, 1, 2]
        await asyncio.sleep(LULL_S * 0.2)
        assert device.answered == [0, 1, 2, 3]
        await device.ends()

    assert played(scene)[0] == []


def test_few_answers_are_read_as_they_come():
    async def scene(_, device):
        await device.is_asked(FEWEST)
        for place in range(FEWEST):
            device.answers(place)
            await turns()
            assert device.answered == list(range(place + 1))

    assert played(scene)[0] == []


@pytest.mark.parametrize("volleys", [0, FEWEST - 1])
def test_answers_to_single_requests_are_read_as_they_come_however_many_are_awaited(volleys):
    """Who asks one request after another, as a discovery does, would wait for each of them."""

    async def scene(_, device):
        await device.is_asked(2 * FEWEST, single=True)
        await device.is_asked(volleys)
        for place in range(FEWEST):
            device.answers(place)
            await turns()
            assert device.answered == list(range(place + 1))
        await device.ends()

    assert played(scene)[0] == []


def test_a_single_request_waits_only_a_little_during_a_lull_of_others():
    async def scene(_, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        device.answers(1)
        for n in range(3):
            await device.is_asked(1, single=True)
            single = FEWEST + 4 + n
            device.answers(single)
            await asyncio.sleep(HURRIED_S * 0.9)
            assert single not in device.answered
            await asyncio.sleep(HURRIED_S * 0.2)
            assert {1, single} <= {*device.answered}
            await asyncio.sleep(LULL_S * 0.1)
        await device.ends()

    assert played(scene)[0] == []


def test_answers_that_come_together_by_themselves_are_read_as_they_come():
    async def scene(_, device):
        await device.is_asked(FEWEST + 3 * FEW_AT_ONCE)
        device.answers(*range(FEW_AT_ONCE + 1))
        await turns()
        device.answers(FEW_AT_ONCE + 1)
        await turns()
        assert device.answered == list(range(FEW_AT_ONCE + 2))
        await asyncio.sleep(LULL_S * 1.1)  # of the last one
        device.answers(*range(FEW_AT_ONCE + 2, 2 * FEW_AT_ONCE + 2))
        await turns()
        device.answers(2 * FEW_AT_ONCE + 2)
        await turns()
        assert device.answered == list(range(2 * FEW_AT_ONCE + 2))
        await device.ends()

    assert played(scene)[0] == []


def test_once_few_are_awaited_they_are_read_as_they_come_again():
    async def scene(_, device):
        await device.is_asked(FEWEST + 1)
        device.answers(0)
        await turns()
        device.answers(1, 2)
        await asyncio.sleep(LULL_S * 1.1)
        assert device.answered == [0, 1, 2]
        device.answers(3)
        await turns()
        assert device.answered == [0, 1, 2, 3]
        await device.ends()

    assert played(scene)[0] == []


def test_after_a_lull_in_which_nothing_came_the_next_answer_is_read_as_it_comes():
    """Many that are silent cost no wakeups."""

    async def scene(_, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        await asyncio.sleep(LULL_S * 1.1)
        device.answers(1)
        await turns()
        assert device.answered == [0, 1]
        await device.ends()

    assert played(scene)[0] == []


def test_no_more_answers_are_awaited_in_a_lull_than_the_socket_has_room_for(monkeypatch):
    """What Linux grants by default is room for some 90."""

    async def scene(client, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        device.answers(1)
        await turns()
        assert device.answered == [0]
        await device.is_asked(40)
        await turns()
        assert device.answered == [0, 1]  # by the request that made them too many
        device.answers(2)
        await turns()
        assert device.answered == [0, 1, 2]  # and there is no other lull
        await device.ends()

    has_room_for(40, monkeypatch)
    assert played(scene)[0] == []


def test_a_lull_that_ended_as_too_many_were_awaited_does_not_go_on(monkeypatch):
    """Also if few enough are again once all has been read: what is read then would end the next lull early."""

    async def scene(client, device):
        follow = [[REQUEST] * 4, []]
        place = ("127.0.0.1", device.socket.getsockname()[1])
        await device.is_asked(23)
        wanted = client.ask_together(place, asking.security(), [REQUEST], asking.PATIENT_S, lambda _: follow.pop(0))
        task = asyncio.create_task(wanted)
        await turns()
        datagram, sender = device.socket.recvfrom(2000)
        device.answers(0)
        await turns()
        device.socket.sendto(answer(datagram), sender)
        device.answers(1, 2, 3)
        await asyncio.sleep(LULL_S * 1.1)
        assert device.answered == [0, 1, 2, 3]
        device.answers(4)
        await turns()
        assert device.answered == [0, 1, 2, 3, 4]  # at once, and another lull begins
        device.answers(5)
        await asyncio.sleep(LULL_S * 0.95)
        assert device.answered == [0, 1, 2, 3, 4]
        await asyncio.sleep(LULL_S * 0.1)
        assert device.answered == [0, 1, 2, 3, 4, 5]
        for _ in range(4):
            datagram, sender = device.socket.recvfrom(2000)
            device.socket.sendto(answer(datagram), sender)
        await task
        await device.ends()

    has_room_for(24, monkeypatch)
    assert played(scene)[0] == []


def has_room_for(count, monkeypatch):
    """So many answers may be awaited in a lull."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, snmp_client.RECEIVE_BUFFER_OCTETS)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    monkeypatch.setattr(snmp_client, "ANSWER_OCTETS", granted // count)


def test_the_buffer_that_linux_grants_holds_as_many_answers_as_may_be_awaited():
    """The kernel's own count of an answer's octets: as many are sent as there is room for, and all of them arrive."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 212_992)
        receiver.setblocking(False)
        room = receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // lull.ANSWER_OCTETS
        for _ in range(room):
            sender.sendto(bytes(1472), receiver.getsockname())
        assert room > 80
        assert sum(len(receiver.recv(2000)) for _ in range(room)) == room * 1472


@pytest.mark.parametrize(
    ("name", "replacement"),
    [("keep_times", lambda: None), ("TIMES", (socket.SOL_SOCKET, socket.SO_BROADCAST))],
    ids=["refused", "accepted, and not done"],
)
def test_without_times_of_arrival_answers_are_read_as_they_come(monkeypatch, name, replacement):
    """They would have the time at which they are read."""

    async def scene(_, device):
        await device.is_asked(FEWEST + 4)
        for place in range(4):
            device.answers(place)
            await turns()
            assert device.answered == list(range(place + 1))
        await device.ends()

    monkeypatch.setattr(snmp_client, name, replacement)
    assert played(scene)[0] == []


def test_what_has_arrived_during_a_lull_is_read_before_its_time_counts_as_over():
    async def scene(client, device):
        await device.is_asked(FEWEST + 4)
        port = device.socket.getsockname()[1]
        short_s = (LULL_S / 2, LULL_S / 2)
        brief = asyncio.create_task(asking.ask_together(client, port, asking.security(), [REQUEST], short_s))
        await turns()
        device.answers(0)
        await turns()
        datagram, sender = device.socket.recvfrom(2000)
        device.socket.sendto(answer(datagram), sender)
        (reply,) = await brief
        assert isinstance(reply, Reply)
        assert reply.attempts == 1
        await device.ends()

    assert played(scene)[0] == []


def test_a_client_that_is_closed_during_a_lull_reads_no_more():
    async def scene(client, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        await client.__aexit__(None, None, None)
        assert {task.cancelled() for task in (await asyncio.wait(device.tasks[1:]))[0]} == {True}

    assert played(scene)[0] == []


def test_a_flood_during_a_lull_has_the_socket_replaced(monkeypatch):
    monkeypatch.setattr(snmp_client, "FLOOD", 10)

    async def scene(client, device):
        await asyncio.sleep(0)
        await device.is_asked(FEWEST + 4)
        before = client.sockets[socket.AF_INET]
        await asyncio.sleep(snmp_client.MOVE_AGAIN_S)
        device.answers(0)
        await turns()
        device.floods(10)
        await asyncio.sleep(LULL_S * 1.1)
        assert client.sockets == {}
        lost = len(device.tasks)
        await device.is_asked(1)
        assert client.sockets[socket.AF_INET] is not before
        device.answers(lost)
        await turns()
        assert device.answered == [0, lost]
        for task in device.tasks:
            task.cancel()
        await asyncio.wait(device.tasks)

    failed, counters = played(scene)
    assert failed == []
    assert counters.by_reason(Count.SNMP_DISCARDED) == {"malformed": 10}


def test_what_fails_while_answers_are_read_ends_no_reading(monkeypatch):
    """As without memory."""

    async def scene(_, device):
        await device.is_asked(FEWEST + 4)
        device.answers(0)
        await turns()
        with monkeypatch.context() as patched:
            patched.setattr(Exchanges, "receive", lambda *_: int("no memory"))
            device.answers(1)
            await asyncio.sleep(LULL_S * 1.1)
        device.answers(2)
        await turns()
        assert device.answered == [0, 2]
        device.answers(1)
        await device.ends()

    failed, _ = played(scene)
    assert [type(each["exception"]) for each in failed] == [ValueError]


@pytest.mark.parametrize("awaited", [1, FEWEST + 4])
async def test_each_answer_has_its_own_time_however_late_it_is_read(awaited):
    """The kernel's: real time here, as it notes no other."""
    async with asking.open_client() as (client, _):
        with device(client) as one:
            await kept_times()
            asked_s, times_us, longest_s = time.monotonic(), [], []
            await one.is_asked(awaited)
            for place in range(awaited):
                before_us = time.time_ns() // 1000
                one.answers(place)
                times_us.append((before_us, time.time_ns() // 1000))
                longest_s.append(time.monotonic() - asked_s)
                while time.time_ns() // 1000 <= times_us[-1][1] + 2000:
                    pass  # the loop is busy
            replies = [(await task)[0] for task in one.tasks]
    for (before_us, behind_us), most_s, reply in zip(times_us, longest_s, replies, strict=True):
        assert before_us <= reply.received_us <= behind_us
        assert 0 < reply.rtt_s < most_s + 0.001
