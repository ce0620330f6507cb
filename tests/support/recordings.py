"""Recordings of real devices: asked without a socket, and what was expected of each compared with what a discovery finds.

The recordings are not part of the project (see skips.RECORDINGS). Each answers as ../shared/tools/replay.py does: a GET over
1,400 octets with tooBig, a GETBULK with as much as fits.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from runpy import run_path
from typing import Any

from support.skips import RECORDINGS
from towerops_agent.discovery.course.course import discover
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.course.profile import Profile
from towerops_agent.polling.course.interpret import number
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, encode_oid, parse_oid, subidentifiers
from towerops_agent.snmp.wire.codec import decode_varbinds
from towerops_agent.snmp.wire.exchange import Answer, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Request, Value, Version

MOST_OCTETS = 1400

INTENDED = re.compile("loopback|administratively down|comes and goes|virtual, within")
"""Why an interface is left out though it has octets."""

VENDORS = {
    "MikroTik": "1.3.6.1.4.1.14988",
    "Ubiquiti": "1.3.6.1.4.1.41112",
    "Cambium": "1.3.6.1.4.1.17713",
    "Mimosa": "1.3.6.1.4.1.43356",
    "Netonix": "1.3.6.1.4.1.46242",
    "Siklu": "1.3.6.1.4.1.31926",
    "SAF": "1.3.6.1.4.1.7571",
    "Ceragon": "1.3.6.1.4.1.2281",
    "RADWIN": "1.3.6.1.4.1.4458",
    "RACOM": "1.3.6.1.4.1.33555",
    "APC": "1.3.6.1.4.1.318",
    "Eltek": "1.3.6.1.4.1.12148",
    "ICT": "1.3.6.1.4.1.39145",
    "Tycon": "1.3.6.1.4.1.45621",
    "PacketFlux": "1.3.6.1.4.1.32050",
    "Canopy": "1.3.6.1.4.1.161.19",
    "EdgeSwitch": "1.3.6.1.4.1.4413",
    "UPS-MIB": "1.3.6.1.2.1.33",
    "ENTITY-SENSOR": "1.3.6.1.2.1.99",
    "HOST-RESOURCES": "1.3.6.1.2.1.25",
    "UCD": "1.3.6.1.4.1.2021",
}
"""Of which vendor's MIB an OID is."""

WISP = tuple(VENDORS)[:17]


@cache
def _octets_of() -> Callable[[str, str], bytes]:
    """A recorded value, by its tag and text, as octets."""
    found: Callable[[str, str], bytes] = run_path(str(RECORDINGS.parent / "tools" / "replay.py"), run_name="replay")["value"]
    return found


class Recording:
    """One device. `values`: the tag and the value of each OID, by its sub-identifiers."""

    def __init__(self, path: Path) -> None:
        rows = {}
        for line in path.read_text("utf8", "replace").split("\n"):
            oid, *rest = line.rstrip("\r").split("|", 2)
            if len(rest) == 2 and re.fullmatch(r"\.?[0-9.]+", oid):
                rows[tuple(int(part) for part in oid.split(".") if part)] = rest
        self.oids: list[tuple[int, ...]] = []
        self.values: dict[tuple[int, ...], tuple[int, Value]] = {}
        self.sizes: dict[tuple[int, ...], int] = {}
        for oid in sorted(rows):
            try:
                name = ber.encode(ber.OBJECT_IDENTIFIER, encode_oid(oid))
            except ValueError:
                continue
            octets = ber.encode(ber.SEQUENCE, name + _octets_of()(*rows[oid]))
            _, tags, values = decode_varbinds(octets, 0, len(octets))
            self.oids.append(oid)
            self.values[oid], self.sizes[oid] = (tags[0], values[0]), len(octets)

    def answer(self, request: Request, version: Version = Version.V2C) -> Reply:
        """What the device answers."""
        asked = [subidentifiers(name) for name in request.names]
        if request.type == PduType.GET:
            return self._get(request, asked, version)
        found: list[tuple[Oid, int, Value]] = []
        size = 0
        for _ in range(1 if request.type == PduType.GET_NEXT else request.second):
            row = [self._next(oid) for oid in asked]
            if version is Version.V1 and None in row:
                return _error(request, ErrorStatus.noSuchName, row.index(None) + 1)
            size += sum(self.sizes.get(oid, 20) for oid in row if oid)
            if found and size > MOST_OCTETS:
                break
            for place, oid in enumerate(row):
                found.append(
                    (encode_oid(asked[place]), ber.END_OF_MIB_VIEW, None) if oid is None else (encode_oid(oid), *self.values[oid])
                )
                asked[place] = oid or asked[place]
        return _reply(found)

    def _get(self, request: Request, asked: Sequence[tuple[int, ...]], version: Version) -> Reply:
        found = []
        for place, oid in enumerate(asked):
            if oid not in self.values and version is Version.V1:
                return _error(request, ErrorStatus.noSuchName, place + 1)
            found.append((request.names[place], *self.values.get(oid, (ber.NO_SUCH_OBJECT, None))))
        if sum(self.sizes.get(oid, 20) for oid in asked) > MOST_OCTETS:
            return _error(request, ErrorStatus.tooBig, 0)
        return _reply(found)

    def _next(self, oid: tuple[int, ...]) -> tuple[int, ...] | None:
        place = bisect_right(self.oids, oid)
        return self.oids[place] if place < len(self.oids) else None


