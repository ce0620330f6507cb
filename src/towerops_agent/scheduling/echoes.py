"""The devices that are pinged: sends each echo at its time, and stores what came of a round.

Fleet -> follow, drop -> an echo each interval / count -> at the next round's first echo, or LAST_WAIT_S after the last one of the
round: the round as a Poll -> buffer.
A round under way when its device goes, or the agent stops, is not reported: it is not known what would have come back.
I/O: names, ICMP. Seconds on the monotonic clock (`_s`), microseconds on the wall clock (`_us`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.model import Poll
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.polling.course.device import Device
from towerops_agent.reasons import Unsent
from towerops_agent.scheduling.timetable import Due, Timetable
from towerops_agent.snmp.wire.exchange import Peer

if TYPE_CHECKING:
    from towerops_agent.ping.wire.rounds import Round

IDLE_S: Final = 60.0
"""The longest sleep of the loop if there is nothing to wait for."""

RESOLVE_AGAIN_S: Final = 300.0

LAST_WAIT_S: Final = 2.0
"""How long the last echo of a round has at least, however soon the next round begins: longer than over a satellite."""

CHECKS: Final = 3
CHECK_GAP_S: Final = 0.5
CHECK_WAIT_S: Final = 2.0
"""How a device that is silent otherwise is asked: up to so many echoes, so far apart, and how long the last one may take."""

ONCE_GAP_S: Final = 0.2
ONCE_WAIT_S: Final = 2.0
AT_ONCE: Final = 1000

Resolve = Callable[[str, int], Awaitable[list[Peer]]]

log = structlog.get_logger()


class _Target:
    """One device that is pinged. `beats`: how many echoes of its round were due so far.

    `ended`: rounds behind which another one has begun, some of whose echoes may still come back, with the time of their end.
    `peer`: the address of its name that is pinged; `peers`: all of them.
    """

    __slots__ = ("beats", "device", "ended", "heard_s", "is_resolving", "peer", "peers", "resolved_s", "round", "sequence")

    def __init__(self, device: Device) -> None:
        self.device = device
        self.round: Round | None = None
        self.ended: deque[tuple[Round, int]] = deque()
        self.beats = 0
        self.sequence = 0
        self.heard_s = float("-inf")  # the last reply of an earlier round
        self.peer: Peer | None = None
        self.peers: Sequence[Peer] = ()
        self.resolved_s = float("-inf")
        self.is_resolving = False

    @property
    def last_heard_s(self) -> float:
        """When its last reply came."""
        rounds = [round_ for round_, _ in self.ended] + ([] if self.round is None else [self.round])
        return max([self.heard_s, *(round_.heard_s for round_ in rounds)])


class Echoes:
    """Pings the devices that it follows. Inert until run."""

    def __init__(
        self,
        client: PingClient,
        resolve: Resolve,
        counters: Counters,
        store: Callable[[Poll], None],
        *,
        now_us: Callable[[], int],
        moved: Callable[[float], None] = lambda _again_within_s: None,
    ) -> None:
        """`resolve`: as SnmpClient.resolve. `store` is called with each round that has ended; it must not block. `now_us`: the
        wall clock. `moved` is called in each turn of the loop, with the seconds until the next one at the latest."""
        self._client = client
        self._resolve = resolve
        self._counters = counters
        self._store = store
        self._now_us = now_us
        self._moved = moved
        self._timetable = Timetable()
        self._targets: dict[str, _Target] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_changed = False
        self._wake = asyncio.Event()

    @property
    def followed(self) -> int:
        """How many devices are pinged."""
        return len(self._targets)

    def follow(self, device: Device) -> None:
        """Ping this device from now on, if it is to be pinged. What is known of it stays, if it is pinged as before."""
        before = self._targets.get(device.id)
        if before is not None and (before.device.ping, before.device.host) == (device.ping, device.host):
            before.device = device
            return
        self.drop(device.id)
        if device.ping is None:
            return
        self._targets[device.id] = _Target(device)
        gap_s = device.ping.interval_s / device.ping.count
        self._timetable.add(device.id, gap_s, asyncio.get_running_loop().time(), gap_s)
        self._has_changed = True
        self._wake.set()

    def drop(self, device_id: str) -> None:
        """Ping this device no more; it may be absent."""
        target = self._targets.pop(device_id, None)
        if target is None:
            return
        self._timetable.remove(device_id)
        self._has_changed = True
        for round_ in (*(ended for ended, _ in target.ended), target.round):
            if round_ is not None:
                self._client.abandon(round_)

    async def run(self) -> None:
        """Send each echo at its time. Runs for good."""
        while True:
            self._wake.clear()
            if self._has_changed:
                self._has_changed = False
                self._timetable.align()
            now = asyncio.get_running_loop().time()
            while (due := self._timetable.take_due(now)) is not None:
                self._beat(self._targets[due.key], due)
            until = self._timetable.next_at()
            until = now + IDLE_S if until is None else until
            self._moved(max(until - now, 0.0))
            try:
                async with asyncio.timeout_at(until):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def once(self, devices: Iterable[Device]) -> None:
        """Ping each of these devices that is to be pinged in one short round, and store what came of it."""
        places = asyncio.Semaphore(AT_ONCE)

        async def ping(device: Device, count: int) -> None:
            async with places:
                peer = await self._peer_of(_Target(device))
                found = await self._client.ask(peer, count, ONCE_GAP_S, ONCE_WAIT_S) if isinstance(peer, tuple) else peer
            if isinstance(found, Tally):
                self._keep(device, found, self._now_us())

        await asyncio.gather(*(ping(device, device.ping.count) for device in devices if device.ping is not None))

    async def answers(self, device: Device, since_s: float) -> bool | NotSent:
        """Whether the device answers ping: it has since then, or it does now; or why it can't be asked."""
        target = self._targets.get(device.id) or _Target(device)
        if target.last_heard_s >= since_s:
            return True
        peer = await self._peer_of(target)
        if isinstance(peer, NotSent):
            return peer
        found = await self._check(peer)
        if found is True or peer != target.peer:
            return found
        other = await self._answering(target.peers, peer)
        if other is None:
            return found
        self._move(target, other)
        return True

    async def _check(self, peer: Peer) -> bool | NotSent:
        """Whether this address answers ping now; or why it can't be asked."""
        found = await self._client.ask(peer, CHECKS, CHECK_GAP_S, CHECK_WAIT_S, until_first=True)
        return found if isinstance(found, NotSent) else found.received > 0

    async def _answering(self, peers: Iterable[Peer], but: Peer | None = None) -> Peer | None:
        """The first of these addresses that answers ping, without asking `but`; None if none does."""
        for peer in peers:
            if peer != but and await self._check(peer) is True:
                return peer
        return None

    def _move(self, target: _Target, peer: Peer) -> None:
        """Ping the device at this address of its name from now on: what is under way to the silent one is not waited for."""
        target.peer = peer
        log.info(
            "device answers ping at another address of its name, pinged there from now on",
            device=target.device.name,
            address=target.device.address,
            answers_at=peer[0],
        )
        if target.round is not None and self._targets.get(target.device.id) is target:
            target.sequence += target.round.count
            self._client.abandon(target.round)
            target.round = None

    def _beat(self, target: _Target, due: Due) -> None:
        """An echo of the device is due."""
        assert target.device.ping is not None  # noqa: S101 - only such devices are followed
        if target.beats >= target.device.ping.count:
            self._end(target)
        self._settle(target)
        if due.missed:
            self._counters.add(Count.PINGS_UNSENT, Unsent.LATE, due.missed)
        target.beats += due.missed
        if not due.skipped:
            target.beats += 1
            self._send(target)

    def _send(self, target: _Target) -> None:
        peer = self._known_peer(target)
        if peer is None:
            if target.is_resolving:
                self._counters.add(Count.PINGS_UNSENT, Unsent.UNRESOLVED)
                return
            task = asyncio.get_running_loop().create_task(self._resolve_and_send(target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        if target.round is None:
            target.round = self._client.begin(peer, target.sequence)
        self._client.send(target.round)

    async def _resolve_and_send(self, target: _Target) -> None:
        peer = await self._peer_of(target)
        if isinstance(peer, tuple) and self._targets.get(target.device.id) is target:
            self._send(target)

    def _known_peer(self, target: _Target) -> Peer | None:
        """The address to ping, if it is known and not too old: the one at which SNMP asks the device, if there is one."""
        if target.round is not None:
            return target.round.peer
        if target.device.has_snmp and target.device.peer is not None:
            return target.device.peer
        is_fresh = asyncio.get_running_loop().time() - target.resolved_s < RESOLVE_AGAIN_S
        return target.peer if is_fresh else None

    async def _peer_of(self, target: _Target) -> Peer | NotSent:
        """The address to ping, looked up if need be; a name that is not found any more keeps the address that it had.

        Of several addresses it is the one that is pinged so far, else the first one that answers, else the first.
        """
        peer = self._known_peer(target)
        if peer is not None:
            return peer
        target.is_resolving = True
        try:
            target.peers = await self._resolve(target.device.host, 0)
            if target.peer not in target.peers:
                first = target.peers[0]
                target.peer = (await self._answering(target.peers) or first) if len(target.peers) > 1 else first
        except OSError as error:
            if target.peer is None:
                self._counters.add(Count.PINGS_UNSENT, Unsent.UNRESOLVED)
                return NotSent(Unsent.UNRESOLVED, error.strerror or str(error))
        finally:
            target.is_resolving = False
        target.resolved_s = asyncio.get_running_loop().time()
        return target.peer

    def _end(self, target: _Target) -> None:
        """Begin another round; one of which nothing was sent does not count."""
        ended, target.round, target.beats = target.round, None, 0
        if ended is None:
            return
        target.sequence += ended.count
        target.ended.append((ended, self._now_us()))

    def _settle(self, target: _Target) -> None:
        """Store what came of the rounds that have ended, once their last echoes had their time."""
        now_s = asyncio.get_running_loop().time()
        while target.ended:
            ended, at_us = target.ended[0]
            if ended.received < ended.count and now_s < ended.sent_s + LAST_WAIT_S:
                return
            target.ended.popleft()
            target.heard_s = max(target.heard_s, ended.heard_s)
            self._keep(target.device, self._client.end(ended), at_us)

    def _keep(self, device: Device, tally: Tally, at_us: int) -> None:
        if not tally.sent:
            return
        device.pings = tally
        if device.ping_layout is not None:
            self._counters.add(Count.READINGS)
            self._store(poll_of_pings(tally, device.ping_layout, at_us))


def poll_of_pings(tally: Tally, layout: int, at_us: int) -> Poll:
    """The round as a Poll of the layout with this id (model.PING_VALUES)."""
    times_us = (tally.rtt_min_us, tally.rtt_avg_us, tally.rtt_max_us, tally.jitter_us)
    return Poll(layout, at_us, (tally.sent, tally.received, *times_us), ((1, 0),), 1)
