"""An Eltek DC rectifier plant. Source: ELTEK-DISTRIBUTED-MIB: voltages in hundredths; the currents of battery and load in
amperes or in tenths, which is a setting of the device, here amperes; those of the rectifiers in tenths. No ifXTable.
"""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import LOOPBACK, Link, Profile, Sensor, other, whole
from towerops_lab.simulator.world import Moment

_PLANT = "1.3.6.1.4.1.12148.9"
_UNIT = f"{_PLANT}.5.5.2.1"
"""rectifierStatusEntry."""

_RECTIFIERS = 3


def _load(moment: Moment) -> float:
    return 9.4 + 4.1 * moment.busy + 0.2 * moment.wobble(47)


def _battery(moment: Moment) -> float:
    """Amperes into the battery: negative while it carries the load."""
    if moment.outage_s:
        return -_load(moment)
    return 14 * (1 - moment.charge) + 0.1


def _rectified(moment: Moment) -> float:
    """Amperes that the rectifiers give."""
    return 0.0 if moment.outage_s else _load(moment) + _battery(moment)


def _voltage(moment: Moment) -> float:
    """Hundredths of a volt: lower on battery, and as it empties."""
    return 5415 - 480 * (1 - moment.charge) - 130 * (moment.outage_s > 0) + 4 * moment.wobble(61)


ELTEK = Profile(
    name="eltek",
    title="Eltek DC rectifier",
    description="Eltek Smartpack S, Flatpack2 48 V",
    object_id="1.3.6.1.4.1.12148.9",
    sensors=(
        Sensor("voltage", "Battery voltage", f"{_PLANT}.3.2.0", 100, "V"),
        Sensor("current", "Battery current", f"{_PLANT}.3.3.0", 1, "A"),
        Sensor("temperature", "Battery temperature", f"{_PLANT}.3.4.0", 1, "°C"),
        Sensor("current", "Rectifier current", f"{_PLANT}.5.3.0", 10, "A"),
        Sensor("voltage", "Mains voltage", f"{_PLANT}.6.1.0", 1, "V"),
    ),
    wide=False,
    links=(Link(1, "eth0", 100, 0.01e6, 0.03e6, link=7), other(2, "lo", LOOPBACK)),
    values=(
        (f"{_PLANT}.2.2.0", ber.INTEGER, 1),
        (f"{_PLANT}.3.1.0", ber.OCTET_STRING, b"Bank A, 190 Ah"),
        (
            f"{_PLANT}.3.2.0",
            ber.INTEGER,
            whole(_voltage),
        ),
        (f"{_PLANT}.3.3.0", ber.INTEGER, whole(_battery)),
        (f"{_PLANT}.3.4.0", ber.INTEGER, whole(lambda m: 23 + 9 * (1 - m.charge) + 2 * m.busy)),
        (f"{_PLANT}.3.5.0", ber.INTEGER, 0),
        (f"{_PLANT}.5.3.0", ber.INTEGER, whole(lambda m: 10 * _rectified(m))),
        (f"{_PLANT}.5.1.0", ber.INTEGER, _RECTIFIERS),
        (f"{_PLANT}.5.2.0", ber.INTEGER, _RECTIFIERS),
        *(
            row
            for n in range(1, _RECTIFIERS + 1)
            for row in (
                (f"{_UNIT}.1.{n}", ber.INTEGER, n),
                (f"{_UNIT}.2.{n}", ber.INTEGER, lambda m: 0 if m.outage_s else 1),
                (f"{_UNIT}.3.{n}", ber.INTEGER, whole(lambda m: 10 * _rectified(m) / _RECTIFIERS)),
                (f"{_UNIT}.4.{n}", ber.INTEGER, whole(_voltage)),
                (f"{_UNIT}.5.{n}", ber.INTEGER, whole(lambda m: 31 + 5 * m.busy)),
                (f"{_UNIT}.6.{n}", ber.OCTET_STRING, b"FLATPACK2 48/2000 HE"),
                (f"{_UNIT}.7.{n}", ber.OCTET_STRING, b"241115.105"),
                (f"{_UNIT}.8.{n}", ber.OCTET_STRING, b"10517110%04d" % n),
                (f"{_UNIT}.9.{n}", ber.OCTET_STRING, b"2.1"),
            )
        ),
        (f"{_PLANT}.6.1.0", ber.INTEGER, whole(lambda m: 0 if m.outage_s else 231 + 2 * m.wobble(127))),
    ),
)
