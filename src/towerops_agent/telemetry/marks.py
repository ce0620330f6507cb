"""By when each of the agent's loops moves again, as it says itself: one past its mark is stuck, whatever the process looks like.

loops -> Marks -> health (views/health.py), systemd's watchdog, the metrics page. Nobody but the loop itself moves its mark, also
while it has nothing to do. Marks are seconds on the clock by which the loops sleep (CLOCK_MONOTONIC), which all processes of a
machine share and nobody sets. It stands still while the machine is suspended: what a loop had left to sleep, it has after that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

DATABASE_WITHIN_S: Final = 120.0
"""How long the database may take for what is asked of it at once: a flash card that is worn out stalls for half a minute."""

LOOK_EACH_S: Final = 60.0
"""How often a loop moves that waits for what may never happen."""


def boot_clock_s() -> float:
    """Seconds since the machine was started, without those for which it was suspended."""
    return time.monotonic()


class Marks:
    """By when each loop moves again, as it says itself. The database's thread leaves its own, so any thread may."""

    def __init__(self, loops: Iterable[str] = ()) -> None:
        """`loops`: their names; each has health.SLACK_S to leave its first mark."""
        self._due_s = dict.fromkeys(loops, boot_clock_s())
        self._working_s: dict[str, float] = {}

    def mover(self, loop: str, working_s: float) -> Callable[[float], None]:
        """How `loop` leaves its mark: called with the seconds until it moves again, which then takes `working_s` at most."""
        self._working_s[loop] = working_s
        self.move(loop, working_s)
        return lambda again_within_s: self.move(loop, again_within_s + working_s)

    def begin(self) -> None:
        """Note that all loops begin now: what was before, a slow start of the database say, does not count."""
        for loop in self._due_s:
            self.move(loop, self._working_s.get(loop, 0.0))

    def move(self, loop: str, again_within_s: float = 0.0) -> None:
        """Note that `loop` has moved, and moves again within this time."""
        self._due_s[loop] = boot_clock_s() + again_within_s

    def sleeper(self, loop: str, working_s: float) -> Callable[[float], Awaitable[None]]:
        """A sleep for `loop` that leaves a mark: the loop moves again after it, within `working_s` at most."""

        move = self.mover(loop, working_s)

        async def sleep(seconds: float) -> None:
            move(seconds)
            await asyncio.sleep(seconds)

        return sleep

    def waiter(self, loop: str, working_s: float) -> Callable[[asyncio.Event], Awaitable[None]]:
        """A wait for `loop` that leaves a mark, however long it takes until the event is set."""

        move = self.mover(loop, working_s)

        async def wait(event: asyncio.Event) -> None:
            while not event.is_set():
                move(LOOK_EACH_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EACH_S):
                        await event.wait()
            move(0.0)

        return wait

    def forget(self, loop: str) -> None:
        """The loop has ended for good."""
        self._due_s.pop(loop, None)
        self._working_s.pop(loop, None)

    @property
    def due_s(self) -> dict[str, float]:
        """By when each loop moves again, by `boot_clock_s`."""
        return dict(self._due_s)
