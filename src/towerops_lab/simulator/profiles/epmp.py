"""A Cambium ePMP sector. Source: CAMBIUM-PMP80211-MIB (sysCPUUsage is in tenths of a percent)."""

from collections.abc import Callable

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.profiles.profile import RADIO, Link, Profile, Sensor, whole
from towerops_lab.simulator.world import Moment

_STATUS, _SYSTEM = "1.3.6.1.4.1.17713.21.1.2", "1.3.6.1.4.1.17713.21.2.1"
_STATION = f"{_STATUS}.30.1"


def _faded(dry: float, period_s: float) -> Callable[[Moment], Value]:
    """Decibels, which a heavy shower lowers by 8."""
    return whole(lambda m: dry - 8 * m.rain + 1.6 * m.wobble(period_s))


EPMP = Profile(
    name="epmp",
    title="Cambium ePMP sector",
    description="Cambium ePMP 3000 AP 4.7.1",
    object_id="1.3.6.1.4.1.17713.21",
    sensors=(
        Sensor("clients", "Subscribers", f"{_STATUS}.10.0"),
        Sensor("signal", "Uplink RSSI, subscriber 1", f"{_STATION}.4.1", 1, "dBm"),
        Sensor("signal", "Uplink RSSI, subscriber 2", f"{_STATION}.4.2", 1, "dBm"),
        Sensor("snr", "Uplink SNR, subscriber 1", f"{_STATION}.6.1", 1, "dB"),
        Sensor("cpu", "CPU load", f"{_SYSTEM}.64.0", 10, "%"),
    ),
    links=(Link(1, "eth0", 1000, 318e6, 44e6, link=3), Link(2, "wlan0", 600, 44e6, 318e6, RADIO, link=3, error_rate=0.8)),
    values=(
        (f"{_STATUS}.10.0", ber.INTEGER, whole(lambda m: 52 + 3 * m.wobble(509) - 6 * m.rain)),
        *(
            row
            for n in range(1, 5)
            for row in (
                (f"{_STATION}.1.{n}", ber.OCTET_STRING, b"0A:00:3E:00:10:%02X" % n),
                (f"{_STATION}.4.{n}", ber.INTEGER, _faded(-52 - 4 * n, 31 + 6 * n)),
                (f"{_STATION}.6.{n}", ber.INTEGER, _faded(36 - 3 * n, 29 + 6 * n)),
            )
        ),
        (f"{_SYSTEM}.64.0", ber.INTEGER, whole(lambda m: 140 + 430 * m.busy + 30 * m.wobble(19))),
    ),
)
