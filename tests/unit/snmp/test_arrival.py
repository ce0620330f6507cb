"""When an answer arrived, by the kernel, over real UDP sockets and in real time: the kernel notes no other."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from support import asking
from support.answers import answer
from support.arrivals import kept_times
from towerops_agent.snmp import client as snmp_client

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


@asynccontextmanager
async def answered(family, host):
    """A request that is answered, and the answer not read yet: the task that has it, and when it was asked."""
    with socket.socket(family, socket.SOCK_DGRAM) as device:
        try:
            device.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        async with asking.open_client() as (client, _):
            await kept_times()
            asked_s = time.monotonic()
            task = asyncio.create_task(client.ask(device.getsockname(), asking.security(), REQUEST, asking.PATIENT_S))
            await asyncio.sleep(0)
            datagram, sender = device.recvfrom(2000)
            device.sendto(answer(datagram), sender)
            yield task, asked_s


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
async def test_an_answer_has_the_time_of_its_arrival_however_late_it_is_read(family, host):
    before_us = time.time_ns() // 1000
    async with answered(family, host) as (task, asked_s):
        arrived_us, arrived_s = time.time_ns() // 1000, time.monotonic()
        while time.time_ns() // 1000 <= arrived_us + 5000:
            pass  # the loop is busy
        reply = await task
    assert before_us < reply.received_us <= arrived_us
    assert 0 < reply.rtt_s < arrived_s - asked_s + 0.001


@pytest.mark.parametrize("set_s", [-3600, 3600])
async def test_an_answer_that_arrived_before_the_wall_clock_was_set_has_the_time_at_which_it_is_read(monkeypatch, set_s):
    """By the clock as it is then; and its round trip is as long as it was."""
    ahead_ns = 0
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + ahead_ns, monotonic=time.monotonic)
    monkeypatch.setattr(snmp_client, "time", clock)
    async with answered(socket.AF_INET, "127.0.0.1") as (task, asked_s):
        ahead_ns = set_s * 1_000_000_000
        before_us = clock.time_ns() // 1000
        reply = await task
        assert before_us <= reply.received_us <= clock.time_ns() // 1000
        assert 0 < reply.rtt_s <= time.monotonic() - asked_s
