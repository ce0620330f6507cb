"""The lines of metrics in the database: stretches that are not yet cut, batches, and which lane each is in.

Each destination has a line, by its name; the API's is "". A line is open if it has an open stretch, which new polls belong to.
One that is closed is not delivered, and grows old. A poll is removed once no line has a part of it.

Fresh polls go first after an outage: what had gathered is split off as backlog, and both lanes are delivered side by side. A
stretch or a batch belongs to one lane; no two of a line overlap. Each row is checked if it is read. A damaged one raises
Corruption: what it covered is worked out again from the others, in a new file (salvage.py).
Synchronous, for the writer's thread; each method is one transaction, functions take part in the caller's. Times are microseconds
since 1970-01-01 UTC (`_us`), or seconds on the age clock (`_s`).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from towerops_agent.buffer.database import Corruption, transaction
from towerops_agent.buffer.format.batch import OPEN_END, Batch, Cut, Lane, Pending, Position, cut
from towerops_agent.buffer.format.codec import HEAD, PollHead, checksum, is_head, is_intact

COUNTED_POLLS = 100
"""A stretch may end with so many polls fewer than it was written with, which are counted as lost: a row or two are damaged.

If more are missing a page is, and copying the file row by row (salvage.py) may still find them.
"""

_STRETCH = "first_poll, first_metric, end_poll, polls, metrics, lane, destination, checksum"
_BATCH = "key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, sent_age_s, lane, destination, checksum"
_LANES = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Polls of which no batch has been cut yet: from `first` up to the poll `end_poll`, exclusive; None: new polls belong to it.

    `polls`, `metrics`: how many it holds. `id`: None if it is not in the database yet.
    """

    id: int | None
    first: Position
    end_poll: int | None
    polls: int
    metrics: int
    lane: Lane
    destination: str = ""


