"""An APC Smart-UPS with a network card. Source: PowerNet-MIB (the "high precision" values are tenths), UPS-MIB (RFC 1628), and
recordings: a loopback and one interface, without an ifXTable.
"""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import LOOPBACK, Link, LiveValue, Profile, Sensor, other, whole
from towerops_lab.simulator.world import DISCHARGE_S, Moment

_UPS = "1.3.6.1.4.1.318.1.1.1"
_STANDARD = "1.3.6.1.2.1.33.1"


def _input(moment: Moment) -> float:
    return 0.0 if moment.outage_s else 231.5 + 2.2 * moment.wobble(127)


def _load(moment: Moment) -> float:
    """Percent of 980 W."""
    return 24 + 15 * moment.busy + 0.8 * moment.wobble(43)


def _watts(moment: Moment) -> float:
    return 9.8 * _load(moment)


def _volts_10(moment: Moment) -> float:
    """Of the battery, in tenths."""
    return 273 - 40 * (1 - moment.charge) - 8 * (moment.outage_s > 0)


_STANDARD_VALUES: tuple[tuple[str, int, LiveValue], ...] = (
    (f"{_STANDARD}.1.1.0", ber.OCTET_STRING, b"APC"),
    (f"{_STANDARD}.1.2.0", ber.OCTET_STRING, b"Smart-UPS 1500"),
    (f"{_STANDARD}.1.3.0", ber.OCTET_STRING, b"UPS 15.0 (ID18)"),
    (f"{_STANDARD}.1.4.0", ber.OCTET_STRING, b"v2.5.0.6"),
    (f"{_STANDARD}.1.5.0", ber.OCTET_STRING, lambda m: m.identity.name.encode()),
    (f"{_STANDARD}.1.6.0", ber.OCTET_STRING, b"tower"),
    (f"{_STANDARD}.2.1.0", ber.INTEGER, lambda m: 2 if m.charge > 0.2 else 3),
    (f"{_STANDARD}.2.2.0", ber.INTEGER, lambda m: int(m.outage_s)),
    (f"{_STANDARD}.2.3.0", ber.INTEGER, lambda m: int(m.charge * DISCHARGE_S * 0.5 / max(_load(m), 1))),
    (f"{_STANDARD}.2.4.0", ber.INTEGER, whole(lambda m: 100 * m.charge)),
    (f"{_STANDARD}.2.5.0", ber.INTEGER, whole(_volts_10)),
    (f"{_STANDARD}.2.6.0", ber.INTEGER, whole(lambda m: 10 * _load(m) * 15 / 27 if m.outage_s else 0)),
    (f"{_STANDARD}.2.7.0", ber.INTEGER, whole(lambda m: 25 + 8 * (1 - m.charge))),
    (f"{_STANDARD}.3.1.0", ber.COUNTER32, lambda m: int(m.outage_s > 0)),
    (f"{_STANDARD}.3.2.0", ber.INTEGER, 1),
    (f"{_STANDARD}.3.3.1.2.1", ber.INTEGER, whole(lambda m: 0 if m.outage_s else 500)),
    (f"{_STANDARD}.3.3.1.3.1", ber.INTEGER, whole(_input)),
    (f"{_STANDARD}.3.3.1.4.1", ber.INTEGER, whole(lambda m: 0 if m.outage_s else 10 * _watts(m) / 231)),
    (f"{_STANDARD}.3.3.1.5.1", ber.INTEGER, whole(lambda m: 0 if m.outage_s else _watts(m))),
    (f"{_STANDARD}.4.1.0", ber.INTEGER, lambda m: 5 if m.outage_s else 3),
    (f"{_STANDARD}.4.2.0", ber.INTEGER, 500),
    (f"{_STANDARD}.4.3.0", ber.INTEGER, 1),
    (f"{_STANDARD}.4.4.1.2.1", ber.INTEGER, 230),
    (f"{_STANDARD}.4.4.1.3.1", ber.INTEGER, whole(lambda m: 10 * _watts(m) / 230)),
    (f"{_STANDARD}.4.4.1.4.1", ber.INTEGER, whole(_watts)),
    (f"{_STANDARD}.4.4.1.5.1", ber.INTEGER, whole(_load)),
    (f"{_STANDARD}.5.1.0", ber.INTEGER, 500),
    (f"{_STANDARD}.5.2.0", ber.INTEGER, 0),
    (f"{_STANDARD}.6.1.0", ber.GAUGE32, lambda m: int(m.outage_s > 0)),
    (f"{_STANDARD}.9.1.0", ber.INTEGER, 230),
    (f"{_STANDARD}.9.2.0", ber.INTEGER, 500),
    (f"{_STANDARD}.9.3.0", ber.INTEGER, 230),
    (f"{_STANDARD}.9.4.0", ber.INTEGER, 500),
    (f"{_STANDARD}.9.5.0", ber.INTEGER, 1500),
    (f"{_STANDARD}.9.6.0", ber.INTEGER, 980),
    (f"{_STANDARD}.9.7.0", ber.INTEGER, 2),
)
"""UPS-MIB's groups but for tests and control: ident, battery, input, output, bypass, alarm, config. Tenths of V, A and Hz."""

