"""A kind of device: its system group, its interfaces (IF-MIB), its vendor's values, and the sensors that they make.

Pure. Source: RFC 3418 (system), RFC 2863 (ifTable, ifXTable). Rates are bits per second; counters are made of them and the hour.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.engine import USER
from towerops_lab.simulator.mib import Live, Mib, Row
from towerops_lab.simulator.world import Moment

SYSTEM = "1.3.6.1.2.1.1"
IF_ENTRY = "1.3.6.1.2.1.2.2.1"
IF_X_ENTRY = "1.3.6.1.2.1.31.1.1.1"

ETHERNET, PPP, LOOPBACK, RADIO, BRIDGE = 6, 23, 24, 71, 209
"""ifType: ethernetCsmacd, ppp, softwareLoopback, ieee80211, bridge."""

LiveValue = Live[Moment]
LiveRow = Row[Moment]

BEFORE = 1 << 41
"""The value of a 64-bit octet counter when the simulation began; a 32-bit one shows its lower half."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One value worth a chart. `kind`: the API's type of the sensor; `states`: the word for each value, if they are states."""

    kind: str
    label: str
    oid: str
    divisor: int = 1
    unit: str = ""
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `in_bps`, `out_bps`: at the peak; `link`: links with the same number carry the same traffic.

    `name`: its ifDescr, and its ifName unless `if_name` is another one; `polled`: whether the API's configuration has it;
    `error_rate`: frames with errors a second, at the peak.
    """

    if_index: int
    name: str
    speed_mbps: int
    in_bps: float = 0.0
    out_bps: float = 0.0
    if_type: int = ETHERNET
    link: int = 0
    error_rate: float = 0.0
    if_name: str = ""
    alias: str = ""
    polled: bool = True
    is_up: bool = True
    has_address: bool = True


def other(if_index: int, name: str, if_type: int = ETHERNET, *, is_up: bool = True, speed_mbps: int = 0) -> Link:
    """An interface that the device has and nobody polls: a loopback, a port that is down, a bridge within."""
    return Link(if_index, name, speed_mbps, if_type=if_type, polled=False, is_up=is_up, has_address=if_type != LOOPBACK)


@dataclass(frozen=True)
class Profile:
    """A kind of device. `version`: the SNMP version that its owners use.

    `wide`: it has the ifXTable, with 64-bit counters; else 32-bit counters that wrap, and ifDescr only. `narrow`: it has the
    octet counters of the ifTable; `high_speed_factor`: of ifHighSpeed, which is 1,000,000 bit/s for all but those that err.
    """

    name: str
    title: str
    description: str
    object_id: str
    sensors: tuple[Sensor, ...]
    links: tuple[Link, ...]
    values: tuple[tuple[str, int, LiveValue], ...]
    version: str = "2c"
    wide: bool = True
    narrow: bool = True
    high_speed_factor: int = 1

    @cached_property
    def mib(self) -> Mib[Moment]:
        """Its values, shared by all devices of the kind."""
        rows = [*_system(self), (parse_oid("1.3.6.1.2.1.2.1.0"), ber.INTEGER, len(self.links))]
        for link in self.links:
            rows += _link_rows(link, self)
        return Mib([*rows, *((parse_oid(oid), tag, value) for oid, tag, value in self.values)])

    def equipment(
        self, key: str, name: str, host: str, port: int, community: str, interval_s: int, version: str | None = None
    ) -> dict[str, Any]:
        """A device of this kind as in the API's configuration."""
        return {
            "id": key,
            "name": name,
            "ip_address": host,
            "snmp": {"enabled": True, "port": port, **_credentials(version or self.version, community)},
            "poll_interval_seconds": interval_s,
            "sensors": [
                {
                    "id": f"{key}/{sensor.oid}",
                    "type": sensor.kind,
                    "oid": sensor.oid,
                    "divisor": sensor.divisor,
                    "unit": sensor.unit,
                    "metadata": {"descr": sensor.label, **({"states": sensor.states} if sensor.states else {})},
                }
                for sensor in self.sensors
            ],
            "interfaces": [
                {"id": f"{key}/{link.if_index}", "if_index": link.if_index, "if_name": self.if_name(link)}
                for link in self.links
                if link.polled
            ],
        }

    def if_name(self, link: Link) -> str:
        """What identifies the interface: its ifName, which need not be its own; its ifDescr if there is none."""
        return (link.if_name or link.name) if self.wide else link.name


def _credentials(version: str, community: str) -> dict[str, str]:
    """As in the API's configuration; v3 with the user that each simulated device has."""
    if version != "3":
        return {"version": version, "community": community}
    return {
        "version": "3",
        "v3_security_level": "authPriv",
        "v3_username": USER.name.decode(),
        "v3_auth_protocol": "SHA-256",
        "v3_auth_password": USER.auth_password.decode(),
        "v3_priv_protocol": "AES-128",
        "v3_priv_password": USER.priv_password.decode(),
    }


