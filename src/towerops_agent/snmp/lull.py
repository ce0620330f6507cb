"""A lull in the reading of a socket: while many answers are on their way, they are read some at a time.

Devices answer after a time of their own each, so that their answers arrive one by one, and a wakeup for each costs more than what
is done in it. What is late by that is the next request of a poll, and nothing else: arrival.py has each answer's own time, and
before a time is over the socket is read. Called by client.py.
I/O: the event loop's reader and timers. Seconds (`_s`) on its clock.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

LULL_S: Final = 0.04
"""How long nothing is read: most devices answer within that, so that a turn of requests is read at once (docs/decisions/0011)."""

FEWEST: Final = 16
"""How many answers to volleys have to be awaited for one: fewer cost more by the timer than they save. Who asks one request after
another, as a discovery does, would wait for each: so single requests begin none, and hurry those of others."""

HURRIED_S: Final = 0.01
"""How long a lull goes on at most once a single request is sent."""

FEW_AT_ONCE: Final = 8
"""As long as one wakeup brings more than so many, they arrive together by themselves."""

ANSWER_OCTETS: Final = 4608
"""What an answer takes at most of the socket's buffer, by the kernel's own count: no more are awaited than it has room for."""


class Lull:
    """One lull of a socket, from when it was read to its end until few answers are awaited, or none has come."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        read: Callable[[], bool],
        resume: Callable[[], None],
    ) -> None:
        """`read`: reads what has arrived; whether to go on, with more to be awaited. `resume`: called at the end."""
        self._loop = loop
        self._read = read
        self._resume = resume
        self._is_over = False
        loop.remove_reader(sock)
        self._timer = loop.call_later(LULL_S, self._look)

    def _look(self) -> None:
        goes_on = False
        try:
            goes_on = self._read()
        finally:
            if not self._is_over:  # else what followed from the answers has ended it
                if goes_on:
                    self._timer = self._loop.call_later(LULL_S, self._look)
                else:
                    self._resume()

    def hurry(self) -> None:
        """Read soon what has arrived: somebody waits for each answer."""
        soon_s = self._loop.time() + HURRIED_S
        if not self._is_over and self._timer.when() > soon_s:
            self._timer.cancel()
            self._timer = self._loop.call_at(soon_s, self._look)

    def end(self) -> None:
        """End it, before its time."""
        self.cancel()
        self._resume()

    def cancel(self) -> None:
        """Forget it, as its socket is closed."""
        self._is_over = True
        self._timer.cancel()
