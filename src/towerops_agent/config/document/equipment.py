"""The configuration as the API sends it -> the equipment to poll, one device at a time.

text.py has the octets, config/sync.py calls read_config, scheduling/roster.py consumes it. A device is decoded with its types
in one step; only if that fails, field by field, so that a bad item costs only itself. At most one device is
decoded at any time; memory follows what the consumer keeps.
Pure. Intervals in seconds. Source: docs/api.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import inf, isfinite
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from towerops_agent.api.wire import contract
from towerops_agent.config.document.accepts import Accepts, read_accepts
from towerops_agent.config.document.credentials import read_credentials
from towerops_agent.config.document.fields import (
    MAX_IF_INDEX,
    UNDECODABLE,
    choice,
    host,
    integer,
    members,
    object_identifier,
    shown,
    text,
    value_of,
)
from towerops_agent.config.document.text import SITE, ConfigText
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Equipment, Interface, Number, PingPlan, Sensor, Transport

DEFAULT_INTERVAL_S = 60
LEAST_DIVISOR = 1e-280
"""A 64-bit reading over a smaller divisor may not be a finite number."""

MOST_REFUSALS = 1000
"""How many refusals are kept with their reason; the others are counted."""

MOST_PINGS = 20
DEFAULT_PINGS = 5

RefusalKind = Literal["config", "equipment", "sensor", "interface", "ping"]
Item = TypeVar("Item", Sensor, Interface)
Wire = TypeVar("Wire")

_TRANSPORTS = {str(transport): transport for transport in Transport}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item of the configuration that can't be used.

    `equipment`: the device's name, else its id, else its place in the list as "#3"; "" for the configuration's own fields.
    `item`: the id of the sensor or interface, else its place; "" for the equipment itself, or its pings.
    `reason`: the field, the value got (never a secret) and the value wanted.
    """

    kind: RefusalKind
    equipment: str
    item: str
    reason: str


class _Sensor(Struct, gc=False):
    """contract.Sensor without the fields that are not interpreted: `metadata` would cost a dictionary a sensor."""

    id: str
    oid: str
    divisor: float | None = None
    skip: Any = None  # of site files: in the API's contract there is no such field, and any unknown one is ignored


class _Interface(Struct, gc=False):
    id: str
    if_index: int
    if_name: str | None = None


class _Equipment(Struct):
    """contract.Equipment, decoded completely in one step. If it is made field by field, its fields may hold anything."""

    id: str
    ip_address: str
    name: str | None = None
    snmp: contract.Snmp | None = None
    poll_interval_seconds: int | None = None
    ping: contract.Ping | None = None
    sensors: list[_Sensor] | None = None
    interfaces: list[_Interface] | None = None


_NO_SNMP = contract.Snmp()
_decode_equipment = msgspec.json.Decoder(_Equipment).decode


def part_digest(interval_s: int, text: bytes) -> bytes:
    """16 octets, equal if a device's part of the configuration, with the inherited interval, is the same octet for octet."""
    return blake2b(b"%d %b" % (interval_s, text), digest_size=16).digest()


def read_config(config: ConfigText) -> "ConfigRead":
    """A configuration whose equipment is yet to be read."""
    return ConfigRead({name: Raw(value) for name, value in config.members.items()}, map(Raw, config.items()))


