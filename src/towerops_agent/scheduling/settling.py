"""Delivers nothing while the time is unsure; once it is known, moves the polls that were stored meanwhile to their time.

    Dating (timetable.py) -> Settling -> buffer; then the courier begins

So a machine that starts with the time at which it last ran delivers no reading as of then. Which polls those are is kept, for a
restart of the agent before the time is known (docs/decisions/0030-the-time.md).
I/O: the buffer, the log. Microseconds since 1970 (`_us`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import msgspec
import structlog

from towerops_agent.api.wire.outcomes import Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.store import UNSURE_KEY
from towerops_agent.errors import BufferFailure
from towerops_agent.scheduling.timetable import SET_US, Dating

LOOK_EACH_S: Final = 10.0
"""How often to look whether NTP has set the clock, while the API does not answer."""

API_WITHIN_S: Final = 900.0
"""How long destinations beside the API wait for its answer: an uplink that comes with the power is there by then, and Prometheus
takes nothing that is more than an hour older than its latest value."""

log = structlog.get_logger()

_mark_decoder = msgspec.msgpack.Decoder(tuple[int, int])


class Settling:
    """Inert until begun, then run. `now_us`: the wall clock. `patience_s`: after which the clock is believed all the same."""

    def __init__(self, dating: Dating, buffer: Buffer, *, now_us: Callable[[], int], patience_s: float = inf) -> None:
        self.dating = dating
        self._buffer = buffer
        self.dated = asyncio.Event()
        """Set once polls have their time."""
        self._now_us = now_us
        self._patience_s = patience_s
        self._first: int | None = None
        self._news = asyncio.Event()  # set with the next, for whoever waits by then
        self._why: Unavailable | None = None  # the API could not be asked, the last time
        dating.on_heard = lambda: self._hear(None)

    def unheard(self, why: Unavailable) -> None:
        """The API could not be asked."""
        self._hear(why)

    def _hear(self, why: Unavailable | None) -> None:
        self._why = why
        self._news.set()
        self._news = asyncio.Event()

    def stop(self) -> None:
        """Nobody asks the API any more: who waits in `over` is to wait no longer."""
        self.unheard(self._why or Unavailable("the API has not answered yet, and this machine's clock may be wrong"))

    async def over(self) -> Unavailable | None:
        """Return None once polls have their time; or why the API, which could show it, can't be asked now."""
        while not self.dated.is_set():
            if self._why is not None:
                return self._why
            await _first_of(self._news.wait(), self.dated.wait())
        return None

    async def begin(self) -> None:
        """Note from which poll on the time is unsure, if it is. Called before any poll is stored."""
        unsure_us = self.dating.unsure_us
        if unsure_us is None:
            self.dated.set()
            return
        try:
            self._first, newest_us = await self._buffer.end()
            kept = await self._buffer.get_meta(UNSURE_KEY)
            if kept:
                first, kept_us = _mark_decoder.decode(kept)
                # By the same clock, which has gone on since its last poll: it is the same start of the machine.
                if abs(kept_us - unsure_us) <= SET_US and (newest_us or 0) <= self._now_us():
                    self._first = first
            await self._buffer.put_meta(UNSURE_KEY, msgspec.msgpack.encode((self._first, unsure_us)))
        except BufferFailure as error:
            log.warning("where polls of an unsure time begin can't be kept, a restart will not know it", error=str(error))

    async def run(self) -> None:
        """Wait until the time is known, and have polls moved to it. Runs for good, as loops do."""
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + self._patience_s
        while not self.dated.is_set():
            if self.dating.can_settle:
                await self.settle()
            elif now_s() >= until_s:
                log.warning("API has not answered, readings go to the destinations though the clock may be wrong")
                await self.settle()
            else:
                await self._look_later()
        await asyncio.Event().wait()

    async def settle(self) -> None:
        """The time is as sure as it will be: move the polls of this start, and have them delivered."""
        if self.dated.is_set():
            return
        late_us = self.dating.settle()
        moving = asyncio.ensure_future(self._move(late_us))
        try:
            await asyncio.shield(moving)
        except asyncio.CancelledError:
            await moving  # it is under way: polls that are stored before its end would be moved too
            raise
        finally:
            self.dating.settled()
            self.dated.set()

    async def _move(self, late_us: int) -> None:
        if self._first is None:
            return
        try:
            polls = await self._buffer.move(self._first, late_us)
        except BufferFailure as error:
            log.error("readings from before the clock was set keep a wrong time", off_s=-late_us / 1e6, error=str(error))
        else:
            if late_us and polls:
                log.info("time is known, readings from before have it", clock_was_off_s=-late_us / 1e6, polls=polls)

    async def _look_later(self) -> None:
        await _first_of(self._news.wait(), asyncio.sleep(LOOK_EACH_S))


async def _first_of(*waits: Awaitable[object]) -> None:
    """Return once one of these has."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
