"""A Cambium ePMP sector. Source: CAMBIUM-PMP80211-MIB (sysCPUUsage, a Counter32, is in tenths of a percent), and a recording.

Two of its interfaces have the same ifName, ifHighSpeed is in bit/s, and the ifTable has no octets: only the ifXTable has.
"""

from collections.abc import Callable

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.profiles.profile import RADIO, Link, Profile, Sensor, other, whole
from towerops_lab.simulator.world import Moment

_STATUS, _SYSTEM = "1.3.6.1.4.1.17713.21.1.2", "1.3.6.1.4.1.17713.21.2.1"
_PLATFORM = "1.3.6.1.4.1.17713.21.1.1"
_STATION = f"{_STATUS}.30.1"


def _faded(dry: float, period_s: float) -> Callable[[Moment], Value]:
    """Decibels, which a heavy shower lowers by 8."""
    return whole(lambda m: dry - 8 * m.rain + 1.6 * m.wobble(period_s))


EPMP = Profile(
    name="epmp",
    title="Cambium ePMP sector",
    description="Linux ridge-west 3.14.77 #1 SMP PREEMPT Thu Aug 7 17:14:57 UTC 2025 armv7l",
    object_id="1.3.6.1.4.1.17713.21.9.37",
    narrow=False,
    high_speed_factor=1_000_000,
    sensors=(
        Sensor("clients", "Subscribers", f"{_STATUS}.10.0"),
        Sensor("signal", "Uplink RSSI, subscriber 1", f"{_STATION}.4.1", 1, "dBm"),
        Sensor("signal", "Uplink RSSI, subscriber 2", f"{_STATION}.4.2", 1, "dBm"),
        Sensor("snr", "Uplink SNR, subscriber 1", f"{_STATION}.6.1", 1, "dB"),
        Sensor("cpu", "CPU load", f"{_SYSTEM}.64.0", 10, "%"),
    ),
    links=(
        Link(1, "WLAN interface 1", 600, 44e6, 318e6, RADIO, link=3, error_rate=0.8, if_name="WLAN interface"),
        Link(2, "WLAN interface 2", 0, if_type=RADIO, if_name="WLAN interface", polled=False),
        Link(3, "LAN interface 1", 1000, 318e6, 44e6, link=3),
        other(4, "LAN interface 2", is_up=False),
    ),
    values=(
        (f"{_PLATFORM}.17.0", ber.OCTET_STRING, b"5.10.3"),
        (f"{_STATUS}.1.0", ber.INTEGER, 5190),
        (f"{_STATUS}.10.0", ber.INTEGER, whole(lambda m: 52 + 3 * m.wobble(509) - 6 * m.rain)),
        *(
            row
            for n in range(1, 5)
            for row in (
                (f"{_STATION}.1.{n}", ber.OCTET_STRING, b"0a:00:3e:00:10:%02x" % n),
                (f"{_STATION}.4.{n}", ber.INTEGER, _faded(-52 - 4 * n, 31 + 6 * n)),
                (f"{_STATION}.5.{n}", ber.INTEGER, _faded(-50 - 4 * n, 37 + 6 * n)),
                (f"{_STATION}.6.{n}", ber.INTEGER, _faded(36 - 3 * n, 29 + 6 * n)),
                (f"{_STATION}.7.{n}", ber.INTEGER, _faded(38 - 3 * n, 33 + 6 * n)),
                (f"{_STATION}.10.{n}", ber.IP_ADDRESS, bytes((10, 0, 0, 10 + n))),
                (f"{_STATION}.18.{n}", ber.OCTET_STRING, b"Subscriber-%d" % n),
            )
        ),
        (f"{_SYSTEM}.64.0", ber.COUNTER32, whole(lambda m: 140 + 430 * m.busy + 30 * m.wobble(19))),
    ),
)