class Lanes:
    """What is undelivered, and the batches cut of it; of the line that a method is asked about. Methods raise sqlite3.Error.

    `damaged`: how many metrics were found to be lost since somebody set it to 0.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.damaged = 0

    def has_pending(self) -> bool:
        """Whether anything is undelivered to the API."""
        if any(stretch.metrics or self._first_head(stretch) for stretch in stretches(self._connection)):
            return True
        return bool(open_batches(self._connection, ""))

    def pending(self, destination: str = "") -> Pending:
        """What is undelivered. Costs a look at each poll of the open batches (tens) and one at each stretch."""
        metrics: dict[Lane, int] = defaultdict(int)
        oldest: dict[Lane, list[int]] = {lane: [] for lane in Lane}
        polls = 0
        line = stretches(self._connection, destination)
        for stretch in line:
            metrics[stretch.lane] += max(stretch.metrics, 0)
            polls += max(stretch.polls, 0)
            if (head := self._first_head(stretch)) is not None:
                oldest[stretch.lane].append(head[2])
        seen = set()
        for batch in open_batches(self._connection, destination):
            metrics[batch.lane] += batch.metric_count
            for poll, _, started_at_us, _ in self._heads(batch.start.poll, batch.last_poll + 1):
                seen.add(poll)
                oldest[batch.lane].append(started_at_us)
        # A poll cut in two is counted once: with the uncut stretch if it reaches into one.
        polls += sum(not any(s.first.poll <= poll < (s.end_poll or OPEN_END) for s in line) for poll in seen)
        return Pending(
            metrics=sum(metrics.values()),
            polls=polls,
            oldest_started_at_us=min((t for times in oldest.values() for t in times), default=None),
            backlog_metrics=metrics[Lane.BACKLOG],
            backlog_oldest_started_at_us=min(oldest[Lane.BACKLOG], default=None),
        )

    def part_backlog(self, destination: str = "") -> None:
        """Make all that is undelivered backlog: the open-ended stretch ends here, and begins again, if there is one."""
        connection = self._connection
        with transaction(connection):
            for batch in open_batches(connection, destination):
                if batch.lane is not Lane.BACKLOG:
                    write_batch(connection, replace(batch, lane=Lane.BACKLOG), None)
            line = stretches(connection, destination)
            closed = [stretch for stretch in line if stretch.end_poll is not None]
            for stretch in closed:
                if stretch.lane is not Lane.BACKLOG:
                    write_stretch(connection, replace(stretch, lane=Lane.BACKLOG))
            last = next((stretch for stretch in line if stretch.end_poll is None), None)
            if last is None:
                return
            next_poll = next_poll_id(connection)
            if last.metrics or self._first_head(last):
                # If the backlog ends just there it grows: an agent without its API for a day has one stretch, not hundreds.
                adjacent = [s for s in closed if s.end_poll == last.first.poll] if last.first.metric == 0 else []
                before = adjacent[0] if adjacent else Stretch(None, last.first, None, 0, 0, Lane.BACKLOG, destination)
                grown = replace(
                    before,
                    lane=Lane.BACKLOG,
                    end_poll=next_poll,
                    polls=before.polls + last.polls,
                    metrics=before.metrics + last.metrics,
                )
                write_stretch(connection, grown)
            write_stretch(connection, replace(last, first=Position(next_poll, 0), polls=0, metrics=0))

    def next_batch(
        self,
        max_metrics: int,
        lane: Lane,
        new_key: Callable[[], str],
        now_us: int,
        exclude: Collection[int] = (),
        destination: str = "",
        also: Callable[[], None] | None = None,
    ) -> Batch | None:
        """The lane's first open batch, whatever its size; else a new one of at most `max_metrics`; None: the lane is empty.

        `exclude`: ids of batches that are not meant, as they are under way. `also`: is done in the same transaction.
        """
        line = open_batches(self._connection, destination)
        found = next((batch for batch in line if batch.lane is lane and batch.id not in exclude), None)
        uncut = [] if found else [one for one in stretches(self._connection, destination) if one.lane is lane]
        uncut = [stretch for stretch in uncut if stretch.metrics or self._first_head(stretch)]
        if not uncut and also is None:
            return found
        lost = 0
        with transaction(self._connection):
            if also is not None:
                also()
            for stretch in uncut:
                piece = self._cut(stretch, max_metrics)
                if piece is None:
                    lost += self._end(stretch)
                    continue
                self._shorten(stretch, piece)
                new = Batch(0, new_key(), piece.start, piece.stop, piece.metrics, now_us, lane, destination)
                found = insert_batch(self._connection, new)
                break
        self.damaged += lost
        return found

    def _cut(self, stretch: Stretch, max_metrics: int) -> Cut | None:
        heads = self._heads(stretch.first.poll, stretch.end_poll or OPEN_END)
        try:
            return cut(((poll, metric_count) for poll, _, _, metric_count in heads), stretch.first, max_metrics)
        finally:
            heads.close()  # an unfinished SELECT would stay open over the commit

    def _shorten(self, stretch: Stretch, piece: Cut) -> None:
        write_stretch(
            self._connection,
            replace(stretch, first=piece.stop, polls=stretch.polls - piece.polls, metrics=stretch.metrics - piece.metrics),
        )
        if stretch.end_poll is not None and piece.stop.poll >= stretch.end_poll and stretch.metrics <= piece.metrics:
            drop_stretch(self._connection, stretch)

    def _end(self, stretch: Stretch) -> int:
        """End a stretch of which no poll can be read: how many metrics of it are lost. Raises Corruption if it is many."""
        if stretch.polls > COUNTED_POLLS:
            raise Corruption(f"{stretch.polls} polls are missing that have not been delivered")
        if stretch.end_poll is None:
            end = next_poll_id(self._connection)
            write_stretch(self._connection, replace(stretch, first=Position(end, 0), polls=0, metrics=0))
        else:
            end = stretch.end_poll
            drop_stretch(self._connection, stretch)
        remove_polls(self._connection, stretch.first.poll, end - 1)
        return max(stretch.metrics, 0)

    def _first_head(self, stretch: Stretch) -> PollHead | None:
        heads = self._heads(stretch.first.poll, stretch.end_poll or OPEN_END)
        try:
            return next(heads, None)
        finally:
            heads.close()

    def _heads(self, first: int, end: int) -> Generator[PollHead]:
        """The rows of polls, ids rising from `first` up to `end`, exclusive; those that no poll can have are left out."""
        rows = self._connection.execute(
            f"SELECT {HEAD} FROM polls WHERE id >= ? AND id < ? ORDER BY id",  # noqa: S608 -- our names
            (first, end),
        )
        try:
            before = first - 1
            for row in rows:
                if not before < row[0] < end:
                    raise Corruption("the polls are not in the order of their ids")
                before = row[0]
                if is_head(row):
                    yield row
        finally:
            rows.close()


def line_up(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    """Have the lines of these destinations open, and all others closed; takes part in a transaction.

    A new line begins with the next poll. The first one goes on with the line "" if that is open and not among them: it was that
    of the one destination, or of none yet, and what waits in it has nobody else who delivers it.
    """
    there = open_lines(connection)
    if "" in there and names and "" not in names and _follows(connection, names[0]):
        _rename(connection, "", names[0])
        there = open_lines(connection)
    next_poll = next_poll_id(connection)
    for name in there:
        if name not in names:
            last = open_stretch(connection, name)
            if last.metrics or last.polls:
                write_stretch(connection, replace(last, end_poll=next_poll))
            else:
                drop_stretch(connection, last)
    for name in names:
        if name not in there:
            write_stretch(connection, Stretch(None, Position(next_poll, 0), None, 0, 0, Lane.FRESH, name))


def _follows(connection: sqlite3.Connection, name: str) -> bool:
    """Whether all of the line "" comes after all of the line of that name, so that it can be added at its end."""
    begin = [stretch.first for stretch in stretches(connection, "")]
    begin += [batch.start for batch, _ in _batches(connection, "destination = ? ORDER BY start_poll, start_metric LIMIT 1", "")]
    end = [Position(stretch.end_poll or OPEN_END, 0) for stretch in stretches(connection, name)]
    where = "destination = ? ORDER BY start_poll DESC, start_metric DESC LIMIT 1"
    end += [batch.stop for batch, _ in _batches(connection, where, name)]
    return not end or max(end) <= min(begin)


def _rename(connection: sqlite3.Connection, before: str, name: str) -> None:
    for stretch in stretches(connection, before):
        write_stretch(connection, replace(stretch, destination=name))
    for batch, sent_age_s in _batches(connection, "destination = ?", before):
        connection.execute("UPDATE batches SET destination = ? WHERE id = ?", (name, batch.id))
        write_batch(connection, replace(batch, destination=name), sent_age_s)


def lines(connection: sqlite3.Connection) -> list[str]:
    """The names of all lines of which there is anything."""
    # From name to name in the index: of batches there are a day's, of names a few.
    rows = connection.execute(
        "WITH RECURSIVE names (name) AS (SELECT min(destination) FROM batches"
        " UNION SELECT (SELECT min(destination) FROM batches WHERE destination > name) FROM names WHERE name IS NOT NULL)"
        " SELECT destination FROM uncut UNION SELECT name FROM names WHERE name IS NOT NULL"
    ).fetchall()
    return sorted(_name(row[0]) for row in rows)


def open_lines(connection: sqlite3.Connection) -> list[str]:
    """The names of the lines that new polls belong to."""
    rows = connection.execute("SELECT DISTINCT destination FROM uncut WHERE end_poll IS NULL").fetchall()
    return sorted(_name(row[0]) for row in rows)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise Corruption("the name of a destination is not a text")
    return name


def stretches(connection: sqlite3.Connection, destination: str = "") -> list[Stretch]:
    """All stretches of the line, in its order, the open one last. Raises Corruption."""
    rows = connection.execute(
        f"SELECT id, {_STRETCH} FROM uncut WHERE destination = ? ORDER BY first_poll, end_poll IS NULL",  # noqa: S608 -- our names
        (destination,),
    ).fetchall()
    found = [_stretch(row) for row in rows]
    count = [stretch.end_poll for stretch in found].count(None)
    if count > 1 or (count == 0 and not open_lines(connection)):
        raise Corruption(f"{len(found)} stretches of polls, not one of which is the open one")
    return found


def open_stretch(connection: sqlite3.Connection, destination: str) -> Stretch:
    """The stretch of the line that new polls belong to. Raises Corruption."""
    rows = connection.execute(
        f"SELECT id, {_STRETCH} FROM uncut WHERE end_poll IS NULL AND destination = ?",  # noqa: S608 -- our names
        (destination,),
    ).fetchall()
    if len(rows) != 1:
        raise Corruption(f"{len(rows)} open stretches of polls: expected one")
    return _stretch(rows[0])


def write_stretch(connection: sqlite3.Connection, stretch: Stretch) -> None:
    """Insert the stretch, or write it in place of what its row was."""
    row = (*(stretch.first.poll, stretch.first.metric, stretch.end_poll, stretch.polls, stretch.metrics), str(stretch.lane))
    connection.execute(
        f"INSERT OR REPLACE INTO uncut (id, {_STRETCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        (stretch.id, *row, stretch.destination, checksum(*with_destination(row, stretch.destination))),
    )


def drop_stretch(connection: sqlite3.Connection, stretch: Stretch) -> None:
    """Remove the stretch's row."""
    connection.execute("DELETE FROM uncut WHERE id = ?", (stretch.id,))


