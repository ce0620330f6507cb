"""Interfaces' names, from the device and from the configuration: which are the same.

A device sends octets. They are compared as UTF-8 and as Latin-1, without case and padding: much firmware pads names, or writes
them in another case after an update. Pure. Source: RFC 2863 §6 (ifName, ifDescr: DisplayString and SnmpAdminString).
"""

import re
from functools import lru_cache
from typing import Final

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value

KINDS: Final = 1024
"""How many sets of names are remembered: devices of a kind share theirs."""

_PADDING: Final = " \0\t\r\n"


_PASSING = re.compile(r"<|(ppp|l2tp|pptp|sstp|ovpn|lte|wwan|tun|tap|veth|cap|vpn|dialer|virtual-access)", re.IGNORECASE)


@lru_cache(maxsize=KINDS)
def has_passing(names: tuple[str, ...]) -> bool:
    """Whether an interface of these comes and goes while its device runs on, as those of dialled sessions do."""
    return any(map(_PASSING.match, names))


@lru_cache(maxsize=KINDS)
def named_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """Which of these are names, by their places: more than blanks."""
    return tuple(i for i, name in enumerate(names) if folded(name))


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
    return tag == ber.OCTET_STRING and value in (name.encode("utf-8", "surrogateescape"), _latin(name))


def _latin(name: str) -> bytes | None:
    try:
        return name.encode("latin-1")
    except UnicodeEncodeError:
        return None
