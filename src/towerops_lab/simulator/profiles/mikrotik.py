"""A MikroTik router. Source: MIKROTIK-MIB (mtxrHealth: temperature, voltage and power with one decimal; its gauge table; PoE;
optics), HOST-RESOURCES-MIB, ENTITY-MIB, LLDP-MIB, and recordings.
"""

from collections.abc import Callable

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.profiles.profile import BRIDGE, Link, LiveValue, Profile, Sensor, other, whole
from towerops_lab.simulator.world import Moment

_MIKROTIK = "1.3.6.1.4.1.14988.1.1"
_HEALTH, _POE, _OPTICAL = f"{_MIKROTIK}.3", f"{_MIKROTIK}.15.1.1", f"{_MIKROTIK}.19.1.1"
_ENTITY, _LLDP = "1.3.6.1.2.1.47.1.1.1.1", "1.0.8802.1.1.2.1.4.1.1"
_STORAGE = "1.3.6.1.2.1.25.2.3.1"
_CPU = "1.3.6.1.2.1.25.3.3.1.2"


def _cpu_load(core: int) -> Callable[[Moment], Value]:
    """Percent."""
    return whole(lambda m: 6 + 46 * m.busy + 5 * m.wobble(29 + 3 * core))


def _fan(moment: Moment) -> Value:
    return round(4200 + 900 * moment.busy + 30 * moment.wobble(17))


def _board(moment: Moment) -> float:
    """Tenths of a degree."""
    return 342 + 90 * moment.busy + 6 * moment.wobble(613)


_GAUGES: tuple[tuple[int, bytes, int, LiveValue], ...] = (
    # number, name, unit (1 °C, 2 rpm, 3 dV, 5 dW, 6 status), value
    (14, b"temperature", 1, whole(lambda m: _board(m) / 10)),
    (17, b"cpu-temperature", 1, whole(lambda m: 41.8 + 15 * m.busy)),
    (7001, b"fan1-speed", 2, _fan),
    (7002, b"fan2-speed", 2, _fan),
    (7401, b"psu1-state", 6, 0),
    (7402, b"psu2-state", 6, 1),
)

_VALUES: tuple[tuple[str, int, LiveValue], ...] = (
    (f"{_HEALTH}.8.0", ber.INTEGER, whole(lambda m: 542 - 36 * (1 - m.charge) - 4 * (m.outage_s > 0) + m.wobble(61))),
    (f"{_HEALTH}.10.0", ber.INTEGER, whole(_board)),
    (f"{_HEALTH}.11.0", ber.INTEGER, whole(lambda m: 418 + 150 * m.busy + 9 * m.wobble(307))),
    (f"{_HEALTH}.12.0", ber.INTEGER, whole(lambda m: 268 + 90 * m.busy + 3 * m.wobble(43))),
    (f"{_HEALTH}.13.0", ber.INTEGER, whole(lambda m: 495 + 165 * m.busy)),
    (f"{_HEALTH}.14.0", ber.INTEGER, 1700),
    (f"{_HEALTH}.17.0", ber.GAUGE32, _fan),
    (f"{_HEALTH}.18.0", ber.GAUGE32, _fan),
    *(
        row
        for n, name, unit, value in _GAUGES
        for row in (
            (f"{_HEALTH}.100.1.2.{n}", ber.OCTET_STRING, name),
            (f"{_HEALTH}.100.1.3.{n}", ber.GAUGE32, value),
            (f"{_HEALTH}.100.1.4.{n}", ber.INTEGER, unit),
        )
    ),
    (f"{_MIKROTIK}.4.3.0", ber.INTEGER, 6),
    (f"{_MIKROTIK}.4.4.0", ber.OCTET_STRING, b"7.16.1"),
    (f"{_MIKROTIK}.7.3.0", ber.OCTET_STRING, b"HG509A0B1C2"),
    (f"{_POE}.1.3", ber.INTEGER, 3),
    (f"{_POE}.2.3", ber.OCTET_STRING, b"ether1"),
    (f"{_POE}.3.3", ber.INTEGER, 3),
    (f"{_POE}.4.3", ber.INTEGER, 240),
    (f"{_POE}.5.3", ber.INTEGER, whole(lambda m: 310 + 40 * m.busy)),
    (f"{_POE}.6.3", ber.INTEGER, whole(lambda m: 74 + 10 * m.busy)),
    *(
        row
        for n in (1, 2)
        for row in (
            (f"{_OPTICAL}.2.{n}", ber.OCTET_STRING, b"sfp-sfpplus%d" % n),
            (f"{_OPTICAL}.3.{n}", ber.INTEGER, 0),
            (f"{_OPTICAL}.4.{n}", ber.INTEGER, 0),
            (f"{_OPTICAL}.5.{n}", ber.GAUGE32, 131_000),
            (f"{_OPTICAL}.6.{n}", ber.GAUGE32, whole(lambda m: 37 + 6 * m.busy)),
            (f"{_OPTICAL}.7.{n}", ber.GAUGE32, 3302),
            (f"{_OPTICAL}.8.{n}", ber.GAUGE32, 31),
            (f"{_OPTICAL}.9.{n}", ber.INTEGER, whole(lambda m: -2410 + 20 * m.wobble(97))),
            (f"{_OPTICAL}.10.{n}", ber.INTEGER, whole(lambda m: -6120 + 40 * m.wobble(83))),
        )
    ),
    (f"{_ENTITY}.2.65536", ber.OCTET_STRING, b"RouterOS 7.16.1 (stable) on CCR2004-16G-2S+"),
    (f"{_ENTITY}.5.65536", ber.INTEGER, 3),
    (f"{_ENTITY}.7.65536", ber.OCTET_STRING, b"CCR2004-16G-2S+"),
    (f"{_LLDP}.4.1", ber.INTEGER, 4),
    (f"{_LLDP}.5.1", ber.OCTET_STRING, b"20:B5:C6:00:10:01"),
    (f"{_LLDP}.9.1", ber.OCTET_STRING, b"north-backhaul"),
    *((f"{_CPU}.{core}", ber.INTEGER, _cpu_load(core)) for core in range(1, 5)),
    (f"{_STORAGE}.1.65536", ber.INTEGER, 65536),
    (f"{_STORAGE}.3.65536", ber.OCTET_STRING, b"main memory"),
    (f"{_STORAGE}.4.65536", ber.INTEGER, 1024),
    (f"{_STORAGE}.5.65536", ber.INTEGER, 4_194_304),
    (f"{_STORAGE}.6.65536", ber.INTEGER, whole(lambda m: 611_000 + 140_000 * m.busy + 9_000 * m.wobble(211))),
)