def open_batches(connection: sqlite3.Connection, destination: str | None = None) -> list[Batch]:
    """The batches of the line that are not sent, in its order; None: of all lines. Raises Corruption."""
    order = "ORDER BY start_poll, start_metric"
    if destination is None:
        return [batch for batch, _ in _batches(connection, f"sent_age_s IS NULL {order}")]
    # "+" keeps SQLite off the index by destination, which has the sent batches of a day too.
    return [batch for batch, _ in _batches(connection, f"sent_age_s IS NULL AND +destination = ? {order}", destination)]


def open_batch(connection: sqlite3.Connection, batch_id: int) -> Batch | None:
    """The batch as it is now; None if it is no longer open. Raises Corruption."""
    return next((batch for batch, sent_age_s in _batches(connection, "id = ?", batch_id) if sent_age_s is None), None)


def sent_batches(connection: sqlite3.Connection, until_s: int, limit: int) -> list[Batch]:
    """The batches sent up to `until_s`, at most `limit`, the first sent first. Raises Corruption."""
    where = "sent_age_s <= ? ORDER BY sent_age_s, start_poll, start_metric LIMIT ?"
    return [batch for batch, _ in _batches(connection, where, until_s, limit)]


def reach_before(connection: sqlite3.Connection, destination: str, poll: int) -> Position | None:
    """Where the line's nearest batch that starts before the poll stops; None if there is none. Raises Corruption."""
    where = "destination = ? AND start_poll < ? ORDER BY start_poll DESC, start_metric DESC LIMIT 1"
    return next((batch.stop for batch, _ in _batches(connection, where, destination, poll)), None)


