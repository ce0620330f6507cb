"""The checks of one field of the configuration: what it must be, and the error if it is not.

Used by credentials.py, accepts.py and equipment.py. Each check gets a field's name and its decoded JSON value, of any type,
and returns the typed value or raises InvalidConfig with the field, the value got and the value wanted; never a secret.
Pure.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar

import msgspec

from towerops_agent.errors import InvalidConfig
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.text import no_devices

T = TypeVar("T")

MAX_INTEGER = 2**31 - 1
"""The limit of an integer of the configuration: 68 years of seconds."""

MAX_IF_INDEX = 2**32 - 1
"""InterfaceIndex ends at 2^31 - 1 (RFC 2863 §3.1.5), but access concentrators number their ports as unsigned."""

UNDECODABLE: tuple[type[Exception], ...] = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The exceptions of msgspec for octets that are not JSON, or not of the requested type."""

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


class Unreadable:
    """Stands for a field whose JSON value can't be decoded: a number of 400 digits, a lone surrogate."""

    def __repr__(self) -> str:
        return "a JSON value that can't be decoded"


UNREADABLE = Unreadable()


def members(raw: msgspec.Raw, what: str) -> dict[str, msgspec.Raw]:
    """The members of the JSON object `raw`, each undecoded. Raises InvalidConfig if it is not an object."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNDECODABLE:
        value = value_of(raw)
        got = "a text" if isinstance(value, str) else shown(value)  # a community perhaps, where `snmp` should be
        raise InvalidConfig(f"{what} is {got}: expected a JSON object") from None


def value_of(raw: msgspec.Raw | None) -> Any:  # noqa: ANN401  # any JSON value at all is what it returns
    """The decoded value of `raw`: None if it is absent or null, UNREADABLE if decoding fails."""
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except UNDECODABLE:
        return UNREADABLE


def readable(raw: msgspec.Raw | bytes, levels: int = 3) -> Any:  # noqa: ANN401  # as value_of
    """The decoded value of `raw`; what can't be decoded within its objects and lists is UNREADABLE, down to so many levels."""
    try:
        return msgspec.json.decode(raw)
    except UNDECODABLE:
        if not levels:
            return UNREADABLE
    try:
        parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    except UNDECODABLE:
        return UNREADABLE
    if isinstance(parts, list):
        return [readable(part, levels - 1) for part in parts]
    return {name: readable(part, levels - 1) for name, part in parts.items()}


def shown(value: object) -> str:
    """`value` for an error: one short printable line."""
    match value:
        case None:
            return "absent"
        case True | False:
            return str(value).lower()
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            text = ascii(value)
            return text if len(text) <= 80 else f"{text[:76]}…"


def text(field: str, value: object, *, secret: bool = False) -> str:
    """`value`, a text that is not empty."""
    if isinstance(value, str) and value:
        return value
    got = "not one" if secret and value is not None and value != "" else shown(value)
    raise InvalidConfig(f"{field} is {got}: expected a text")


def integer(field: str, value: object, *, most: int = MAX_INTEGER) -> int:
    """`value`, an integer from 1 to `most`."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    raise InvalidConfig(f"{field} is {shown(value)}: expected an integer from 1 to {most}")


def choice(field: str, value: object, table: Mapping[str, T], wanted: str) -> T:
    """The entry of `table` for `value`: a text in any case, or an integer."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        found = table.get(str(value).strip().casefold())
        if found is not None:
            return found
    raise InvalidConfig(f"{field} is {shown(value)}: expected {wanted}")


def host(field: str, value: object) -> str:
    """The IPv4 address, IPv6 address or DNS name in `value`, without the blanks, brackets or dot that people write around one.

    An IPv4-mapped IPv6 address is the IPv4 address. A DNS name keeps its dot, which says that it is complete (RFC 1034 §3.1).
    An address that stands for "unknown", or for many, is refused: this machine would answer, or anybody.
    """
    wrong = shown(value)
    if isinstance(value, str):
        written = value.strip()
        bare = written[1:-1] if written.startswith("[") and written.endswith("]") else written
        try:
            address = ip_address(bare.removesuffix("."))
        except ValueError:
            if bare is written and _is_dns_name(written):
                return written
        else:
            mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
            found = str(mapped) if mapped else bare.removesuffix(".")
            why = no_devices(found)
            if not why:
                return found
            wrong += f", {why}"
    raise InvalidConfig(f"{field} is {wrong}: expected an IPv4 address, an IPv6 address or a DNS name")


def object_identifier(field: str, written: str) -> Oid:
    """`written` as an OID, with or without a leading dot. Raises InvalidConfig."""
    try:
        return parse_oid(written)
    except ValueError as error:  # InvalidOid, or a number of thousands of digits
        problem, is_there, wanted = str(error).rpartition(": expected ")  # the last: the OID itself may have these words
        problem, wanted = (problem, wanted) if is_there else (wanted, "an object identifier")
        which = "" if problem.startswith("OID ") else f" ({problem})"
        raise InvalidConfig(f"{field} is {shown(written)}{which}: expected {wanted}") from None


def _is_dns_name(name: str) -> bool:
    """Whether `name` is a host name (RFC 1123 §2.1; underscores occur in the field).

    A name whose last label is a number is a broken IPv4 address: getaddrinfo would read 10.0.1 as 10.0.0.1.
    """
    labels = name.removesuffix(".").split(".")
    return len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])
