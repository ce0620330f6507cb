"""The open database: polls written and read back, small kept values; lanes.py has the batches, refused.py what is quarantined.

Synchronous, for the writer's thread; each method is one transaction. What grows old is removed by retention.py.
Times are microseconds since 1970-01-01 UTC (`_us`), or seconds on the age clock (`_s`). Methods raise sqlite3.Error, which
buffer.writer maps.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import structlog

from towerops_agent.buffer import events, lanes, refused, retention, values
from towerops_agent.buffer.database import Corruption, Database, transaction
from towerops_agent.buffer.elsewhere import Elsewhere
from towerops_agent.buffer.format.batch import AgeClock, Batch, Lane, LeftOut, Sent, StoredPoll, cut
from towerops_agent.buffer.format.codec import (
    HEAD,
    Packing,
    PollHead,
    PollRow,
    checksum,
    decode_poll,
    is_head,
    is_intact,
)
from towerops_agent.buffer.format.event import Event
from towerops_agent.buffer.lanes import Lanes
from towerops_agent.buffer.layouts import CACHED_OCTETS, LOOKED_UP_OCTETS, Layouts, StoredLayouts
from towerops_agent.buffer.packer import Packer
from towerops_agent.buffer.retention import Step
from towerops_agent.buffer.tail import TailWriter, left_behind, read_tail
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout

log = structlog.get_logger()

CLOCK_KEPT_EVERY_US = 60_000_000
"""How often the age clock is written, within a commit: its row is a page of its own, and flash cards wear."""
CLOCK_BEHIND_S = CLOCK_KEPT_EVERY_US // 1_000_000
"""How much older than the clock's row a poll can be."""


MOVED_KEY = "moved"
"""Under which it is kept which polls have another time than they were stored with: a poll's checksum is over that."""

UNSURE_KEY = "unsure"
"""Under which it is kept from which poll on the time is unsure, and by which clock; nothing once they are moved."""

_moved_decoder = msgspec.msgpack.Decoder(list[tuple[int, int, int]])

LAYOUTS_KEY = "layouts"
FEW_LAYOUTS = 16
"""So many rows of layouts may fit into a page: a row is 40 octets there at least, the rest is elsewhere."""