APC = Profile(
    name="apc",
    title="APC Smart-UPS",
    description="APC Web/SNMP Management Card (MB:v4.2.9 PF:v2.5.0.8 PN:apc_hw21_aos_2.5.0.8.bin AF1:v2.5.0.6 "
    "AN1:apc_hw21_su_2.5.0.6.bin MN:AP9641 HR:06 SN: 5A2040T00000 MD:10/01/2020)",
    object_id="1.3.6.1.4.1.318.1.3.27",
    sensors=(
        Sensor("charge", "Battery charge", f"{_UPS}.2.3.1.0", 10, "%"),
        Sensor("runtime", "Runtime remaining", f"{_UPS}.2.2.3.0", 6000, "min"),
        Sensor("voltage", "Line voltage", f"{_UPS}.3.3.1.0", 10, "V"),
        Sensor("load", "Output load", f"{_UPS}.4.3.3.0", 10, "%"),
        Sensor("temperature", "Battery temperature", f"{_UPS}.2.3.2.0", 10, "°C"),
        Sensor("state", "Output", f"{_UPS}.4.1.1.0", states={"2": "on line", "3": "on battery"}),
    ),
    wide=False,
    links=(other(1, "LOOPBACK", LOOPBACK), Link(2, "vmac0", 100, 0.02e6, 0.05e6, link=6)),
    values=(
        (f"{_UPS}.1.1.1.0", ber.OCTET_STRING, b"Smart-UPS 1500"),
        (f"{_UPS}.2.1.1.0", ber.INTEGER, lambda m: 2 if m.charge > 0.2 else 3),
        (f"{_UPS}.2.1.2.0", ber.TIME_TICKS, lambda m: int(m.outage_s * 100)),
        (f"{_UPS}.2.2.1.0", ber.GAUGE32, whole(lambda m: 100 * m.charge)),
        (f"{_UPS}.2.2.2.0", ber.GAUGE32, whole(lambda m: 25 + 8 * (1 - m.charge))),
        (f"{_UPS}.2.2.3.0", ber.TIME_TICKS, lambda m: int(m.charge * DISCHARGE_S * 30 / max(_load(m), 1)) * 100),
        (f"{_UPS}.2.3.1.0", ber.GAUGE32, whole(lambda m: 1000 * m.charge)),
        (f"{_UPS}.2.3.2.0", ber.GAUGE32, whole(lambda m: 252 + 80 * (1 - m.charge) + 2 * m.wobble(331))),
        (f"{_UPS}.2.3.4.0", ber.INTEGER, whole(_volts_10)),
        (f"{_UPS}.3.3.1.0", ber.GAUGE32, whole(lambda m: 10 * _input(m))),
        (f"{_UPS}.3.3.4.0", ber.GAUGE32, whole(lambda m: 0 if m.outage_s else 500)),
        (f"{_UPS}.4.1.1.0", ber.INTEGER, lambda m: 3 if m.outage_s else 2),
        (f"{_UPS}.4.3.1.0", ber.GAUGE32, whole(lambda m: 2300 + 3 * m.wobble(31))),
        (f"{_UPS}.4.3.3.0", ber.GAUGE32, whole(lambda m: 10 * _load(m))),
        *_STANDARD_VALUES,
    ),
)
