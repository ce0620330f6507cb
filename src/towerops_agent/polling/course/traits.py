"""The learned traits of a device: how much it accepts in one request, how fast it answers, which counters it has.

Pure values, changed only by progress.py and reading.py; one per device, so slotted and small.
"""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.snmp.wire.ber import Oid

STARTING_VARBINDS: Final = 24
"""Varbinds in a first request: an answer of some 700 octets, which nearly all devices can send."""

LARGEST_VARBINDS: Final = 54
"""The most in one request: nine interfaces. By plan.py's estimate more does not fit into one datagram."""

GROWTH: Final = 6
"""By how many a request grows past STARTING_VARBINDS: one interface more. A smaller step would not save requests."""

MINIMUM_TIMEOUT_S: Final = 0.5
FIRST_TIMEOUT_S: Final = 1.0  # RFC 6298 §2.1
MAXIMUM_TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3

TOGETHER: Final = 4
"""How many requests are under way to one device at most: a poll of 308 values is two turns, and still no burst."""

CLEAN_POLLS: Final = 3
STUMBLED_FIRST: Final = 8
STUMBLED_MOST: Final = 200
"""After how many polls without a loss several requests are under way; and after how many more, if that went wrong: four times as
many each time. So a loss now and then costs little, and a device that drops what comes at once is left in peace."""

HURRIED_POLLS: Final = 2 * CLEAN_POLLS
"""After so many polls without a loss that ended in time a device is no longer hurried."""

STEADY_POLLS: Final = 100
"""After so many polls without a loss it no longer counts that it has ever gone wrong."""

SERIAL_S: Final = MINIMUM_TIMEOUT_S / 2
SERIAL: Final = 2.0
"""A device whose answers to several requests arrive this far apart, by the first and last round trip, answers one by one: it is
asked so until it is known again."""

UNKNOWN: Final = 0
NARROW: Final = 32
WIDE: Final = 64
"""How wide an interface's octet counters are, in bits; UNKNOWN until the device has answered for the wide ones."""

UNCHECKED: Final = 0
BY_NAME: Final = 1
UNVERIFIABLE: Final = 2
AWAY: Final = 3
BY_DESCR: Final = 4
AMBIGUOUS: Final = 5
DOUBTED: Final = 6
NOTHING: Final = 7
"""The standing of an interface: nothing yet, or there is none to compare; it is its row's ifName; the device lacks a name to
compare; no row has it; it is its row's ifDescr; several rows have it, and none stands out; it was a row's, and is in doubt; no
row ever had it, and there is no row at the configured index."""

CONFIRMED: Final = frozenset((BY_NAME, BY_DESCR))
ONCE_CONFIRMED: Final = frozenset((BY_NAME, BY_DESCR, AWAY, AMBIGUOUS, DOUBTED))

CLOCK_SLACK_US: Final = 60_000_000
"""How far a device's start may seem to move without a restart: clocks drift, and ours may be adjusted."""

MOST_REFUSED: Final = 1000
"""Of how many OIDs it is remembered that the device refuses them."""

_NO_OIDS: Final[Mapping[Oid, int]] = MappingProxyType({})
_NO_REFUSALS: Final[Mapping[Oid, str]] = MappingProxyType({})

SECONDS_SLACK_US: Final = 2_000_000
"""How far a sysUpTime may be off that counts seconds, or goes on by them: by the second that has just begun, and by the way."""

_OTHER_UNITS_US: Final = (1_000_000, 1_000)
"""What sysUpTime counts, in place of hundredths of a second, on some firmware: seconds, or milliseconds."""

UPTIME_WRAP_US: Final = (1 << 32) * 10_000
"""After this time sysUpTime starts at 0 again: 497 days."""

USELESS: Final = -1
"""In place of an ifTableLastChange that changes all the time, or never."""

LAST_CHANGE_PATIENCE: Final = 3
"""How often in a row ifTableLastChange may have changed for nothing, until it is no longer asked."""


