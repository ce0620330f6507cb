"""A Netonix PoE switch. Source: NETONIX-SWITCH-MIB (voltages with two decimals, power and input current with one).

poeStatus is a number, 1 to 5: off, 24V, 48V, 24VH, 48VH. Older firmware sends it as a text.
"""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import LOOPBACK, Link, Profile, Sensor, other, whole

_SWITCH = "1.3.6.1.4.1.46242"
_FAN, _TEMPERATURE, _VOLTAGE, _POE = f"{_SWITCH}.2.1", f"{_SWITCH}.3.1", f"{_SWITCH}.4.1", f"{_SWITCH}.5.1"

NETONIX = Profile(
    name="netonix",
    title="Netonix PoE switch",
    description="Netonix WS-12-250-DC",
    object_id="1.3.6.1.4.1.46242",
    sensors=(
        Sensor("temperature", "Temperature, board", f"{_TEMPERATURE}.3.1", 1, "°C"),
        Sensor("temperature", "Temperature, PHY", f"{_TEMPERATURE}.3.2", 1, "°C"),
        Sensor("voltage", "DC input", f"{_VOLTAGE}.3.1", 100, "V"),
        Sensor("power", "PoE power in all", f"{_SWITCH}.6.0", 10, "W"),
        Sensor("poe", "PoE, port 1", f"{_POE}.2.1", states={"1": "off", "2": "24V", "3": "48V", "4": "24VH", "5": "48VH"}),
        Sensor("fan", "Fan 1", f"{_FAN}.2.1", 1, "rpm"),
    ),
    links=(
        Link(1, "Port 1", 1000, 31e6, 212e6, link=2, alias="east sector"),
        Link(2, "Port 2", 1000, 44e6, 318e6, link=3, alias="west sector"),
        Link(3, "Port 3", 1000, 640e6, 92e6, link=1, alias="backhaul"),
        *(other(port, f"Port {port}", is_up=False) for port in range(4, 12)),
        Link(12, "Port 12", 1000, 530e6, 75e6, link=5, alias="router"),
        other(13, "eth0", speed_mbps=1000),
        other(14, "lo", LOOPBACK, speed_mbps=10),
    ),
    values=(
        (f"{_SWITCH}.1.0", ber.OCTET_STRING, b"1.5.15"),
        *((f"{table}.1.{row}", ber.INTEGER, row) for table in (_FAN, _TEMPERATURE, _VOLTAGE) for row in (1, 2)),
        *((f"{_POE}.1.{port}", ber.INTEGER, port) for port in range(1, 13)),
        (f"{_FAN}.2.1", ber.INTEGER, whole(lambda m: 3300 + 2100 * m.busy + 60 * m.wobble(17))),
        (f"{_FAN}.2.2", ber.INTEGER, whole(lambda m: 3280 + 2100 * m.busy + 60 * m.wobble(19))),
        (f"{_TEMPERATURE}.2.1", ber.OCTET_STRING, b"Board"),
        (f"{_TEMPERATURE}.2.2", ber.OCTET_STRING, b"PHY"),
        (f"{_TEMPERATURE}.3.1", ber.INTEGER, whole(lambda m: 36 + 9 * m.busy)),
        (f"{_TEMPERATURE}.3.2", ber.INTEGER, whole(lambda m: 44 + 13 * m.busy)),
        (f"{_VOLTAGE}.2.1", ber.OCTET_STRING, b"DC Input"),
        (f"{_VOLTAGE}.2.2", ber.OCTET_STRING, b"24V rail"),
        (f"{_VOLTAGE}.3.1", ber.INTEGER, whole(lambda m: 5412 - 360 * (1 - m.charge) - 40 * (m.outage_s > 0) + 5 * m.wobble(61))),
        (f"{_VOLTAGE}.3.2", ber.INTEGER, whole(lambda m: 2431 + 6 * m.wobble(37))),
        *((f"{_POE}.2.{port}", ber.INTEGER, 3 if port < 4 else 1) for port in range(1, 13)),
        (f"{_SWITCH}.6.0", ber.INTEGER, whole(lambda m: 612 + 210 * m.busy + 9 * m.wobble(43))),
        (f"{_SWITCH}.7.0", ber.INTEGER, whole(lambda m: 12 + 4 * m.busy)),
        (f"{_SWITCH}.8.0", ber.INTEGER, 93),
    ),
)
