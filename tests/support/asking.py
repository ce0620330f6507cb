"""Short ways to ask a device through the real client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from support.hang import HANG_S
from towerops_agent.counters import Counters
from towerops_agent.snmp import session as sessions
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Community, Pdu, Request, Version
from towerops_agent.snmp.wire.usm import Security

PATIENT_S = (HANG_S, HANG_S)
"""For a device that answers: no test waits that long."""

VERSIONS = {"1": Version.V1, "2c": Version.V2C}


def security(version: str = "2c", community: bytes = b"public") -> Community:
    return Community(VERSIONS[version], community)


def request(*oids: str) -> Request:
    return Request(tuple(map(parse_oid, oids)))


@asynccontextmanager
async def open_client() -> AsyncIterator[tuple[SnmpClient, Counters]]:
    counters = Counters()
    async with SnmpClient(counters) as client:
        yield client, counters


async def ask(port: int, wanted: Request, *, version: str = "2c", host: str = "127.0.0.1", timeouts_s=PATIENT_S) -> Answer:
    """The answer of one client, used once."""
    async with open_client() as (client, _):
        (peer,) = await client.resolve(host, port)
        return await client.ask(peer, security(version), wanted, timeouts_s)


async def ask_together(
    client: SnmpClient, port: int, how: Security, requests: Sequence[Request], timeouts_s: Sequence[float] = PATIENT_S
) -> list[Answer]:
    """The answers to these requests, which are under way at the same time."""
    answers: list[Answer] = []

    def take(given: list[Answer]) -> Sequence[Request]:
        answers.extend(given)
        return ()

    await client.ask_together(("127.0.0.1", port), how, requests, timeouts_s, take)
    return answers


async def get(port: int, *oids: str, version: str = "2c", host: str = "127.0.0.1") -> Pdu:
    """The response's PDU."""
    answer = await ask(port, request(*oids), version=version, host=host)
    assert not isinstance(answer, NoReply), answer
    return answer.pdu


async def walk(port: int, oid: str, *, version: str = "2c") -> list[sessions.Varbind]:
    """All varbinds below `oid`."""
    async with open_client() as (client, _):
        (peer,) = await client.resolve("127.0.0.1", port)
        session = Session(client, peer, security(version), timeouts_s=PATIENT_S)
        return [varbind async for varbind in sessions.walk(session, parse_oid(oid))]


def names(pdu: Pdu) -> list[str]:
    return [format_oid(name) for name in pdu.names]
