"""The unit in which each sensor's text was first read, and later readings converted to that unit.

A device that writes `980 Mbps` and, a minute later, `1.2 Gbps`, means 1,200 of the same. A reading that can't surely be converted
(KB to MB, V to A, a unit to none) is missing, rather than wrong by a factor of a thousand.
Pure. Units are kept as words of units.py, "" while none is known, one per sensor of the plan; devices of a kind share them.
"""

from collections.abc import Sequence
from fractions import Fraction

from towerops_agent.model import Number
from towerops_agent.polling.course.units import conversion, is_nothing
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.oid import Oid


class Scales:
    """The units of this many sensors of one device. `units`: () while none is known."""

    __slots__ = ("_sensors", "units")

    def __init__(self, sensors: int, units: tuple[str, ...] = ()) -> None:
        self._sensors = sensors
        self.units = units

    def read(self, place: int, value: Number, unit: str) -> Number | Reason:
        """A finite `value` in the unit `unit`, in the first unit of the sensor at `place`; or UNIT_CHANGED.

        A first unit is noted.
        """
        first = self.units[place] if self.units else ""
        if unit == first:
            return value
        if value == 0 and is_nothing(unit) and is_nothing(first):
            return value  # zero is zero in any unit, and shows nothing about the next reading's unit
        if not first:
            units = list(self.units or [""] * self._sensors)
            units[place] = unit
            self.units = tuple(units)
            return value
        ratio = conversion(unit, first)
        if ratio is None:
            return Reason.UNIT_CHANGED
        return value if ratio == 1 else _scaled(value, ratio)


def _scaled(value: Number, ratio: Fraction) -> Number:
    """As exact as the text's decimals: 1.1 mV are 0.0011 V."""
    scaled = Fraction(repr(value)) * ratio
    return int(scaled) if isinstance(value, int) and scaled.denominator == 1 else float(scaled)


def carry_over(units: Sequence[str], before: Sequence[Oid], now: Sequence[Oid]) -> tuple[str, ...]:
    """The units of the sensors `now`, of which some were there `before` with these units."""
    known = dict(zip(before, units, strict=False))
    carried = tuple(known.get(oid, "") for oid in now)
    return carried if any(carried) else ()