class Store:
    """What can be done with the open database. Layouts registered with it stay valid until it is closed."""

    def __init__(
        self,
        database: Database,
        wall_us: Callable[[], int],
        monotonic_us: Callable[[], int],
        *,
        tail_in_use: bool = False,
        lines: Sequence[str] = (),
        elsewhere: Elsewhere | None = None,
        clock: AgeClock | None = None,
    ) -> None:
        """`tail_in_use`: the polls in its tail are in memory too, and come from there.
        `lines`: the destinations; none: those that it has.
        `elsewhere`: where to note what is delivered of batches that are not here; None: all that there are, are here.
        `clock`: of the Store before this one in this run, which goes on if the database does not have one of its own.
        """
        self.database = database
        self.connection = database.connection
        self.elsewhere = elsewhere
        self.earlier: Mapping[str, bytes] = {}
        """What a file keeps that can't be used, and is not here: values of which none are kept here are those."""
        self.is_filled = True
        """Whether all rows that belong together are here: not while a corrupt file is still copied into it (recovery.py)."""
        self.lanes = Lanes(self.connection)
        self.layouts = Layouts(self.connection)
        self.polls = Polls(self.connection, CACHED_OCTETS)
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        kept = self._kept_clock()
        self.clock = clock if clock is not None and kept is None else AgeClock(kept, wall_us(), monotonic_us())
        self._clock_kept_us = -CLOCK_KEPT_EVERY_US
        self._packer: Packer | None = None
        self._tail = TailWriter(self.connection)
        self.lines = lanes.open_lines(self.connection) or [""]
        if not tail_in_use:
            self._take_in_tail()
        if lines:
            self.line_up(lines)

    @property
    def age_s(self) -> int:
        """What the age clock shows."""
        return self.clock.age_us(self._monotonic_us()) // 1_000_000

    @property
    def latest_s(self) -> int:
        """The greatest age at which a poll can have been stored: after a kill the age clock may go on from before it."""
        return self.age_s + CLOCK_BEHIND_S

    def close(self) -> None:
        """Close the database; what SQLite keeps beside it is folded in."""
        try:
            self.keep_clock()
        finally:
            self.database.close()

    # Layouts

    def register(self, layouts: Iterable[Layout]) -> list[int]:
        """The ids of the layouts, in order; a layout stored before keeps its id."""
        ids = self.layouts.register(layouts)
        self._keep_few_layouts()
        return ids

    def _keep_few_layouts(self) -> None:
        """Have all layouts in a second place, if they are so few that one page may have them all: without them no poll is one."""
        rows = self._all("SELECT id, digest, body, checksum FROM layouts LIMIT ?", FEW_LAYOUTS + 1)
        are_sound = all(is_intact(layout, body, checked) for layout, _, body, checked in rows)
        if self.database.path is not None and are_sound and len(rows) <= FEW_LAYOUTS:
            kept = msgspec.msgpack.encode(rows)
            if self.get_meta(LAYOUTS_KEY) != kept:
                self.put_meta(LAYOUTS_KEY, kept)

    def use_layouts(self, ids: Collection[int]) -> None:
        """Note that of all layouts only these are in use."""
        self.layouts.use_only(ids, self.age_s)
        self.polls.layouts.keep_only(ids)

    # Destinations

    def line_up(self, lines: Sequence[str]) -> None:
        """Have these destinations get the polls from now on, by the names of their lines (lanes.line_up)."""
        with transaction(self.connection):
            lanes.line_up(self.connection, lines)
        self.lines = list(lines)

    # Polls

    def add_polls(self, rows: Sequence[PollRow], noted: Sequence[Event] = ()) -> None:
        """Append the polls to the open stretch of each line, and keep the events."""
        with transaction(self.connection):
            if rows:
                self._append(rows)
            if noted:
                events.add(self.connection, noted, self.age_s)
        if self._tail.polls:
            self._tail.note_stored(len(rows))

    def hold(self, rows: Sequence[PollRow]) -> bool:
        """Whether the polls are in the tail: on the disk, until `add_polls` gets them, after those that were held before."""
        return self.database.path is not None and self._tail.append(rows)

    def end(self) -> tuple[int, int | None]:
        """The id that the next poll gets, and when the one before began; None: there is none. Raises Corruption."""
        newest = self._all("SELECT started_at_us FROM polls ORDER BY id DESC LIMIT 1")
        return lanes.next_poll_id(self.connection), newest[0][0] if newest and type(newest[0][0]) is int else None

    def move(self, first: int, late_us: int) -> int:
        """Have the polls from `first` on be so much later than they were stored with; how many ids they have."""
        end = lanes.next_poll_id(self.connection)
        (lowest,) = self.connection.execute("SELECT coalesce(min(id), 0) FROM polls").fetchone()
        moved = [one for one in self.polls.moved if one[1] > lowest]
        if late_us and end > first:
            moved.append((first, end, late_us))
        with transaction(self.connection):
            values.keep_value(self.connection, MOVED_KEY, msgspec.msgpack.encode(moved))
            values.keep_value(self.connection, UNSURE_KEY, b"")
        self.polls.moved = moved
        return max(end - first, 0)

    def _take_in_tail(self) -> None:
        """Add the polls that an earlier run has left in the tail."""
        found, lost = left_behind(read_tail(self.connection), lanes.next_poll_id(self.connection))
        if not found and not lost:
            return
        with transaction(self.connection):
            self._append([row for _, row in found])
            self._tail.wipe()
        log.info("polls that were left in the tail are stored", polls=len(found), lost_metrics=lost)
        self.lanes.damaged += lost

    def _append(self, rows: Sequence[PollRow]) -> None:
        age_s = self.age_s
        for layout_id, started_at_us, metric_count, body in rows:
            poll = self._do(
                "INSERT INTO polls (layout_id, started_at_us, metric_count, age_s) VALUES (?, ?, ?, ?)",
                *(layout_id, started_at_us, metric_count, age_s),
            )
            self._do("INSERT INTO bodies (poll, body) VALUES (?, ?)", poll, body)
        metrics = sum(row[2] for row in rows)
        for line in self.lines:
            stretch = lanes.open_stretch(self.connection, line)
            grown = replace(stretch, polls=stretch.polls + len(rows), metrics=stretch.metrics + metrics)
            lanes.write_stretch(self.connection, grown)
        age_us = self.clock.age_us(self._monotonic_us())
        if age_us >= self._clock_kept_us + CLOCK_KEPT_EVERY_US:
            self._write_clock(age_us)

    def take_batch(
        self,
        max_metrics: int,
        lane: Lane,
        new_key: Callable[[], str],
        now_us: int,
        *,
        exclude: Collection[int],
        destination: str,
        sent: Sequence[Sent],
    ) -> tuple[Batch, list[StoredPoll]] | None:
        """The batch of Lanes.next_batch with its polls. `sent`: batches to be marked sent, in the transaction that cuts it."""

        def mark() -> None:
            for one, left_out in sent:
                self._mark_sent(one, left_out, now_us)

        others = {*exclude, *(one.id for one, _ in sent)}
        batch = self.lanes.next_batch(max_metrics, lane, new_key, now_us, others, destination, mark if sent else None)
        return None if batch is None else (batch, self.read(batch))

    def read(self, batch: Batch) -> list[StoredPoll]:
        """The polls of the batch, without those that are damaged: their metrics are lost, and no longer in the batch.

        None of a batch that is yet to be copied from a corrupt file: of its polls a part may be here.
        """
        now = lanes.open_batch(self.connection, batch.id)
        if now is None and not self.is_filled:
            return []
        polls, counted, reasons = self._read(batch)
        found = sum(poll.stop_metric - poll.first_metric for poll in polls)
        if now is not None and found < now.metric_count:
            with transaction(self.connection):
                lanes.write_batch(self.connection, replace(now, metric_count=found), None)
            lost = max(now.metric_count - found - counted, 0)
            self.lanes.damaged += lost
            reason = reasons[0] if reasons else "their rows are missing"
            log.warning("damaged polls left out", batch=batch.id, polls=len(reasons), metrics=lost, error=reason)
        return polls

    def _read(self, batch: Batch) -> tuple[list[StoredPoll], int, list[str]]:
        """The polls; how many metrics of others version 2 has counted as lost; what is wrong with each of the rest."""
        polls: list[StoredPoll] = []
        counted = 0
        reasons: list[str] = []
        start, end = batch.start, batch.stop
        for (poll_id, _, _, metric_count), poll in self.polls.decode(self.polls.between(start.poll, batch.last_poll)):
            first = start.metric if poll_id == start.poll else 0
            stop = end.metric if poll_id == end.poll else metric_count
            match poll:
                case StoredPoll() if first < stop <= metric_count:
                    is_whole = not first and stop == metric_count
                    polls.append(poll if is_whole else replace(poll, first_metric=first, stop_metric=stop))
                case BufferFailure():
                    reasons.append(str(poll))
                case None:
                    counted += stop - first
        return polls, counted, reasons

    def split(self, batch: Batch, new_key: Callable[[], str], now_us: int) -> tuple[Batch, Batch]:
        """Two open batches, halves of the batch, in its place and its lane. Raises BufferFailure if it is no longer open."""
        if batch.metric_count < 2:
            raise ValueError("a batch of one metric can't be split: set it aside or send it")
        polls, _, _ = self._read(batch)
        now = lanes.open_batch(self.connection, batch.id)
        if now is None:
            raise BufferFailure(f"batch {batch.id} is no longer open: it can't be split")
        count = sum(poll.stop_metric - poll.first_metric for poll in polls)
        piece = cut([(poll.id, poll.stop_metric) for poll in polls], now.start, count // 2) if count >= 2 else None
        if piece is None or count < now.metric_count:
            raise BufferFailure(f"batch {batch.id} has fewer metrics than it was cut with: the database is damaged")
        middle = piece.stop
        with transaction(self.connection):
            lanes.drop_batch(self.connection, now)
            first = replace(now, id=0, key=new_key(), stop=middle, metric_count=count // 2, cut_at_us=now_us)
            rest = replace(now, id=0, key=new_key(), start=middle, metric_count=count - count // 2, cut_at_us=now_us)
            return lanes.insert_batch(self.connection, first), lanes.insert_batch(self.connection, rest)

    # What became of a batch

    def refuse(self, batch: Batch, metric: bytes, reason: str, now_us: int) -> None:
        """Close the batch, keep its one metric with the server's reason; nothing happens if it is no longer open."""
        if batch.metric_count != 1:
            raise ValueError(f"a batch of {batch.metric_count} metrics can't be refused as one: split it until one is left")
        age_s = self.age_s
        polls, _, _ = self._read(batch)
        poll_id, metric_index, equipment_id = batch.start.poll, batch.start.metric, ""
        if polls:  # not so if it has been damaged since it was sent
            poll_id, metric_index, equipment_id = polls[0].id, polls[0].first_metric, polls[0].layout.equipment_id
        row = (poll_id, metric_index, equipment_id, metric, reason, now_us, age_s)
        with transaction(self.connection):
            now = lanes.open_batch(self.connection, batch.id)
            if now is None:
                return
            lanes.write_batch(self.connection, now, age_s)
            refused.keep(self.connection, row, batch.destination)

    def acknowledge(self, batch: Batch, left_out: Sequence[LeftOut], now_us: int) -> None:
        """Mark the batch sent, and keep what was left out of it; nothing happens if it is no longer open."""
        with transaction(self.connection):
            self._mark_sent(batch, left_out, now_us)

    def close_empty(self, batch: Batch) -> None:
        """Close the batch, as none of its polls can be read; nothing happens if one can, or it is not here, or no longer open."""
        with transaction(self.connection):
            now = lanes.open_batch(self.connection, batch.id)
            if now is not None and not self._read(now)[0]:
                lanes.write_batch(self.connection, now, self.age_s)

    def note_sent(self, batch_id: int, age_s: int) -> None:
        """Mark the batch sent, as it was at that age, while another Store was in use; nothing happens if it is not open here."""
        with transaction(self.connection):
            now = lanes.open_batch(self.connection, batch_id)
            if now is not None:
                lanes.write_batch(self.connection, now, age_s)

    def _mark_sent(self, batch: Batch, left_out: Sequence[LeftOut], now_us: int) -> None:
        age_s = self.age_s
        now = lanes.open_batch(self.connection, batch.id)
        if now is not None:
            lanes.write_batch(self.connection, now, age_s)
        elif self.elsewhere is None or not self.elsewhere.note(batch.id, age_s):
            return
        for one in left_out:
            row = (one.poll, one.metric_index, one.equipment_id, one.metric, one.reason, now_us, age_s)
            refused.keep(self.connection, row, batch.destination)

    # Upkeep

    def pack(self) -> Step:
        """Pack a bounded part of the polls that are no longer young."""
        if not self.is_filled:
            return Step()
        packer = self._packer or Packer(self.connection)
        self._packer = None  # should it fail, a new one finds in the database what is done
        step = packer.step(self.age_s)
        self._packer = packer
        return step

    def remove_layouts(self) -> Step:
        """Remove a part of the layouts that no poll belongs to, and none will."""
        return self.layouts.remove(self.age_s) if self.is_filled else Step()

    def remove_unreached(self) -> Step:
        """Remove a part of the polls that nobody can get any more."""
        return retention.remove_unreached(self.connection) if self.is_filled else Step()

    def remove_packs(self) -> Step:
        """Remove a part of the packs of which no poll is left."""
        return retention.remove_packs(self.connection) if self.is_filled else Step()

    def keep_clock(self) -> None:
        """Write the age clock: what has passed counts after a restart."""
        with transaction(self.connection):
            self._write_clock(self.clock.age_us(self._monotonic_us()))

    def _write_clock(self, age_us: int) -> None:
        row = (age_us, self._wall_us())
        self._do("INSERT OR REPLACE INTO clock (id, age_us, wall_us, checksum) VALUES (1, ?, ?, ?)", *row, checksum(*row))
        self._clock_kept_us = age_us

    def _kept_clock(self) -> tuple[int, int] | None:
        rows = self._all("SELECT age_us, wall_us, checksum FROM clock")
        if rows and not is_intact(*rows[0]):
            raise Corruption("the row of the age clock does not match its checksum")
        return rows[0][:2] if rows else None

    # Meta

    def get_meta(self, key: str) -> bytes | None:
        """What has been kept under `key`; None if nothing has, or it is damaged."""
        kept = values.kept_value(self.connection, key)
        return values.whole(key, self.earlier.get) if kept is None else kept

    def put_meta(self, key: str, value: bytes | bytearray) -> None:
        """Keep `value` under `key`, in place of what was there."""
        with transaction(self.connection):
            values.keep_value(self.connection, key, value)

    def put_piece(self, key: str, write: bytes, n: int, piece: bytes) -> None:
        """Keep a piece of what end_pieces makes the value under `key` (values.put_piece)."""
        with transaction(self.connection):
            values.put_piece(self.connection, key, write, n, piece)

    def drop_pieces(self, key: str) -> None:
        """Remove the pieces under `key` that are of no use."""
        with transaction(self.connection):
            values.drop_pieces(self.connection, key)

    def end_pieces(self, key: str, write: bytes, count: int) -> None:
        """Have these pieces be the value under `key` (values.end_pieces). Raises BufferFailure if they are not all here."""
        with transaction(self.connection):
            values.end_pieces(self.connection, key, write, count)

    def _do(self, sql: str, *parameters: object) -> int:
        return self.connection.execute(sql, parameters).lastrowid or 0

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()


PollFound = tuple[int, int, int, int, bytes | None]
"""A PollHead, and the octets of its readings; None: they are in a pack."""


class Polls:
    """The polls of an open database. Methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, cached_octets: int = LOOKED_UP_OCTETS) -> None:
        """`cached_octets`: how many octets of layouts stay in memory at most."""
        self._connection = connection
        self._packing = Packing()
        self.layouts = StoredLayouts(connection, cached_octets)

    @cached_property
    def moved(self) -> list[tuple[int, int, int]]:
        """Which polls have another time than they were stored with: (first id, end, by how many microseconds they are later).

        Looked up once: on its way through `meta` SQLite reads all of each large value that it passes, a millisecond for each
        2,000 devices of the configuration.
        """
        row = self._connection.execute("SELECT key, value, checksum FROM meta WHERE key = ?", (MOVED_KEY,)).fetchone()
        return [] if row is None or not is_intact(*row) else _moved_decoder.decode(row[1])

    def between(self, first: int, last: int) -> list[PollFound]:
        """The polls whose ids are in first..last, in order."""
        return self.found("id BETWEEN ? AND ?", first, last)

    def found(self, where: str, *parameters: int) -> list[PollFound]:
        """The polls for which the condition holds, in the order of their ids."""
        return self._connection.execute(
            f"SELECT {HEAD}, body FROM polls LEFT JOIN bodies ON poll = id WHERE {where} ORDER BY id",  # noqa: S608 -- our names
            parameters,
        ).fetchall()

    def decode(self, found: Iterable[PollFound]) -> Iterator[tuple[PollHead, StoredPoll | BufferFailure | None]]:
        """Each poll whole; a BufferFailure if it is damaged; None if that was found, and counted, before."""
        packs: dict[tuple[int, int], Mapping[int, bytes]] = {}  # each pack is unpacked once, each layout decoded once
        layouts: dict[int, Layout] = {}
        moved = self.moved
        for poll_id, layout_id, started_at_us, metric_count, plain in found:
            head = poll_id, layout_id, started_at_us, metric_count
            try:
                if not is_head(head):
                    raise BufferFailure("the row of a stored poll is damaged")
                body = self._packed(poll_id, layout_id, packs) if plain is None else _octets(plain)
                if not body:
                    yield head, None
                    continue
                if layout_id not in layouts:
                    layouts[layout_id] = self.layouts.read(layout_id)
                layout = layouts[layout_id]
                poll = decode_poll((layout_id, started_at_us, metric_count, body), layout)
            except BufferFailure as error:
                yield head, error
                continue
            late_us = sum(late_us for first, end, late_us in moved if first <= poll_id < end)
            if late_us:
                poll = replace(poll, started_at_us=poll.started_at_us + late_us)
            yield head, StoredPoll(poll_id, layout, poll, 0, metric_count)

    def _packed(self, poll: int, layout: int, packs: dict[tuple[int, int], Mapping[int, bytes]]) -> bytes:
        end_row = self._connection.execute(
            "SELECT end_poll FROM ranges WHERE end_poll > ? ORDER BY end_poll LIMIT 1", (poll,)
        ).fetchone()
        if end_row is not None:
            key = (end_row[0], layout)
            if key not in packs:
                packs[key] = self._unpacked(*key)
            if poll in packs[key]:
                return packs[key][poll]
        for (end,) in self._connection.execute(  # the range is damaged, which has no checksum, or the pack
            "SELECT end_poll FROM packs WHERE end_poll > ? AND layout_id = ? ORDER BY end_poll LIMIT 2", (poll, layout)
        ).fetchall():
            if (end, layout) not in packs:
                packs[end, layout] = self._unpacked(end, layout)
            if poll in packs[end, layout]:
                return packs[end, layout][poll]
        raise BufferFailure("the readings of a stored poll are missing")

    def _unpacked(self, end_poll: int, layout: int) -> Mapping[int, bytes]:
        row = self._connection.execute(
            "SELECT body FROM packs WHERE end_poll = ? AND layout_id = ?", (end_poll, layout)
        ).fetchone()
        return {} if row is None else self._packing.unpack(_octets(row[0]))


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise BufferFailure("the readings of a stored poll are not octets")
    return value