class Start(IntEnum):
    """What a sysUpTime shows of the device's start: false if it has not started again.

    `OTHER`: it is not that of the same start, and too large for a start since the device was last read, or before that start.
    """

    SAME = 0
    AGAIN = 1
    OTHER = 2


_TIMEOUTS_A_SECOND: Final = 64
"""They are rounded up to a part of a second, so that there are few different ones: each is computed once."""


@lru_cache(maxsize=1024)
def _timeouts_s(first: int, attempts: int) -> tuple[float, ...]:
    return tuple(min(first / _TIMEOUTS_A_SECOND * 2**attempt, MAXIMUM_TIMEOUT_S) for attempt in range(attempts))


@dataclass(frozen=True, slots=True)
class BootClock:
    """A machine's clock that begins with its boot, and that nobody sets: compared with other boots' and machines'.

    `boot`: which boot, b"" if that is not known. `ahead_us`: how far the wall clock is ahead of it.
    """

    boot: bytes = b""
    ahead_us: int = 0

    def of_another(self, moment_us: int, other: "BootClock") -> int:
        """A moment of the other clock, on this one: exact in the same boot, else by what both wall clocks say."""
        same = self.boot and self.boot == other.boot
        return moment_us if same else moment_us + other.ahead_us - self.ahead_us


