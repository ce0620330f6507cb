"""Names to addresses without a blocked loop, a piled-up thread, or a stop that waits for a dead name server."""

import asyncio
import socket
import threading

import pytest

from support.hang import HANG_S
from towerops_agent.snmp.session import MOST_ADDRESSES, MOST_AT_ONCE, Resolver, system_lookup


async def test_an_address_needs_nobody_to_be_asked():
    resolver = Resolver(lambda host, port: pytest.fail("asked for an address"))
    assert await resolver.resolve("192.0.2.7", 161) == [("192.0.2.7", 161)]
    assert [peer[:2] for peer in await resolver.resolve("2001:db8::7", 161)] == [("2001:db8::7", 161)]
    assert await resolver.resolve("::ffff:192.0.2.7", 161) == [("192.0.2.7", 161)]


async def test_a_name_is_what_the_system_says():
    assert (await Resolver().resolve("localhost", 161))[0][1] == 161
    resolver = Resolver(lambda host, port: [("192.0.2.9", port), ("192.0.2.10", port)])
    assert await resolver.resolve("tower.example", 1161) == [("192.0.2.9", 1161), ("192.0.2.10", 1161)]


async def test_addresses_are_in_the_systems_order_each_once_and_not_too_many():
    found = [("2001:db8::7", 161, 0, 0), ("::ffff:192.0.2.7", 161, 0, 0), ("192.0.2.7", 161), ("fe80::1%eth0", 161, 0, 2)]
    assert await Resolver(lambda host, port: found).resolve("tower.example", 161) == [found[0], found[2], found[3]]
    many = [(f"192.0.2.{n}", 161) for n in range(99)]
    assert await Resolver(lambda host, port: many).resolve("tower.example", 161) == many[:MOST_ADDRESSES]


def test_a_name_of_this_machine_s_own_table_is_found_with_a_dot_behind_it_too():
    assert {peer[:2] for peer in system_lookup("localhost.", 161)} <= {("127.0.0.1", 161), ("::1", 161)}
    with pytest.raises(socket.gaierror):
        system_lookup("no-such-host.invalid.", 161)


@pytest.mark.parametrize("blocked", [("0.0.0.0", 161), ("::", 161, 0, 0), ("::ffff:0.0.0.0", 161, 0, 0), ("224.0.0.1", 161)])
async def test_an_address_where_this_machine_or_anybody_would_answer_is_not_a_device_s(blocked):
    """Name servers that block a name say so: a device of that name would get this machine's values."""
    with pytest.raises(OSError, match="which no device can have"):
        await Resolver(lambda host, port: [blocked]).resolve("tower.example", 161)
    there = Resolver(lambda host, port: [blocked, ("192.0.2.9", 161)])
    assert await there.resolve("tower.example", 161) == [("192.0.2.9", 161)]


@pytest.mark.parametrize("lookup", ["none", "error", "label"])
async def test_a_name_that_does_not_resolve_is_an_os_error(lookup):
    def fail(host, port):
        if lookup == "error":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if lookup == "label":
            raise UnicodeError("label too long")
        return []

    with pytest.raises(OSError, match=r"."):
        await Resolver(fail).resolve("tower.example", 161)


async def test_threads_that_could_not_be_started_hold_no_place(monkeypatch):
    """A machine that has no threads left for a while costs these questions, and none of those that follow."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    resolver = Resolver(lambda host, port: [("192.0.2.1", port)])
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        for _ in range(MOST_AT_ONCE):
            with pytest.raises(RuntimeError):
                await resolver.resolve("tower.example", 161)
    async with asyncio.timeout(HANG_S):
        assert await resolver.resolve("tower.example", 161) == [("192.0.2.1", 161)]


async def test_a_dead_name_server_holds_a_few_threads_and_no_asker():
    """Askers that give up go on; their questions keep their places, so no more threads than places; then all are free again."""
    answer = threading.Event()
    running = threading.Semaphore(0)
    started = []

    def hang(host, port):
        started.append(host)
        running.release()
        answer.wait()
        return [("192.0.2.1", port)]

    resolver = Resolver(hang)
    askers = [asyncio.create_task(resolver.resolve(f"host{i}.example", 161)) for i in range(3 * MOST_AT_ONCE)]
    for _ in range(MOST_AT_ONCE):
        await asyncio.to_thread(running.acquire)
    for asker in askers:
        asker.cancel()
    assert {type(result) for result in await asyncio.gather(*askers, return_exceptions=True)} == {asyncio.CancelledError}
    assert len(started) == MOST_AT_ONCE
    answer.set()
    assert await resolver.resolve("another.example", 161) == [("192.0.2.1", 161)]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("resolve"))
