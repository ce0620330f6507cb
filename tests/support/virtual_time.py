"""An event loop whose clock leaps to the next timer whenever nothing else is to be done: hours pass in milliseconds, and alike
each time. For code that does no I/O; whatever it would wait for is simulated."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Leaping(selectors.SelectSelector):
    """Never waits: time is moved on instead."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("nothing will ever happen: each task waits, and no timer is set")
            self.loop.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Begins at `start` seconds."""

    def __init__(self, start: float = 1000.0) -> None:
        selector = _Leaping()
        selector.loop = self
        self.now = start
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Coroutine[object, object, T]) -> T:
    """What `main` returns, run to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
