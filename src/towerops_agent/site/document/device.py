"""One device of a site file -> the JSON object that the API's configuration would have for it.

A mistake in the device itself refuses the device; one in a sensor or an interface refuses only that. Ids are UUIDs made of
address, port and OID or interface name: to rename, move or reorder lines changes none of them.
Pure. Intervals in seconds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final, Protocol
from uuid import UUID

import yaml

from towerops_agent.config.document.equipment import MOST_PINGS
from towerops_agent.config.document.fields import MAX_IF_INDEX, host, object_identifier, shown
from towerops_agent.errors import InvalidConfig
from towerops_agent.polling.course.evidence import folded
from towerops_agent.site.document.auto import AUTO
from towerops_agent.site.document.credentials import KEYS as CREDENTIALS_KEYS
from towerops_agent.site.document.credentials import SnmpFields
from towerops_agent.site.document.meanings import skip_in, states_in, states_member
from towerops_agent.site.document.nodes import (
    Location,
    Mistake,
    Problem,
    Section,
    factor,
    is_null,
    one_of,
    place_of,
    scalar,
    switch,
    whole,
)

NAMESPACE: Final = UUID("6b0b4f3c-6d1b-5f0e-9c8e-2f7a0d3b5a11")
"""Never to be changed: each id is made with it."""

INHERITED: Final = ("credentials", "interval", "labels", "ping", "port", "profile", "snmp", "transport")
"""What `defaults` may have."""

KEYS: Final = ("address", "name", *INHERITED, "sensors", "interfaces")
_OF_CREDENTIALS: Final = "expected it in a set of credentials, and the set's name here: credentials: NAME"
ELSEWHERE: Final = dict.fromkeys(CREDENTIALS_KEYS, _OF_CREDENTIALS) | dict.fromkeys(
    ("host", "hostname", "ip"), "expected address"
)
"""What is expected in place of keys that a device does not have."""

_SENSOR_KEYS: Final = ("name", "oid", "type", "divisor", "unit", "states", "skip", "labels")
_PING_KEYS: Final = ("count", "interval")
_INTERFACE_KEYS: Final = ("name", "index", "labels")

MOST_INTERVAL_S: Final = 86_400
SNMP_PORT: Final = 161
DEFAULT_INTERVAL_S: Final = 60

_LABEL: Final = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
OWN_LABELS: Final = frozenset({"device", "ifIndex", "ifName", "instance", "job", "le", "quantile", "sensor"})
"""Labels that the agent makes, or that mean something else to Prometheus."""

_ADDRESS: Final = "an IPv4 address, an IPv6 address or a DNS name"
_TRANSPORTS: Final = {"udp": "udp", "tcp": "tcp"}
_PROFILES: Final = {AUTO: True, "none": False}


def made_id(name: str) -> str:
    """The UUID that uuid5 makes of the name, in a third of its time."""
    digest = bytearray(sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80  # version 5, variant of RFC 4122 §4.1
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def site_id(address: str, port: int) -> str:
    """The id of the device at this address."""
    return made_id(f"{address.casefold()}|{port}")


def sensor_id(address: str, port: int, oid: str) -> str:
    """The id of its sensor with this OID, without a leading dot."""
    return made_id(f"{address.casefold()}|{port}|{oid}")


def interface_id(address: str, port: int, called: str | int) -> str:
    """The id of its interface with this name, or index if it has no name of its own."""
    return made_id(f"{address.casefold()}|{port}|interface {called}")


class Named(Protocol):
    """The sets of credentials, by name."""

    def __call__(self, name: str) -> SnmpFields:
        """The set with this name. Raises InvalidConfig."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A mistake that costs a device, or one item of it. `equipment`, `item`: as for equipment.Refusal."""

    kind: str
    equipment: str
    item: str
    problem: Problem


