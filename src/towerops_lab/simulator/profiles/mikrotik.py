"""A MikroTik router. Source: MIKROTIK-MIB (mtxrHealth: temperature, voltage and power with one decimal), HOST-RESOURCES-MIB."""

from collections.abc import Callable

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.mib import Live
from towerops_lab.simulator.profiles.profile import PROP_VIRTUAL, Link, Profile, Sensor, whole
from towerops_lab.simulator.world import Moment

_HEALTH = "1.3.6.1.4.1.14988.1.1.3"
_STORAGE = "1.3.6.1.2.1.25.2.3.1"
_CPU = "1.3.6.1.2.1.25.3.3.1.2"


def _cpu_load(core: int) -> Callable[[Moment], Value]:
    """Percent."""
    return whole(lambda m: 6 + 46 * m.busy + 5 * m.wobble(29 + 3 * core))


_VALUES: tuple[tuple[str, int, Live], ...] = (
    (f"{_HEALTH}.8.0", ber.INTEGER, whole(lambda m: 542 - 36 * (1 - m.charge) - 4 * (m.outage_s > 0) + m.wobble(61))),
    (f"{_HEALTH}.10.0", ber.INTEGER, whole(lambda m: 342 + 90 * m.busy + 6 * m.wobble(613))),
    (f"{_HEALTH}.11.0", ber.INTEGER, whole(lambda m: 418 + 150 * m.busy + 9 * m.wobble(307))),
    (f"{_HEALTH}.12.0", ber.INTEGER, whole(lambda m: 268 + 90 * m.busy + 3 * m.wobble(43))),
    (f"{_HEALTH}.13.0", ber.INTEGER, whole(lambda m: 495 + 165 * m.busy)),
    (f"{_HEALTH}.14.0", ber.INTEGER, 1700),
    ("1.3.6.1.4.1.14988.1.1.4.4.0", ber.OCTET_STRING, b"7.16.1"),
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
        Link(5, "bridge-mgmt", 1000, 0.4e6, 0.9e6, PROP_VIRTUAL, link=4),
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
