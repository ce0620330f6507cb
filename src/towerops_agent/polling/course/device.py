"""A polled device: the part of its Equipment that stays in memory between polls.

Ids and names of its sensors and interfaces do not stay: they are in the buffer's Layout. So 10,000 devices of a few kinds
need some megabytes, however many OIDs they have. Pure; the secrets of its credentials are revealed here.
"""

from array import array  # noqa: TC003 - dataclasses look at it
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from towerops_agent.model import Credentials, DeviceState, Equipment, Layout, PingPlan, Secret, SnmpVersion, Transport, UsmUser
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.polling.course.evidence import has_passing, octets_at_most
from towerops_agent.polling.course.interpret import Skips, carry_over
from towerops_agent.polling.course.plan import NO_WATCH, Plan, Planner, Watch
from towerops_agent.polling.course.traits import CONFIRMED, NARROW, UNCHECKED, UNKNOWN, UNVERIFIABLE, USELESS, Traits
from towerops_agent.snmp.wire.exchange import Peer
from towerops_agent.snmp.wire.message import Community, Version
from towerops_agent.snmp.wire.oddities import Oddity
from towerops_agent.snmp.wire.usm import Security, UsmSecurity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, Principal, PrivScheme
from towerops_agent.text import address

SHARE_OF_INTERVAL: Final = 0.9
"""A poll that takes longer than this share of its interval is ended, so that the next one can start in time."""

PACED_SHARE: Final = 0.98
"""The share of a device that is asked at its own pace: its last request is one that is answered, not three that wait."""


@dataclass(slots=True, eq=False)
class Device:
    """One device. `layout`: the id of its layout in the buffer; `digest`: of the configuration that made it.

    `if_indexes`, `if_names`: its interfaces as configured, "" if one has no name; the plan has the indexes where they are now.
    `state_layout`, `ping_layout`: the ids of the layouts of its state and its rounds of pings in the buffer, None if the server
    does not take them. `ping`: how it is pinged, None if it is not; `pings`: its last round; `has_snmp`: see Equipment.
    `peer`, `resolved_at`: its socket address, and when (monotonic seconds) a name was resolved to it; None before the first poll.
    `peers`: all socket addresses of its name, the ones that do not work among them; () of an address.
    `state`: from its last poll; None before the first. `lacks`: how many values that lacked, by reason; none if it was not
    answered. `detail`: more about why it is down. `check_in`: polls until its interfaces are looked up again.
    `lacking`: which of its sensors and interfaces each poll has lacked since `lacking_since_s`, as bits in the layout's order.
    `failed_checks`: how often in a row that has left some unknown. `samples`: see identity.Interfaces.
    `octets`: the octet counters of its interfaces in the last poll, for what was read with the same plan; see evidence.py.
    `octets_us`: when all of them were read, on the clock of its traits' `booted_at_us`. `octets_fell`: whether one was less than
    in the poll before; False of a poll that went as planned, in which no device can have started.
    `skips`: which of its sensors' numbers mean that there is nothing; `divisors`: those of its sensors. One object for all
    devices of a kind.
    """

    id: str
    name: str
    host: str
    port: int
    security: Security
    interval_s: int
    layout: int
    digest: bytes
    plan: Plan
    over_tcp: bool = False
    if_indexes: tuple[int, ...] = ()
    if_names: tuple[str, ...] = ()
    traits: Traits = field(default_factory=Traits)
    peer: Peer | None = None
    peers: tuple[Peer, ...] = ()
    resolved_at: float = 0.0
    state: DeviceState | None = None
    lacks: tuple[tuple[str, int], ...] = ()
    detail: str = ""
    lacking: int = 0
    lacking_since_s: float = 0.0
    state_layout: int | None = None
    ping: PingPlan | None = None
    ping_layout: int | None = None
    pings: Tally | None = None
    has_snmp: bool = True
    check_in: int = 0
    failed_checks: int = 0
    samples: Mapping[int, int] = field(default_factory=dict)
    octets: "array[int] | None" = None
    octets_us: int = 0
    octets_fell: bool = False
    skips: Skips = ()
    divisors: tuple[float, ...] = ()
    _place: str = field(init=False)

    def __post_init__(self) -> None:
        self._place = address(self.host, self.port) if self.has_snmp else self.host

    @property
    def address(self) -> str:
        """Its address, for people: its name and the address that is asked, if the name has several."""
        return f"{self._place} at {self.peer[0]}" if len(self.peers) > 1 and self.peer is not None else self._place

    @property
    def layouts(self) -> tuple[int, ...]:
        """The ids of all its layouts in the buffer."""
        return tuple(layout for layout in (self.layout, self.state_layout, self.ping_layout) if layout is not None)

    @property
    def share(self) -> float:
        """For how much of its interval a poll may last."""
        return SHARE_OF_INTERVAL if self.traits.spacing is None else PACED_SHARE

    @property
    def odd_replies(self) -> frozenset[Oddity]:
        """What is odd about its replies, and accepted."""
        return self.security.oddities.accepted if isinstance(self.security, Community) else frozenset()

    def distrust(self) -> None:
        """Another agent has polled it meanwhile, or nobody: compare its interfaces' names before their counters are used."""
        self.traits.check = True
        self.octets = None
        self.samples = {}

    def accept_odd(self, oddities: Iterable[Oddity]) -> None:
        """Its replies are known to be odd in these ways."""
        if isinstance(self.security, Community):
            self.security.oddities.accept(oddities)


