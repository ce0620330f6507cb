"""An APC Smart-UPS with a network card. Source: PowerNet-MIB (the "high precision" values are tenths), UPS-MIB (RFC 1628)."""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import Link, Profile, Sensor, whole
from towerops_lab.simulator.world import DISCHARGE_S, Moment

_UPS = "1.3.6.1.4.1.318.1.1.1"
_STANDARD = "1.3.6.1.2.1.33.1"


def _input(moment: Moment) -> float:
    return 0.0 if moment.outage_s else 231.5 + 2.2 * moment.wobble(127)


def _load(moment: Moment) -> float:
    return 24 + 15 * moment.busy + 0.8 * moment.wobble(43)


APC = Profile(
    name="apc",
    title="APC Smart-UPS",
    description="APC Web/SNMP Management Card (MB:v4.2.9 PF:v2.5.0.8 Smart-UPS 1500)",
    object_id="1.3.6.1.4.1.318.1.3.27",
    sensors=(
        Sensor("charge", "Battery charge", f"{_UPS}.2.3.1.0", 10, "%"),
        Sensor("runtime", "Runtime remaining", f"{_UPS}.2.2.3.0", 6000, "min"),
        Sensor("voltage", "Line voltage", f"{_UPS}.3.3.1.0", 10, "V"),
        Sensor("load", "Output load", f"{_UPS}.4.3.3.0", 10, "%"),
        Sensor("temperature", "Battery temperature", f"{_UPS}.2.3.2.0", 10, "°C"),
        Sensor("state", "Output", f"{_UPS}.4.1.1.0", states={"2": "on line", "3": "on battery"}),
    ),
    links=(Link(2, "eth0", 100, 0.02e6, 0.05e6, link=6),),
    values=(
        (f"{_UPS}.1.1.1.0", ber.OCTET_STRING, b"Smart-UPS 1500"),
        (f"{_UPS}.2.1.1.0", ber.INTEGER, lambda m: 2 if m.charge > 0.2 else 3),
        (f"{_UPS}.2.1.2.0", ber.TIME_TICKS, lambda m: int(m.outage_s * 100)),
        (f"{_UPS}.2.2.1.0", ber.GAUGE32, whole(lambda m: 100 * m.charge)),
        (f"{_UPS}.2.2.2.0", ber.GAUGE32, whole(lambda m: 25 + 8 * (1 - m.charge))),
        (f"{_UPS}.2.2.3.0", ber.TIME_TICKS, lambda m: int(m.charge * DISCHARGE_S * 30 / max(_load(m), 1)) * 100),
        (f"{_UPS}.2.3.1.0", ber.GAUGE32, whole(lambda m: 1000 * m.charge)),
        (f"{_UPS}.2.3.2.0", ber.GAUGE32, whole(lambda m: 252 + 80 * (1 - m.charge) + 2 * m.wobble(331))),
        (f"{_UPS}.2.3.4.0", ber.INTEGER, whole(lambda m: 273 - 40 * (1 - m.charge) - 8 * (m.outage_s > 0))),
        (f"{_UPS}.3.3.1.0", ber.GAUGE32, whole(lambda m: 10 * _input(m))),
        (f"{_UPS}.3.3.4.0", ber.GAUGE32, whole(lambda m: 0 if m.outage_s else 500)),
        (f"{_UPS}.4.1.1.0", ber.INTEGER, lambda m: 3 if m.outage_s else 2),
        (f"{_UPS}.4.3.1.0", ber.GAUGE32, whole(lambda m: 2300 + 3 * m.wobble(31))),
        (f"{_UPS}.4.3.3.0", ber.GAUGE32, whole(lambda m: 10 * _load(m))),
        (f"{_STANDARD}.1.1.0", ber.OCTET_STRING, b"APC"),
        (f"{_STANDARD}.2.1.0", ber.INTEGER, lambda m: 2 if m.charge > 0.2 else 3),
        (f"{_STANDARD}.2.2.0", ber.INTEGER, lambda m: int(m.outage_s)),
        (f"{_STANDARD}.2.3.0", ber.INTEGER, lambda m: int(m.charge * DISCHARGE_S * 0.5 / max(_load(m), 1))),
        (f"{_STANDARD}.2.4.0", ber.INTEGER, whole(lambda m: 100 * m.charge)),
        (f"{_STANDARD}.3.3.1.3.1", ber.INTEGER, whole(_input)),
        (f"{_STANDARD}.4.1.0", ber.INTEGER, lambda m: 5 if m.outage_s else 3),
        (f"{_STANDARD}.4.4.1.5.1", ber.INTEGER, whole(_load)),
    ),
)
