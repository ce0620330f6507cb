"""When an answer arrived, by the kernel, over real UDP sockets and in real time: the kernel notes no other."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest

from support import asking
from support.answers import answer
from support.arrivals import kept_times
from towerops_agent.snmp import client as snmp_client
from towerops_agent.snmp.client import both_now

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


@asynccontextmanager
async def asking_a_device(family=socket.AF_INET, host="127.0.0.1"):
    """A function that asks a device: then the answer has arrived, and is not read yet. It returns the task that has it, and when
    the device was asked."""
    with socket.socket(family, socket.SOCK_DGRAM) as device:
        try:
            device.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        async with asking.open_client() as (client, _):
            await kept_times()

            async def ask():
                asked_s = time.monotonic()
                task = asyncio.create_task(client.ask(device.getsockname(), asking.security(), REQUEST, asking.PATIENT_S))
                await asyncio.sleep(0)
                datagram, sender = device.recvfrom(2000)
                device.sendto(answer(datagram), sender)
                return task, asked_s

            yield ask


def be_busy(for_s):
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        pass


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
async def test_an_answer_has_the_time_of_its_arrival_however_late_it_is_read(family, host):
    before_us = time.time_ns() // 1000
    async with asking_a_device(family, host) as ask:
        task, asked_s = await ask()
        arrived_us, arrived_s = time.time_ns() // 1000, time.monotonic()
        be_busy(0.005)
        reply = await task
    assert before_us < reply.received_us <= arrived_us
    assert 0 < reply.rtt_s < arrived_s - asked_s + 0.001


class Clocks:
    """The client's clocks, of which the wall clock can be set, and the machine suspended."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME
    monotonic = time.monotonic

    def __init__(self, monkeypatch):
        self.ahead_ns = self.asleep_ns = 0
        self.holds_up = 0  # so many times, behind a look at the wall clock
        monkeypatch.setattr(snmp_client, "time", self)

    def time_ns(self):
        now_ns = time.time_ns() + self.ahead_ns + self.asleep_ns
        if self.holds_up:
            self.holds_up -= 1
            be_busy(0.005)
        return now_ns

    def clock_gettime_ns(self, clock):
        return time.clock_gettime_ns(clock) + self.asleep_ns


@pytest.mark.parametrize("set_s", [-3600, -0.5, 0.02, 3600])
async def test_an_answer_that_arrived_before_the_wall_clock_was_set_has_the_time_at_which_it_is_read(monkeypatch, set_s):
    """By the clock as it is then; and its round trip is as long as it was, however long the socket was quiet before."""
    clocks = Clocks(monkeypatch)
    async with asking_a_device() as ask:
        await (await ask())[0]
        be_busy(0.05)
        task, asked_s = await ask()
        clocks.ahead_ns = int(set_s * 1_000_000_000)
        before_us = clocks.time_ns() // 1000
        reply = await task
        assert before_us <= reply.received_us <= clocks.time_ns() // 1000
        assert 0 < reply.rtt_s <= time.monotonic() - asked_s


@pytest.mark.parametrize("slept_s", [0.02, 3600])
async def test_an_answer_that_arrived_before_the_machine_was_suspended_has_the_time_of_its_arrival(monkeypatch, slept_s):
    clocks = Clocks(monkeypatch)
    async with asking_a_device() as ask:
        await (await ask())[0]
        be_busy(0.05)
        before_us = clocks.time_ns() // 1000
        task, asked_s = await ask()
        arrived_us = clocks.time_ns() // 1000
        clocks.asleep_ns = int(slept_s * 1_000_000_000)
        reply = await task
        assert before_us <= reply.received_us <= arrived_us
        assert 0 < reply.rtt_s <= time.monotonic() - asked_s


async def test_answers_have_the_times_of_their_arrival_again_once_the_clock_that_was_set_was_read(monkeypatch):
    clocks = Clocks(monkeypatch)
    async with asking_a_device() as ask:
        for set_s in (3600, 0):
            task, _ = await ask()
            clocks.ahead_ns = set_s * 1_000_000_000
            await task
        task, _ = await ask()
        arrived_us = time.time_ns() // 1000
        be_busy(0.005)
        assert (await task).received_us <= arrived_us


async def test_an_agent_that_is_held_up_between_two_clocks_does_not_take_one_for_set(monkeypatch):
    """As any process is on a busy machine."""
    clocks = Clocks(monkeypatch)
    async with asking_a_device() as ask:
        await (await ask())[0]
        for holds_up in (3, 0):
            task, _ = await ask()
            arrived_us = time.time_ns() // 1000
            be_busy(0.005)
            clocks.holds_up = holds_up
            assert (await task).received_us <= arrived_us


def test_two_clocks_are_read_at_one_moment_unless_the_process_is_always_held_up():
    now_s = 0.0

    def wall_ns():
        nonlocal now_s
        at_ns = round(now_s * 1e9)
        now_s += next(held_up_s)
        return at_ns

    held_up_s = iter([1.0, 0.002, 0.0001])
    assert both_now(lambda: now_s, wall_ns) == (pytest.approx(1.0021), 1_002_000_000)
    held_up_s = iter([1.0] * 100)
    both_now(lambda: now_s, wall_ns)
    assert len(list(held_up_s)) > 80
