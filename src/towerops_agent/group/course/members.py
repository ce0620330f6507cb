"""Who is in the group, by the beats that arrive.

A member is gone after SILENCE_S without a beat. Silence counts only while this member hears its own beats: an engine that is away
makes nobody look dead. A beat of an earlier start, or an old one of this start, is ignored: the queue of a server that was frozen
would revive the dead. But a queue comes at once. Whose beats come one after the other, for as long as a silence, is alive:
another agent had its name, and speaks no more; or its machine has gone back to a snapshot.
Pure. Seconds; `now` is the monotonic clock of this machine.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from towerops_agent.group.course.blindness import Sight
from towerops_agent.group.course.wire import Beat, Presence

BEAT_EACH_S: Final = 1.0

SILENCE_S: Final = 9.0
"""Nine beats: a loaded machine, a restart of the engine's server and a slow link last less."""

ECHO_WITHIN_S: Final = 2.5
"""For how long a member's own beats may be missing until the engine counts as away: two beats and some time on the way."""

MOST_BOOTS: Final = 8
"""Of how many earlier starts of a member beats are known to be old."""


class Heard(Enum):
    """What a beat was: news of a member, this member's own, an old one, or one of another agent with this member's name."""

    NEWS = "news"
    OWN = "own"
    OLD = "old"
    NAMESAKE = "namesake"


@dataclass(slots=True)
class Member:
    """`beat`: its last one. `heard_at`: when, `listened_s`: when on the clock that only runs while own beats are heard.

    `missed`: how many of its beats before that one were not heard.
    """

    beat: Beat
    heard_at: float
    listened_s: float
    missed: int

    @property
    def name(self) -> str:
        """Its name."""
        return self.beat.member

    @property
    def sight(self) -> Sight:
        """How many devices it polls, and how they do."""
        return Sight(self.beat.owned, self.beat.up, self.beat.down)


@dataclass(slots=True)
class _Run:
    """Old beats of one start, in their order. Seconds: when the first and the last one were heard."""

    sequence: int
    since: float
    until: float


@dataclass(slots=True)
class _Boots:
    """`boot`, `sequence`: the latest of a member. `earlier`: its starts before. `old`: the old beats since it is not there, by
    start, as several agents may have its name.
    """

    boot: str
    sequence: int
    earlier: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_BOOTS))
    old: dict[str, _Run] = field(default_factory=dict)

    def is_alive(self, old: Beat, now: float) -> bool:
        """Whether the sender of this old beat, which is not there, has been heard long enough to be alive."""
        run = self.old.get(old.boot)
        if run is None or old.sequence <= run.sequence or now - run.until > ECHO_WITHIN_S:
            run = self.old[old.boot] = _Run(old.sequence, now, now)
        run.sequence, run.until = old.sequence, now
        return now - run.since > SILENCE_S

    def start(self, beat: Beat) -> None:
        """From now on this one's start is the latest."""
        if beat.boot != self.boot:
            self.earlier.append(self.boot)
        self.boot, self.sequence = beat.boot, beat.sequence
        self.old.clear()


class Members:
    """The other members, for the member `me` of this `boot`."""

    def __init__(self, me: str, boot: str) -> None:
        self._me = me
        self._boot = boot
        self._members: dict[str, Member] = {}
        self._boots: dict[str, _Boots] = {}
        self._echo = -1
        self._listened_s = 0.0
        self.echo_at = 0.0
        """When this member's own beats were heard last; at first, when it began to listen."""

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def get(self, name: str) -> Member | None:
        """The member of this name, if it is there."""
        return self._members.get(name)

    def listened_s(self, now: float) -> float:
        """For how long this member has been able to hear others."""
        return self._listened_s if self._echo < 0 else self._listened_s + min(now - self.echo_at, ECHO_WITHIN_S)

    def engine_is_away(self, now: float) -> bool:
        """Whether this member's own beats are not heard."""
        return self._echo < 0 or now - self.echo_at > ECHO_WITHIN_S

    def hear(self, beat: Beat, now: float) -> Heard:
        """What this beat is; if it is news, the member is there from now on, however long."""
        if beat.member == self._me:
            return self._hear_own(beat, now)
        known = self._boots.setdefault(beat.member, _Boots(beat.boot, -1))
        is_same_start = beat.boot == known.boot
        is_old = beat.sequence <= known.sequence if is_same_start else beat.boot in known.earlier
        if is_old and (beat.member in self._members or not known.is_alive(beat, now)):
            return Heard.OLD
        missed = beat.sequence - 1 - (max(known.sequence, 0) if is_same_start and not is_old else 0)
        known.start(beat)
        if beat.presence is Presence.LEAVING:
            self._members.pop(beat.member, None)
        else:
            self._members[beat.member] = Member(beat, now, self.listened_s(now), missed)
        return Heard.NEWS

    def _hear_own(self, beat: Beat, now: float) -> Heard:
        if beat.boot != self._boot:
            return Heard.NAMESAKE
        if beat.sequence <= self._echo:
            return Heard.OLD
        self._listened_s = self.listened_s(now)
        self._echo, self.echo_at = beat.sequence, now
        return Heard.OWN

    def take_lost(self, now: float) -> list[Member]:
        """The members that have been silent for too long. They are no longer there."""
        listened_s = self.listened_s(now)
        lost = [member for member in self._members.values() if listened_s - member.listened_s > SILENCE_S]
        for member in lost:
            del self._members[member.name]
        return lost

    def pass_over(self, seconds: float, now: float) -> None:
        """This process stood still for so long: it could not hear anything, and nobody is to blame.

        It may have heard itself again since: who is silent from now on is, as at any time.
        """
        self.echo_at = min(self.echo_at + seconds, now)

    def forget(self) -> None:
        """Nobody is there until heard again."""
        self._members.clear()
