"""The thread that owns the Store: polls gathered and committed together, jobs run one after another.

Polls put -> one transaction per window. A job sees all polls put before it. Where the database can't be written, polls stay in
memory up to a cap, oldest dropped and counted, and are tried again each second: polling goes on.
Knows the event loop by call_soon_threadsafe alone. Times are seconds on the monotonic clock.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from towerops_agent.buffer.codec import PollRow
from towerops_agent.buffer.database import is_corruption
from towerops_agent.buffer.store import Store
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure

log = structlog.get_logger()

T = TypeVar("T")

RETRY_S = 1.0
POLLS_PER_COMMIT = 1_000

_Job = tuple[Callable[[Store], Any], asyncio.Future[Any]]


class Writer:
    """The writer thread, as the event loop's thread handles it. What is counted is counted on the loop."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        counters: Counters,
        *,
        window_s: float,
        cap_polls: int,
        on_commit: Callable[[], None],
    ) -> None:
        """`on_commit` is called on the event loop after polls were committed."""
        self._open_store = open_store
        self._counters = counters
        self._window_s = window_s
        self._cap_polls = cap_polls
        self._on_commit = on_commit
        self._thread = threading.Thread(target=self._run, name="buffer-writer", daemon=True)
        self._wake = threading.Condition()
        self._rows: deque[PollRow] = deque()  # this and the next three are guarded by _wake
        self._due_s = 0.0
        self._jobs: deque[_Job] = deque()
        self._stopping = False
        self._failure: Exception | None = None  # of the last try to commit; the thread's own

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

    async def stop(self) -> None:
        """Run the jobs that are left, commit what is left, close the Store."""
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
            if not self._rows:
                self._due_s = time.monotonic() + self._window_s
                self._wake.notify()
            self._rows.append(row)
            dropped = self._drop_oldest()
        self._count_dropped(dropped)

    def submit(self, job: Callable[[Store], T]) -> asyncio.Future[T]:
        """The job's result, or its exception; sqlite3's come as BufferFailure."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._wake:
            if self._stopping:
                raise RuntimeError("the buffer is closed")
            self._jobs.append((job, future))
            self._wake.notify()
        return future

    # The rest runs on the thread.

    def check_committed(self, store: Store) -> None:
        """A job: raises BufferFailure if polls put before it could not be committed."""
        if self._failure is not None:
            raise self._mapped(store, self._failure)

    def _run(self) -> None:
        try:
            store = self._open_store()
        except BaseException as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the opening
            self._post(_settle, self._opened, None, error)
            return
        self._post(_settle, self._opened, None, None)
        try:
            while self._turn(store):
                pass
        finally:
            self._close(store)
            self._post(_settle, self._stopped, None, None)

    def _turn(self, store: Store) -> bool:
        """Wait, commit what is due, run at most one job. False: it is time to stop."""
        with self._wake:
            while not self._jobs and not self._stopping:
                timeout_s = self._due_s - time.monotonic() if self._rows else None
                if timeout_s is not None and timeout_s <= 0:
                    break
                self._wake.wait(timeout_s)
            job = self._jobs[0] if self._jobs else None
            stopping = self._stopping
        self._commit(store)
        if job is None:
            return not stopping
        self._run_job(store, *job)
        with self._wake:
            self._jobs.popleft()
        return True

    def _commit(self, store: Store) -> None:
        while rows := self._take():
            try:
                store.add_polls(rows)
            except Exception as error:  # noqa: BLE001 -- the thread's edge: whatever it is, polling goes on
                self._put_back(rows)
                self._note_failure(store, error)
                return
            if self._failure is not None:
                self._failure = None
                log.info("buffer writable again", path=str(store.database.path))
            self._post(self._on_commit)

    def _take(self) -> list[PollRow]:
        with self._wake:
            return [self._rows.popleft() for _ in range(min(len(self._rows), POLLS_PER_COMMIT))]

    def _put_back(self, rows: list[PollRow]) -> None:
        with self._wake:
            self._rows.extendleft(reversed(rows))
            self._due_s = time.monotonic() + RETRY_S
            dropped = self._drop_oldest()
        self._post(self._count_dropped, dropped)

    def _note_failure(self, store: Store, error: Exception) -> None:
        if self._failure is None:
            log.error(
                "buffer can't be written, polls stay in memory, tried again each second",
                path=str(store.database.path),
                error=str(error),
                cap_polls=self._cap_polls,
                exc_info=None if isinstance(error, sqlite3.Error) else error,
            )
            if not isinstance(error, sqlite3.Error):
                self._post(self._counters.add, Count.BUGS, "buffer")
        self._failure = error
        _mark_damage(store, error)

    def _run_job(self, store: Store, job: Callable[[Store], Any], future: asyncio.Future[Any]) -> None:
        result, failure = None, None
        try:
            result = job(store)
        except Exception as error:  # noqa: BLE001 -- the thread's edge: it goes to whom awaits the job
            _mark_damage(store, error)
            failure = self._mapped(store, error)
        self._post(_settle, future, result, failure)

    def _close(self, store: Store) -> None:
        with self._wake:
            self._stopping = True
            rows, jobs = list(self._rows), list(self._jobs)
            self._rows.clear()
        for _, future in jobs:  # some are left only if a bug ended the thread
            self._post(_settle, future, None, BufferFailure("the buffer's writer has stopped"))
        lost = sum(row[2] for row in rows)
        if lost:
            log.error("polls lost, the buffer could not be written before the stop", polls=len(rows), metrics=lost)
            self._post(self._count_dropped, lost)
        try:
            store.close()
        except sqlite3.Error as error:
            log.warning("the database did not close well", path=str(store.database.path), error=str(error))

    @staticmethod
    def _mapped(store: Store, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        failure = BufferFailure(f"the database {store.database.path} can't be used: {error}")
        failure.__cause__ = error
        return failure

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function, *arguments)

    # Either thread's.

    def _drop_oldest(self) -> int:
        dropped = 0
        while len(self._rows) > self._cap_polls:
            dropped += self._rows.popleft()[2]
        return dropped

    def _count_dropped(self, metrics: int) -> None:
        if metrics:
            self._counters.add(Count.METRICS_DROPPED, "buffer_unavailable", metrics)


def _mark_damage(store: Store, error: Exception) -> None:
    if isinstance(error, sqlite3.Error) and is_corruption(error):
        store.database.mark_damaged(str(error))


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # its awaiter was cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
