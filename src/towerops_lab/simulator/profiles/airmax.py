"""A Ubiquiti airMAX sector, read with SNMPv1 as in the field: 32-bit counters that wrap. Source: UBNT-AirMAX-MIB.

CCQ is in tenths of a percent, though the MIB calls it percent; rates are bits a second.
"""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import RADIO, Link, Profile, Sensor, whole

_AIRMAX = "1.3.6.1.4.1.41112.1.4"
_RADIO, _STAT, _QUALITY, _HOST = f"{_AIRMAX}.1.1", f"{_AIRMAX}.5.1", f"{_AIRMAX}.6.1", f"{_AIRMAX}.8"

AIRMAX = Profile(
    name="airmax",
    title="Ubiquiti airMAX sector",
    description="Linux 4.4.198 Rocket Prism 5AC Gen2",
    object_id="1.3.6.1.4.1.10002.1",
    version="1",
    wide=False,
    sensors=(
        Sensor("signal", "Signal", f"{_STAT}.5.1", 1, "dBm"),
        Sensor("noise", "Noise floor", f"{_STAT}.8.1", 1, "dBm"),
        Sensor("ccq", "CCQ", f"{_STAT}.7.1", 10, "%"),
        Sensor("clients", "Stations", f"{_STAT}.15.1"),
        Sensor("cpu", "CPU load", f"{_HOST}.3.0", 1, "%"),
        Sensor("temperature", "Temperature", f"{_HOST}.4.0", 1, "°C"),
    ),
    links=(
        Link(1, "lo", 10, 1e3, 1e3, 24),
        Link(2, "eth0", 1000, 212e6, 31e6, link=2),
        Link(5, "ath0", 450, 31e6, 212e6, RADIO, link=2, error_rate=1.5),
    ),
    values=(
        (f"{_RADIO}.4.1", ber.INTEGER, 5745),
        (f"{_RADIO}.6.1", ber.INTEGER, 23),
        (f"{_STAT}.2.1", ber.OCTET_STRING, b"ridge-east"),
        (f"{_STAT}.5.1", ber.INTEGER, whole(lambda m: -61 - 7 * m.rain + 1.4 * m.wobble(37))),
        (f"{_STAT}.6.1", ber.INTEGER, whole(lambda m: 35 - 7 * m.rain + 1.4 * m.wobble(37))),
        (f"{_STAT}.7.1", ber.INTEGER, whole(lambda m: 946 - 210 * m.rain + 22 * m.wobble(59))),
        (f"{_STAT}.8.1", ber.INTEGER, whole(lambda m: -93 + m.wobble(101))),
        (f"{_STAT}.9.1", ber.INTEGER, lambda m: 300_000_000 if m.rain < 0.4 else 180_000_000),
        (f"{_STAT}.10.1", ber.INTEGER, lambda m: 300_000_000 if m.rain < 0.4 else 180_000_000),
        (f"{_STAT}.15.1", ber.GAUGE32, whole(lambda m: 38 + 3 * m.wobble(421) - 4 * m.rain)),
        (f"{_QUALITY}.3.1", ber.INTEGER, whole(lambda m: 91 - 24 * m.rain + 2 * m.wobble(83))),
        (f"{_QUALITY}.4.1", ber.INTEGER, whole(lambda m: 78 - 20 * m.rain + 2 * m.wobble(89))),
        (f"{_HOST}.3.0", ber.INTEGER, whole(lambda m: 11 + 44 * m.busy + 4 * m.wobble(23))),
        (f"{_HOST}.4.0", ber.INTEGER, whole(lambda m: 41 + 12 * m.busy - 5 * m.rain)),
    ),
)
