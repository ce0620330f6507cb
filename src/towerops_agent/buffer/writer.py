"""The thread that owns the Store: polls gathered and committed together, jobs run one after another.

Polls put -> the tail, once per window -> the tables, when a job asks for them, or many have gathered. If the database can't be
written, polls stay in memory up to a cap, oldest dropped and counted, and are tried again each second: polling goes on. Which
Store that is, is opening.py's: a corrupt file is replaced at once, and one that can't be opened by one in memory, until it can.
Uses only call_soon_threadsafe of the event loop. Times are seconds on the monotonic clock.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import structlog

from towerops_agent.buffer import retention
from towerops_agent.buffer.database import FAILURES, can_be_the_journal, is_corruption, is_full
from towerops_agent.buffer.format.codec import PollRow
from towerops_agent.buffer.format.event import Event
from towerops_agent.buffer.opening import Opening
from towerops_agent.buffer.room import Room
from towerops_agent.buffer.store import Store
from towerops_agent.buffer.waiting import Waiting
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure
from towerops_agent.reasons import Loss

log = structlog.get_logger()

T = TypeVar("T")

RETRY_S = 1.0
LEAVES_AFTER_S = 10.0
"""How long the file can't be written until polls go on in memory, and are delivered from there. One that is gone from its
place is noticed before (opening.LOOK_EACH_S)."""
POLLS_PER_COMMIT = 1_024
POLLS_AT_LEAST = 16
EVENTS_WITHIN_S = 60.0
"""How long events wait for polls to be written with: flash cards wear."""
EVENTS_WAITING = 1_000
"""How many wait at most, if the database can't be written; the oldest are left out then."""

_Job = tuple[Callable[[Store], Any], asyncio.Future[Any], bool]