_SENSORS = (
    Sensor("temperature", "Board temperature", f"{_HEALTH}.10.0", 10, "°C"),
    Sensor("temperature", "CPU temperature", f"{_HEALTH}.11.0", 10, "°C"),
    Sensor("cpu", "CPU load, core 1", f"{_CPU}.1", 1, "%"),
    Sensor("memory", "Memory used", f"{_STORAGE}.6.65536", 1024, "MiB"),
    Sensor("voltage", "Supply voltage", f"{_HEALTH}.8.0", 10, "V"),
    Sensor("power", "Power drawn", f"{_HEALTH}.12.0", 10, "W"),
)

MIKROTIK = Profile(
    name="mikrotik",
    title="MikroTik router",
    description="RouterOS CCR2004-16G-2S+",
    object_id="1.3.6.1.4.1.14988.1",
    sensors=_SENSORS,
    links=(
        Link(1, "sfp-sfpplus1", 10_000, 640e6, 92e6, link=1),
        Link(2, "sfp-sfpplus2", 10_000, 88e6, 610e6, link=1),
        Link(3, "ether1", 1000, 31e6, 212e6, link=2),
        Link(4, "ether2", 1000, 44e6, 318e6, link=3),
        Link(5, "bridge-mgmt", 1000, 0.4e6, 0.9e6, BRIDGE, link=4),
        *(other(port + 3, f"ether{port}", is_up=False) for port in range(3, 9)),
    ),
    values=_VALUES,
)

MIKROTIK_48 = Profile(
    name="mikrotik-48",
    title="MikroTik switch, 48 ports",
    description="RouterOS CRS354-48G-4S+2Q+",
    object_id="1.3.6.1.4.1.14988.1",
    sensors=(
        *_SENSORS,
        Sensor("current", "Current drawn", f"{_HEALTH}.13.0", 1, "mA"),
        *(Sensor("cpu", f"CPU load, core {core}", f"{_CPU}.{core}", 1, "%") for core in range(2, 15)),
    ),
    links=tuple(Link(port, f"ether{port}", 1000, 2e6 + 1.5e6 * port, 9e6 + 4e6 * port, link=port) for port in range(1, 49)),
    values=(
        *_VALUES,
        *((f"{_CPU}.{core}", ber.INTEGER, _cpu_load(core)) for core in range(5, 15)),
    ),
)
"""48 interfaces and 20 sensors: 308 values, the device of the benchmarks."""
