"""A Ubiquiti airMAX sector, read with SNMPv1 as in the field. Source: UBNT-AirMAX-MIB, and recordings of such radios.

Without an ifXTable: 32-bit counters that wrap. The model is in dot11ResourceInfo (IEEE802dot11-MIB), sysDescr is the kernel's.
"""

from dataclasses import replace

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import LOOPBACK, Link, LiveValue, Profile, Sensor, other, whole
from towerops_lab.simulator.world import Moment

_AIRMAX = "1.3.6.1.4.1.41112.1.4"
_RADIO, _ANTENNA, _STAT, _QUALITY = f"{_AIRMAX}.1.1", f"{_AIRMAX}.2.1", f"{_AIRMAX}.5.1", f"{_AIRMAX}.6.1"
_HOST, _GPS = f"{_AIRMAX}.8", f"{_AIRMAX}.9"
_RESOURCE = "1.2.840.10036.3.1.2.1"
_TEMPERATURE = f"{_HOST}.4.0"


def _degrees(moment: Moment) -> float:
    return 41 + 12 * moment.busy - 5 * moment.rain


def _rate(moment: Moment) -> int:
    return 300_000_000 if moment.rain < 0.4 else 180_000_000


_VALUES: tuple[tuple[str, int, LiveValue], ...] = (
    (f"{_RESOURCE}.2.5", ber.OCTET_STRING, b"Ubiquiti Networks, Inc."),
    (f"{_RESOURCE}.3.5", ber.OCTET_STRING, b"Rocket Prism 5AC Gen2"),
    (f"{_RESOURCE}.4.5", ber.OCTET_STRING, b"XC.qca955x.v8.7.11.46972.220614.0420"),
    (f"{_RADIO}.4.1", ber.INTEGER, 5745),
    (f"{_RADIO}.6.1", ber.INTEGER, 23),
    (f"{_RADIO}.7.1", ber.INTEGER, 3600),
    (f"{_ANTENNA}.2.1.1", ber.INTEGER, 44),
    (f"{_ANTENNA}.2.1.2", ber.INTEGER, 43),
    (f"{_STAT}.2.1", ber.OCTET_STRING, b"ridge-east"),
    (f"{_STAT}.5.1", ber.INTEGER, whole(lambda m: -61 - 7 * m.rain + 1.4 * m.wobble(37))),
    (f"{_STAT}.6.1", ber.INTEGER, whole(lambda m: 35 - 7 * m.rain + 1.4 * m.wobble(37))),
    (f"{_STAT}.7.1", ber.INTEGER, whole(lambda m: min(100, 94 - 21 * m.rain + 2.2 * m.wobble(59)))),
    (f"{_STAT}.8.1", ber.INTEGER, whole(lambda m: -93 + m.wobble(101))),
    (f"{_STAT}.9.1", ber.INTEGER, _rate),
    (f"{_STAT}.10.1", ber.INTEGER, _rate),
    (f"{_STAT}.15.1", ber.GAUGE32, whole(lambda m: 38 + 3 * m.wobble(421) - 4 * m.rain)),
    (f"{_QUALITY}.3.1", ber.INTEGER, whole(lambda m: 91 - 24 * m.rain + 2 * m.wobble(83))),
    (f"{_QUALITY}.4.1", ber.INTEGER, whole(lambda m: 78 - 20 * m.rain + 2 * m.wobble(89))),
    (f"{_HOST}.3.0", ber.INTEGER, whole(lambda m: 1100 + 4400 * m.busy + 400 * m.wobble(23))),
    (_TEMPERATURE, ber.INTEGER, whole(_degrees)),
    (f"{_GPS}.2.0", ber.INTEGER, 1),
)

AIRMAX = Profile(
    name="airmax",
    title="Ubiquiti airMAX sector",
    description="Linux 4.4.198 #1 Tue Jun 14 04:20:11 EEST 2022 mips",
    object_id="1.3.6.1.4.1.10002.1",
    version="1",
    wide=False,
    sensors=(
        Sensor("signal", "Signal", f"{_STAT}.5.1", 1, "dBm"),
        Sensor("noise", "Noise floor", f"{_STAT}.8.1", 1, "dBm"),
        Sensor("ccq", "CCQ", f"{_STAT}.7.1", 1, "%"),
        Sensor("clients", "Stations", f"{_STAT}.15.1"),
        Sensor("cpu", "CPU load", f"{_HOST}.3.0", 100, "%"),
        Sensor("temperature", "Temperature", _TEMPERATURE, 1, "°C"),
    ),
    links=(
        other(1, "lo", LOOPBACK, speed_mbps=10),
        other(2, "teql0", is_up=False),
        Link(3, "eth0", 1000, 212e6, 31e6, link=2),
        other(4, "eth1", is_up=False),
        other(5, "wifi0"),
        other(6, "wifi1", is_up=False),
        Link(7, "ath0", 450, 31e6, 212e6, link=2, error_rate=1.5),
        other(8, "br0"),
        other(9, "br1", is_up=False),
    ),
    values=_VALUES,
)

AIRMAX_876 = replace(
    AIRMAX,
    name="airmax-8.7.6",
    title="Ubiquiti airMAX sector, firmware 8.7.6",
    sensors=AIRMAX.sensors[:-1],
    values=(
        *(row for row in _VALUES if row[0] not in (_TEMPERATURE, f"{_RESOURCE}.4.5")),
        (f"{_RESOURCE}.4.5", ber.OCTET_STRING, b"XC.qca955x.v8.7.6.45680.211214.1142"),
        (_TEMPERATURE, ber.INTEGER, whole(lambda m: round(_degrees(m)) << 24)),
    ),
)
"""As firmware 8.7.4 to 8.7.6: for 41 °C it says 687865856, the octets of 41 turned around, which the agent does not read."""
