"""What the devices of a site share: the hour, the weather and the mains.

A world returns a Moment, and a device's values depend only on that. Events (a shower, a
power cut) follow its own timetable unless they are switched.
Pure: times are seconds of the wall clock, and passed in. Nothing is random: the same second looks the same each time.
"""

from dataclasses import dataclass
from math import cos, floor, pi, sin

DAY_S = 86_400.0

SHOWER_EVERY_S, SHOWER_S = 2_700.0, 600.0
OUTAGE_EVERY_S, OUTAGE_S = 5_400.0, 240.0
RAMP_S = 45.0
"""How long a switched shower takes to reach its full strength, and to pass."""

DISCHARGE_S, RECHARGE_S = 1_800.0, 5_400.0
"""How long a full battery lasts, and how long an empty one takes to be full."""

# Traffic's shape: (period in seconds, share of the peak). A day's wave and quicker ones, which together stay above zero.
_WAVES = ((DAY_S, 0.22), (547.0, 0.055), (211.0, 0.04), (97.0, 0.035), (59.0, 0.03), (31.0, 0.025), (17.0, 0.02), (11.0, 0.02))
_LEVEL = 0.52
_BUSIEST_S = 20.5 * 3600  # half past eight in the evening, UTC


@dataclass(frozen=True, slots=True)
class Identity:
    """What is a device's own among others of its kind. `mac`: six octets; an interface's ends with its number."""

    name: str
    location: str
    mac: bytes

    def mac_of(self, if_index: int) -> bytes:
        """The address of an interface."""
        return self.mac[:4] + ((int.from_bytes(self.mac[4:]) + if_index) & 0xFFFF).to_bytes(2)


NOBODY = Identity("device", "North Ridge", b"\x02\x00\x5e\x10\x00\x00")


@dataclass(frozen=True, slots=True)
class Moment:
    """The input of a device's values. `seed` (0 to 1) makes devices of a kind differ; `busy` and `rain` are 0 to 1.

    `booted_s`: when the device started; `first`: it has not been rebooted since the simulation began.
    `charge`: of the site's batteries, 0 to 1; `outage_s`: for how long the mains have been gone, 0 while they are there.
    """

    now_s: float
    booted_s: float
    first: bool
    seed: float
    busy: float
    rain: float
    outage_s: float
    charge: float
    identity: Identity = NOBODY

    @property
    def uptime_s(self) -> float:
        """Since the device started."""
        return self.now_s - self.booted_s

    def carried(self, seed: float) -> float:
        """The seconds of peak traffic that a link has carried since the device started: the integral of `busy`.

        If the device started before the simulation, the start is not exact: its counters need not start at zero.
        """
        return _LEVEL * self.uptime_s + _swell(self.now_s, seed) - (0.0 if self.first else _swell(self.booted_s, seed))

    def wobble(self, period_s: float) -> float:
        """An uneven wave, mostly between -1 and 1, for values that always vary."""
        turns = self.now_s / period_s + self.seed * 7
        return 0.45 * sin(2 * pi * turns) + 0.75 * _noise(5 * turns)


class World:
    """The state that its devices share."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._rain = _Switch()
        self._mains_out = _Switch()

    def rain(self, on: bool | None, now_s: float) -> None:
        """Let it rain, or not; None: follow the timetable."""
        self._rain = _Switch(on, now_s, self._rain_at(now_s))

    def mains_out(self, on: bool | None, now_s: float) -> None:
        """Cut the mains, or restore them; None: follow the timetable."""
        self._mains_out = _Switch(on, now_s, self._charge_at(now_s))

    def moment(self, now_s: float, booted_s: float, seed: float = 0.0, first: bool = True, identity: Identity = NOBODY) -> Moment:
        """The Moment of this second, for one device."""
        rain, outage_s, charge = self._rain_at(now_s), self._outage_at(now_s), self._charge_at(now_s)
        return Moment(now_s, booted_s, first, seed, busy(now_s, seed), rain, outage_s, charge, identity)

    def _rain_at(self, now_s: float) -> float:
        switch = self._rain
        if switch.on is None:
            into = (now_s - self._started_s - 0.75 * SHOWER_EVERY_S) % SHOWER_EVERY_S
            return sin(pi * into / SHOWER_S) ** 2 if into < SHOWER_S else 0.0
        share = min(1.0, (now_s - switch.since_s) / RAMP_S)
        return switch.before + ((1.0 if switch.on else 0.0) - switch.before) * share

    def _outage_at(self, now_s: float) -> float:
        switch = self._mains_out
        if switch.on is None:
            into = (now_s - self._started_s - 0.4 * OUTAGE_EVERY_S) % OUTAGE_EVERY_S
            return into if into < OUTAGE_S else 0.0
        return max(0.001, now_s - switch.since_s) if switch.on else 0.0

    def _charge_at(self, now_s: float) -> float:
        switch = self._mains_out
        if switch.on is None:
            into = (now_s - self._started_s - 0.4 * OUTAGE_EVERY_S) % OUTAGE_EVERY_S
            if now_s - self._started_s < 0.4 * OUTAGE_EVERY_S:
                return 1.0
            lost = min(into, OUTAGE_S) / DISCHARGE_S
            return min(1.0, 1.0 - lost + max(0.0, into - OUTAGE_S) / RECHARGE_S)
        elapsed = now_s - switch.since_s
        change = -elapsed / DISCHARGE_S if switch.on else elapsed / RECHARGE_S
        return min(1.0, max(0.04, switch.before + change))


@dataclass(frozen=True, slots=True)
class _Switch:
    """How a thing was last switched: None is never. `before`: its value at that time."""

    on: bool | None = None
    since_s: float = 0.0
    before: float = 0.0


def busy(now_s: float, seed: float) -> float:
    """The share of its peak that a link carries at this second: 0.1 to 0.93, the most in the evening."""
    return _LEVEL + sum(
        share * cos(2 * pi * ((now_s - _BUSIEST_S) / period_s + (seed if period_s != DAY_S else 0.0)))
        for period_s, share in _WAVES
    )


def _swell(now_s: float, seed: float) -> float:
    """The integral of busy's waves."""
    return sum(
        share * period_s / (2 * pi) * sin(2 * pi * ((now_s - _BUSIEST_S) / period_s + (seed if period_s != DAY_S else 0.0)))
        for period_s, share in _WAVES
    )


def _noise(x: float) -> float:
    """From -1 to 1, without jumps, the same each time: scattered values at the whole numbers, straight lines between."""
    whole = floor(x)
    return _scattered(whole) + (x - whole) * (_scattered(whole + 1) - _scattered(whole))


def _scattered(n: int) -> float:
    n = (n * 0x9E3779B1) & 0xFFFFFFFF
    n = ((n ^ n >> 15) * 0x85EBCA77) & 0xFFFFFFFF
    return (n ^ n >> 13 & 0xFFFFFFFF) / 0x7FFFFFFF - 1.0
