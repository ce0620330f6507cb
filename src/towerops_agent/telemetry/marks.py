"""The marks of the agent's loops: each says by when it moves again.

`health` and systemd's watchdog read them: a loop that is past its mark is stuck, whatever the process looks like from
outside. Times are seconds on the boot clock (CLOCK_BOOTTIME), which all processes of a machine share and nobody sets. It goes
on while the machine is suspended.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable


def boot_clock_s() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Marks:
    """By when each loop moves again, as it says itself."""

    def __init__(self, loops: Iterable[str]) -> None:
        """`loops`: their names; each has health.SLACK_S to leave its first mark."""
        self._due_s = dict.fromkeys(loops, boot_clock_s())

    def move(self, loop: str, again_within_s: float = 0.0) -> None:
        """Note that `loop` has moved, and moves again within this time."""
        self._due_s[loop] = boot_clock_s() + again_within_s

    def sleeper(self, loop: str, working_s: float) -> Callable[[float], Awaitable[None]]:
        """A sleep for `loop` that leaves a mark: the loop moves again after it, within `working_s` at most."""

        async def sleep(seconds: float) -> None:
            self.move(loop, seconds + working_s)
            await asyncio.sleep(seconds)

        return sleep

    @property
    def due_s(self) -> dict[str, float]:
        """By when each loop moves again, on the boot clock."""
        return dict(self._due_s)
