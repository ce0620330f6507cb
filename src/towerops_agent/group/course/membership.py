"""One member of a group: whom it believes in, and so which devices it polls.

    beats ─▶ Membership ─▶ weights ─▶ share.py: who polls what

It listens until it knows the others and its devices, joins, and leaves. If it hears nothing of the engine, not even itself, it
keeps its share for a minute and then polls everything: a device that is polled twice costs a little, one that is not polled is a
hole.
Pure. Seconds; `now` is the monotonic clock of this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towerops_agent.group.course.blindness import Sight, turns_blind
from towerops_agent.group.course.members import ECHO_WITHIN_S, Heard, Member, Members
from towerops_agent.group.course.wire import Beat, Presence

LISTEN_S: Final = 3.0
"""How long a member that starts listens: three beats of each other one. Whom it has missed by then only polls twice meanwhile."""

START_ALONE_AFTER_S: Final = 10.0
"""How long a member that starts waits for the engine, until it polls without the others."""

ALONE_AFTER_S: Final = 60.0
"""How long a member keeps its share while the engine is away."""

UNEQUAL_FOR_S: Final = 10.0
"""How long a member with another configuration is believed to poll its share of ours: it takes a fetch to be equal again."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A member was heard that was not there."""

    member: Member


@dataclass(frozen=True, slots=True)
class Lost:
    """A member has been silent for too long, or has started again without a goodbye."""

    member: Member


@dataclass(frozen=True, slots=True)
class Left:
    """A member has said that it stops."""

    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A member's presence has changed."""

    member: Member
    before: Presence


@dataclass(frozen=True, slots=True)
class Unequal:
    """A member has another configuration than this one had seen."""

    member: Member


@dataclass(frozen=True, slots=True)
class Listened:
    """This member polls its share from now on."""


@dataclass(frozen=True, slots=True)
class Blinded:
    """This member can't reach its devices: it leaves them to its peers."""

    sight: Sight


@dataclass(frozen=True, slots=True)
class EngineAway:
    """This member does not hear itself."""


@dataclass(frozen=True, slots=True)
class EngineBack:
    """It does again."""


@dataclass(frozen=True, slots=True)
class Alone:
    """It polls everything."""


Event = Joined | Lost | Left | Changed | Unequal | Listened | Blinded | EngineAway | EngineBack | Alone


