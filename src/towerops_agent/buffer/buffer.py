"""The buffer as the event loop sees it: polls go in, batches come out.

poller -> add -> [writer thread, SQLite] -> take_batch, or next_batch and read -> courier -> acknowledge.
All but `add` waits for the writer thread (buffer.writer). Times are microseconds since 1970-01-01 UTC (`_us`).
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

from towerops_agent.buffer import events, refused, retention, values
from towerops_agent.buffer.format.batch import Batch, Lane, LeftOut, Pending, RefusedMetric, Sent, StoredPoll
from towerops_agent.buffer.format.codec import PollRow, encode_poll
from towerops_agent.buffer.format.event import Event
from towerops_agent.buffer.opening import Opening
from towerops_agent.buffer.retention import Step
from towerops_agent.buffer.room import Room
from towerops_agent.buffer.store import Store
from towerops_agent.buffer.writer import Writer
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll

T = TypeVar("T")

DAY_S = 24 * 3600
REFUSED_KEPT_S = 7 * DAY_S

_CONFIG = "config"


def _expire_open(store: Store) -> Step:
    return retention.remove_open(store.connection, store.age_s - DAY_S, latest_s=store.latest_s)


def _expire_uncut(store: Store) -> Step:
    return retention.remove_uncut(store.connection, store.age_s - DAY_S, latest_s=store.latest_s)


def _keep_clock(store: Store) -> Step:
    store.keep_clock()
    return Step()


_EXPIRING: tuple[Callable[[Store], Step], ...] = (_expire_open, _expire_uncut)
_UPKEEP: tuple[Callable[[Store], Step], ...] = (
    *_EXPIRING,
    lambda store: retention.remove_sent(store.connection, store.age_s - DAY_S),
    lambda store: events.expire(store.connection, store.age_s),
    lambda store: refused.expire(store.connection, store.age_s - REFUSED_KEPT_S),
    Store.remove_layouts,
    Store.pack,
    Store.remove_unreached,
    Store.remove_packs,
    _keep_clock,
    lambda store: retention.vacuum(store.connection),
)
"""In order; each is called until it says that it is done."""


def random_key() -> str:
    """A new idempotency key: 122 random bits, 32 hexadecimal digits."""
    return uuid4().hex


class Buffer:
    """Polls on disk until they are delivered, and a day longer.

    Inert until entered. What it does raises BufferFailure where the database fails; `add` never does.
    """

    def __init__(
        self,
        path: Path,
        counters: Counters,
        *,
        clock_us: Callable[[], int],
        monotonic_us: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
        max_octets: int = 1 << 30,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
        commit_window_s: float = 5.0,
        memory_cap_polls: int = 20_000,
        new_key: Callable[[], str] = random_key,
        first_id: Callable[[], int] = lambda: 1,
    ) -> None:
        """`clock_us`: the wall clock, of which nothing depends but what is shown, and how long a stop was.

        `max_octets`: of the database with its journal; while the file can't be opened, 64 MB of memory are used instead.
        `commit_window_s`: how long polls are gathered before they are on the disk.
        `memory_cap_polls`: how many polls are kept in memory while the database can't be written (1 to 4 KB each).
        `first_id`: the first id of a new database.
        """
        self._counters = counters
        self._clock_us = clock_us
        self._new_key = new_key
        self._arrived = asyncio.Event()
        room = Room(max_octets, statvfs)
        self._opening = Opening(path, room, clock_us, monotonic_us, first_id)
        self._writer = Writer(
            self._opening,
            room,
            counters,
            window_s=commit_window_s,
            cap_polls=memory_cap_polls,
            on_polls=self._announce,
            on_layouts_lost=self._note_layouts_lost,
        )
        self.layouts_lost = asyncio.Event()
        """Set when layouts, or what was kept beside them, are lost with a database that was corrupt, and if there were none yet
        when a file comes into use: apply what is kept, and register all again."""

    @property
    def in_memory_because(self) -> str:
        """Why polls are kept in memory only; "" if they are in the database file."""
        return self._opening.in_memory_because

    @property
    def salvaging(self) -> str:
        """How far the copying of a corrupt database has come, in words; "" if none is being copied."""
        return self._opening.salvaging

    async def salvage(self) -> None:
        """Return once nothing is left to be copied of a corrupt database, or what is left has to wait."""
        while await self.ask(lambda _: self._opening.recovery_due_s <= time.monotonic(), sees_polls=False):
            pass

    @property
    def replaced(self) -> Path | None:
        """If a corrupt database was put when a new one was begun in its place, the last time; None: there was none."""
        return self._opening.replaced

    async def __aenter__(self) -> Self:
        """Open the database. Raises DatabaseBusy and DatabaseTooNew.

        One that can't be opened for another reason is tried again every 5 s; until then all is kept in memory.
        """
        await self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit what was added, close the database. Raises what `ended` does."""
        await self._writer.stop()

    def watch(self, moved: Callable[[float], None]) -> None:
        """From now on call this at each turn of the writer's thread, on it, with the seconds until the next one at most."""
        self._writer.moved = moved

    async def ended(self) -> None:
        """Once nothing is written any more; raises why, if that is not because the block ends: too little memory, or a bug."""
        await self._writer.ended()

    # In

    async def register(self, layout: Layout) -> int:
        """The id under which polls of this layout are added; stored once per content, valid until the buffer is closed."""
        return (await self.register_all([layout]))[0]

    async def register_all(self, layouts: Iterable[Layout]) -> list[int]:
        """The ids of the layouts, in order, in one transaction. The iterable is run through on the writer thread."""
        return await self.ask(lambda store: store.register(layouts), sees_polls=False)

    async def use_layouts(self, ids: Collection[int]) -> None:
        """Note that of all layouts only these are in use: the others are freed once no poll belongs to them."""
        in_use = frozenset(ids)
        await self.ask(lambda store: store.use_layouts(in_use), sees_polls=False)

    def add(self, poll: Poll) -> None:
        """Have the poll stored within the window, or kept in memory while the database can't be written. Never waits.

        A poll that makes no metric is not stored. Raises ValueError or OverflowError on values that a Poll must not hold.
        """
        if poll.metric_count:
            self._writer.put(encode_poll(poll))

    def note(self, event: Event) -> None:
        """Keep an event for two days. It is on the disk with the next polls, after a minute at the latest; never waits for it."""
        self._writer.note(event)

    async def end(self) -> tuple[int, int | None]:
        """The id that the next poll gets, lower than that of any to come, and when the last one began; None: there is none."""
        return await self.ask(Store.end)

    async def move(self, first: int, late_us: int) -> int:
        """Have all polls from the id `first` on that are stored by now be so much later; how many ids they have.

        For such as were never sent: a batch that is sent again is to be the same. What is kept under UNSURE_KEY is void then.
        """
        return await self.ask(lambda store: store.move(first, late_us))

    async def flush(self) -> None:
        """Return once all polls added so far are in the tables; raises BufferFailure if they can't be, and they are kept."""
        await self.ask(self._writer.check_committed)

    async def secure(self) -> None:
        """Return once all polls added so far are on the disk, as they are at the end of the window."""
        await self.ask(self._writer.secure, sees_polls=False)

    # Out

    async def wait_for_pending(self) -> None:
        """Return once anything is undelivered, and can be read."""
        while True:
            arrived = self._arrived
            if await self.ask(lambda store: bool(self._writer.waiting()) or store.lanes.has_pending(), sees_polls=False):
                return
            await arrived.wait()

    async def line_up(self, destinations: Sequence[str]) -> None:
        """Have polls go to these destinations from now on, by the names of their lines; "" is the API's.

        Each has its own batches, acknowledgements and backlog, of polls that are stored once. A new one begins with the polls to
        come; what one that is gone had not got is kept for a day, should it come back.
        """
        await self._writer.line_up(destinations)

    async def next_batch(
        self, max_metrics: int, lane: Lane = Lane.FRESH, exclude: Collection[int] = (), destination: str = ""
    ) -> Batch | None:
        """The lane's batch to send now: the first one still open, whatever its size, else a new one of at most `max_metrics`.

        Each lane has open batches of its own; the halves of a split stay in its lane. `exclude`: ids of batches that are not
        meant, as they are under way. None: nothing else is pending in the lane.
        """
        under_way = frozenset(exclude)
        return await self.ask(
            lambda store: store.lanes.next_batch(max_metrics, lane, self._new_key, self._clock_us(), under_way, destination)
        )

    async def take_batch(
        self,
        max_metrics: int,
        lane: Lane = Lane.FRESH,
        exclude: Collection[int] = (),
        destination: str = "",
        sent: Sequence[Sent] = (),
    ) -> tuple[Batch, list[StoredPoll]] | None:
        """The batch of `next_batch` with what `read` returns of it, for one wakeup of each thread instead of two.

        `sent`: batches to `acknowledge`, in the commit that cuts this one. Raises BufferFailure: if this one can't be read it
        stays open, and of `sent` either all are acknowledged or none, which may be repeated.
        """
        under_way = frozenset(exclude)
        return await self.ask(
            lambda store: store.take_batch(
                *(max_metrics, lane, self._new_key, self._clock_us()), exclude=under_way, destination=destination, sent=sent
            )
        )

    async def part_backlog(self, destination: str = "") -> None:
        """Make all that has been added so far and is undelivered backlog, so that the polls to come can go first.

        Batches keep their members and keys. What is backlog stays so over restarts.
        """
        await self.ask(lambda store: store.lanes.part_backlog(destination))

    async def read(self, batch: Batch) -> list[StoredPoll]:
        """The polls that the batch has metrics of, the same ones each time.

        Damaged polls are left out, counted as dropped, and no longer in the batch. None are left of a batch that has expired, or
        that is in a corrupt file and not copied yet: then `close_empty` is to be called.
        """
        return await self.ask(lambda store: store.read(batch), sees_polls=False)

    async def acknowledge(self, batch: Batch, left_out: Sequence[LeftOut] = ()) -> None:
        """The server has the batch, but for what was left out, which is kept. Nothing happens if it is no longer open."""
        await self.ask(lambda store: store.acknowledge(batch, left_out, self._clock_us()), sees_polls=False)

    async def close_empty(self, batch: Batch) -> None:
        """No poll of the batch could be read: close it, unless it comes from a corrupt file later."""
        await self.ask(lambda store: store.close_empty(batch), sees_polls=False)

    async def split(self, batch: Batch) -> tuple[Batch, Batch]:
        """Two open batches with keys of their own in place of the batch. Raises BufferFailure if it is no longer open."""
        return await self.ask(lambda store: store.split(batch, self._new_key, self._clock_us()), sees_polls=False)

    async def refuse(self, batch: Batch, metric: bytes, reason: str) -> None:
        """The server refused the one metric of the batch: keep it with the reason, and go on without."""
        await self.ask(lambda store: store.refuse(batch, metric, reason, self._clock_us()), sees_polls=False)

    async def refused(self, limit: int = 100) -> list[RefusedMetric]:
        """The refused metrics, the latest first; 10,000 are kept, for 7 days."""
        return await self.ask(lambda store: refused.latest(store.connection, limit), sees_polls=False)

    async def refused_of(self, beginning: bytes, limit: int, before: int | None = None) -> list[tuple[int, RefusedMetric]]:
        """The metrics that the server refused whose JSON begins so, the latest first, each with its number, below `before`."""
        return await self.ask(lambda store: refused.of_series(store.connection, beginning, limit, before), sees_polls=False)

    async def release(self, numbers: Sequence[int]) -> None:
        """The server has the refused metrics with these numbers after all."""
        await self.ask(lambda store: refused.release(store.connection, numbers), sees_polls=False)

    async def pending(self, destination: str = "") -> Pending:
        """What is not delivered. Cheap: it reads no more than the rows of open batches."""
        return await self.ask(lambda store: _with(store.lanes.pending(destination), self._writer.waiting()), sees_polls=False)

    async def most_pending(self) -> int:
        """How many metrics wait for the destination that most wait for."""

        def job(store: Store) -> int:
            return max(_with(store.lanes.pending(line), self._writer.waiting()).metrics for line in store.lines)

        return await self.ask(job, sees_polls=False)

    async def ask(self, job: Callable[[Store], T], *, sees_polls: bool = True) -> T:
        """The result of `job`, run on the writer thread; all other methods are made of it.

        `sees_polls`: those added before are in the tables by then, which costs a commit.
        """
        return await self._writer.submit(job, sees_polls=sees_polls)

    # Upkeep

    async def clean_up(self, moved: Callable[[float], None] = lambda _again_within_s: None) -> None:
        """Remove what was sent a day ago, what could not be sent for a day (counted as expired), what is unused; pack the rest.

        In small steps, so that polls are written in between. For a call each few minutes. `moved` is called before each step, of
        which there may be thousands after a long stop.
        """
        for step in _UPKEEP:
            done = False
            while not done:
                moved(0.0)
                result = await self.ask(step)
                if step in _EXPIRING:
                    for line, metrics in result.of_lines.items():
                        self._counters.add(Count.METRICS_EXPIRED, line, metrics)
                done = result.done

    async def kept_config(self) -> bytes | None:
        """The last good configuration as it was given to keep_config; None: none yet."""
        return await self.get_meta(_CONFIG)

    async def keep_config(self, octets: bytes) -> None:
        """Keep the configuration over restarts, as it is given."""
        await self.put_meta(_CONFIG, octets)

    def keeping_config(self) -> "Keeping":
        """What keeps a configuration as it comes, so that not all of it has to be in memory."""
        return Keeping(self, _CONFIG)

    async def get_meta(self, key: str) -> bytes | None:
        """What was put under `key`; None: nothing."""
        return await self.ask(lambda store: store.get_meta(key), sees_polls=False)

    async def put_meta(self, key: str, value: bytes | bytearray) -> None:
        """Keep a small value under `key`, over restarts."""
        await self.ask(lambda store: store.put_meta(key, value), sees_polls=False)

    def _note_layouts_lost(self) -> None:
        self.layouts_lost.set()

    def _announce(self) -> None:
        # A new event each time: whoever held the old one is woken, and nobody can clear what another still waits for.
        self._arrived.set()
        self._arrived = asyncio.Event()


