"""Checks a group of agents: each NATS server, the routes between them, and what the members say.

It listens for three seconds, and publishes a message that members ignore. I/O: through the bus. Imported only if the agent is in
a group: nats-py may be absent.
"""

import asyncio
import secrets
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from towerops_agent.api.bearer import TokenSource
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.group import SERVER, Overheard, judge_members, judge_routes
from towerops_agent.errors import EngineUnreachable
from towerops_agent.group.course.share import digest_of
from towerops_agent.group.course.wire import Beat, Probe, decode_message, encode_message
from towerops_agent.group.joining import make_bus, make_seal, seat_of
from towerops_agent.settings import Settings
from towerops_agent.text import is_loopback

if TYPE_CHECKING:
    from towerops_agent.group.bus import Bus

LISTEN_S = 3.0
"""Three beats of each member."""

ROUNDS = 6
"""How often it publishes in that time."""


async def check_group(settings: Settings, token: TokenSource, config: ConfigText | None) -> list[Check]:
    """The group's servers and members. `config`: the configuration as it was fetched now, if it was."""
    seat, seal = seat_of(settings, ""), make_seal(settings, token)
    overheard = Overheard()
    heard: dict[str, set[str]] = {}
    nonces = {url: secrets.token_hex(8) for url in settings.group_nats_urls}

    def ear(url: str, subject: str, octets: bytes) -> None:
        message = seal.unseal(subject, octets)
        decoded = None if message is None else decode_message(message)
        if message is None:
            overheard.unreadable += 1
        elif isinstance(decoded, Beat):
            overheard.beats[decoded.member] = decoded
            overheard.ahead_s[decoded.member] = decoded.wall_us / 1e6 - time.time()
        elif isinstance(decoded, Probe):
            heard[url] |= {other for other, nonce in nonces.items() if nonce == decoded.nonce}

    checks: list[Check] = []
    buses: dict[str, Bus] = {}
    async with AsyncExitStack() as stack:
        for url in settings.group_nats_urls:
            bus = make_bus(
                settings,
                [seat.here, seat.learned],
                lambda subject, octets, url=url: ear(url, subject, octets),  # type: ignore[misc]
                lambda: None,
                lambda _secret: None,
            )
            heard[url] = set()
            try:
                await stack.enter_async_context(bus.connected(url))
            except EngineUnreachable as error:
                checks.append(Check(SERVER, Result.FAILED, f"{url}: {error}", _hint(str(error))))
            else:
                buses[url] = bus
        for _ in range(ROUNDS if buses else 0):  # servers take a moment to tell each other who listens
            for url, bus in buses.items():
                await bus.publish(seat.here, seal.seal(seat.here, encode_message(Probe(nonces[url]))))
            await asyncio.sleep(LISTEN_S / ROUNDS)
    checks += judge_routes(list(buses), {url: frozenset(heard[url]) for url in buses})
    if settings.group_credentials_file is not None:
        open_urls = [url for url in settings.group_nats_urls if url.startswith("nats://") and not is_loopback(_host(url))]
        if open_urls:
            found = f"the password travels in the clear to {', '.join(open_urls)}"
            checks.append(Check(SERVER, Result.WARNING, found, "use tls:// and have the servers use TLS"))
    if buses:
        configuration = None if config is None else await asyncio.to_thread(_digest, config)
        checks += judge_members(overheard, configuration)
    return checks


def _digest(config: ConfigText) -> str:
    return digest_of((equipment.id, digest) for digest, equipment in read_config(config).equipment)


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0].strip("[]")


def _hint(reason: str) -> str:
    if "uthorization" in reason:
        return "correct GROUP_CREDENTIALS_FILE, or `authorization` in the server's configuration"
    if reason.startswith("TLS"):
        return "the certificate has to name the host in GROUP_NATS_URLS, and its authority be in TOWEROPS_CA_FILE"
    return "does nats-server run there, and may this machine reach its port?"
