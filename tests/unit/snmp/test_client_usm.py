"""The client over UDP, with devices that speak v3: keys are made off the loop, once; reports and replies may cross."""

import asyncio
import socket
import threading

import pytest

from support import asking, usm_agent, virtual_time
from support.hang import HANG_S
from support.usm_agent import UsmAgent, user
from towerops_agent.counters import Count
from towerops_agent.snmp import engines
from towerops_agent.snmp.wire import usm_keys
from towerops_agent.snmp.wire.exchange import DOUBT_S, Exchanges, NoReply, Reply, Transaction
from towerops_agent.snmp.wire.message import Pdu, PduType
from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, PrivScheme
from towerops_agent.snmp.wire.v3message import decode_v3
from towerops_lab.simulator.server import serve

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


async def ask(client, port, security, timeouts_s=asking.PATIENT_S):
    return await client.ask(("127.0.0.1", port), security, REQUEST, timeouts_s)


@pytest.fixture
def derived(monkeypatch):
    """Each password that was made a key of, and whether that was on the event loop's thread."""
    made = []

    def note(hash_name, password):
        made.append((hash_name, password, threading.current_thread() is threading.main_thread()))
        return usm_keys.password_to_key(hash_name, password)

    monkeypatch.setattr(engines, "password_to_key", note)
    return made


async def test_a_password_is_made_a_key_once_for_all_devices_and_off_the_loop(derived):
    """Each device has its own engine; a restart and a new engine ID cost no other key."""
    agents = [UsmAgent(user(), b"engine %d" % n) for n in range(3)]
    async with asking.open_client() as (client, _):
        for agent in agents:
            security = UsmSecurity(agent.user)
            async with serve(agent.answer) as port:
                assert isinstance(await ask(client, port, security), Reply)
                agent.engine_id += b", new"
                assert isinstance(await ask(client, port, security), Reply)
    assert sorted(derived) == [("sha256", b"auth-pass-1", False), ("sha256", b"priv-pass-1", False)]


async def test_a_user_without_authentication_needs_no_key(derived):
    agent = UsmAgent(user(None, None))
    async with asking.open_client() as (client, _), serve(agent.answer) as port:
        assert isinstance(await ask(client, port, UsmSecurity(agent.user)), Reply)
    assert derived == []


async def test_passwords_are_forgotten_before_they_are_too_many(derived, monkeypatch):
    monkeypatch.setattr(engines, "REMEMBERED_PASSWORDS", 2)
    async with asking.open_client() as (client, _):
        for password in (b"password-1", b"password-2", b"password-1", b"password-3", b"password-1"):
            agent = UsmAgent(user(priv=None, auth_password=password))
            async with serve(agent.answer) as port:
                assert isinstance(await ask(client, port, UsmSecurity(agent.user)), Reply)
    assert [password for _, password, _ in derived] == [b"password-1", b"password-2", b"password-3", b"password-1"]


async def test_requests_to_a_device_that_nobody_knows_yet_may_begin_together():
    agent = UsmAgent(user(AuthScheme.SHA, PrivScheme.AES_256_C))
    security = UsmSecurity(agent.user)
    async with asking.open_client() as (client, counters), serve(agent.answer) as port:
        replies = await asyncio.gather(*(ask(client, port, security) for _ in range(5)))
        assert sorted(reply.pdu.values for reply in replies) == [[n] for n in range(1, 6)]
        assert counters.by_reason(Count.SNMP_ENGINES) == {"discovered": 1}


async def test_a_reply_that_comes_with_a_report_is_taken():
    """To the first attempt, while the report on the second one wants the request sent again."""
    agent, held = UsmAgent(user()), []

    def cross(datagram, now):
        message = decode_v3(datagram)
        if not message.engine_id:
            return agent.answer(datagram, now)
        held.append(message)
        if len(held) == 1:
            return None
        asked = Pdu(PduType.GET, held[0].message_id, names=list(REQUEST.names))
        report = agent.report(message, usm_agent.NOT_IN_WINDOW, now, 1)
        return [report, agent.respond(held[0].message_id, asked, now)]

    async with asking.open_client() as (client, _), serve(cross) as port:
        reply = await ask(client, port, UsmSecurity(agent.user), (0.05, 60.0))
        assert reply.pdu.values == [1]
        assert (client.is_idle, len(held)) == (True, 2)


async def test_a_request_cancelled_while_keys_are_made_leaves_nothing_behind(monkeypatch):
    agent, begun, go_on = UsmAgent(user()), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(hash_name, password):
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(HANG_S)
        return usm_keys.password_to_key(hash_name, password)

    monkeypatch.setattr(engines, "password_to_key", slow)
    async with asking.open_client() as (client, _), serve(agent.answer) as port:
        task = asyncio.create_task(ask(client, port, UsmSecurity(agent.user)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert client.is_idle


async def test_what_the_device_reports_against_the_user_is_reported_at_once():
    agent = UsmAgent(user(auth_password=b"another-one"))
    async with asking.open_client() as (client, _), serve(agent.answer) as port:
        assert await ask(client, port, UsmSecurity(user()), (60.0,)) == NoReply("wrong_auth_password", 1)


async def test_several_requests_are_under_way_to_a_device_that_is_known_and_a_report_answers_none_of_them():
    agent = UsmAgent(user(AuthScheme.SHA, PrivScheme.AES_128))
    security = UsmSecurity(agent.user)
    async with asking.open_client() as (client, _), serve(agent.answer) as port:
        await ask(client, port, security)
        replies = await asking.ask_together(client, port, security, [REQUEST] * 3)
        assert [type(reply) for reply in replies] == [Reply] * 3
        agent.engine_id += b", new"
        replies = await asking.ask_together(client, port, security, [REQUEST] * 3, (0.2,))
        assert [type(reply) for reply in replies] == [NoReply] * 3
        assert isinstance(await ask(client, port, security), Reply)
        assert client.is_idle


def test_a_report_that_anybody_could_have_sent_is_not_believed_if_an_authentic_answer_waits_to_be_read():
    """It arrives in the very moment in which it would be too late, in virtual time."""
    agent, start_s = UsmAgent(user()), 1000.0
    security = UsmSecurity(agent.user)
    exchanges, place = Exchanges(lambda: 12_345_678), ("192.0.2.1", 161)
    datagram, _ = exchanges.attempt(Transaction(place, security, REQUEST, (1.0,)), start_s)
    exchanges.receive(agent.answer(datagram, start_s), place, start_s, 0)
    usm_agent.equip(security)

    async def play():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.bind(("127.0.0.1", 0))
            async with asking.open_client() as (client, _):
                task = asyncio.create_task(ask(client, device.getsockname()[1], security, (60.0,)))
                await asyncio.sleep(0)
                datagram, sender = device.recvfrom(2000)
                device.sendto(agent.report(decode_v3(datagram), usm_agent.UNKNOWN_USER, start_s), sender)
                loop.call_later(DOUBT_S, lambda: device.sendto(agent.answer(datagram, start_s), sender))
                return await task

    reply = virtual_time.run(play())
    assert isinstance(reply, Reply)
    assert reply.attempts == 1
