"""All site files together -> the configuration, device by device, and what is wrong with them.

(file name, octets), in the order of the names -> Compiled. A mistake in YAML itself, in `defaults` or at the top of a file makes
the whole unusable, as nobody knows what it would have meant for the devices; else a mistake costs one device or one item.
Pure: secrets are read by what is passed in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

import msgspec
import yaml

from towerops_agent.config.document.fields import shown
from towerops_agent.config.document.text import SITE, ConfigText, ConfigWriter
from towerops_agent.errors import InvalidConfig
from towerops_agent.site.document.auto import Additions, AutoDevice, fill
from towerops_agent.site.document.credentials import KEYS as CREDENTIALS_KEYS
from towerops_agent.site.document.credentials import Secrets, SnmpFields, snmp_fields
from towerops_agent.site.document.destination import KEYS as DESTINATION_KEYS
from towerops_agent.site.document.destination import Destination, read_destination
from towerops_agent.site.document.device import ELSEWHERE, INHERITED, Inherited, Refused, SiteDevice, inherited, read_device
from towerops_agent.site.document.device import KEYS as DEVICE_KEYS
from towerops_agent.site.document.known import Earlier, KnownDevice
from towerops_agent.site.document.nodes import Location, Mistake, Problem, Section, is_null
from towerops_agent.site.document.pieces import Piece, SiteText

KEYS: Final = ("credentials", "defaults", "destinations", "devices")
_ELSEWHERE: Final = dict.fromkeys(INHERITED, "expected it in defaults, or in a device") | dict.fromkeys(
    CREDENTIALS_KEYS, "expected it in a set of credentials: credentials: {NAME: {…}}"
)

MOST_ITEMS: Final = 5_000_000
"""Of YAML's aliases a short file could make more than any memory holds."""

_ACCEPTS: Final = msgspec.json.encode({"metric_types": ["sensor_reading", "interface_stat", "equipment_status", "reachability"]})
"""The states of devices are stored too: destinations want them."""

HIDDEN: Final = "********"
"""In place of each secret, as long as SNMPv3 asks for."""


@dataclass(slots=True)
class Compiled:
    """`problems`: all of them, in the order of files and lines. `config`: None if the files can't be used as a whole.

    `refused`: those of them that cost a device, or an item of one, with its name.
    `credentials`: the sets that can be used, by name. `shown`: the configuration with HIDDEN in place of secrets.
    `auto`: the devices that are discovered. `warnings`: what is used, and deserves a word.
    `known`: devices by the digest of their text, as long as `inherited` and `credentials` are the same.
    """

    config: ConfigText | None = None
    shown: ConfigText | None = None
    problems: list[Problem] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    destinations: tuple[Destination, ...] = ()
    credentials: dict[str, SnmpFields] = field(default_factory=dict)
    auto: list[AutoDevice] = field(default_factory=list)
    devices: int = 0
    sensors: int = 0
    interfaces: int = 0
    inherited: Inherited | None = None
    known: dict[bytes, KnownDevice] = field(default_factory=dict)


def compile_site(
    documents: Iterable[tuple[str, bytes]],
    secrets: Secrets,
    additions: Additions | None = None,
    before: Compiled | None = None,
) -> Compiled:
    """The configuration that the files describe. `additions`: what was found of devices that are discovered.

    `before`: an earlier result, of which devices are taken whose text is the same. They are as if they had been compiled again.
    """
    return _Compiler(secrets, additions or {}, before or Compiled()).compile(documents)


