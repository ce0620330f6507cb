"""What leaves the database: polls delivered a day ago, polls nobody took for a day, old refusals, unused layouts, free pages.

Each function is one bounded transaction, so that new polls are written in between; called until it says it is done.
Times are microseconds since 1970-01-01 UTC (`_us`) and are passed in.
"""

import sqlite3
from dataclasses import dataclass

from towerops_agent.buffer.batch import OPEN_END, Position
from towerops_agent.buffer.database import transaction

POLLS_PER_STEP = 1_000
BATCHES_PER_STEP = 50
PAGES_PER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. `expired`: metrics removed unsent; `done`: the next step would find nothing."""

    expired: int = 0
    done: bool = True


def expire_uncut(connection: sqlite3.Connection, before_us: int) -> Step:
    """Remove polls that started before `before_us` and of which metrics have never been cut into a batch.

    From the front of each stretch, up to the first poll that is younger.
    """
    expired, done = 0, True
    with transaction(connection):
        for stretch, first_poll, first_metric, end_poll in connection.execute(
            "SELECT id, first_poll, first_metric, coalesce(end_poll, ?) FROM uncut WHERE metrics > 0", (OPEN_END,)
        ).fetchall():
            polls = metrics = last = 0
            for poll, metric_count, started_at_us in connection.execute(
                "SELECT id, metric_count, started_at_us FROM polls WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                (first_poll, end_poll, POLLS_PER_STEP),
            ).fetchall():
                if started_at_us >= before_us:
                    break
                polls, last = polls + 1, poll
                metrics += metric_count - (first_metric if poll == first_poll else 0)
            if not polls:
                continue
            connection.execute(
                "UPDATE uncut SET first_poll = ?, first_metric = 0, polls = polls - ?, metrics = metrics - ? WHERE id = ?",
                (last + 1, polls, metrics, stretch),
            )
            _remove_polls(connection, first_poll, last)
            expired += metrics
            done = done and polls < POLLS_PER_STEP
        connection.execute("DELETE FROM uncut WHERE first_poll >= end_poll")
    return Step(expired, done)


def expire_open(connection: sqlite3.Connection, before_us: int) -> Step:
    """Remove the open batches all of whose polls started before `before_us`, and those polls."""
    expired = 0
    with transaction(connection):
        for batch, first, last, metrics in connection.execute(
            "SELECT id, start_poll, stop_poll - (stop_metric = 0), metric_count FROM batches b WHERE sent_at_us IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM polls WHERE id BETWEEN b.start_poll AND b.stop_poll - (b.stop_metric = 0)"
            " AND started_at_us >= ?)",
            (before_us,),
        ).fetchall():
            connection.execute("DELETE FROM batches WHERE id = ?", (batch,))
            _remove_polls(connection, first, last)
            expired += metrics
    return Step(expired)


def remove_sent(connection: sqlite3.Connection, until_us: int) -> Step:
    """Remove the batches sent up to `until_us`, and the polls that no other batch and no uncut stretch has a part of."""
    with transaction(connection):
        batches = connection.execute(
            "SELECT id, start_poll, stop_poll - (stop_metric = 0) FROM batches WHERE sent_at_us <= ? ORDER BY sent_at_us LIMIT ?",
            (until_us, BATCHES_PER_STEP),
        ).fetchall()
        for batch, first, last in batches:
            connection.execute("DELETE FROM batches WHERE id = ?", (batch,))
            _remove_polls(connection, first, last)
    return Step(done=len(batches) < BATCHES_PER_STEP)


def remove_refused(connection: sqlite3.Connection, until_us: int) -> Step:
    """Remove the metrics set aside up to `until_us`."""
    with transaction(connection):
        connection.execute("DELETE FROM refused WHERE at_us <= ?", (until_us,))
    return Step()


def remove_layouts(connection: sqlite3.Connection) -> Step:
    """Remove the layouts of earlier runs that no poll is left of."""
    with transaction(connection):
        connection.execute("DELETE FROM layouts WHERE last_poll < (SELECT coalesce(min(id), ?) FROM polls)", (OPEN_END,))
    return Step()


def vacuum(connection: sqlite3.Connection) -> Step:
    """Give free pages back to the file system, but for an eighth of the file, which new polls soon take."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    excess = free - max(pages // 8, PAGES_PER_STEP)
    if excess <= 0:
        return Step()
    # It frees one page a step and yields a row without columns, of which execute() takes one alone.
    connection.executescript(f"PRAGMA incremental_vacuum({min(excess, PAGES_PER_STEP)})")
    return Step(done=excess <= PAGES_PER_STEP)


def checkpoint(connection: sqlite3.Connection) -> Step:
    """Fold the -wal file in, and cut it to nothing."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Step()


def _remove_polls(connection: sqlite3.Connection, first: int, last: int) -> None:
    # What was covered has been taken off `batches` or `uncut` already. The polls within belonged to it alone; those at its two
    # ends another batch, or an uncut stretch, may have a part of.
    if _is_needed(connection, first):
        first += 1
    if last >= first and _is_needed(connection, last):
        last -= 1
    connection.execute("DELETE FROM polls WHERE id BETWEEN ? AND ?", (first, last))


def _is_needed(connection: sqlite3.Connection, poll: int) -> bool:
    if connection.execute(
        "SELECT 1 FROM uncut WHERE first_poll <= ?1 AND (end_poll IS NULL OR end_poll > ?1)"
        " UNION ALL SELECT 1 FROM batches WHERE start_poll = ?1",
        (poll,),
    ).fetchone():
        return True
    # Batches do not overlap: if one that starts before the poll reaches into it, the nearest does.
    before = connection.execute(
        "SELECT stop_poll, stop_metric FROM batches WHERE start_poll < ? ORDER BY start_poll DESC, start_metric DESC LIMIT 1",
        (poll,),
    ).fetchone()
    return before is not None and Position(*before) > Position(poll, 0)