def first_poll(connection: sqlite3.Connection) -> int:
    """The first poll that a batch or a stretch of any line may have a part of. Raises Corruption."""
    found = [batch.start.poll for batch in open_batches(connection)]
    where = "destination = ? ORDER BY start_poll, start_metric LIMIT 1"
    for name in lines(connection):
        found += [stretch.first.poll for stretch in stretches(connection, name)]
        found += [batch.start.poll for batch, _ in _batches(connection, where, name)]
    return min(found, default=0)


def insert_batch(connection: sqlite3.Connection, batch: Batch) -> Batch:
    """The batch, open, with the id that it got."""
    row = _columns(batch, None)
    batch_id = connection.execute(
        f"INSERT INTO batches ({_BATCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        (*row, batch.destination, checksum(*with_destination(row, batch.destination))),
    ).lastrowid
    return replace(batch, id=batch_id or 0)


def write_batch(connection: sqlite3.Connection, batch: Batch, sent_age_s: int | None) -> None:
    """Write the batch in place of what its row of this line was; `sent_age_s`: when it was sent, None: it is open."""
    checked = checksum(*with_destination(_columns(batch, sent_age_s), batch.destination))
    connection.execute(  # without the columns of batches_by_start: SQLite rewrites its page if one of them is named
        "UPDATE batches SET metric_count = ?, sent_age_s = ?, lane = ?, checksum = ? WHERE id = ?",
        (batch.metric_count, sent_age_s, batch.lane, checked, batch.id),
    )


def drop_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Remove the batch's row."""
    connection.execute("DELETE FROM batches WHERE id = ?", (batch.id,))