def _reply(found: Sequence[tuple[Oid, int, Value]]) -> Reply:
    names, tags, values = ([*column] for column in zip(*found, strict=True)) if found else ([], [], [])
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, names, bytes(tags), values), 0.01, 0)


def _error(request: Request, status: int, index: int) -> Reply:
    count = len(request.names)
    return Reply(Pdu(PduType.RESPONSE, 1, status, index, request.names, bytes([ber.NULL]) * count, [None] * count), 0.01, 0)


def explore(answer: Callable[[Request], Answer], profiles: Sequence[Profile], version: Version = Version.V2C) -> Discovery:
    """The discovery of a device that answers so."""
    course = discover(version, profiles)
    request = next(course)
    while True:
        try:
            request = course.send(answer(request))
        except StopIteration as end:
            result: Discovery = end.value
            return result


@dataclass(slots=True)
class Miss:
    """An expected sensor that was not found, or not with this value. `found`: the value that was, if so."""

    device: str
    vendor: str
    oid: str
    called: str
    type: str
    divisor: float
    expected: float
    found: float | None


@dataclass(slots=True)
class Measured:
    """One recording. `left_out`: ports with octets that are not polled, and why, as intended; `alike`: series of one name."""

    device: str
    discovery: Discovery
    expected: int = 0
    misses: list[Miss] = field(default_factory=list)
    ports: int = 0
    left_out: list[str] = field(default_factory=list)
    no_ports: list[str] = field(default_factory=list)
    of_vendor: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    alike: int = 0


def vendor_of(oid: str) -> str:
    """Of which vendor's MIB the OID is, "other" if none of ours."""
    return next((vendor for vendor, prefix in VENDORS.items() if f"{oid}.".startswith(f"{prefix}.")), "other")


def measure(
    equipment: Mapping[str, Any], expected: Mapping[str, Any], profiles: Sequence[Profile], cases: Path = RECORDINGS
) -> Measured:
    """What the discovery of one recording finds, against what is expected of it."""
    name = equipment["name"]
    recording = Recording(cases / "snmprec" / f"{name}.snmprec")
    found = explore(recording.answer, profiles)
    measured = Measured(name, found)
    values = {sensor.oid: sensor.value / sensor.divisor for sensor in found.sensors}
    for sensor in equipment["sensors"]:
        want = expected.get(f"s:{sensor['id']}")
        oid = sensor["oid"].strip(".")
        if want is None:
            continue
        vendor = vendor_of(oid)
        measured.expected += 1
        measured.of_vendor[vendor] = measured.of_vendor.get(vendor, 0) + 1
        got = values.get(parse_oid(oid))
        if got is None or not math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-9):
            called = str(sensor["metadata"].get("descr"))
            measured.misses.append(Miss(name, vendor, oid, called, sensor["type"], sensor["divisor"] or 1, want, got))
    polled = {port.if_index for port in found.ports}
    why = {left.what: left.why for left in found.left_out}
    for interface in equipment["interfaces"]:
        octets = expected.get(f"i:{interface['id']}")
        if octets is None or octets[0] is None or interface["if_index"] in polled:
            measured.ports += octets is not None and octets[0] is not None
            continue
        label = f"interface {interface.get('if_name') or interface['if_index']}"
        reason = why.get(label) or why.get(f"interface {interface['if_index']}", "not found")
        if INTENDED.search(reason):
            measured.left_out.append(f"{label}: {reason}")
        else:
            measured.ports += 1
            measured.no_ports.append(f"{label}: {reason}")
    for sensor in found.sensors:
        if number(*recording.values[subidentifiers(sensor.oid)], sensor.oid) != sensor.value:
            measured.wrong.append(sensor.name)
    measured.alike = len(found.sensors) - len({sensor.name for sensor in found.sensors})
    return measured


def measure_all(profiles: Sequence[Profile], cases: Path = RECORDINGS) -> list[Measured]:
    """Each recording."""
    config = json.loads((cases / "config.json").read_text())
    expected = json.loads((cases / "expected.json").read_text())
    return [measure(equipment, expected, profiles, cases) for equipment in config["equipment"]]
