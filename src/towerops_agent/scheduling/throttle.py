"""How many polls may start a second: fewer while the agent has too much to do, so that what is polled is delivered.

The loop of fleet.py starts whatever is due, and delivery is a few steps among many: without a limit the agent polls several times
as much as it can deliver, and the rest expires. So the rate falls while delivery is behind, and rises again when it is not. A
slow or failing server makes no limit: only an agent that is busy has too much to do.
Pure: times are seconds on a monotonic clock, passed in.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

from towerops_agent.scheduling.timetable import STARTS_A_STEP

LEAST: Final = 10.0
"""Starts a second that are always allowed: those of 600 devices each minute. A small site has no second with enough starts to
measure by, and its polls are not what keeps a weak machine busy."""

LOOK_EACH_S: Final = 1.0
LATE_S: Final = 0.1
"""A poll that starts this much after its time waited for others."""

FULL: Final = 0.9
LAG_S: Final = 0.01
"""An agent that has used this part of a core, or whose loop comes round this late, does all that it can. Its polls may all start
in time, and leave too little to delivery."""

BUSY: Final = 0.4
"""The part that is enough if polls start late: of a core that others use too."""

SHRINK: Final = 0.97
GROW: Final = 1.05

LOOKS: Final = 10
"""The limit falls from the mean of so many looks, or from the last one if more has started then: in one second the loop may stand
still, or hardly a device be due, and after many such ones much may be."""

BURST_S: Final = 0.2
"""Starts that were not used are allowed for so long: devices become due in bunches."""

GATHER_S: Final = 0.1
"""Starts gather for so long at most, until there are enough for polls to start together, as they do without a limit: a poll that
starts by itself costs a wakeup of its own, and so does each of its answers."""


@dataclass(frozen=True, slots=True)
class Load:
    """How it has gone since the last look. `started`: how many polls have; `late`: whether some did late, or not at all.

    `behind`: whether fresh values wait longer than they should for their delivery, while the server works. `cpu_s`: the CPU used
    since the start of the agent; `lag_s`: how late timers were at least.
    """

    started: int
    late: bool
    behind: bool
    cpu_s: float
    lag_s: float = 0.0


class Throttle:
    """The limit. `rate`: how many polls may start a second now; infinite mostly."""

    def __init__(self) -> None:
        self.rate = inf
        self.opens_at_s = -inf
        """When the next poll may start."""
        self._next_s = -inf  # when it might if starts did not gather
        self._looked_s: float | None = None
        self._cpu_s = 0.0
        self._paces = deque[float](maxlen=LOOKS)

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for `look`."""
        return self._looked_s is None or now_s - self._looked_s >= LOOK_EACH_S

    def look(self, load: Load, now_s: float) -> bool:
        """Set the limit by the load; whether it begins with that: the agent has too much to do for the first time in a while."""
        before_s, before_cpu_s = self._looked_s, self._cpu_s
        self._looked_s, self._cpu_s = now_s, load.cpu_s
        if before_s is None or now_s <= before_s:
            return False
        gone_s, before = now_s - before_s, self.rate
        pace = load.started / gone_s
        self._paces.append(pace)
        used, is_lagging = (load.cpu_s - before_cpu_s) / gone_s, load.lag_s >= LAG_S
        is_full = used >= FULL or is_lagging
        if load.behind and (is_full or (load.late and used >= BUSY)):
            pace = max(pace, sum(self._paces) / len(self._paces))
            self.rate = max(min(before, pace) * SHRINK, LEAST)
        elif not load.late:
            self.rate = inf  # all that is due has started
        else:
            self.rate *= GROW
        return before == inf != self.rate

    def started(self, now_s: float) -> None:
        """Note that a poll starts now."""
        self._next_s = max(self._next_s, now_s - BURST_S) + 1 / self.rate
        gathers_s = min((STARTS_A_STEP - 1) / self.rate, GATHER_S)
        self.opens_at_s = self._next_s if self._next_s <= now_s else self._next_s + gathers_s