def remove_polls(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Remove the polls from `first` to `last`, which a batch or a stretch had that is gone; takes part in a transaction.

    Those stay of which another batch or a stretch has a part: of this line at the two ends, of other lines anywhere.
    """
    begin = first
    for needed, until in (*_needed(connection, first, last), (last + 1, last + 1)):
        if needed > begin:
            connection.execute("DELETE FROM polls WHERE id BETWEEN ? AND ?", (begin, needed - 1))
            connection.execute("DELETE FROM bodies WHERE poll BETWEEN ? AND ?", (begin, needed - 1))
        begin = max(begin, until + 1)


def _needed(connection: sqlite3.Connection, first: int, last: int) -> list[tuple[int, int]]:
    """The polls from `first` to `last` that a line has a part of, as ranges, both ends included, in order."""
    found: list[tuple[int, int]] = []
    for name in lines(connection):
        for start, end in connection.execute(
            "SELECT first_poll, end_poll FROM uncut"
            " WHERE destination = ? AND first_poll <= ? AND (end_poll IS NULL OR end_poll > ?)",
            (name, last, first),
        ):
            found.append((max(start, first), last if end is None else min(end - 1, last)))
        # Batches of a line do not overlap: if one that starts before the first poll reaches into it, the nearest does.
        before = reach_before(connection, name, first)
        if before is not None and before > Position(first, 0):
            found.append((first, min(before.poll if before.metric else before.poll - 1, last)))
        for start, stop, metric in connection.execute(
            "SELECT start_poll, stop_poll, stop_metric FROM batches WHERE destination = ? AND start_poll BETWEEN ? AND ?",
            (name, first, last),
        ):
            found.append((start, min(stop if metric else stop - 1, last)))
    return sorted(found)


def next_poll_id(connection: sqlite3.Connection) -> int:
    """The id that the next poll gets. Raises Corruption."""
    (seq, highest) = connection.execute(
        "SELECT (SELECT max(seq) FROM sqlite_sequence WHERE name = 'polls'), (SELECT max(id) FROM polls)"
    ).fetchone()
    if any(number is not None and not (type(number) is int and number < OPEN_END >> 1) for number in (seq, highest)):
        raise Corruption(f"the last poll's id is {highest!r}, and the last that was given out {seq!r}")
    last = int(seq or 0)
    if (highest or 0) > last:  # SQLite gives out no id above it, and what is in the tail would be void
        raise Corruption(f"a poll has the id {highest}, and the last that was given out is {last}")
    return last + 1


def with_destination(columns: Sequence[Any], destination: str) -> Sequence[Any]:
    """What the checksum of a row is of: the API's rows have it as they had before there were others."""
    return (*columns, destination) if destination else columns


def _columns(batch: Batch, sent_age_s: int | None) -> tuple[str | int | None, ...]:
    start, stop = batch.start, batch.stop
    return (
        *(batch.key, start.poll, start.metric, stop.poll, stop.metric, batch.metric_count, batch.cut_at_us),
        *(sent_age_s, str(batch.lane)),
    )


def _stretch(row: Sequence[Any]) -> Stretch:
    stretch_id, *columns, destination, checked = row
    if not is_intact(*with_destination(columns, destination), checked) or columns[5] not in _LANES:
        raise Corruption("the row of a stretch of polls does not match its checksum")
    first_poll, first_metric, end_poll, polls, metrics, lane = columns
    return Stretch(stretch_id, Position(first_poll, first_metric), end_poll, polls, metrics, Lane(lane), destination)


def _batches(connection: sqlite3.Connection, where: str, *parameters: int | str) -> Iterator[tuple[Batch, int | None]]:
    for row in connection.execute(f"SELECT id, {_BATCH} FROM batches WHERE {where}", parameters).fetchall():  # noqa: S608 -- our names
        batch_id, *columns, destination, checked = row
        if not is_intact(*with_destination(columns, destination), checked) or columns[8] not in _LANES:
            raise Corruption("the row of a batch does not match its checksum")
        key, start_poll, start_metric, stop_poll, stop_metric, count, cut_at_us, sent_age_s, lane = columns
        start, stop = Position(start_poll, start_metric), Position(stop_poll, stop_metric)
        yield Batch(batch_id, key, start, stop, count, cut_at_us, Lane(lane), destination), sent_age_s
