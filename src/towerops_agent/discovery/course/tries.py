"""Which credentials may be tried at an address, and when: some devices lock out whoever sends them wrong ones.

What has worked at an address is tried first and as often as needed. Of what has not, at most three messages a day reach an
address, and two sets of credentials are a minute apart; of more sets than that the others go first another day. A closed port or
an unreachable address has seen none. Pure: times are seconds of the wall clock, passed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_MESSAGES: Final = 3
APART_S: Final = 60.0
DAY_S: Final = 86_400.0
MOST_ATTEMPTS: Final = 2
"""Of one set: a datagram may get lost."""


@dataclass(slots=True)
class Tried:
    """What is known of one address. `worked`: the name of the set that its device answers to; `sent`: when each message without
    an answer was sent; `owed`: the names of sets for which no message was left, and which go first another day."""

    worked: str = ""
    sent: list[float] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Try:
    """Send `attempts` messages with the set `name`, after `wait_s`."""

    name: str
    attempts: int
    wait_s: float


class Tries:
    """Addresses and what was tried there; `known` is kept between runs."""

    def __init__(self, known: Mapping[str, Tried] | None = None) -> None:
        self.known: dict[str, Tried] = dict(known or {})

    def following(self, place: str, names: Sequence[str], now: float) -> Try | None:
        """The next try at `place` with one of `names`, which were not tried in this run; None: none of them may be today."""
        if not names:
            return None
        tried = self.known.get(place, Tried())
        if tried.worked in names:
            return Try(tried.worked, MOST_ATTEMPTS, 0)
        recent = _recent(tried.sent, now)
        left = MOST_MESSAGES - len(recent)
        if left <= 0:
            return None
        wait_s = max((at + APART_S - now for at in recent if at <= now), default=0.0)
        name = next((name for name in names if name in tried.owed), names[0])
        return Try(name, min(MOST_ATTEMPTS, max(1, left - (len(names) - 1))), max(0.0, wait_s))

    def free_again_s(self, place: str, now: float) -> float:
        """In how many seconds the next try is permitted at `place`."""
        recent = sorted(_recent(self.known.get(place, Tried()).sent, now))
        return max(0.0, recent[-MOST_MESSAGES] + DAY_S - now) if len(recent) >= MOST_MESSAGES else 0.0

    def succeeded(self, place: str, name: str) -> None:
        """The device at `place` answers to the set `name`; what other sets have sent there still counts."""
        self.known[place] = Tried(name, self.known.get(place, Tried()).sent)

    def failed(self, place: str, name: str, messages: int, now: float) -> None:
        """These messages had no answer, or that of a device that refuses them."""
        tried = self.known.setdefault(place, Tried())
        if tried.worked == name:
            tried.worked = ""
        tried.sent = [*_recent(tried.sent, now), *[now] * messages]
        tried.owed = [owed for owed in tried.owed if owed != name]

    def owe(self, place: str, names: Iterable[str]) -> None:
        """No message was left for these sets: they go first at `place` another day."""
        self.known.setdefault(place, Tried()).owed = list(names)

    def merged(self, other: Mapping[str, Tried], now: float) -> dict[str, Tried]:
        """With what another run noted meanwhile; messages that are older than a day are left out."""
        places: Iterable[str] = {**other, **self.known}
        found = {}
        for place in places:
            mine, theirs = self.known.get(place, Tried()), other.get(place, Tried())
            worked = mine.worked or ("" if place in self.known else theirs.worked)
            sent = sorted(set(_recent((*mine.sent, *theirs.sent), now)))
            counts = {at: max(mine.sent.count(at), theirs.sent.count(at)) for at in sent}
            owed = mine.owed if place in self.known else theirs.owed
            kept = Tried(worked, [at for at in sent for _ in range(counts[at])], owed)
            if kept.worked or kept.sent or kept.owed:
                found[place] = kept
        return found


def _recent(sent: Iterable[float], now: float) -> list[float]:
    """Those within a day. If the clock was set back since, they seem to be yet to come: the device has seen them all the same."""
    return [at for at in sent if abs(now - at) < DAY_S]
