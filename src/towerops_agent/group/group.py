"""One member of a group: says each second that it is there, hears the others, and has the fleet poll its share.

    bus ─▶ seal ─▶ membership ─▶ share ─▶ fleet          beats and learned traits go the other way

I/O: through the bus. Seconds on the loop's clock, unless a name says otherwise.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from towerops_agent import __version__, clocks
from towerops_agent.counters import Counters
from towerops_agent.group.bus import Bus
from towerops_agent.group.chronicle import Chronicle
from towerops_agent.group.course.blindness import LEAST_DEVICES, PROBES, Sight, sees_again
from towerops_agent.group.course.members import BEAT_EACH_S, SILENCE_S, Heard
from towerops_agent.group.course.membership import (
    Alone,
    Blinded,
    EngineAway,
    EngineBack,
    Event,
    Joined,
    Left,
    Lost,
    Membership,
    Unequal,
)
from towerops_agent.group.course.phase import SAMPLES, PhaseClock
from towerops_agent.group.course.share import Share, digest_of
from towerops_agent.group.course.wire import Beat, Learned, Message, Presence, Seat, Wanted, decode_message, encode_message
from towerops_agent.group.exchange import Exchange
from towerops_agent.group.seal import Seal
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.interfaces import boot_clock

log = structlog.get_logger()

LOOK_EACH_S: Final = BEAT_EACH_S / 2
"""How often it looks who is silent."""

PROBE_EACH_S: Final = 10.0
"""How often a blind member asks some of its devices."""

GOODBYE_S: Final = 0.5
"""How long a member goes on polling after its goodbye: the others have taken over by then."""

FINISH_S: Final = 3.0
"""How long a member that leaves waits for its polls under way."""

LAST_POLLS_S: Final = 3.0
"""How much of a dead member's time before its last beat counts as silent: polls under way then, or not on its disk yet.

