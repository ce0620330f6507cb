"""A Netonix PoE switch. Source: NETONIX-SWITCH-MIB (voltages with two decimals, power and input current with one)."""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import Link, Profile, Sensor, whole

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
        Sensor("fan", "Fan 1", f"{_FAN}.2.1", 1, "rpm"),
    ),
    links=(
        Link(1, "Port 1", 1000, 31e6, 212e6, link=2),
        Link(2, "Port 2", 1000, 44e6, 318e6, link=3),
        Link(3, "Port 3", 1000, 640e6, 92e6, link=1),
        Link(12, "Port 12", 1000, 530e6, 75e6, link=5),
    ),
    values=(
        (f"{_SWITCH}.1.0", ber.OCTET_STRING, b"1.5.15"),
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
        *((f"{_POE}.2.{port}", ber.OCTET_STRING, b"48V" if port < 4 else b"Off") for port in range(1, 13)),
        (f"{_SWITCH}.6.0", ber.INTEGER, whole(lambda m: 612 + 210 * m.busy + 9 * m.wobble(43))),
        (f"{_SWITCH}.7.0", ber.INTEGER, whole(lambda m: 12 + 4 * m.busy)),
    ),
)
