"""The line of metrics in the database: stretches that are not yet cut, batches, and which lane each is in.

Fresh polls go first after an outage: what had gathered is split off as backlog, and both lanes are delivered side by side. A
stretch or a batch belongs to one lane; no two overlap.
Synchronous, for the writer's thread; each method is one transaction. Times are microseconds since 1970-01-01 UTC (`_us`).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Generator
from dataclasses import replace

from towerops_agent.buffer import ledger, retention
from towerops_agent.buffer.database import Corruption, transaction
from towerops_agent.buffer.format.batch import OPEN_END, Batch, Cut, Lane, Pending, Position, cut
from towerops_agent.buffer.format.codec import is_head
from towerops_agent.buffer.ledger import Stretch
from towerops_agent.buffer.polls import HEAD, PollHead

COUNTED_POLLS = 100
"""A stretch may end with so many polls fewer than it was written with, which are counted as lost: a row or two are damaged.

If more are missing a page is, and copying the file row by row (salvage.py) may still find them.
"""


class Lanes:
    """What is undelivered, and the batches cut of it. Methods raise sqlite3.Error.

    `damaged`: how many metrics were found to be lost since somebody set it to 0.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.damaged = 0

    def has_pending(self) -> bool:
        """Whether anything is undelivered."""
        if any(stretch.metrics or self._first_head(stretch) for stretch in ledger.stretches(self._connection)):
            return True
        return self._connection.execute("SELECT 1 FROM batches WHERE sent_age_s IS NULL LIMIT 1").fetchone() is not None

    def pending(self) -> Pending:
        """What is undelivered. Costs a look at each poll of the open batches (tens) and one at each stretch."""
        metrics: dict[Lane, int] = defaultdict(int)
        oldest: dict[Lane, list[int]] = {lane: [] for lane in Lane}
        polls = 0
        stretches = ledger.stretches(self._connection)
        for stretch in stretches:
            metrics[stretch.lane] += max(stretch.metrics, 0)
            polls += max(stretch.polls, 0)
            if (head := self._first_head(stretch)) is not None:
                oldest[stretch.lane].append(head[2])
        seen = set()
        for batch in ledger.open_batches(self._connection):
            metrics[batch.lane] += batch.metric_count
            for poll, _, started_at_us, _ in self._heads(batch.start.poll, batch.last_poll + 1):
                seen.add(poll)
                oldest[batch.lane].append(started_at_us)
        # A poll cut in two is counted once: with the uncut stretch if it reaches into one.
        polls += sum(not any(s.first.poll <= poll < (s.end_poll or OPEN_END) for s in stretches) for poll in seen)
        return Pending(
            metrics=sum(metrics.values()),
            polls=polls,
            oldest_started_at_us=min((t for times in oldest.values() for t in times), default=None),
            backlog_metrics=metrics[Lane.BACKLOG],
            backlog_oldest_started_at_us=min(oldest[Lane.BACKLOG], default=None),
        )

    def part_backlog(self) -> None:
        """Make all that is undelivered backlog: the open-ended stretch ends here, and begins again."""
        connection = self._connection
        with transaction(connection):
            for batch in ledger.open_batches(connection):
                if batch.lane is not Lane.BACKLOG:
                    ledger.write_batch(connection, replace(batch, lane=Lane.BACKLOG), None)
            *closed, last = ledger.stretches(connection)
            for stretch in closed:
                if stretch.lane is not Lane.BACKLOG:
                    ledger.write_stretch(connection, replace(stretch, lane=Lane.BACKLOG))
            next_poll = next_poll_id(connection)
            if last.metrics or self._first_head(last):
                # If the backlog ends just there it grows: an agent without its API for a day has one stretch, not hundreds.
                adjacent = [s for s in closed if s.end_poll == last.first.poll] if last.first.metric == 0 else []
                before = adjacent[0] if adjacent else Stretch(None, last.first, None, 0, 0, Lane.BACKLOG)
                grown = replace(
                    before,
                    lane=Lane.BACKLOG,
                    end_poll=next_poll,
                    polls=before.polls + last.polls,
                    metrics=before.metrics + last.metrics,
                )
                ledger.write_stretch(connection, grown)
            ledger.write_stretch(connection, replace(last, first=Position(next_poll, 0), polls=0, metrics=0))

    def next_batch(
        self, max_metrics: int, lane: Lane, new_key: Callable[[], str], now_us: int, exclude: Collection[int] = ()
    ) -> Batch | None:
        """The lane's first open batch, whatever its size; else a new one of at most `max_metrics`; None: the lane is empty.

        `exclude`: ids of batches that are not meant, as they are under way.
        """
        for batch in ledger.open_batches(self._connection):
            if batch.lane is lane and batch.id not in exclude:
                return batch
        for stretch in ledger.stretches(self._connection):
            if stretch.lane is not lane or not (stretch.metrics or self._first_head(stretch)):
                continue
            with transaction(self._connection):
                piece = self._cut(stretch, max_metrics)
                lost = 0
                if piece is None:
                    lost = self._end(stretch)
                else:
                    self._shorten(stretch, piece)
                    batch = ledger.insert_batch(
                        self._connection, Batch(0, new_key(), piece.start, piece.stop, piece.metrics, now_us, lane)
                    )
            self.damaged += lost
            if piece is not None:
                return batch
        return None

    def _cut(self, stretch: Stretch, max_metrics: int) -> Cut | None:
        heads = self._heads(stretch.first.poll, stretch.end_poll or OPEN_END)
        try:
            return cut(((poll, metric_count) for poll, _, _, metric_count in heads), stretch.first, max_metrics)
        finally:
            heads.close()  # an unfinished SELECT would stay open over the commit

    def _shorten(self, stretch: Stretch, piece: Cut) -> None:
        ledger.write_stretch(
            self._connection,
            replace(stretch, first=piece.stop, polls=stretch.polls - piece.polls, metrics=stretch.metrics - piece.metrics),
        )
        if stretch.end_poll is not None and piece.stop.poll >= stretch.end_poll and stretch.metrics <= piece.metrics:
            ledger.drop_stretch(self._connection, stretch)

    def _end(self, stretch: Stretch) -> int:
        """End a stretch of which no poll can be read: how many metrics of it are lost. Raises Corruption if it is many."""
        if stretch.polls > COUNTED_POLLS:
            raise Corruption(f"{stretch.polls} polls are missing that have not been delivered")
        if stretch.end_poll is None:
            end = next_poll_id(self._connection)
            ledger.write_stretch(self._connection, replace(stretch, first=Position(end, 0), polls=0, metrics=0))
        else:
            end = stretch.end_poll
            ledger.drop_stretch(self._connection, stretch)
        retention.remove_polls(self._connection, stretch.first.poll, end - 1)
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

    def acknowledge(self, batch: Batch, age_s: int) -> None:
        """Mark the batch sent, at this time of the age clock; nothing happens if it is no longer open."""
        with transaction(self._connection):
            now = ledger.open_batch(self._connection, batch.id)
            if now is not None:
                ledger.write_batch(self._connection, now, age_s)


def next_poll_id(connection: sqlite3.Connection) -> int:
    """The id that the next poll gets. Raises Corruption."""
    (seq, highest) = connection.execute(
        "SELECT (SELECT max(seq) FROM sqlite_sequence WHERE name = 'polls'), (SELECT max(id) FROM polls)"
    ).fetchone()
    last = max(seq or 0, highest or 0)
    if type(last) is not int or last >= OPEN_END >> 1:
        raise Corruption(f"the last poll's id is {last!r}")
    return last + 1