@dataclass(slots=True)
class Traits:
    """The learned traits of one device.

    `max_varbinds`: how many are asked at once. `most_answered`: the most that were answered at once. `refused_at`: the fewest
    that the device is known to refuse; `suspect_at`: the fewest that it was silent to once, while it answered fewer. None: not
    known.
    `srtt_s`, `rttvar_s`: the smoothed round trip and its variation (RFC 6298 §2); None before the first reply.
    `widths`: two octets per interface of the plan, for its octets in and out: UNKNOWN, NARROW or WIDE.
    `standings`: one octet per interface, what is known of its row in the tables: see UNCHECKED and the others.
    `by_if_name`: of its interfaces, as bits, those that were a row's ifName when they were last confirmed.
    `last_change`: ifTableLastChange when the names were compared; None: not known, or not there; USELESS: not reliable.
    `false_changes`: how often in a row it has changed although no interface had moved.
    `bulk`: whether it supports GETBULK, as far as is known.
    `riding`: the names of its interfaces are asked in the requests of their counters, as interfaces have moved while it was
    running. `hurried`: so they are because a poll did not end in time, until HURRIED_POLLS in a row have.
    `check`: the interfaces' names are to be compared before a counter of theirs counts: the first time, and after a reboot.
    `booted_at_us`: when the device started, on our BootClock; below 0 if that was before our machine did.
    `uptime`: its last sysUpTime, in hundredths of a second.
    `starts`: how often it has started again, or was found to be another, since the agent has started.
    `mute`: OIDs that the device never answers, even one at a time: asked last, once, so that they cost little.
    `refused_names`: OIDs that it answers with an error even when asked singly: asked last, one by one, so that they spoil no
    other. `refusals`: with which reason, of those that were since the agent has started. `turn`: where the next poll begins with
    those of many that it asks; see apart.py.
    `unreadable`: OIDs whose values it encodes wrong also if they are asked singly, or most likely: not asked again for that.
    `suspects`: OIDs that were asked when it fell silent for long: asked last, in halves, until the one that blocks it is found.
    `by_next`: OIDs that it denies by GET and gives by GETNEXT, asked so from now on. `once_by_next`: seen once, and not given by
    GET since; with how many GETs it has not answered since then, while it answered a GETNEXT behind them. `not_by_next`: OIDs
    that it gives by neither; they are tried again by the count of `lacking_polls`, in which something was not given by GET.
    `next_only`: it answers no GET at all.
    `index_lies`: its error-index has named an OID that it has. `absence_holds`: what it says to be absent is.
    `probe_turn`: a device that was never heard is probed by its sysUpTime, by another OID, or by GETNEXT.
    `any_address`: it answers from another address than it is asked at.
    `units`: the unit in which each sensor's text was first read; see interpret.Scales.
    `answers`: whether the last poll got any answer; a silent device is probed before it is polled.
    `spacing`: how far apart it wants its requests, once that is suspected.
    `resume`: the OID to begin with, as there was no time for it in the poll before.
    `clean_polls`: how many polls in a row were answered without a loss; below 0: so many more are to be before several requests
    are under way to it again. `stumbles`: how often that has gone wrong lately.
    """

    max_varbinds: int = STARTING_VARBINDS
    most_answered: int = 0
    refused_at: int | None = None
    suspect_at: int | None = None
    srtt_s: float | None = None
    rttvar_s: float = 0.0
    widths: bytes = b""
    standings: bytes = b""
    by_if_name: int = 0
    last_change: int | None = None
    false_changes: int = 0
    riding: bool = False
    hurried: bool = False
    bulk: bool = True
    check: bool = True
    booted_at_us: int | None = None
    uptime: int | None = None
    starts: int = 0
    mute: frozenset[Oid] = frozenset()
    refused_names: frozenset[Oid] = frozenset()
    refusals: Mapping[Oid, str] = field(default_factory=lambda: _NO_REFUSALS)
    turn: int = 0
    unreadable: frozenset[Oid] = frozenset()
    suspects: frozenset[Oid] = frozenset()
    index_lies: bool = False
    absence_holds: bool = False
    probe_turn: int = 0
    by_next: frozenset[Oid] = frozenset()
    once_by_next: Mapping[Oid, int] = field(default_factory=lambda: _NO_OIDS)
    not_by_next: frozenset[Oid] = frozenset()
    lacking_polls: int = 0
    next_only: bool = False
    any_address: bool = False
    answers: bool = True
    units: tuple[str, ...] = ()
    spacing: Spacing | None = None
    resume: Oid | None = None
    clean_polls: int = 0
    stumbles: int = 0

    @property
    def together(self) -> int:
        """How many requests may be under way at once: several to a device that is known and handles as much as can be asked."""
        is_known = self.clean_polls >= CLEAN_POLLS and self.answers and self.srtt_s is not None
        if not is_known or self.refused_at is not None or self.suspect_at is not None or self.max_varbinds < STARTING_VARBINDS:
            return 1
        return 1 if self.spacing is not None or self.apart or self.next_only or self.index_lies else TOGETHER

    def stumbled(self) -> None:
        """Note that the device did not answer several requests as it answers one: no more of that for a while."""
        self.clean_polls = -min(STUMBLED_FIRST << 2 * self.stumbles, STUMBLED_MOST)
        self.stumbles += 1

    def note_clean_poll(self) -> None:
        """Note a poll without a loss."""
        self.clean_polls += 1
        if self.clean_polls >= HURRIED_POLLS:
            self.hurried = False
        if self.clean_polls >= STEADY_POLLS:
            self.stumbles = 0

    def note_short_poll(self) -> None:
        """Note a poll without a loss that did not end in time: several requests under way may be what it takes."""
        self.clean_polls = min(self.clean_polls + 1, CLEAN_POLLS)

    def observe_rtt(self, rtt_s: float) -> None:
        """Note one round trip (RFC 6298 §2.2 and §2.3)."""
        if self.srtt_s is None:
            self.srtt_s, self.rttvar_s = rtt_s, rtt_s / 2
        else:
            self.rttvar_s += (abs(self.srtt_s - rtt_s) - self.rttvar_s) / 4
            self.srtt_s += (rtt_s - self.srtt_s) / 8

    def timeouts_s(self, attempts: int = ATTEMPTS) -> tuple[float, ...]:
        """How long to wait after each attempt, in seconds: from the round trips, doubled each time, 0.5 to 5 s."""
        first = FIRST_TIMEOUT_S if self.srtt_s is None else max(self.srtt_s + 4 * self.rttvar_s, MINIMUM_TIMEOUT_S)
        return _timeouts_s(math.ceil(first * _TIMEOUTS_A_SECOND), attempts)

    def note_answered(self, varbinds: int) -> None:
        """Note that the device answered a request of this many varbinds."""
        self.most_answered = max(self.most_answered, varbinds)
        if self.suspect_at is not None and varbinds >= self.suspect_at:
            self.suspect_at = None  # so the silence was loss

    def refused(self, varbinds: int) -> None:
        """Note that the answer to this many varbinds was too big. Ask for half, or for the most that it answered."""
        self.refused_at = min(varbinds, self.refused_at or varbinds)
        self.most_answered = min(self.most_answered, self.refused_at - 1)
        self.max_varbinds = max(varbinds // 2, self.most_answered, 1)

    def fell_silent(self, varbinds: int, *, is_believed: bool = True) -> None:
        """Note that the device did not answer this many varbinds, or wrong, but answers fewer.

        The first time the cause may be size or loss: it is asked for half for now. If it happens again before this
        many have been answered, the cause is the size; unless it is not to be `is_believed` yet, as it is not known what caused
        another silence.
        """
        if varbinds == 1:
            return  # not a question of size
        if is_believed and self.suspect_at is not None and varbinds >= self.suspect_at:
            self.refused(self.suspect_at)
            self.suspect_at = None
        else:
            self.suspect_at = min(varbinds, self.suspect_at or varbinds)
        self.max_varbinds = max(min(self.max_varbinds, varbinds // 2), 1)

    @property
    def gap_s(self) -> float:
        """The least time between two requests, in seconds; 0.0 of a device that does not mind."""
        return self.spacing.gap_s if self.spacing is not None and self.spacing.is_certain else 0.0

    @property
    def is_paced(self) -> bool:
        """Whether a silence is likely a request that came too soon, and not one that was too large."""
        return self.spacing is not None and self.spacing.is_likely

    def restore_size(self, most: int = LARGEST_VARBINDS) -> None:
        """Note that silence was not a question of size: ask for `most`, below the size that is known to be refused."""
        self.suspect_at = None
        below = most if self.refused_at is None else min(most, self.refused_at - 1)
        self.max_varbinds = max(self.max_varbinds, self.most_answered, below)

    def grow(self) -> None:
        """Note that a poll was complete at this size: ask for more next time, below the size that is known to be refused.

        One varbind more if the device failed before, to find its limit; else one interface more, beyond STARTING_VARBINDS.
        """
        fell_short = self.refused_at is not None or self.suspect_at is not None or self.max_varbinds < STARTING_VARBINDS
        limit = LARGEST_VARBINDS if self.refused_at is None else min(LARGEST_VARBINDS, self.refused_at - 1)
        self.max_varbinds = max(min(self.max_varbinds + (1 if fell_short else GROWTH), limit), 1)

    def observe_uptime(self, uptime: int, now_us: int) -> Start:
        """Note a sysUpTime, read now: whether the device seems to have restarted since the last one.

        It has if sysUpTime fell, or if the device's start has moved forward: it may have restarted long ago, unnoticed. It
        has not if sysUpTime has wrapped, stands still, or has gone on by one for each second or millisecond. If it has been up
        for longer than since it was last read, or than the device was by its last sysUpTime, then it is another device, or
        counts otherwise than time passes, or this machine was frozen.
        """
        booted_at_us = now_us - uptime * 10_000
        before_us, before, self.uptime = self.booted_at_us, self.uptime, uptime
        if uptime == before:
            return Start.SAME
        self.booted_at_us = booted_at_us
        if before_us is None:
            return Start.SAME
        later_us = booted_at_us - before_us
        wraps = round(later_us / UPTIME_WRAP_US)
        if wraps and abs(later_us - wraps * UPTIME_WRAP_US) <= CLOCK_SLACK_US:
            return Start.SAME
        if before is None:
            return Start.AGAIN if later_us > CLOCK_SLACK_US else Start.SAME
        read_us = before_us + before * 10_000
        if uptime > before:
            passed_us, count = now_us - read_us, uptime - before
            if abs(later_us) <= CLOCK_SLACK_US or any(abs(count * us - passed_us) <= SECONDS_SLACK_US for us in _OTHER_UNITS_US):
                return Start.SAME
        return Start.AGAIN if booted_at_us > read_us - CLOCK_SLACK_US else Start.OTHER

    @property
    def apart(self) -> bool:
        """Whether there are OIDs that are to be asked behind the others."""
        return bool(self.mute or self.refused_names or self.suspects or self.by_next)

    def is_single(self, name: Oid) -> bool:
        """Whether this OID is asked by itself, as the device never answers it, or refuses it."""
        return name in self.mute or name in self.refused_names

    def refuse(self, name: Oid, reason: str) -> None:
        """The device refuses this OID by itself, with this reason."""
        if len(self.refused_names) < MOST_REFUSED:
            self.refused_names |= {name}
            if self.refusals.get(name) != reason:
                self.refusals = {**self.refusals, name: reason}

    def note_unreadable(self, name: Oid) -> None:
        """Note that the value of this OID can't be read, though it was asked by itself."""
        if len(self.unreadable) < MOST_REFUSED:
            self.unreadable |= {name}

    def stepped(self, name: Oid, gave: bool) -> None:
        """Note whether the device gave an OID by GETNEXT that it denied by GET: twice in a row, and it is asked that way."""
        if not gave:
            if name in self.once_by_next:
                self.unsuspect((name,))
            if len(self.not_by_next) < MOST_REFUSED:
                self.not_by_next |= {name}
        elif name not in self.once_by_next:
            if len(self.once_by_next) < MOST_REFUSED:
                self.once_by_next = {**self.once_by_next, name: 0}
        else:
            self.unsuspect((name,))
            self.by_next |= {name}
            self.mute -= {name}
            self.refused_names -= {name}

    def count_in_vain(self, name: Oid) -> int:
        """Note that one more GET of an OID in `once_by_next` was not answered; how many that are in all."""
        count = self.once_by_next[name] + 1
        self.once_by_next = {**self.once_by_next, name: count}
        return count

    def unsuspect(self, names: Container[Oid]) -> None:
        """Note that GET gave these, or that GETNEXT did not: they have to be seen twice again."""
        self.once_by_next = {name: count for name, count in self.once_by_next.items() if name not in names} or _NO_OIDS

    def clear(self, names: Sequence[Oid], alone: bool) -> None:
        """Note that these were answered. `alone`: a single one, with a value."""
        if not self.suspects.isdisjoint(names):
            self.suspects = self.suspects.difference(names)
        if len(names) == 1 and names[0] in self.mute:
            self.mute -= {names[0]}
        if alone and names[0] in self.refused_names:
            self.refused_names -= {names[0]}
            self.refusals = {name: reason for name, reason in self.refusals.items() if name != names[0]} or _NO_REFUSALS

    @property
    def sizes(self) -> tuple[int, int, int | None, int | None]:
        """How much it accepts at once, as far as is known: `max_varbinds`, `most_answered`, `refused_at` and `suspect_at`."""
        return self.max_varbinds, self.most_answered, self.refused_at, self.suspect_at

    @sizes.setter
    def sizes(self, sizes: tuple[int, int, int | None, int | None]) -> None:
        self.max_varbinds, self.most_answered, self.refused_at, self.suspect_at = sizes

    def begin_anew(self, width: int) -> None:
        """The device has started again, perhaps as another one: forget its sizes and the widths of its counters.

        `width`: the counter width of a device that was never asked.
        """
        self.check = True
        self.starts += 1
        self.doubt()
        self.last_change = None
        self.widths = bytes([width]) * len(self.widths)
        self.sizes = STARTING_VARBINDS, 0, None, None
        self.mute = self.refused_names = self.unreadable = self.suspects = frozenset()
        self.by_next = self.not_by_next = frozenset()
        self.once_by_next, self.refusals = _NO_OIDS, _NO_REFUSALS
        self.index_lies = self.absence_holds = self.next_only = False
        self.spacing = None
        self.clean_polls = min(self.clean_polls, 0)

    def doubt(self) -> None:
        """Trust no interface's name until it has been compared again."""
        self.standings = bytes(DOUBTED if standing in ONCE_CONFIRMED else UNCHECKED for standing in self.standings)