class ConfigRead:
    """One configuration.

    `equipment` is a one-shot iterator of (digest, Equipment) that decodes one device a step; until it is exhausted,
    `refusals`, `refused`, `devices` and `disabled` cover the devices so far. The digest is part_digest's.

    `refusals`: the first MOST_REFUSALS; `refused`: how many there are, by kind; `devices`: how many are to be polled or pinged;
    `disabled`: those with SNMP switched off that are not pinged either.
    """

    def __init__(self, members: Mapping[str, Raw], equipment: Iterable[Raw]) -> None:
        """`members`: the configuration's, except its equipment."""
        self.refusals: list[Refusal] = []
        self.refused: Counter[RefusalKind] = Counter()
        self.devices = self.disabled = 0
        version = value_of(members.get("version"))
        self.version = str(version) if isinstance(version, str | int) else ""
        self.interval_s = self._default_interval(value_of(members.get("poll_interval_seconds")))
        self.accepts = self._accepts(members.get("accepts", Raw()))
        self._of_site = SITE in members
        for refusal in msgspec.json.decode(members[SITE], type=list[tuple[RefusalKind, str, str, str]]) if self._of_site else ():
            self.refuse(*refusal)
        self.equipment: Iterator[tuple[bytes, Equipment]] = self._read(equipment)

    def _default_interval(self, value: object) -> int:
        try:
            return DEFAULT_INTERVAL_S if value is None else integer("poll_interval_seconds", value)
        except InvalidConfig as error:
            self.refuse("config", "", "", f"{error}; used {DEFAULT_INTERVAL_S}")
            return DEFAULT_INTERVAL_S

    def _accepts(self, raw: Raw) -> Accepts:
        accepts, wrong = read_accepts(raw)
        for error in wrong:
            self.refuse("config", "", "", str(error))
        return accepts

    def refuse(self, kind: RefusalKind, equipment: str, item: str, reason: str) -> None:
        """Note that one item can't be used; the consumer of `equipment` may find more of them."""
        self.refused[kind] += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append(Refusal(kind, equipment, item, reason))

    def _read(self, raws: Iterable[Raw]) -> Iterator[tuple[bytes, Equipment]]:
        seen: set[str] = set()
        oids: dict[str, bytes] = {}  # most devices share theirs: parsed once, and one object for all
        for place, raw in enumerate(raws, start=1):
            shown_as = f"#{place}"
            try:
                wire = _decoded(raw)
                shown_as = _label(wire.name, _label(wire.id, shown_as))
                equipment = self._equipment(wire, shown_as, seen, oids)
            except InvalidConfig as error:
                self.refuse("equipment", shown_as, "", str(error))
                continue
            if equipment:
                seen.add(equipment.id)
                self.devices += 1
                yield part_digest(self.interval_s, bytes(raw)), equipment

    def _equipment(self, wire: _Equipment, shown_as: str, seen: set[str], oids: dict[str, bytes]) -> Equipment | None:
        """The device in `wire`; None if it is not to be polled. Raises InvalidConfig."""
        snmp = wire.snmp or _NO_SNMP
        if not (snmp.enabled is None or isinstance(snmp.enabled, bool)):
            raise InvalidConfig(f"snmp.enabled is {shown(snmp.enabled)}: expected true or false")
        interval_s = wire.poll_interval_seconds
        interval_s = self.interval_s if interval_s is None else integer("poll_interval_seconds", interval_s)
        ping = self._ping(wire.ping, shown_as, interval_s)
        if snmp.enabled is False and ping is None:
            self.disabled += 1
            return None
        equipment_id = _unseen(wire.id, seen)
        if snmp.enabled is False:
            name, address = _label(wire.name, equipment_id), host("ip_address", wire.ip_address)
            return Equipment(equipment_id, name, address, interval_s=interval_s, ping=ping, has_snmp=False)
        port = 161 if snmp.port is None else integer("snmp.port", snmp.port, most=65535)
        return Equipment(
            id=equipment_id,
            name=_label(wire.name, equipment_id),
            host=host("ip_address", wire.ip_address),
            port=port,
            transport=Transport.UDP
            if snmp.transport is None
            else choice("snmp.transport", snmp.transport, _TRANSPORTS, '"udp" or "tcp"'),
            credentials=read_credentials(snmp),
            interval_s=interval_s,
            sensors=self._items("sensor", shown_as, wire.sensors, lambda wire, seen: self._sensor(wire, seen, oids)),
            interfaces=self._items("interface", shown_as, wire.interfaces, self._interface),
            ping=ping,
        )

    def _ping(self, wire: contract.Ping | InvalidConfig | None, equipment: str, interval_s: int) -> PingPlan | None:
        """How to ping the device; None if it is not to be, or if that can't be read: then only the pings are refused."""
        try:
            if isinstance(wire, InvalidConfig):
                raise wire
            if wire is None or wire.enabled is None or wire.enabled is False:
                return None
            if wire.enabled is not True:
                raise InvalidConfig(f"ping.enabled is {shown(wire.enabled)}: expected true or false")
            count = DEFAULT_PINGS if wire.count is None else integer("ping.count", wire.count, most=MOST_PINGS)
            own_s = wire.interval_seconds
            return PingPlan(count, interval_s if own_s is None else integer("ping.interval_seconds", own_s))
        except InvalidConfig as error:
            self.refuse("ping", equipment, "", str(error))
            return None

    def _sensor(self, wire: _Sensor, seen: set[str], oids: dict[str, bytes]) -> Sensor:
        sensor_id = _unseen(wire.id, seen)
        oid_text = text("oid", wire.oid)
        oid = oids.get(oid_text)
        if oid is None:
            oid = oids[oid_text] = object_identifier("oid", oid_text)
        if self._of_site and wire.skip is not None:
            return Sensor(sensor_id, oid, _divisor(wire.divisor), _numbers("skip", wire.skip))
        return Sensor(sensor_id, oid, _divisor(wire.divisor))

    def _interface(self, wire: _Interface, seen: set[str]) -> Interface:
        name = "" if wire.if_name in (None, "") else text("if_name", wire.if_name)
        by_name = self._of_site and bool(name) and wire.if_index == 0
        return Interface(_unseen(wire.id, seen), 0 if by_name else integer("if_index", wire.if_index, most=MAX_IF_INDEX), name)

    def _items(
        self, kind: RefusalKind, equipment: str, wires: list[Wire] | None, read: Callable[[Wire, set[str]], Item]
    ) -> tuple[Item, ...]:
        """`read` applied to each of `wires`; the ones that it can't use are refused."""
        seen: set[str] = set()
        items = []
        for place, wire in enumerate(wires or (), start=1):
            try:
                if isinstance(wire, InvalidConfig):  # an item, or the whole list, that could not be decoded
                    raise wire
                item = read(wire, seen)
            except InvalidConfig as error:
                self.refuse(kind, equipment, _label(getattr(wire, "id", None), f"#{place}"), str(error))
            else:
                seen.add(item.id)
                items.append(item)
        return tuple(items)