@dataclass(slots=True)
class Inherited:
    """What a device has if it does not say otherwise. `labels`: merged with its own. `ping`: the contract's.

    `is_auto`: its sensors and interfaces are discovered.
    """

    credentials: str | None = None
    interval_s: int = DEFAULT_INTERVAL_S
    port: int = SNMP_PORT
    transport: str = "udp"
    labels: Mapping[str, str] = field(default_factory=dict)
    ping: Mapping[str, Any] | None = None
    has_snmp: bool = True
    is_auto: bool = False


def inherited(section: Section, before: Inherited) -> Inherited:
    """What is given in `section`, over `before`. Raises Mistake.

    Empty credentials are a mistake: the device would be asked with others, or with the community public.
    """
    section.must_not_be_empty("credentials", "the name of a set of credentials")
    return Inherited(
        section.text("credentials") or before.credentials,
        section.checked("interval", whole(1, MOST_INTERVAL_S)) or before.interval_s,
        section.checked("port", whole(1, 65_535)) or before.port,
        section.checked("transport", one_of(_TRANSPORTS, "udp or tcp")) or before.transport,
        {**before.labels, **labels_in(section)},
        _ping_in(section) or before.ping,
        before.has_snmp if (has_snmp := section.checked("snmp", switch)) is None else has_snmp,
        before.is_auto if (is_auto := section.checked("profile", one_of(_PROFILES, "auto or none"))) is None else is_auto,
    )


def _ping_in(section: Section) -> dict[str, Any] | None:
    """How to ping, as the contract has it; None if nothing is given. Raises Mistake."""
    if "ping" not in section:
        return None
    node = section.nodes["ping"]
    if isinstance(node, yaml.ScalarNode):
        return {"enabled": section.checked("ping", switch)}
    ping = Section(section.file, "ping", node, _PING_KEYS)
    count = ping.checked("count", whole(1, MOST_PINGS))
    interval_s = ping.checked("interval", whole(1, MOST_INTERVAL_S))
    given = {"enabled": True, "count": count, "interval_seconds": interval_s}
    return {key: value for key, value in given.items() if value is not None}


def labels_in(section: Section) -> dict[str, str]:
    """The labels of a section. Raises Mistake."""
    if "labels" not in section:
        return {}
    labels = Section(section.file, "labels", section.nodes["labels"], None)
    for name, place in labels.keys.items():
        if not _LABEL.fullmatch(name):
            raise Mistake(place, f"label {shown(name)}: expected letters, digits and _, as Prometheus allows")
        if name in OWN_LABELS:
            raise Mistake(place, f"label {name} is one that the agent or Prometheus makes: expected another name")
    return {name: labels.needed(name) for name in labels.keys}


@dataclass(frozen=True, slots=True)
class SiteDevice:
    """A device as the configuration has it; `refused`: its items that can't be used; `is_auto`: it is discovered."""

    name: str
    place: Location
    host: str
    port: int
    wire: dict[str, Any]
    secret: frozenset[str]
    refused: list[Refused]
    is_auto: bool = False


def read_device(section: Section, before: Inherited, credentials: Named) -> SiteDevice:
    """The device. Raises Mistake if it can't be polled as it is described."""
    section.must_not_be_empty("address", _ADDRESS)
    if "address" not in section:
        raise Mistake(section.place, f"address is missing: expected {_ADDRESS}")
    address = section.checked("address", host) or ""
    name = section.text("name") or address
    own = inherited(section, before)
    where = "credentials" if "credentials" in section else "address"
    try:
        snmp = SnmpFields() if own.credentials is None else credentials(own.credentials)
    except InvalidConfig as error:
        raise section.mistake(where, str(error)) from None
    is_pinged = own.ping is not None and own.ping["enabled"]
    if not own.has_snmp:
        if not is_pinged:
            raise section.mistake(
                "snmp" if "snmp" in section else "address", "snmp is false: expected ping: true, or nothing is asked"
            )
        for key in ("sensors", "interfaces"):
            if key in section:
                raise section.mistake(key, f"{key} of a device whose snmp is false: expected none")
    items = _Items(section, name, address, own.port)
    wire = {
        "id": site_id(address, own.port),
        "name": name,
        "ip_address": address,
        "snmp": {**snmp.wire, "port": own.port, "transport": own.transport, **({} if own.has_snmp else {"enabled": False})},
        "poll_interval_seconds": own.interval_s,
        "labels": dict(sorted(own.labels.items())),
        "sensors": list(items.sensors()),
        "interfaces": list(items.interfaces()),
    }
    if is_pinged:
        wire["ping"] = own.ping
    place, is_auto = section.place_at("address"), own.is_auto and own.has_snmp
    return SiteDevice(name, place, address, own.port, wire, snmp.secret, items.refused, is_auto)


