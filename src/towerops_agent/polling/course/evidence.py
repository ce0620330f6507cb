"""What shows that a row of a device's table is an interface: its name, and its octet counters since the poll before.

A device sends names as octets. They are compared as UTF-8 and as Latin-1, without case and padding: much firmware pads names, or
writes them in another case after an update. A counter that has fallen, or is not there any more, has started again, or is another
interface's. Sixteen octets an interface stay in memory between polls: for each its octets in, then for each its octets out; 0
for one that was not there. Pure. Source: RFC 2863 §6 (ifName, ifDescr: DisplayString and SnmpAdminString).
"""

import math
import re
from array import array
from collections.abc import Sequence
from functools import lru_cache
from operator import le, lt
from typing import Any, Final

from towerops_agent.polling.course.plan import PER_INTERFACE, at
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import CONFIRMED, UNVERIFIABLE, WIDE
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value

KINDS: Final = 1024
"""How many sets of names are remembered: devices of a kind share theirs."""

_PADDING: Final = " \0\t\r\n"
_ROUNDED: Final = 8


_PASSING = re.compile(r"<|(ppp|l2tp|pptp|sstp|ovpn|lte|wwan|tun|tap|veth|cap|vpn|dialer|virtual-access)", re.IGNORECASE)


@lru_cache(maxsize=KINDS)
def has_passing(names: tuple[str, ...]) -> bool:
    """Whether an interface of these comes and goes while its device runs on, as those of dialled sessions do."""
    return any(map(_PASSING.match, names))


@lru_cache(maxsize=KINDS)
def named_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """Which of these are names, by their places: more than blanks."""
    return tuple(i for i, name in enumerate(names) if folded(name))


@lru_cache(maxsize=KINDS)
def octets_at_most(names: tuple[str, ...]) -> int:
    """How long the longest of these is in an answer, rounded up: plans are shared."""
    return 2 + _ROUNDED * math.ceil(max(len(name.encode("utf-8", "replace")) for name in names) / _ROUNDED)


def folded(name: str) -> str:
    """A configured name in the form for comparing; "" for one that is only blanks."""
    return name.strip(_PADDING).casefold()


def readings(tag: int, value: Value) -> tuple[str, ...]:
    """The texts, folded, that a device's value may be; none if it is not a text, or an empty one."""
    if tag != ber.OCTET_STRING or not isinstance(value, bytes):
        return ()
    latin = folded(value.decode("latin-1"))
    try:
        text = folded(value.decode())
    except UnicodeDecodeError:
        text = latin
    return tuple(dict.fromkeys(each for each in (text, latin) if each))


def shown(value: Value) -> str:
    """A device's name, for people."""
    octets = value if isinstance(value, bytes) else b""
    try:
        return octets.decode().strip(_PADDING)
    except UnicodeDecodeError:
        return octets.decode("latin-1").strip(_PADDING)


def is_name(tag: int, value: Value, wanted: str) -> bool:
    """Whether a device's value is the configured name `wanted`, which is folded."""
    return wanted in readings(tag, value)


def is_exactly(tag: int, value: Value, name: str) -> bool:
    """Whether a device's value is `name` to the octet."""
    return tag == ber.OCTET_STRING and value is not None and value in (name.encode("utf-8", "surrogateescape"), _latin(name))


def _latin(name: str) -> bytes | None:
    try:
        return name.encode("latin-1")
    except UnicodeEncodeError:
        return None


# Names that were asked with the counters


def unproven(progress: PollProgress, standings: bytes, if_names: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Interfaces whose counters did not arrive before, or with, their name; and those that have another name than they had.

    What was right afterwards was right while the counters were read. `standings`: which are watched, as when the plan was made.
    """
    plan = progress.plan
    if not plan.names or all_proven(progress, standings, if_names):
        return [], []
    silent, renamed = [], []
    for i, column in enumerate(plan.names):
        if not column or standings[i] not in _WATCHED:
            continue
        tag, value = progress.tags[column], progress.values[column]
        read_us = max(progress.received_us[progress.slots[slot]] for slot in plan.interface_slots(i))
        if not read_us:
            continue  # there is nothing to prove
        if not tag or progress.received_us[column] < read_us:
            silent.append(i)
        elif bool(readings(tag, value)) if standings[i] == UNVERIFIABLE else not is_name(tag, value, folded(if_names[i])):
            renamed.append(i)
    return silent, renamed


_WATCHED: Final = CONFIRMED | {UNVERIFIABLE}


def all_proven(progress: PollProgress, standings: bytes, if_names: tuple[str, ...]) -> bool:
    """Whether each interface has the configured name to the octet, and it arrived behind its counters, or with them: as usual."""
    names = progress.plan.names
    if not CONFIRMED.issuperset(standings) or 0 in names or at(progress.values, names) != _in_octets(if_names):
        return False
    if {*at(progress.tags, names)} != {ber.OCTET_STRING}:
        return False
    if progress.is_as_planned:
        return True
    slots, received_us = progress.slots, progress.received_us
    proven_us, read_us = at(received_us, names), at(received_us, slots[progress.plan.sensor_count :])
    if min(proven_us) >= max(read_us):
        return True
    return all(map(le, map(max, *(read_us[n::PER_INTERFACE] for n in range(PER_INTERFACE))), proven_us))


@lru_cache(maxsize=KINDS)
def _in_octets(names: tuple[str, ...]) -> list[bytes] | None:
    """These names in UTF-8; None if one can't be. Not to be changed."""
    try:
        return [name.encode() for name in names]
    except UnicodeEncodeError:
        return None


# Octet counters

_LARGEST = (1 << 64) - 1


def octets_of(progress: PollProgress, before: "array[int] | None" = None) -> "array[int]":
    """What a poll has read; of what was not answered, what the poll before had read, if there was one with the same plan."""
    received, sent = _columns(progress)
    values: list[Any] = [*at(progress.values, received), *at(progress.values, sent)]
    try:
        now: array[int] = array("Q", values)  # the usual case: all are numbers
    except (TypeError, OverflowError):
        now = array("Q", [value if isinstance(value, int) and 0 <= value <= _LARGEST else 0 for value in values])
    if before is not None and 0 in progress.tags:
        for i, column in enumerate((*received, *sent)):
            if not progress.tags[column]:
                now[i] = before[i]
    return now


def has_fallen(before: "array[int]", progress: PollProgress) -> bool:
    """Whether a counter is less than it was, or not there any more. One that was not answered is neither."""
    now = octets_of(progress)
    if not any(map(lt, now, before)):
        return False
    return any(map(lt, octets_of(progress, before), before))


def has_fallen_for_sure(before: "array[int]", progress: PollProgress, widths: bytes) -> bool:
    """Whether a counter of 64 bits is less than it was: one of 32 bits may have wrapped. `widths`: as Traits.widths."""
    wide = [width == WIDE for width in (*widths[::2], *widths[1::2])]
    return any(now < was and is_wide for was, now, is_wide in zip(before, octets_of(progress, before), wide, strict=True))


def has_gone_on(before: "array[int]", progress: PollProgress) -> bool:
    """Whether a counter that had counted has gone on, or stands where it was."""
    return any(was and now >= was for was, now in zip(before, octets_of(progress), strict=True))


def _columns(progress: PollProgress) -> tuple[Sequence[int], Sequence[int]]:
    slots, first = progress.slots, progress.plan.sensor_count
    return slots[first::PER_INTERFACE], slots[first + 1 :: PER_INTERFACE]