def make_device(equipment: Equipment, layout: int, digest: bytes, planner: Planner, before: Device | None = None) -> Device:
    """The device that polls `equipment`, whose layout has this id in the buffer.

    `before`: the same device under the previous configuration; its learned traits are kept if it is the same machine.
    """
    over_tcp = equipment.transport is Transport.TCP
    place = (equipment.host, equipment.port, over_tcp)
    there = before is not None and (before.host, before.port, before.over_tcp) == place
    security = make_security(equipment.credentials, before.security if before is not None and there else None)
    version = security.version
    if_indexes = tuple(interface.if_index for interface in equipment.interfaces)
    if_names = planner.shared(interface.if_name for interface in equipment.interfaces)
    same = before is not None and there and before.security.version == version
    traits = _fresh_traits(version, len(if_indexes))
    if before is not None and same:
        traits = _carried_over(before, if_indexes, if_names, traits)
    sensors = [sensor.oid for sensor in equipment.sensors]
    divisors = planner.shared(sensor.divisor for sensor in equipment.sensors)
    if before is not None:  # the series go on, whichever device is asked
        old = before.plan.sensors
        as_before = set(zip(old, before.divisors, strict=True))
        rescaled = {oid for oid, divisor in zip(sensors, divisors, strict=True) if (oid, divisor) not in as_before}
        traits.units = planner.shared_units(carry_over(before.traits.units, old, sensors, rescaled))
    return Device(
        id=equipment.id,
        name=equipment.name,
        host=equipment.host,
        port=equipment.port,
        security=security,
        interval_s=equipment.interval_s,
        layout=layout,
        digest=digest,
        plan=planner.plan(sensors, if_indexes, traits.widths, traits.max_varbinds),
        over_tcp=over_tcp,
        if_indexes=if_indexes,
        if_names=if_names,
        traits=traits,
        peer=before.peer if before is not None and same else None,
        state=before.state if before is not None and same else None,
        ping=equipment.ping,
        has_snmp=equipment.has_snmp,
        skips=planner.shared((i, sensor.skip) for i, sensor in enumerate(equipment.sensors) if sensor.skip),
        divisors=divisors,
    )


def replan(device: Device, planner: Planner, if_indexes: Sequence[int]) -> None:
    """Make the device's plan ask for interfaces at these indexes, with its current traits."""
    traits = device.traits
    watched = CONFIRMED if device.security.version is Version.V1 else CONFIRMED | {UNVERIFIABLE}
    names = bytes(standing if standing in watched else 0 for standing in traits.standings)
    last_change = traits.last_change is not None and traits.last_change != USELESS
    watch = NO_WATCH
    if last_change or any(names):
        riding = traits.riding or traits.hurried or has_passing(device.if_names)
        watch = Watch(names, octets_at_most(device.if_names), riding, last_change)
    device.plan = planner.plan(device.plan.sensors, if_indexes, traits.widths, traits.max_varbinds, watch)


def first_width(version: Version) -> int:
    """The counter widths of a device that was never asked: over SNMPv1 there is no Counter64 (RFC 2576 §4.1.2.1)."""
    return NARROW if version is Version.V1 else UNKNOWN


def _fresh_traits(version: Version, interfaces: int) -> Traits:
    return Traits(widths=bytes([first_width(version)]) * (2 * interfaces), standings=bytes([UNCHECKED]) * interfaces)


def _carried_over(before: Device, if_indexes: tuple[int, ...], if_names: tuple[str, ...], fresh: Traits) -> Traits:
    """The traits learned under another configuration: all of the device, and those of each interface that is in both."""
    places = {place: i for i, place in enumerate(zip(before.if_indexes, before.if_names, strict=True))}
    widths, standings, by_if_name = bytearray(fresh.widths), bytearray(fresh.standings), 0
    for i, place in enumerate(zip(if_indexes, if_names, strict=True)):
        old = places.get(place)
        if old is not None:
            widths[2 * i : 2 * i + 2] = before.traits.widths[2 * old : 2 * old + 2]
            standings[i] = before.traits.standings[old]
            by_if_name |= (before.traits.by_if_name >> old & 1) << i
    return replace(before.traits, widths=bytes(widths), standings=bytes(standings), by_if_name=by_if_name, check=True)


def layout_of(equipment: Equipment) -> Layout:
    """The layout of the polls of `equipment`."""
    return Layout(
        equipment.id,
        tuple((sensor.id, sensor.divisor) for sensor in equipment.sensors),
        tuple(interface.id for interface in equipment.interfaces),
    )


def make_security(credentials: Credentials, before: Security | None = None) -> Security:
    """The security of messages to the device.

    `before`: the same device's until now. If the community, or the user and the context, are the same it is kept, and with it
    what is odd about the device's replies, or the engine's time and the keys.
    """
    if credentials.version is not SnmpVersion.V3:
        version = Version.V1 if credentials.version is SnmpVersion.V1 else Version.V2C
        community = Community(version, _octets(credentials.community))
        return before if isinstance(before, Community) and community.is_like(before) else community
    if credentials.user is None:
        raise ValueError("SNMPv3 without a user: expected one, config/document/credentials.py ensures it")
    user = _principal(credentials.user)
    context = credentials.context_name.encode("utf-8", "surrogateescape")
    if isinstance(before, UsmSecurity) and (before.user, before.context) == (user, context):
        return before
    return UsmSecurity(user, context)


def _principal(configured: UsmUser) -> Principal:
    """Each protocol of the model has the same name in the engine; a test checks it."""
    auth = auth_password = priv = priv_password = None
    if configured.auth is not None:
        auth, auth_password = AuthScheme[configured.auth[0].name], _octets(configured.auth[1])
    if configured.priv is not None:
        priv, priv_password = PrivScheme[configured.priv[0].name], _octets(configured.priv[1])
    return Principal(configured.name.encode("utf-8", "surrogateescape"), auth, auth_password or b"", priv, priv_password or b"")


def _octets(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogateescape")