def _divisor(value: object) -> float:
    if value is None:
        return 1
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            divisor = float(value)
        except OverflowError:
            divisor = inf
        if divisor == 0:
            return 1
        if isfinite(divisor) and abs(divisor) >= LEAST_DIVISOR:
            return divisor
    raise InvalidConfig(f"divisor is {shown(value)}: expected a finite number, at least {LEAST_DIVISOR} away from 0, or 0")


def _numbers(field: str, value: object) -> frozenset[Number]:
    """The numbers of a list."""
    if not isinstance(value, list):
        raise InvalidConfig(f"{field} is {shown(value)}: expected a list of numbers")
    for each in value:
        if not isinstance(each, int | float) or isinstance(each, bool):
            raise InvalidConfig(f"{field} has {shown(each)}: expected numbers")
    return frozenset(value)


def _unseen(value: object, seen: set[str]) -> str:
    item_id = text("id", value)
    if item_id in seen:
        raise InvalidConfig(f"id is {shown(item_id)}, which an earlier one has: expected each id once; the earlier one is used")
    return item_id


def _label(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise


def _decoded(raw: Raw) -> _Equipment:
    """The device's JSON, decoded; field by field if a field is not of its type. Raises InvalidConfig."""
    try:
        return _decode_equipment(raw)
    except UNDECODABLE:
        pass
    fields = members(raw, "equipment")
    snmp = fields.get("snmp")
    return _Equipment(
        id=value_of(fields.get("id")),
        ip_address=value_of(fields.get("ip_address")),
        name=value_of(fields.get("name")),
        snmp=None if snmp is None or bytes(snmp) == b"null" else _decoded_fields(snmp, "snmp", contract.Snmp),
        poll_interval_seconds=value_of(fields.get("poll_interval_seconds")),
        ping=_decoded_ping(fields.get("ping")),
        sensors=_decoded_list(fields.get("sensors"), "sensor", _Sensor),
        interfaces=_decoded_list(fields.get("interfaces"), "interface", _Interface),
    )


def _decoded_ping(raw: Raw | None) -> Any:  # noqa: ANN401 - as the fields of _Equipment that is made field by field
    """The contract's Ping, with fields of any types, or the InvalidConfig that says why not; None if it is absent."""
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return _decoded_fields(raw, "ping", contract.Ping)
    except InvalidConfig as error:
        return error


def _decoded_list(raw: Raw | None, what: str, struct: type[Wire]) -> list[Any]:
    """The items of the JSON list `raw`: each a `struct`, or the InvalidConfig that says why not."""
    if raw is None or bytes(raw) == b"null":
        return []
    try:
        items = msgspec.json.decode(raw, type=list[Raw])
    except UNDECODABLE:
        return [InvalidConfig(f"{what}s is {shown(value_of(raw))}: expected a list")]
    decoded: list[Any] = []
    for item in items:
        try:
            decoded.append(_decoded_fields(item, what, struct))
        except InvalidConfig as error:
            decoded.append(error)
    return decoded


def _decoded_fields(raw: Raw, what: str, struct: type[Wire]) -> Wire:
    """A `struct` with the fields of the JSON object `raw`, whatever their types. Raises InvalidConfig."""
    fields = members(raw, what)
    names: tuple[str, ...] = struct.__struct_fields__  # type: ignore[attr-defined]  # a Struct's, which TypeVar can't say
    return struct(**{name: value_of(fields.get(name)) for name in names})
