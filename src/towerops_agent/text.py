"""Durations, moments, sizes, counts, addresses and foreign texts as the operator reads them: each one way in the whole agent.

Pure. Seconds (`_s`), microseconds since 1970 (`_us`), octets.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """A duration in its two largest units, `3 d 4 h`, `12 min 30 s`, `2 h`; `0 s` if it is negative, as after a clock was set.

    It is rounded to the smaller of them: an operator who reads "2 h" is at most half a minute off, and no estimate looks
    better than it is by cutting off. Two units, as one may be a third off ("1 d" for 36 h) and nobody reads three.
    """
    left = max(round(seconds), 0)
    for (_, larger), (_, smaller) in pairwise(_UNITS):
        if left >= larger:
            left = (left + smaller // 2) // smaller * smaller
            break
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def moment(time_us: int) -> str:
    """A moment of the wall clock, UTC, to the second: `2026-01-09 19:22:15 UTC`."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(octets: int) -> str:
    """A size in decimal units, as disks are sold: `640 B`, `12.3 MB`."""
    amount, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """How many of a thing: `1 sensor`, `1,200 sensors`. `plural`: if it is not made with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def address(host: str, port: int) -> str:
    """Host and port, an IPv6 address in brackets (RFC 3986 §3.2.2): `10.0.0.1:161`, `[2001:db8::1]:161`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def printable(text: str) -> str:
    """`text` in one line, without characters that control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def no_devices(host: str) -> str:
    """Why no device can have this IP address; "" if one can.

    What is sent to 0.0.0.0 or :: is answered by this machine, and what is sent to a group by whoever is in it.
    """
    address = ip_address(host)
    if address.is_multicast:
        return "a multicast address, which is not a device's"
    return "an address that no device can have" if address.is_unspecified or host == "255.255.255.255" else ""


def as_argument(text: str) -> str:
    """`text` in quotation marks, as a shell reads it back: in a command to be copied, whatever a device is called."""
    return "'" + text.replace("'", "'\\''") + "'"


def is_ip_address(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address, without brackets, and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host`, an address without brackets or a name, stays on this machine (RFC 6761 §6.3, RFC 6890)."""
    if host.lower() == "localhost":
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


MOST_ALIKE: Final = 10
"""So many complaints in the same words have a line each: a word misspelt in some places is to be corrected in each of them."""

_PLACE: Final = re.compile(r"^.*?:\d+:\d+: ")


def refused_lines(said: Sequence[tuple[str, str]], total: int) -> Iterator[str]:
    """A line for each of those `said`, as (who, why): `radio: no OID`. One for more than MOST_ALIKE with the same why.

    One mistake costs each of 10,000 devices that share it. Where in a file it is (`tower.yaml:4:48: …`) is not compared.
    `total`: how many there are, with those that were not noted.
    """
    words = [_PLACE.sub("", why) for _, why in said]
    counts = Counter(words)
    shown = set()
    for (who, why), same in zip(said, words, strict=True):
        if counts[same] <= MOST_ALIKE:
            yield f"{who}: {why}"
        elif same not in shown:
            shown.add(same)
            yield f"{who}: {why} (and {counts[same] - 1:,} more alike)"
    if total > len(said):
        yield f"and {total - len(said):,} more refused"
