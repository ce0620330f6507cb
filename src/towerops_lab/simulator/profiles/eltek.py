"""An Eltek DC rectifier plant. Source: ELTEK-DISTRIBUTED-MIB (voltages in hundredths; currents in tenths, as it is often set)."""

from towerops_agent.snmp.wire import ber
from towerops_lab.simulator.profiles.profile import Link, Profile, Sensor, whole
from towerops_lab.simulator.world import Moment

_PLANT = "1.3.6.1.4.1.12148.9"


def _load(moment: Moment) -> float:
    return 9.4 + 4.1 * moment.busy + 0.2 * moment.wobble(47)


def _battery(moment: Moment) -> float:
    """Amperes into the battery: negative while it carries the load."""
    if moment.outage_s:
        return -_load(moment)
    return 14 * (1 - moment.charge) + 0.1


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
        Sensor("current", "Battery current", f"{_PLANT}.3.3.0", 10, "A"),
        Sensor("temperature", "Battery temperature", f"{_PLANT}.3.4.0", 1, "°C"),
        Sensor("current", "Rectifier current", f"{_PLANT}.5.3.0", 10, "A"),
        Sensor("voltage", "Mains voltage", f"{_PLANT}.6.1.0", 1, "V"),
    ),
    links=(Link(1, "eth0", 100, 0.01e6, 0.03e6, link=7),),
    values=(
        (f"{_PLANT}.2.2.0", ber.INTEGER, 1),
        (f"{_PLANT}.3.1.0", ber.OCTET_STRING, b"Bank A, 190 Ah"),
        (
            f"{_PLANT}.3.2.0",
            ber.INTEGER,
            whole(_voltage),
        ),
        (f"{_PLANT}.3.3.0", ber.INTEGER, whole(lambda m: 10 * _battery(m))),
        (f"{_PLANT}.3.4.0", ber.INTEGER, whole(lambda m: 23 + 9 * (1 - m.charge) + 2 * m.busy)),
        (f"{_PLANT}.3.5.0", ber.INTEGER, 0),
        (f"{_PLANT}.5.3.0", ber.INTEGER, whole(lambda m: 0 if m.outage_s else 10 * (_load(m) + _battery(m)))),
        (f"{_PLANT}.6.1.0", ber.INTEGER, whole(lambda m: 0 if m.outage_s else 231 + 2 * m.wobble(127))),
    ),
)