def _with(pending: Pending, waiting: Sequence[PollRow]) -> Pending:
    """What is pending with polls that are not in the tables yet."""
    if not waiting:
        return pending
    return replace(
        pending,
        metrics=pending.metrics + sum(row[2] for row in waiting),
        polls=pending.polls + len(waiting),
        oldest_started_at_us=waiting[0][1] if pending.oldest_started_at_us is None else pending.oldest_started_at_us,
    )


class Keeping:
    """Keeps a value under `key` as it comes. Until `done` has returned there is what was there before, also after a kill."""

    def __init__(self, buffer: Buffer, key: str) -> None:
        self._buffer = buffer
        self._key = key
        self._write = values.new_write()
        self._pieces = 0
        self._rest = bytearray()

    async def add(self, octets: bytes) -> None:
        """The next octets. Raises BufferFailure."""
        self._rest += octets
        while len(self._rest) > values.PIECE_OCTETS:
            await self._put(bytes(self._rest[: values.PIECE_OCTETS]))
            del self._rest[: values.PIECE_OCTETS]

    async def done(self) -> None:
        """That was all of it. Raises BufferFailure."""
        if not self._pieces:
            await self._buffer.put_meta(self._key, bytes(self._rest))
            return
        await self._put(bytes(self._rest))
        await self._buffer.ask(lambda store: store.end_pieces(self._key, self._write, self._pieces), sees_polls=False)

    async def _put(self, piece: bytes) -> None:
        try:
            await self._buffer.ask(lambda store: store.put_piece(self._key, self._write, self._pieces, piece), sees_polls=False)
        except BufferFailure:
            with suppress(BufferFailure):  # the next write removes them; a full disk may need the room now
                await self._buffer.ask(lambda store: store.drop_pieces(self._key), sees_polls=False)
            raise
        self._pieces += 1