class Writer:
    """The writer thread, as the event loop's thread handles it. What is counted is counted on the loop."""

    def __init__(
        self,
        opening: Opening,
        room: Room,
        counters: Counters,
        *,
        window_s: float,
        cap_polls: int,
        on_polls: Callable[[], None],
        on_layouts_lost: Callable[[], None],
    ) -> None:
        """Called on the event loop: `on_polls` when there are some to deliver, `on_layouts_lost` when ids have become void."""
        self._opening = opening
        self._room = room
        self._counters = counters
        self._cap_polls = cap_polls
        self._on_polls = on_polls
        self._on_layouts_lost = on_layouts_lost
        self.moved: Callable[[float], None] = lambda _again_within_s: None
        """Called on the thread at each of its turns, with the seconds until the next one at the latest."""
        opening.moved = lambda: self.moved(0.0)
        self._thread = threading.Thread(target=self._run, name="buffer-writer", daemon=True)
        self._wake = threading.Condition()
        self._waiting = Waiting(window_s, cap_polls)  # this and the next four are guarded by _wake
        self._jobs: deque[_Job] = deque()
        self._events: deque[Event] = deque(maxlen=EVENTS_WAITING)
        self._events_due_s = inf
        self._stopping = False
        self._failure: Exception | None = None  # of the last try to commit; this and the next three are the thread's own
        self._failing_since_s = 0.0
        self._held_in: Store | None = None
        self._at_once = POLLS_PER_COMMIT

    async def start(self) -> None:
        """Start the thread and open the Store on it; raises what opening raises."""
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._opened = opened
        self._thread.start()
        try:
            await opened
        except asyncio.CancelledError:  # nobody will come to stop it
            with self._wake:
                self._stopping = True
                self._wake.notify()
            raise

    async def ended(self) -> None:
        """Once the thread has ended; raises why, if it has by itself: no memory for what is done between jobs, or a bug."""
        await asyncio.shield(self._stopped)

    async def stop(self) -> None:
        """Run the jobs that are left, commit what is left, close the Store. Raises what ended the thread before, if anything."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await self._stopped
        self._thread.join()

    def put(self, row: PollRow) -> None:
        """Have a poll committed within the window. Never waits for the disk."""
        with self._wake:
            if self._stopping or not self._thread.is_alive():
                raise RuntimeError("the buffer is not open")
            is_first = self._waiting.is_held
            if self._waiting.put(row, time.monotonic):
                self._wake.notify()
            dropped = self._waiting.drop_oldest()
        self._count_dropped(dropped)
        if is_first:
            self._on_polls()

    def note(self, event: Event) -> None:
        """Have an event committed with the polls, or by itself if none come. Never waits for the disk."""
        with self._wake:
            if self._stopping:
                raise RuntimeError("the buffer is closed")
            if not self._events:
                self._events_due_s = time.monotonic() + EVENTS_WITHIN_S
                self._wake.notify()
            self._events.append(event)

    def submit(self, job: Callable[[Store], T], *, sees_polls: bool = True) -> asyncio.Future[T]:
        """The job's result, or its exception; sqlite3's come as BufferFailure. `sees_polls`: all that were put before."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._wake:
            if self._stopping:
                raise RuntimeError("the buffer is closed")
            self._jobs.append((job, future, sees_polls))
            self._wake.notify()
        return future

    def line_up(self, lines: Sequence[str]) -> asyncio.Future[None]:
        """Have polls go to these lines, in whatever Store there will be."""

        def job(store: Store) -> None:
            self._opening.lines = tuple(lines)
            store.line_up(lines)

        return self.submit(job)

    # The rest runs on the thread.

    def waiting(self) -> list[PollRow]:
        """The polls that can be in the tables as soon as somebody asks for them."""
        with self._wake:
            return [] if self._failure is not None else list(self._waiting.rows)

    def check_committed(self, _: Store) -> None:
        """A job: raises BufferFailure if polls put before it could not be committed."""
        if self._failure is not None:
            raise self._mapped(self._failure)

    def secure(self, store: Store) -> None:
        """A job: have the polls put before it on the disk now. Raises BufferFailure if they can't be."""
        if not self._hold():
            self._commit()
        self.check_committed(store)

    def _run(self) -> None:
        try:
            self._opening.open(time.monotonic())
            self._report()
        except BaseException as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the opening
            self._post(_settle, self._opened, None, error)
            return
        self._post(_settle, self._opened, None, None)
        ended_by: BaseException | None = None
        try:
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the end
            ended_by = error
        self._stopping = True
        try:
            self._close()
        except BaseException as error:  # noqa: BLE001 -- as above
            ended_by = ended_by or error
        self._report_end(ended_by)

    def _report_end(self, ended_by: BaseException | None) -> None:
        """Have what awaits this thread end. Without memory for that it would wait for good, so it is tried until it is done."""
        is_reported = False
        while not (is_reported or self._stopped.done() or self._loop.is_closed()):
            try:
                self._post(self._note_end, ended_by)
                is_reported = ended_by is None
            except MemoryError:
                pass
            if not is_reported:
                time.sleep(RETRY_S)

    @property
    def _store(self) -> Store:
        return self._opening.store

    def _report(self) -> None:
        """Have counted, on the loop, what turned out to be lost."""
        opening, lanes = self._opening, self._store.lanes
        for count, reason, metrics in (
            (Count.METRICS_DROPPED, Loss.CORRUPT, opening.lost_metrics),
            (Count.METRICS_DROPPED, Loss.DAMAGED, lanes.damaged),
            (Count.METRICS_EVICTED, Loss.DELIVERED, opening.left_metrics),
        ):
            if metrics:
                self._post(self._counters.add, count, reason, metrics)
        if opening.layouts_lost:
            self._post(self._on_layouts_lost)
        opening.lost_metrics, opening.left_metrics, opening.layouts_lost, lanes.damaged = 0, 0, False, 0

    def _turn(self) -> bool:
        """Wait, commit what is due, run at most one job. False: it is time to stop."""
        with self._wake:
            while not self._jobs and not self._stopping:
                timeout_s = self._waits_s()
                if timeout_s <= 0:
                    break
                self.moved(timeout_s)
                self._wake.wait(timeout_s)
            job = self._jobs[0] if self._jobs else None
            stopping = self._stopping
        self.moved(0.0)
        before, now_s = self._store, time.monotonic()
        at_end = stopping and job is None
        if now_s >= self._opening.due_s or (at_end and self._store.database.path is None):
            self._opening.look(now_s, at_stop=at_end)
        if self._store is not before:
            self._follow_store()
            self._post(self._on_polls)  # what waits there may be delivered, though no poll comes
        if (
            at_end
            or (job and job[2])
            or now_s >= min(self._waiting.store_s, self._events_due_s)
            or (now_s >= self._waiting.due_s and not self._hold())
        ):
            self._commit()
        self._report()
        if now_s >= self._opening.recovery_due_s and self._opening.needs_tail:
            self._go_on_recovering()  # that commit has met a corrupt file: the job is to see what a small one has
        if job is not None:
            self._run_job(*job[:2])
            with self._wake:
                self._jobs.popleft()
        elif stopping:
            return False
        if now_s >= self._opening.recovery_due_s:
            self._go_on_recovering()
        return True

    def _go_on_recovering(self) -> None:
        self.moved(0.0)
        self._opening.recovery_due_s = time.monotonic() + RETRY_S  # if this fails
        try:
            if self._opening.needs_tail:
                if not self._hold():
                    self._commit()
                if self._failure is None:
                    self._opening.note_tail()
            if self._opening.go_on_recovering(time.monotonic()):
                self._post(self._on_polls)
        except FAILURES as error:  # if it is not corruption, it is tried again
            self._renew(error)
        self._report()

    def _waits_s(self) -> float:
        due_s = min(self._opening.due_s, self._waiting.due_s, self._waiting.store_s, self._events_due_s)
        return min(due_s, self._opening.recovery_due_s) - time.monotonic()

    def _fold(self) -> bool:
        """Whether the journal was folded into the file, so that it need not grow; not so if there was nothing in it."""
        path = self._store.database.path
        try:
            if path is None or not Path(f"{path}-wal").stat().st_size:
                return False  # what fails all the same would be tried again for ever
            retention.checkpoint(self._store.connection)
        except (*FAILURES, OSError):
            return False
        return True

    def _hold(self) -> bool:
        """Whether all polls are on the disk, in the tail."""
        self._follow_store()
        with self._wake:
            rows, seen_s = self._waiting.not_held(), time.monotonic()
        try:
            if self._failure is not None or not self._store.hold(rows):
                return False
        except FAILURES:
            return False  # what to do about it is known when they are committed
        with self._wake:
            self._waiting.note_held(len(rows), seen_s)
        return True

    def _follow_store(self) -> None:
        """Note that nothing is in the tail of another Store: what gathered here is not copied into it."""
        if self._store is not self._held_in:
            self._held_in = self._store
            with self._wake:
                self._waiting.unhold()

    def _commit(self) -> None:
        folded = False
        while any(taken := self._take()):
            self.moved(0.0)
            try:
                self._store.add_polls(*taken)
            except Exception as error:  # noqa: BLE001 -- the thread's edge: whatever it is, polling goes on
                self._put_back(*taken)
                self._note_failure(error)
                if self._renew(error):
                    continue
                if can_be_the_journal(error) and not folded and self._fold():
                    folded = True
                    continue
                if not is_full(error):
                    if self._leave_unwritable(error):
                        continue
                    return
                if not self._make_room() and self._at_once == POLLS_AT_LEAST:
                    if self._leave_full_disk() or self._leave_unwritable(error):
                        continue
                    return
                self._at_once = max(self._at_once // 2, POLLS_AT_LEAST)  # a smaller commit has to find less room
                continue
            folded = False
            self._at_once = min(self._at_once * 2, POLLS_PER_COMMIT)
            if self._failure is not None and not self._waiting.rows:
                self._failure = None
                log.info("buffer writable again", path=str(self._store.database))
                self._post(self._on_polls)
            self._make_room()

    def _make_room(self) -> bool:
        """Whether anything was evicted for it."""
        is_evicted = False
        try:
            for reason, metrics in self._room.make(self._store):
                self._post(self._counters.add, Count.METRICS_EVICTED, reason, metrics)
                is_evicted = True
        except FAILURES as error:
            if not self._renew(error):
                log.debug("no room could be made in the buffer", path=str(self._store.database), error=str(error))
            return False
        return is_evicted

    def _renew(self, error: BaseException) -> bool:
        return self._opening.renew(error, time.monotonic())

    def _leave_full_disk(self) -> bool:
        self._follow_store()
        return self._opening.leave_full_disk(time.monotonic()) and self._has_left()

    def _leave_unwritable(self, error: Exception) -> bool:
        now_s = time.monotonic()
        if not isinstance(error, FAILURES) or is_corruption(error) or now_s < self._failing_since_s + LEAVES_AFTER_S:
            return False
        self._follow_store()
        return self._opening.leave_unwritable(error, now_s) and self._has_left()

    def _has_left(self) -> bool:
        with self._wake:  # what is in the tail waits there, with the rest of the file
            self._waiting.leave_held()
        self._follow_store()
        self._failure = None
        self._post(self._on_polls)
        return True

    def _take(self) -> tuple[list[PollRow], list[Event]]:
        self._follow_store()
        with self._wake:
            noted, self._events_due_s = list(self._events), inf
            self._events.clear()
            return self._waiting.take(self._at_once, self._room.commit_octets), noted

    def _put_back(self, rows: list[PollRow], noted: list[Event]) -> None:
        with self._wake:
            later, again_s = list(self._events), time.monotonic() + RETRY_S
            self._events.clear()
            self._events.extend([*noted, *later])  # the oldest fall out of it
            self._events_due_s = again_s if self._events else inf
            self._waiting.put_back(rows, again_s)
            dropped = self._waiting.drop_oldest()
        self._post(self._count_dropped, dropped)

    def _note_failure(self, error: Exception) -> None:
        expected = isinstance(error, (*FAILURES, MemoryError))
        if self._failure is None:
            self._failing_since_s = time.monotonic()
        if self._failure is None and not is_corruption(error):
            log.error(
                "buffer can't be written, polls stay in memory; will retry each second",
                path=str(self._store.database),
                error=str(error),
                cap_polls=self._cap_polls,
                exc_info=None if expected else error,
            )
            if not expected:
                self._post(self._counters.add, Count.BUGS, "buffer")
        self._failure = error

    def _run_job(self, job: Callable[[Store], Any], future: asyncio.Future[Any]) -> None:
        result, failure = None, None
        try:
            result = job(self._store)
        except Exception as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the job
            failure = self._mapped(error)
            if (can_be_the_journal(error) and self._fold()) or (is_full(error) and self._leave_full_disk()):
                result, failure = self._again(job)
            else:
                self._renew(error)
        self._report()
        if self._room.is_tight:
            self._make_room()
        self._post(_settle, future, result, failure)

    def _again(self, job: Callable[[Store], Any]) -> tuple[Any, Exception | None]:
        try:
            return job(self._store), None
        except Exception as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the job
            if is_full(error) and self._leave_full_disk():
                return self._again(job)
            return None, self._mapped(error)

    def _close(self) -> None:
        with self._wake:
            self._stopping = True
            rows = self._waiting.not_held()
            self._waiting.rows.clear()
        lost = sum(row[2] for row in rows)
        try:
            if self._store.database.path is None:
                lost += max(self._store.lanes.pending(line).metrics for line in self._store.lines)
            self._opening.close()
        except FAILURES as error:
            log.warning("the database did not close cleanly", path=str(self._store.database), error=str(error))
        if lost:
            log.error("polls lost, the buffer could not be written before the stop", metrics=lost)
            self._post(self._count_dropped, lost)

    def _mapped(self, error: Exception) -> Exception:
        if not isinstance(error, FAILURES):
            return error
        failure = BufferFailure(f"the database {self._store.database} can't be used: {error}")
        failure.__cause__ = error
        return failure

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function, *arguments)

    # The loop's again.

    def _note_end(self, ended_by: BaseException | None) -> None:
        for _, future, _ in self._jobs:  # some are left only if it has ended by itself
            _settle(future, None, BufferFailure("the buffer's writer has stopped"))
        self._jobs.clear()
        _settle(self._stopped, None, ended_by)

    # Either thread's.

    def _count_dropped(self, metrics: int) -> None:
        if metrics:
            self._counters.add(Count.METRICS_DROPPED, Loss.BUFFER_UNAVAILABLE, metrics)


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # its awaiter was cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
