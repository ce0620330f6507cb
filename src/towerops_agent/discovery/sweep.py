"""A sweep over addresses: who answers, and what each of them is.

Addresses -> Visited, one each. At most PER_SECOND addresses are begun in a second; a device is asked one thing at a time, by GET,
GETNEXT and GETBULK only. course/tries.py says which credentials an address may see. I/O: SNMP, the clocks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from towerops_agent.discovery.course.course import discover
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.course.profile import Profile
from towerops_agent.discovery.course.tries import MOST_MESSAGES, Tries, Try
from towerops_agent.discovery.reading import read_rest
from towerops_agent.model import Credentials, SnmpVersion
from towerops_agent.polling.course.device import make_security
from towerops_agent.reasons import Reason
from towerops_agent.snmp.session import Asker, Session
from towerops_agent.snmp.wire.exchange import NoReply, Peer
from towerops_agent.text import duration

PER_SECOND: Final = 50.0
FIRST_TIMEOUTS_S: Final = (1.0, 2.0)
TIMEOUTS_S: Final = (1.0, 2.0, 4.0)
AT_ONCE: Final = 64
"""How many devices are read at the same time."""

_NOT_SEEN: Final = frozenset((Reason.REFUSED, Reason.UNREACHABLE, Reason.UNRESOLVED))
"""The device has seen no credentials."""

_ORDER: Final = {SnmpVersion.V3: 0, SnmpVersion.V2C: 1, SnmpVersion.V1: 2}


class SweepClient(Asker, Protocol):
    """What a sweep sends by: SnmpClient."""

    async def resolve(self, host: str, port: int) -> list[Peer]:
        """As SnmpClient.resolve."""


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """Credentials that may be sent to all addresses of the sweep. `name`: what they are called, never a part of them."""

    name: str
    credentials: Credentials


@dataclass(slots=True)
class Visited:
    """One address. `found`: None if nobody answered; `credentials`: the set that was answered.

    `silence`: why nobody did, the last reason; `tried`: the names of the sets that were sent.
    """

    host: str
    found: Discovery | None = None
    credentials: CredentialSet | None = None
    silence: str = ""
    tried: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """How far a sweep is. `waiting`: addresses at which the next try has to wait a minute."""

    addresses: int
    visited: int = 0
    found: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Sweep:
    """One sweep, with these sets of credentials at each address, port and so on."""

    client: SweepClient
    sets: Sequence[CredentialSet]
    profiles: Sequence[Profile]
    tries: Tries
    port: int = 161
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.time
    progress: Progress = field(default_factory=lambda: Progress(0))
    visited: dict[str, Visited] = field(default_factory=dict)
    """By address, those that are done."""
    _next_at: float = 0.0
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def __post_init__(self) -> None:
        self.sets = sorted(self.sets, key=lambda each: _ORDER[each.credentials.version])

    async def run(self, hosts: Sequence[str], on_progress: Callable[[Progress], None] = lambda _: None) -> list[Visited]:
        """All addresses, in their order."""
        self.progress = Progress(len(hosts))

        async def visit(host: str) -> None:
            visited = self.visited[host] = await self._visit(host, on_progress)
            self.progress.visited += 1
            self.progress.found += visited.found is not None
            on_progress(self.progress)

        async with asyncio.TaskGroup() as group:  # which keeps no task that is done
            for host in hosts:
                await self._turn()
                group.create_task(visit(host))
        return [self.visited[host] for host in hosts]

    async def _turn(self) -> None:
        """Wait until the next address may be begun."""
        now = asyncio.get_running_loop().time()
        at, self._next_at = self._next_at, max(self._next_at, now) + 1 / PER_SECOND
        if at > now:
            await self.sleep(at - now)

    async def _visit(self, host: str, on_progress: Callable[[Progress], None]) -> Visited:
        visited = Visited(host)
        left = {each.name: each for each in self.sets}
        place = f"{host} {self.port}"
        while (following := self.tries.following(place, list(left), self.clock())) is not None:
            if following.wait_s:
                self.progress.waiting += 1
                on_progress(self.progress)
                await self.sleep(following.wait_s)
                self.progress.waiting -= 1
                await self._turn()
                continue  # it is asked again whether it may: the clock may have been set
            chosen = left.pop(following.name)
            answered = await self._try(visited, place, chosen, following)
            if answered or visited.silence in _NOT_SEEN:
                break
        else:
            if left:
                self._note_left(visited, place, list(left))
        return visited

    def _note_left(self, visited: Visited, place: str, names: list[str]) -> None:
        """Say that no message was left for these sets, and when there is one."""
        again = duration(self.tries.free_again_s(place, self.clock()))
        why = f"{MOST_MESSAGES} messages without an answer today; the next one in {again}, or at once with `discover --forget`"
        if visited.tried:
            self.tries.owe(place, names)
            visited.silence += f"; not asked as {', '.join(names)}: {why}"
        else:
            visited.silence = f"not asked: {why}"

    async def _try(self, visited: Visited, place: str, chosen: CredentialSet, following: Try) -> bool:
        """Whether the device answers to this set; it is read then."""
        try:
            peer = (await self.client.resolve(visited.host, self.port))[0]
        except OSError:  # an address of IPv6 with the scope of a link that this machine does not have
            visited.silence = Reason.UNRESOLVED
            return False
        security = make_security(chosen.credentials)
        session = Session(self.client, peer, security, timeouts_s=FIRST_TIMEOUTS_S[: following.attempts])
        course = discover(security.version, self.profiles)
        try:
            answer = await session.ask(next(course))
        except asyncio.CancelledError:
            self.tries.failed(place, chosen.name, following.attempts, self.clock())  # the device may have seen them
            raise
        visited.tried.append(chosen.name)
        if isinstance(answer, NoReply):
            visited.silence = answer.reason
            # Nobody who is silent over v3 has seen a user: the engine is asked for first.
            if answer.reason not in _NOT_SEEN and not (
                chosen.credentials.version is SnmpVersion.V3 and answer.reason is Reason.TIMEOUT
            ):
                self.tries.failed(place, chosen.name, following.attempts, self.clock())
            return False
        self.tries.succeeded(place, chosen.name)
        session.timeouts_s = TIMEOUTS_S
        async with self._reading:
            visited.found = await read_rest(session, course, answer)
        visited.credentials, visited.silence = chosen, ""
        return True
