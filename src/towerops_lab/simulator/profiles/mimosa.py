"""A Mimosa B5c, a point-to-point radio. Source: MIMOSA-NETWORKS-BFIVE-MIB (DecimalOne, DecimalTwo: one and two decimals), and a
recording: four chains, ten interfaces of which the radio is an Ethernet one, and no ifXTable.
"""

from collections.abc import Callable

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value
from towerops_lab.simulator.profiles.profile import LOOPBACK, Link, Profile, Sensor, other, whole
from towerops_lab.simulator.world import Moment

_WIRELESS = "1.3.6.1.4.1.43356.2.1.2"
_GENERAL, _RF, _PERFORMANCE = f"{_WIRELESS}.1", f"{_WIRELESS}.6", f"{_WIRELESS}.7"
_CHAIN, _STREAM = f"{_RF}.1.1", f"{_RF}.2.1"


def _faded(dry: float, period_s: float) -> Callable[[Moment], Value]:
    """Tenths of a decibel, which a heavy shower lowers by 15.5 dB."""
    return whole(lambda m: dry - 155 * m.rain + 5 * m.wobble(period_s))


def _phy_rate(moment: Moment) -> int:
    """Mbit/s of a stream: the modulation steps down as the signal fades (802.11ac, 40 MHz)."""
    return (433, 390, 325, 260, 195, 130)[min(5, int(6 * moment.rain))]


MIMOSA = Profile(
    name="mimosa",
    title="Mimosa backhaul radio",
    description="Mimosa B5c Firmware v2.5.4.1",
    object_id="1.3.6.1.4.1.43356.1.1.1",
    sensors=(
        Sensor("signal", "Received power", f"{_RF}.6.0", 10, "dBm"),
        Sensor("snr", "Signal to noise, chain 1", f"{_CHAIN}.5.1", 10, "dB"),
        Sensor("rate", "PHY rate sent, stream 1", f"{_STREAM}.2.1", 1, "Mbit/s"),
        Sensor("error_ratio", "Packet errors received", f"{_PERFORMANCE}.4.0", 100, "%"),
        Sensor("temperature", "Temperature", f"{_GENERAL}.8.0", 10, "°C"),
    ),
    wide=False,
    links=(
        other(1, "lo", LOOPBACK, speed_mbps=10),
        other(2, "tqe", is_up=False),
        Link(3, "eth1_emac1", 1000, 92e6, 640e6, link=1),
        other(4, "eth2", speed_mbps=10),
        other(5, "br0"),
        other(6, "br_local"),
        other(7, "br_recovery", is_up=False),
        other(8, "br1"),
        Link(9, "wifi0", 0, 640e6, 92e6, link=1, error_rate=0.4),
        other(13, "mon.wlan0", 1),
    ),
    values=(
        (f"{_GENERAL}.1.0", ber.OCTET_STRING, b"north-backhaul"),
        (f"{_GENERAL}.3.0", ber.OCTET_STRING, b"2.5.4.1"),
        (f"{_GENERAL}.8.0", ber.INTEGER, whole(lambda m: 412 + 110 * m.busy - 60 * m.rain + 8 * m.wobble(389))),
        *(
            row
            for chain in (1, 2, 3, 4)
            for row in (
                (f"{_CHAIN}.2.{chain}", ber.INTEGER, 180),
                (f"{_CHAIN}.3.{chain}", ber.INTEGER, _faded(-548 - 3 * chain, 71)),
                (f"{_CHAIN}.4.{chain}", ber.INTEGER, whole(lambda m: -890 + 4 * m.wobble(53))),
                (f"{_CHAIN}.5.{chain}", ber.INTEGER, _faded(341 - 3 * chain, 67)),
                (f"{_CHAIN}.6.{chain}", ber.INTEGER, 5610),
                (f"{_CHAIN}.7.{chain}", ber.INTEGER, 2 - chain % 2),
                (f"{_STREAM}.2.{chain}", ber.INTEGER, _phy_rate),
                (f"{_STREAM}.5.{chain}", ber.INTEGER, _phy_rate),
            )
        ),
        (f"{_RF}.5.0", ber.INTEGER, 210),
        (f"{_RF}.6.0", ber.INTEGER, _faded(-519, 71)),
        (f"{_PERFORMANCE}.1.0", ber.INTEGER, whole(lambda m: 9_200_000 * m.busy)),
        (f"{_PERFORMANCE}.2.0", ber.INTEGER, whole(lambda m: 64_000_000 * m.busy)),
        (f"{_PERFORMANCE}.3.0", ber.INTEGER, whole(lambda m: 12 + 380 * m.rain + 8 * m.wobble(47))),
        (f"{_PERFORMANCE}.4.0", ber.INTEGER, whole(lambda m: 18 + 520 * m.rain + 10 * m.wobble(41))),
    ),
)