On a machine with a load of 13 on two cores, 1.4 s of them were not.
"""

OVERLAP_S: Final = 0.25
"""How much of the time before it takes a device over counts as silent: its owner has dropped it when it heard of that, maybe just
before its time. Clocks may be 0.1 s apart, twice phase.TOLERANCE_S, and a busy loop starts polls late.
"""

TOKEN_AGAIN_S: Final = 10.0
"""How often the token's file is read again at most, if messages can't be opened."""


class SharedFleet(Protocol):
    """The part of Fleet that is needed."""

    @property
    def devices(self) -> Mapping[str, Device]: ...  # noqa: D102  # as Fleet's, all of them

    @property
    def polled(self) -> Collection[Device]: ...  # noqa: D102

    @property
    def answering(self) -> tuple[int, int]: ...  # noqa: D102

    def share(self, since: Callable[[str], float]) -> list[Device]: ...  # noqa: D102

    def set_clock(self, ahead_s: float | None) -> None: ...  # noqa: D102

    async def finish(self, within_s: float) -> None: ...  # noqa: D102

    async def probe(self, device_ids: list[str]) -> int: ...  # noqa: D102


class Group:
    """This agent as a member, at its `seat`. Inert until run."""

    def __init__(
        self,
        seat: Seat,
        seal: Seal,
        bus: Callable[[list[str], Callable[[str, bytes], None], Callable[[], None]], Bus],
        planner: Planner,
        counters: Counters,
        *,
        condition: Callable[[], tuple[int, bool | None]],
        refresh: Callable[[], None],
        reread_token: Callable[[], None],
        moved: Callable[[float], None] = lambda _again_within_s: None,
        now_us: Callable[[], int] = clocks.wall_us,
    ) -> None:
        """`bus` makes the bus, of its subjects, what hears their messages, and what is called when it is connected or not.

        `condition`: how many metrics are late, and whether the API works. `refresh` has the configuration fetched now;
        `reread_token`, the token's file read again. `moved` is called in each round of the loop, with the seconds until the
        next round at the latest.
        """
        self.seat = seat
        self._news = asyncio.Event()
        self.bus = bus([seat.here, seat.learned], self._hear, self._news.set)
        self.membership = Membership(seat.member, secrets.token_hex(8), seat.weight)
        self._seal = seal
        self._condition = condition
        self._refresh = refresh
        self._reread_token = reread_token
        self._moved = moved
        self._now_us = now_us
        self._sequence = 0
        self._share = Share(seat.member)
        self._clock = PhaseClock(0.0)
        self._exchange = Exchange(seat.member, planner, lambda message: self._publish(seat.learned, message))
        self._chronicle = Chronicle(seat, counters)
        self._fleet: SharedFleet | None = None
        self._lost_at: dict[str, float] = {}
        self._probed: list[str] = []
        self._reread_at = float("-inf")
        self.away_at: float | None = None
        """Since when this member does not hear itself; None: it does."""
        self.alone_at: float | None = None
        """Since when it polls everything, without the others; None: it does not."""
        self.ahead_us: dict[str, int] = {}
        """How far each member's wall clock is ahead of this one's."""

    def attach(self, fleet: SharedFleet) -> None:
        """The devices that are shared."""
        self._fleet = fleet

    @property
    def _devices(self) -> Mapping[str, Device]:
        return {} if self._fleet is None else self._fleet.devices

    def owns(self, device_id: str) -> bool:
        """Whether this member polls the device."""
        return self._share.owns(device_id)

    def doubts(self) -> bool:
        """Whether silent devices may be silent only to this member, and there is a peer to poll them."""
        return not self.membership.is_alone and self.sight.owned >= LEAST_DEVICES and bool(self._ready_peers)

    @property
    def _ready_peers(self) -> list[str]:
        return [member.name for member in self.membership.members if member.beat.presence is Presence.READY]

    @property
    def sight(self) -> Sight:
        """How many devices this member polls, and how they do."""
        return Sight(0, 0, 0) if self._fleet is None else Sight(len(self._fleet.polled), *self._fleet.answering)

    @property
    def sends_heartbeat(self) -> bool:
        """Whether this member sends the group's heartbeat."""
        return self.membership.sends_heartbeat

    def configured(self) -> None:
        """The fleet's devices are those of a configuration, perhaps a new one."""
        self._share.keep(self._devices)
        self._exchange.traits.keep(self._devices)
        self.membership.configure(digest_of((device.id, device.digest) for device in self._devices.values()))
        if self._fleet is not None:
            self._fleet.set_clock(self._clock.offset_s)
        self._news.set()

    async def run(self) -> None:
        """Be a member, for good."""
        now = asyncio.get_running_loop().time()
        if self.membership.begin(now):
            self._clock = PhaseClock(self._now_us() / 1e6 - now)
        if self._fleet is not None:
            self._fleet.set_clock(self._clock.offset_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bus.run())
            tasks.create_task(self._exchange.ask(self.membership))
            tasks.create_task(self._exchange.run(self.membership, lambda: self._polled))
            tasks.create_task(self._probe())
            await self._beat()

    async def leave(self) -> None:
        """Say goodbye, and wait until the others have taken over."""
        has_peers = self.bus.is_connected and bool(self._ready_peers)
        if has_peers:
            await self._exchange.send(self._polled)
        self.membership.leave()
        await self._publish(self.seat.here, self._next_beat())
        if not has_peers or self._fleet is None:
            return
        log.info("leaving the group, the others take over", devices=len(self._fleet.polled))
        await self.bus.flush(GOODBYE_S)
        await asyncio.sleep(GOODBYE_S)
        self._take_share(asyncio.get_running_loop().time(), leaving=True)
        await self._fleet.finish(FINISH_S)

    @property
    def _polled(self) -> Collection[Device]:
        return () if self._fleet is None else self._fleet.polled

    # Beats.

    async def _beat(self) -> None:
        beat_at = float("-inf")
        while True:
            now = asyncio.get_running_loop().time()
            self._moved(BEAT_EACH_S)
            presence = self.membership.presence
            self._note(self.membership.tick(self.sight, now))
            self._take_share(now)  # before the others hear of it: no device is without an owner meanwhile
            if self._news.is_set() or self.membership.presence is not presence or now - beat_at >= BEAT_EACH_S - 0.01:
                self._news.clear()
                beat_at = now
                await self._publish(self.seat.here, self._next_beat())
            try:
                async with asyncio.timeout(LOOK_EACH_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    def own_beat(self) -> Beat:
        """What this member says of itself now."""
        sight = self.sight
        backlog, api_works = self._condition()
        return Beat(
            member=self.seat.member,
            boot=self.membership.boot,
            sequence=self._sequence,
            presence=self.membership.presence,
            weight=self.seat.weight,
            clock_s=self._clock.read(asyncio.get_running_loop().time()),
            wall_us=self._now_us(),
            version=__version__,
            configuration=self.membership.configuration,
            owned=sight.owned,
            up=sight.up,
            down=sight.down,
            backlog=backlog,
            api_works=api_works,
            clock_sets=self._clock.sets,
        )

    def _next_beat(self) -> Beat:
        self._sequence += 1
        return self.own_beat()

    async def _publish(self, subject: str, message: Message) -> None:
        await self.bus.publish(subject, self._seal.seal(subject, encode_message(message)))

    def _hear(self, subject: str, octets: bytes) -> None:
        message = self._seal.unseal(subject, octets)
        now = asyncio.get_running_loop().time()
        if message is None:
            self._chronicle.refused("another_token", now)
            if now - self._reread_at > TOKEN_AGAIN_S:
                self._reread_at = now
                self._reread_token()
            return
        match decode_message(message):
            case Beat() as beat:
                self._hear_beat(beat, now)
            case Wanted(member) if member != self.seat.member:
                self._exchange.wanted.set()
            case Learned(member) as learned if member != self.seat.member:
                self._exchange.traits.take(learned, {key for key in learned.devices if self._may_take_over(key)})
            case None:
                self._chronicle.refused("not_understood", now)
            case _:
                pass  # this member's own, or the doctor's

    def _may_take_over(self, device_id: str) -> bool:
        """Whether what others learn of a device may be of use here; before there is a configuration, of any device."""
        return not self.membership.configuration or (device_id in self._devices and not self.owns(device_id))

    def _hear_beat(self, beat: Beat, now: float) -> None:
        heard, news = self.membership.hear(beat, now)
        match heard:
            case Heard.NAMESAKE:
                self._chronicle.refused("same_name", now)
            case Heard.OLD:
                self._chronicle.refused("old", now)
            case Heard.NEWS:
                if beat.presence is Presence.LEAVING:
                    self._lost_at[beat.member] = now - OVERLAP_S - self._late_s(beat, now)
                self._note(news)  # first: what was known of the clock of one that has joined is forgotten with it
                member = self.membership.members.get(beat.member)
                if member is not None:
                    self._clock.hear(member.name, beat.clock_s, beat.clock_sets, now)
                    self.ahead_us[member.name] = beat.wall_us - self._now_us()
                    if member.missed > 0 and beat.presence is not Presence.LISTENING:
                        self._exchange.missed.set()  # what it has learned meanwhile was not heard either
            case Heard.OWN:
                pass
        if news:
            self._take_share(now)

    def _late_s(self, goodbye: Beat, now: float) -> float:
        """For how long its sender has not polled any more: it goes on for GOODBYE_S, and a goodbye may be long on its way.

        By the clock that all share; one that is off by more than a silence is not that.
        """
        gone_s = self._clock.read(now) - goodbye.clock_s
        return max(gone_s - GOODBYE_S, 0.0) if gone_s <= SILENCE_S else 0.0

    # What follows from them.

    def _take_share(self, now: float, *, leaving: bool = False) -> None:
        """Have the fleet poll what this member owns by now; one that leaves goes on until the end of its goodbye."""
        if self.membership.presence is Presence.LEAVING and not leaving:
            return
        self._follow(self.membership.leader)
        weights = self.membership.weights(now)
        if self._fleet is None or weights == self._share.weights:
            self._lost_at.clear()
            return
        nobody_before = not self._share.weights
        lost_at, self._lost_at = {**self._unequal(weights), **self._lost_at}, {}
        before = {device_id: self._share.owner(device_id) for device_id in self._devices} if lost_at else {}
        polled = len(self._fleet.polled)
        self._share.change(weights)

        def silent_since(device_id: str) -> float:
            return float("-inf") if nobody_before else lost_at.get(before.get(device_id) or "", now - OVERLAP_S)

        taken = self._fleet.share(silent_since)
        self._exchange.traits.recall(taken, boot_clock())
        given = polled + len(taken) - len(self._fleet.polled)
        self._chronicle.moved(len(weights), len(self._fleet.polled), len(taken), given)

    def _follow(self, leader: str) -> None:
        """Keep to the phase clock of this member. Who does not poll by the group's clock yet takes it from its first beat."""
        if leader == self.seat.member:
            return
        if self._clock.follow(leader, SAMPLES if self.membership.is_in_step else 1) and self._fleet is not None:
            self._fleet.set_clock(self._clock.offset_s)
            log.debug("group's clock is followed", member=leader)
        if self._clock.has_heard(leader):
            self.membership.followed()

    def _unequal(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Those that have another configuration, and so get no share any more: they may never have polled their devices."""
        dropped = [self.membership.members.get(name) for name in self._share.weights.keys() - weights.keys()]
        ready = [member for member in dropped if member is not None and member.beat.presence is Presence.READY]
        return {member.name: float("-inf") for member in ready}

    def _note(self, news: list[Event]) -> None:
        for event in news:
            self._chronicle.tell(event, self.bus)
            match event:
                case Joined(member):
                    self._clock.forget(member.name)
                case Lost(member):
                    self._lost_at[member.name] = member.heard_at - LAST_POLLS_S
                    self._forget(member.name)
                case Left(name):
                    self._forget(name)
                case Unequal():
                    self._refresh()
                case Blinded():
                    self._probed = _some(self._polled)
                case EngineAway():
                    self.away_at = asyncio.get_running_loop().time()
                case EngineBack():
                    self.away_at = self.alone_at = None
                case Alone():
                    self.alone_at = asyncio.get_running_loop().time()
                case _:
                    pass

    def _forget(self, name: str) -> None:
        self._clock.forget(name)
        self.ahead_us.pop(name, None)

    async def _probe(self) -> None:
        """While this member is blind, find out whether it sees again."""
        while True:
            await asyncio.sleep(PROBE_EACH_S)
            if self.membership.presence is Presence.BLIND and self._fleet is not None:
                probed = [device_id for device_id in self._probed if device_id in self._devices]
                self._probed = probed if 2 * len(probed) > len(self._probed) else _some(self._devices.values())
                answered = await self._fleet.probe(self._probed)
                if sees_again(len(self._probed), answered):
                    self._chronicle.sees_again(answered, len(self._probed))
                    self.membership.see_again()
                    self._news.set()


def _some(devices: Collection[Device]) -> list[str]:
    """The ids of PROBES of these devices, or of all."""
    return [device.id for device in devices][:: max(len(devices) // PROBES, 1)][:PROBES]