class _Compiler:
    def __init__(self, secrets: Secrets, additions: Additions, before: Compiled) -> None:
        self._secrets = secrets
        self._before = before
        self._additions = additions
        self._unusable: list[Problem] = []
        self._warnings: list[Problem] = []
        self._credentials: dict[str, tuple[Location, SnmpFields | None]] = {}
        self._credentials_problems: list[Problem] = []
        self._defaults: Section | None = None
        self._inherited = Inherited()
        self._destinations: dict[str, tuple[Destination, Location]] = {}
        self._texts: list[tuple[str, SiteText]] = []
        self._refused: list[Refused] = []
        self._seen: dict[tuple[str, int], Location] = {}
        self._items = 0

    def compile(self, documents: Iterable[tuple[str, bytes]]) -> Compiled:
        for file, octets in documents:
            try:
                self._read_file(file, octets)
            except Mistake as mistake:
                self._unusable.append(mistake.problem)
        if self._defaults is not None:
            try:
                self._inherited = inherited(self._defaults, self._inherited)
            except Mistake as mistake:
                self._unusable.append(mistake.problem)
        result = Compiled(warnings=self._warnings, inherited=self._inherited)
        result.credentials = {name: fields for name, (_, fields) in self._credentials.items() if fields is not None}
        made, hidden = ConfigWriter(), ConfigWriter()
        for piece, known, item, masked, is_whole in self._read_devices(result.credentials):
            if known.is_auto:
                result.auto.append(AutoDevice(known.id, known.name, known.host, known.port))
            if piece.digest is not None and is_whole:
                result.known[piece.digest] = replace(known, place=result.devices)
            made.add(item)
            hidden.add(masked)
            result.devices += 1
            result.sensors += known.sensors
            result.interfaces += known.interfaces
        problems = [*self._unusable, *self._credentials_problems, *(refused.problem for refused in self._refused)]
        result.problems = sorted(set(problems))
        result.refused = sorted(self._refused, key=lambda one: one.problem)
        if not self._unusable:
            refused = [(one.kind, one.equipment, one.item, str(one.problem)) for one in self._refused]
            members = {SITE: msgspec.json.encode(refused), "accepts": _ACCEPTS}
            result.destinations = tuple(destination for destination, _ in self._destinations.values())
            if result.destinations:  # so that other labels are another configuration
                members["labels"] = msgspec.json.encode([(one.name, one.kind, one.labels) for one in result.destinations])
            result.config, result.shown = made.finish(members), hidden.finish(members)
        return result

    def _read_file(self, file: str, octets: bytes) -> None:
        text = SiteText(file, octets)
        top = Section(file, "a site file", text.top, KEYS, _ELSEWHERE)
        for name, section in top.sections("credentials", CREDENTIALS_KEYS):
            self._read_credentials(name, section, Location(file) if isinstance(section, Mistake) else section.place)
        if "defaults" in top:
            section = Section(file, "defaults", top.nodes["defaults"], INHERITED, ELSEWHERE)
            if self._defaults is not None:
                raise Mistake(top.keys["defaults"], f"defaults are given twice: they are at {self._defaults.place} too")
            self._defaults = section
        for node in top.items("destinations"):
            self._read_destination(Section(file, "a destination", node, DESTINATION_KEYS))
        top.items("devices")  # a mistake if it is not a list
        self._texts.append((file, text))

    def _read_destination(self, section: Section) -> None:
        one = read_destination(section, self._secrets, self._warnings)
        if one.name in self._destinations:
            other = self._destinations[one.name][1]
            raise Mistake(section.place, f"the destination at {other} is called '{one.name}' too: expected a name for each")
        self._destinations[one.name] = one, section.place

    def _read_credentials(self, name: str, section: Section | Mistake, place: Location) -> None:
        if name in self._credentials:
            raise Mistake(place, f"credentials '{name}' are given twice: they are at {self._credentials[name][0]} too")
        fields = None
        try:
            if isinstance(section, Mistake):
                raise section
            fields = snmp_fields(section, self._secrets, self._warnings)
        except Mistake as mistake:
            place = mistake.problem.place
            self._credentials_problems.append(mistake.problem)
        self._credentials[name] = place, fields

    def _named(self, name: str) -> SnmpFields:
        if name not in self._credentials:
            known = ", ".join(sorted(self._credentials)) or "none are given"
            raise InvalidConfig(f"credentials is {shown(name)}: expected one of the sets of credentials ({known})")
        place, fields = self._credentials[name]
        if fields is None:
            raise InvalidConfig(f"credentials is {shown(name)}, which can't be used: see {place}")
        return fields

    def _read_devices(self, credentials: Mapping[str, SnmpFields]) -> Iterator[tuple[Piece, KnownDevice, bytes, bytes, bool]]:
        """Each device that can be polled, its JSON, with and without secrets, and whether nothing of it is refused."""
        earlier = self._before
        same = self._inherited == earlier.inherited and credentials == earlier.credentials
        before = Earlier(earlier.config, earlier.shown, earlier.known if same else {})
        for file, text in self._texts:
            planned = [before.plan(piece.digest, self._additions) for piece in text.pieces]
            nodes = text.nodes({place for place, known in enumerate(planned) if known is None})
            for piece, known in zip(text.pieces, planned, strict=True):
                if known is not None:
                    item, masked = before.take(known)
                    if self._may_claim(known, piece.place):
                        yield piece, known, item, masked, True
                    continue
                node = next(nodes)
                try:
                    device = read_device(Section(file, "a device", node, DEVICE_KEYS, ELSEWHERE), self._inherited, self._named)
                except Mistake as mistake:
                    self._refuse(_called(node) or str(piece.place), mistake)
                    continue
                made, item, masked = self._encoded(device, _called(node), piece.place.line)
                if self._may_claim(made, piece.place):
                    self._refused += device.refused
                    yield piece, made, item, masked, not device.refused

    def _encoded(self, device: SiteDevice, called: str, line: int) -> tuple[KnownDevice, bytes, bytes]:
        """The device, its JSON, and the same with HIDDEN in place of secrets."""
        wire = device.wire
        found = self._additions.get(wire["id"]) if device.is_auto else None
        if found is not None:
            fill(wire, found)
        snmp = {name: HIDDEN if name in device.secret else value for name, value in wire["snmp"].items()}
        known = KnownDevice(
            place=0,
            called=called,
            lines=device.place.line - line,
            column=device.place.column,
            id=wire["id"],
            name=device.name,
            host=device.host,
            port=device.port,
            sensors=len(wire["sensors"]),
            interfaces=len(wire["interfaces"]),
            is_auto=device.is_auto,
            found=found,
        )
        return known, msgspec.json.encode(wire), msgspec.json.encode({**wire, "snmp": snmp})

    def _may_claim(self, device: KnownDevice, begin: Location) -> bool:
        """Whether no other device has its address; else it is refused. `begin`: its first line."""
        place = Location(begin.file, begin.line + device.lines, device.column)
        key = (_written_once(device.host), device.port)
        self._items += 1 + device.sensors + device.interfaces
        if key in self._seen:
            text = f"address is {device.host}, port {device.port}, which the device at {self._seen[key]} has"
        elif self._items > MOST_ITEMS:
            text = f"more than {MOST_ITEMS} sensors and interfaces: expected fewer"
        else:
            self._seen[key] = place
            return True
        self._refuse(device.called, Mistake(place, text))
        return False

    def _refuse(self, called: str, mistake: Mistake) -> None:
        self._refused.append(Refused("equipment", called, "", mistake.problem))


def _written_once(host: str) -> str:
    """The address or name, the same however it is written: 2001:db8::1 for 2001:DB8:0::1 (RFC 5952)."""
    return str(ip_address(host)) if ":" in host else host.casefold()


def _called(node: yaml.Node) -> str:
    """The name of a device that is refused, or its address; "" if it has neither."""
    texts = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        is_text = isinstance(value, yaml.ScalarNode) and not is_null(value)
        if isinstance(key, yaml.ScalarNode) and is_text and value.value.isprintable():
            texts[key.value] = str(value.value)
    return texts.get("name") or texts.get("address") or ""
