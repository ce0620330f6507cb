"""A clock that moves by the pauses that are asked for, not while requests are under way: a courier's hours in milliseconds."""

import asyncio
from collections.abc import Callable


class Done(Exception):
    """Ends a loop that has no end."""


class Patience:
    """`pauses`: those that were taken to their end. `left`: how many more there may be before Done is raised; None: any number.

    A pause beside requests under way ends after them, as a server answers sooner than 30 s go by; `hurried`: it ends first, as
    if a server hangs.
    """

    def __init__(self, in_flight: Callable[[], int], left: int | None = None) -> None:
        self.now_s = 1000.0
        self.pauses: list[float] = []
        self.left = left
        self.hurried = False
        self._in_flight = in_flight

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        while self._in_flight() and not self.hurried:  # noqa: ASYNC110 -- nobody says when a request has ended
            await asyncio.sleep(0)
        self.pauses.append(seconds)
        self.now_s += seconds
        if self.left is not None:
            if self.left == 0:
                raise Done
            self.left -= 1