class _Items:
    """The sensors and interfaces of one device."""

    def __init__(self, section: Section, device: str, address: str, port: int) -> None:
        self._section = section
        self._device = device
        self._at = address, port
        self.refused: list[Refused] = []

    def sensors(self) -> Iterator[dict[str, Any]]:
        """Those that can be read."""
        names: set[str] = set()
        oids: set[bytes] = set()
        for place, node in enumerate(self._section.items("sensors"), start=1):
            item = f"#{place}"
            try:
                section = Section(self._section.file, "a sensor", node, _SENSOR_KEYS)
                name = item = section.needed("name")
                if name in names:
                    raise section.mistake("name", f"name is {shown(name)}, which an earlier sensor of the device has")
                section.needed("oid")
                oid = section.checked("oid", _oid) or (b"", "")
                if oid[0] in oids:
                    raise section.mistake("oid", f"oid is {oid[1]}, which an earlier sensor of the device has")
                section.must_not_be_empty("divisor", "a number")
                divisor = section.checked("divisor", factor)
                states = states_in(section)
                made = {
                    "id": sensor_id(*self._at, oid[1]),
                    "type": section.text("type"),
                    "oid": oid[1],
                    "divisor": divisor,
                    "unit": section.text("unit"),
                    "skip": sorted(skip_in(section, states)),
                    "metadata": {"descr": name, **states_member(states)},
                    "labels": labels_in(section),
                }
            except Mistake as mistake:
                self.refused.append(Refused("sensor", self._device, item, mistake.problem))
                continue
            names.add(name)
            oids.add(oid[0])
            yield {key: value for key, value in made.items() if value not in (None, {}, [])}

    def interfaces(self) -> Iterator[dict[str, Any]]:
        """Those that can be read. Index 0: wherever its name is."""
        seen: set[object] = set()
        for place, node in enumerate(self._section.items("interfaces"), start=1):
            item = f"#{place}"
            try:
                name, index, labels = self._interface(node)
                item = name or f"ifIndex {index}"
                key = folded(name) or index
                if key in seen:
                    raise Mistake(place_of(self._section.file, node), f"interface {item} is given twice: expected it once")
                made = {
                    "id": interface_id(*self._at, name or index),
                    "if_index": index,
                    "if_name": name,
                    "labels": labels,
                }
            except Mistake as mistake:
                self.refused.append(Refused("interface", self._device, item, mistake.problem))
                continue
            seen.add(key)
            yield {key: value for key, value in made.items() if value not in ("", {})}

    def _interface(self, node: yaml.Node) -> tuple[str, int, dict[str, str]]:
        file = self._section.file
        if isinstance(node, yaml.ScalarNode) and not is_null(node):
            return scalar(file, "an interface", node), 0, {}
        section = Section(file, "an interface", node, _INTERFACE_KEYS)
        name, index = section.text("name"), section.checked("index", whole(1, MAX_IF_INDEX))
        if name is None and index is None:
            raise Mistake(section.place, "an interface without name and index: expected one of them, or both")
        return name or "", index or 0, labels_in(section)


def _oid(field: str, text: str) -> tuple[bytes, str]:
    """Its octets, and its text without a leading dot."""
    return object_identifier(field, text), text.strip().removeprefix(".")