def whole(value: Callable[[Moment], float]) -> Callable[[Moment], Value]:
    """The whole number nearest to the result of `value`."""
    return lambda moment: round(value(moment))


def _system(profile: Profile) -> Iterable[LiveRow]:
    def row(number: int, tag: int, value: LiveValue) -> LiveRow:
        return parse_oid(f"{SYSTEM}.{number}.0"), tag, value

    yield row(1, ber.OCTET_STRING, profile.description.encode())
    yield row(2, ber.OBJECT_IDENTIFIER, parse_oid(profile.object_id))
    yield row(3, ber.TIME_TICKS, lambda moment: int(moment.uptime_s * 100) & 0xFFFFFFFF)
    yield row(4, ber.OCTET_STRING, b"noc@example.net")
    yield row(5, ber.OCTET_STRING, lambda moment: moment.identity.name.encode())
    yield row(6, ber.OCTET_STRING, lambda moment: moment.identity.location.encode())
    yield row(7, ber.INTEGER, 78)


def _link_rows(link: Link, profile: Profile) -> Iterable[LiveRow]:
    def of(entry: str, column: int, tag: int, value: LiveValue) -> LiveRow:
        return parse_oid(f"{entry}.{column}.{link.if_index}"), tag, value

    seed = 0.37 * link.link
    received, sent = _octets(link.in_bps, seed), _octets(link.out_bps, seed + 0.05)
    status = 1 if link.is_up else 2
    yield of(IF_ENTRY, 1, ber.INTEGER, link.if_index)
    yield of(IF_ENTRY, 2, ber.OCTET_STRING, link.name.encode())
    yield of(IF_ENTRY, 3, ber.INTEGER, link.if_type)
    yield of(IF_ENTRY, 4, ber.INTEGER, 1500)
    yield of(IF_ENTRY, 6, ber.OCTET_STRING, _mac(link) if link.has_address else b"")
    yield of(IF_ENTRY, 7, ber.INTEGER, 1)
    yield of(IF_ENTRY, 8, ber.INTEGER, status)
    yield of(IF_ENTRY, 9, ber.TIME_TICKS, 0)
    yield of(IF_ENTRY, 13, ber.COUNTER32, 0)
    yield of(IF_ENTRY, 14, ber.COUNTER32, _errors(link.error_rate))
    yield of(IF_ENTRY, 19, ber.COUNTER32, _errors(link.error_rate / 4))
    yield of(IF_ENTRY, 20, ber.COUNTER32, 0)
    if profile.narrow:
        yield of(IF_ENTRY, 5, ber.GAUGE32, min(link.speed_mbps * 1_000_000, 0xFFFFFFFF))
        yield of(IF_ENTRY, 10, ber.COUNTER32, _low(received))
        yield of(IF_ENTRY, 11, ber.COUNTER32, _packets(received))
        yield of(IF_ENTRY, 16, ber.COUNTER32, _low(sent))
        yield of(IF_ENTRY, 17, ber.COUNTER32, _packets(sent))
    if profile.wide:
        yield of(IF_X_ENTRY, 1, ber.OCTET_STRING, (link.if_name or link.name).encode())
        yield of(IF_X_ENTRY, 6, ber.COUNTER64, received)
        yield of(IF_X_ENTRY, 10, ber.COUNTER64, sent)
        yield of(IF_X_ENTRY, 15, ber.GAUGE32, link.speed_mbps * profile.high_speed_factor & 0xFFFFFFFF)
        yield of(IF_X_ENTRY, 17, ber.INTEGER, 1 if link.if_type != LOOPBACK else 2)
        yield of(IF_X_ENTRY, 18, ber.OCTET_STRING, link.alias.encode())


def _mac(link: Link) -> Callable[[Moment], bytes]:
    return lambda moment: moment.identity.mac_of(link.if_index)


def _octets(peak_bps: float, seed: float) -> Callable[[Moment], int]:
    octets = peak_bps / 8
    return lambda moment: (BEFORE if moment.first else 0) + int(octets * moment.carried(seed + moment.seed))


def _low(octets: Callable[[Moment], int]) -> Callable[[Moment], int]:
    return lambda moment: octets(moment) & 0xFFFFFFFF


def _packets(octets: Callable[[Moment], int]) -> Callable[[Moment], int]:
    return lambda moment: octets(moment) // 740 & 0xFFFFFFFF


def _errors(rate: float) -> LiveValue:
    """A trickle, in proportion to the traffic: a counter must not fall, and errors from rain would have to be remembered."""
    if not rate:
        return 0
    return lambda moment: int(rate * moment.carried(0.0)) & 0xFFFFFFFF
