"""Which echo a reply answers: rounds of echoes to devices, all over one socket.

open -> next_echo, sent (once for each echo) -> receive -> close, which is when an echo without a reply is lost.
A reply counts if it has the number, the token and a sequence number of an open round, comes from the address that was pinged, and
is the first one. Whoever forges one has to see the echo, or to guess 64 bits.
Pure: times are passed in. Seconds on a monotonic clock (`_s`), nanoseconds on the wall clock (`_ns`), microseconds (`_us`).
"""

from collections.abc import Callable
from typing import Final

from towerops_agent.ping.wire.echo import Echo
from towerops_agent.ping.wire.tally import Tally, tally
from towerops_agent.reasons import Stray
from towerops_agent.snmp.wire.exchange import Peer

_NUMBERS: Final = 1 << 32
_SEQUENCES: Final = 1 << 16

CLOCK_SLACK_US: Final = 1000
"""How far the wall clock may seem to move against the monotonic one: they are not read at the same moment."""


class Round:
    """Some echoes to one device. `peer`: the address that they go to; `number`, `token`: what its echoes carry.

    `heard_s`: when a reply was read last; before all times if none was.
    """

    __slots__ = ("_moments", "_sequence", "_trips_us", "heard_s", "number", "peer", "token")

    def __init__(self, peer: Peer, number: int, token: bytes, sequence: int) -> None:
        """`sequence`: the number of the first echo."""
        self.peer = peer
        self.number = number
        self.token = token
        self._sequence = sequence
        self._moments: list[tuple[int, float]] = []  # when each was sent: on the wall clock, on the monotonic one
        self._trips_us: list[int | None] = []
        self.heard_s = float("-inf")

    @property
    def count(self) -> int:
        """How many echoes were sent."""
        return len(self._moments)

    @property
    def sent_s(self) -> float:
        """When the last one was sent; before all times if none was."""
        return self._moments[-1][1] if self._moments else float("-inf")

    @property
    def received(self) -> int:
        """How many of them have come back so far."""
        return sum(trip_us is not None for trip_us in self._trips_us)

    def next_echo(self) -> Echo:
        """The echo to send next; the same one until it was sent."""
        return Echo(self.number, self.token, (self._sequence + self.count) % _SEQUENCES)

    def sent(self, wall_ns: int, now_s: float) -> None:
        """Note that the next echo was sent, right after these times were read."""
        self._moments.append((wall_ns, now_s))
        self._trips_us.append(None)

    def accept(self, sequence: int, arrived_ns: int | None, wall_ns: int, now_s: float) -> Stray | None:
        """Note the reply to the echo of this sequence number; None, or why it does not count."""
        place = (sequence - self._sequence) % _SEQUENCES
        if place >= self.count:
            return Stray.FORGED
        if self._trips_us[place] is not None:
            return Stray.DOUBLE
        self.heard_s = now_s
        self._trips_us[place] = _round_trip_us(*self._moments[place], arrived_ns, wall_ns, now_s)
        return None

    def tally(self) -> Tally:
        """What came of the echoes, if none comes back any more."""
        return tally(self._trips_us)


class Rounds:
    """The open rounds. `draw_token`: TOKEN_OCTETS octets that nobody can guess, new ones each time."""

    def __init__(self, draw_token: Callable[[], bytes]) -> None:
        self._draw_token = draw_token
        self._open: dict[int, Round] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._open)

    def open(self, peer: Peer, sequence: int = 0) -> Round:
        """A new round of echoes to `peer`. `sequence`: the number of its first echo."""
        self._number = (self._number + 1) % _NUMBERS
        begun = self._open[self._number] = Round(peer, self._number, self._draw_token(), sequence % _SEQUENCES)
        return begun

    def receive(self, echo: Echo, source: Peer, arrived_ns: int | None, wall_ns: int, now_s: float) -> Round | Stray:
        """The round that this reply from `source` belongs to, in which it is noted; or why it is not the reply to an echo.

        `arrived_ns`: when the kernel received it, None if it does not say. `wall_ns`, `now_s`: when it was read.
        """
        of = self._open.get(echo.number)
        if of is None:
            return Stray.LATE if (self._number - echo.number) % _NUMBERS < _NUMBERS // 2 else Stray.FORGED
        if echo.token != of.token:
            return Stray.FORGED
        if source[0] != of.peer[0]:
            return Stray.FOREIGN_PEER
        stray = of.accept(echo.sequence, arrived_ns, wall_ns, now_s)
        return of if stray is None else stray

    def close(self, round_: Round) -> Tally:
        """End this round: what has not come back is lost, and late from now on."""
        self._open.pop(round_.number, None)
        return round_.tally()


def _round_trip_us(sent_ns: int, sent_s: float, arrived_ns: int | None, wall_ns: int, now_s: float) -> int:
    """By the kernel's time of arrival; by the monotonic clock if there is none, or if the wall clock was set in between."""
    most_us = max(round((now_s - sent_s) * 1_000_000), 0)
    if arrived_ns is not None and abs((wall_ns - sent_ns) / 1000 - most_us) <= CLOCK_SLACK_US:
        trip_us = (arrived_ns - sent_ns) // 1000
        if 0 <= trip_us <= most_us + CLOCK_SLACK_US:
            return trip_us
    return most_us
