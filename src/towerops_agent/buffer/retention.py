"""What leaves the database: polls delivered a day ago, polls nobody took for a day, what nothing uses, free pages.

Each function is one bounded transaction, so that new polls are written in between; called until it says it is done.
Times are seconds on the age clock (`_s`) and are passed in. No reading's own time decides: a device or a wall clock may lie.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from towerops_agent.buffer import lanes
from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.batch import OPEN_END, Batch, Position

POLLS_PER_STEP = 1_000
BATCHES_PER_STEP = 50
PACKS_PER_STEP = 500
PAGES_PER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. `metrics`: how many it removed of those that it is for; `done`: the next step would find nothing.

    `of_lines`: how many of those metrics were still to be delivered by each line.
    """

    metrics: int = 0
    done: bool = True
    of_lines: Mapping[str, int] = field(default_factory=dict)


def remove_uncut(connection: sqlite3.Connection, before_s: int, limit: int | None = None, *, latest_s: int = OPEN_END) -> Step:
    """Remove polls, at most `limit`, that were stored before `before_s` and of which metrics have never been cut into a batch.

    From the front of each line on, up to the first poll that is younger. One that was stored later than `latest_s` is damaged,
    and not younger.
    """
    limit = min(POLLS_PER_STEP, limit or POLLS_PER_STEP)
    metrics: Counter[str] = Counter()
    done = True
    young: set[str] = set()  # lines whose first poll, now, is younger
    with transaction(connection):
        for stretch in _all_stretches(connection):
            if stretch.destination in young:
                continue
            found = connection.execute(
                "SELECT id, metric_count, age_s FROM polls WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                (stretch.first.poll, stretch.end_poll or OPEN_END, limit),
            ).fetchall()
            old = list(takewhile(lambda row: type(row[2]) is not int or not before_s <= row[2] <= latest_s, found))
            if not old:
                if found:
                    young.add(stretch.destination)
                continue  # empty, or its polls are lost: lanes.py counts them
            last = old[-1][0]
            if len(old) == len(found) < limit:
                removed = max(stretch.metrics, 0)  # all of it, and what damaged rows do not say
            else:
                counts = [(poll, count) for poll, count, _ in old if type(count) is int and 0 < count < OPEN_END >> 20]
                removed = sum(count - (stretch.first.metric if poll == stretch.first.poll else 0) for poll, count in counts)
                removed = max(min(removed, stretch.metrics), 0)
            left = replace(
                stretch, first=Position(last + 1, 0), polls=stretch.polls - len(old), metrics=stretch.metrics - removed
            )
            if stretch.end_poll is not None and not left.metrics and left.first.poll >= stretch.end_poll:
                lanes.drop_stretch(connection, stretch)
            else:
                lanes.write_stretch(connection, left)
            lanes.remove_polls(connection, stretch.first.poll, last)
            metrics[stretch.destination] += removed
            if len(old) == limit:
                done = False
                break
    return Step(metrics.total(), done, +metrics)


def _all_stretches(connection: sqlite3.Connection) -> list[lanes.Stretch]:
    """Of all lines, the oldest first: a destination that is down makes room for the others, and not they for it."""
    found = [stretch for line in lanes.lines(connection) for stretch in lanes.stretches(connection, line)]
    return sorted(found, key=lambda stretch: (stretch.first, stretch.destination))


def remove_open(connection: sqlite3.Connection, before_s: int, limit: int | None = None, *, latest_s: int = OPEN_END) -> Step:
    """Remove the open batches, at most `limit`, all of whose polls were stored before `before_s`, and those polls.

    A poll that was stored later than `latest_s` is damaged.
    """
    metrics: Counter[str] = Counter()
    with transaction(connection):
        old = (batch for batch in lanes.open_batches(connection) if _is_old(connection, batch, before_s, latest_s))
        for batch in islice(old, limit):
            lanes.drop_batch(connection, batch)
            lanes.remove_polls(connection, batch.start.poll, batch.last_poll)
            metrics[batch.destination] += batch.metric_count
    return Step(metrics.total(), of_lines=metrics)


def _is_old(connection: sqlite3.Connection, batch: Batch, before_s: int, latest_s: int) -> bool:
    young = "SELECT 1 FROM polls WHERE id BETWEEN ? AND ? AND age_s BETWEEN ? AND ? LIMIT 1"
    return connection.execute(young, (batch.start.poll, batch.last_poll, before_s, latest_s)).fetchone() is None


def remove_sent(connection: sqlite3.Connection, until_s: int) -> Step:
    """Remove the batches sent up to `until_s`, and the polls that no other batch and no uncut stretch has a part of."""
    with transaction(connection):
        batches = lanes.sent_batches(connection, until_s, BATCHES_PER_STEP)
        for batch in batches:
            lanes.drop_batch(connection, batch)
            lanes.remove_polls(connection, batch.start.poll, batch.last_poll)
    return Step(sum(batch.metric_count for batch in batches), len(batches) < BATCHES_PER_STEP)


def remove_unreached(connection: sqlite3.Connection) -> Step:
    """Remove polls before all lines, or a part of them: a corrupt file that was removed while it was copied leaves them."""
    with transaction(connection):
        first = lanes.first_poll(connection)
        removed = [
            connection.execute(
                f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {key} < ? ORDER BY {key} LIMIT ?)",  # noqa: S608 -- our names
                (first, POLLS_PER_STEP),
            ).rowcount
            for table, key in (("polls", "id"), ("bodies", "poll"))
        ]
    return Step(done=max(removed) < POLLS_PER_STEP)


def remove_packs(connection: sqlite3.Connection) -> Step:
    """Remove the packs of one stretch of which no poll is left, or a part of them."""
    with transaction(connection):
        row = connection.execute(
            # A range goes on where the one before it ends. That its first poll says so too is not believed: it has no checksum.
            "SELECT end_poll, coalesce((SELECT max(b.end_poll) FROM ranges b WHERE b.end_poll < r.end_poll), 0) AS begin"
            " FROM ranges r WHERE NOT EXISTS (SELECT 1 FROM polls WHERE id >= begin AND id < r.end_poll)"
            " ORDER BY end_poll LIMIT 1"
        ).fetchone()
        if row is None:
            return Step()
        removed = connection.execute(  # with those of a range before it whose row is lost
            "DELETE FROM packs WHERE id IN (SELECT id FROM packs WHERE end_poll <= ? AND end_poll > ? LIMIT ?)",
            (*row, PACKS_PER_STEP),
        ).rowcount
        # The packer goes on after the last range: it stays until there is another.
        if removed < PACKS_PER_STEP:
            gone = connection.execute(
                "DELETE FROM ranges WHERE end_poll = ? AND end_poll < (SELECT max(end_poll) FROM ranges)", row[:1]
            )
            return Step(done=gone.rowcount == 0)
    return Step(done=False)


def vacuum(connection: sqlite3.Connection) -> Step:
    """Give free pages back to the file system, but for an eighth of the file, which new polls soon take."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    excess = free - max(pages // 8, PAGES_PER_STEP)
    if excess <= 0:
        return Step()
    give_back(connection, min(excess, PAGES_PER_STEP))
    if excess > PAGES_PER_STEP:
        return Step(done=False)
    return checkpoint(connection)  # only then the file is shorter


def give_back(connection: sqlite3.Connection, pages: int) -> None:
    """Cut free pages off the file's end."""
    # It frees one page a step and yields a row without columns, of which execute() reads only one.
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")


def checkpoint(connection: sqlite3.Connection) -> Step:
    """Fold the -wal file in, and cut it to nothing."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Step()