class Membership:
    """The member `me` of this `boot`. `presence`: what it says of itself."""

    def __init__(self, me: str, boot: str, weight: float) -> None:
        self._me = me
        self.boot = boot
        self._weight = weight
        self._has_begun = False
        self._ticked_at = 0.0
        self._engine_is_away = False
        self._unequal: dict[str, tuple[str, float]] = {}  # member -> (its configuration, when first heard beside ours)
        self._configuration = ""
        self.members = Members(me, boot)
        self.presence = Presence.LISTENING
        self.is_alone = False
        """Whether it polls everything, as the engine is away."""
        self.is_in_step = False
        """Whether its phase clock may be the group's: it has listened, or has followed another one since it polls."""

    def begin(self, now: float) -> bool:
        """Whether it starts to listen; else it goes on after a bug: the time for which it has not heard itself goes on too."""
        is_first = not self._has_begun
        if is_first:
            self._has_begun = True
            self.members.echo_at = now
        self._ticked_at = now
        return is_first

    @property
    def configuration(self) -> str:
        """The digest of this member's devices."""
        return self._configuration

    def configure(self, digest: str) -> None:
        """This member's devices have another digest. Those who had it before it did are equal from now on."""
        self._configuration = digest
        self._unequal = {name: (other, at) for name, (other, at) in self._unequal.items() if other != digest}

    def hear(self, beat: Beat, now: float) -> tuple[Heard, list[Event]]:
        """What the beat was, and what has changed with it."""
        before = self.members.get(beat.member)
        heard = self.members.hear(beat, now)
        if heard is not Heard.NEWS:
            return heard, []
        member = self.members.get(beat.member)
        if member is None:
            self._unequal.pop(beat.member, None)
            return heard, [] if before is None else [Left(beat.member)]
        events: list[Event] = []
        if before is not None and before.beat.boot != beat.boot:
            events.append(Lost(before))  # and back already
        if before is None or before.beat.boot != beat.boot:
            events.append(Joined(member))
        elif before.beat.presence is not beat.presence:
            events.append(Changed(member, before.beat.presence))
        if self._compare(beat, now):
            events.append(Unequal(member))
        return heard, events

    def _compare(self, beat: Beat, now: float) -> bool:
        """Whether this member was not known to have this configuration, which is another one than ours."""
        it_has_none_yet = beat.presence is Presence.LISTENING and not beat.configuration
        if it_has_none_yet or not self._configuration or beat.configuration == self._configuration:
            self._unequal.pop(beat.member, None)
            return False
        known, since = self._unequal.get(beat.member, (None, now))
        self._unequal[beat.member] = (beat.configuration, since)  # not from now on, however often it changes
        return known != beat.configuration

    def tick(self, own: Sight, now: float) -> list[Event]:
        """What has changed with time. `own`: how this member's devices do."""
        if self.presence is Presence.LEAVING:
            return []
        if now - self._ticked_at > ECHO_WITHIN_S:
            self.members.pass_over(now - self._ticked_at, now)  # this process stood still, not the engine
        self._ticked_at = now
        events = self._watch_engine(now)
        for member in self.members.take_lost(now):
            self._unequal.pop(member.name, None)
            events.append(Lost(member))
        if self.presence is Presence.LISTENING:
            if self._configuration and self.is_alone:
                self.presence = Presence.READY
            elif self._configuration and self.members.listened_s(now) >= LISTEN_S:
                self.presence = Presence.READY
                self.is_in_step = True
                events.append(Listened())
        elif self.presence is Presence.READY and not self.is_alone:
            peers = [member.sight for member in self.members if member.beat.presence is Presence.READY]
            if turns_blind(own, peers):
                self.presence = Presence.BLIND
                events.append(Blinded(own))
        return events

    def _watch_engine(self, now: float) -> list[Event]:
        is_away = self.members.engine_is_away(now)
        listens = self.presence is Presence.LISTENING
        events: list[Event] = []
        silent_s = now - self.members.echo_at
        if is_away != self._engine_is_away and not (listens and is_away and silent_s < LISTEN_S):
            self._engine_is_away = is_away
            events.append(EngineAway() if is_away else EngineBack())
        if not is_away:
            self.is_alone = False
        elif not self.is_alone and silent_s > (START_ALONE_AFTER_S if listens else ALONE_AFTER_S):
            self.is_alone = True
            self.see_again()
            self.members.forget()  # who is there when the engine is back is heard then
            self._unequal.clear()
            events.append(Alone())
        return events

    def see_again(self) -> None:
        """This member can reach devices again."""
        if self.presence is Presence.BLIND:
            self.presence = Presence.READY

    def followed(self) -> None:
        """This member's phase clock is the leader's by now."""
        self.is_in_step = self.is_in_step or self.presence is not Presence.LISTENING

    def leave(self) -> None:
        """This member stops."""
        self.presence = Presence.LEAVING

    def weights(self, now: float) -> Mapping[str, float]:
        """The members that share the devices, with their weights: those that poll, or all blind ones if none does."""
        if self.is_alone:
            return {self._me: self._weight}
        there = {member.name: member for member in self.members if self._covers(member, now)}
        ready = {name: member.beat.weight for name, member in there.items() if member.beat.presence is Presence.READY}
        blind = {name: member.beat.weight for name, member in there.items() if member.beat.presence is Presence.BLIND}
        if self.presence is Presence.READY:
            ready[self._me] = self._weight
        elif self.presence is Presence.BLIND:
            blind[self._me] = self._weight
        return ready or blind

    def _covers(self, member: Member, now: float) -> bool:
        """Whether it polls its share of this member's devices, by all that is known."""
        unequal = self._unequal.get(member.name)
        return unequal is None or now - unequal[1] <= UNEQUAL_FOR_S

    @property
    def leader(self) -> str:
        """The member with the lowest name, of those that are there: all follow its phase clock.

        One that has not been in step yet, as it listens or had no engine at its start, follows the others.
        """
        names = [member.name for member in self.members if member.beat.presence is not Presence.LISTENING]
        return min([self._me, *names]) if self.is_in_step or not names else min(names)

    @property
    def sends_heartbeat(self) -> bool:
        """Whether this member sends the group's heartbeat: it has the lowest name of those that reach the API."""
        if self.presence is Presence.LISTENING:
            return not self.members
        return not any(
            member.name < self._me and member.beat.api_works is not False and member.beat.presence is not Presence.LISTENING
            for member in self.members
        )
