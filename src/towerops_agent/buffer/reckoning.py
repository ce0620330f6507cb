"""The end of a salvage: what has come over of the undelivered polls becomes backlog, and what has not is counted as lost.

A Ledger of the source + the target's polls -> stretches and batches of the target, line by line.
Synchronous, for the writer's thread. Functions take part in the caller's transaction, and raise sqlite3.Error if the target
can't be written.
"""

import sqlite3
from collections.abc import Collection
from uuid import uuid4

from towerops_agent.buffer import lanes
from towerops_agent.buffer.format.batch import Batch, Lane, Position
from towerops_agent.buffer.lanes import Stretch
from towerops_agent.buffer.ledger import Ledger, Uncut, left_of


def open_parts(target: sqlite3.Connection, ledger: Ledger, configured: Collection[str], end: int) -> None:
    """Make backlog, line by line, of what the source and the target say is not cut, but for what a batch has by now.

    `configured`: the destinations that there are. `end`: the source has no polls from this id on.
    """
    parts: dict[str, list[Uncut]] = {line: [] for line in lanes.lines(target)}
    for line, found in parts.items():
        for stretch in lanes.stretches(target, line):
            if stretch.end_poll is not None:  # of a target that is an earlier state of the source: of the same polls
                found.append(Uncut(line, stretch.first, Position(stretch.end_poll, 0)))
                lanes.drop_stretch(target, stretch)
    for part in ledger.uncut(configured, end):
        parts.setdefault(part.line, []).append(part)
    for line, found in parts.items():
        taken = target.execute(
            "SELECT start_poll, start_metric, stop_poll, stop_metric FROM batches WHERE destination = ?"
            " ORDER BY start_poll, start_metric",
            (line,),
        ).fetchall()
        for part in left_of(found, [(Position(*row[:2]), Position(*row[2:])) for row in taken]):
            _insert_part(target, part)


def _insert_part(target: sqlite3.Connection, part: Uncut) -> None:
    begin = part.begin
    first, polls, metrics = _metrics_between(target, begin, part.end.poll)
    if metrics > 0:
        begin = begin if first == begin.poll else Position(first, 0)
        lanes.write_stretch(target, Stretch(None, begin, part.end.poll, polls, metrics, Lane.BACKLOG, part.line))
    begin = max(part.begin, Position(part.end.poll, 0))
    if begin < part.end and target.execute("SELECT 1 FROM polls WHERE id = ?", (begin.poll,)).fetchone():
        # A stretch ends with a whole poll.
        count = part.end.metric - begin.metric
        lanes.insert_batch(target, Batch(0, uuid4().hex, begin, part.end, count, 0, Lane.BACKLOG, part.line))


def lost_metrics(target: sqlite3.Connection, ledger: Ledger, end: int) -> int:
    """How many undelivered metrics the source's stretches and open batches speak of whose polls could not be copied."""
    lost = 0
    for first_poll, first_metric, end_poll, _, metrics, *_ in ledger.stretches:
        until = end if end_poll is None else end_poll
        lost += max(metrics - _metrics_between(target, Position(first_poll, first_metric), until)[2], 0)
    for row in ledger.open_batches:
        start, stop, count = Position(row[2], row[3]), Position(row[4], row[5]), row[6]
        found = _metrics_between(target, start, stop.poll)[2]
        if stop.metric and target.execute("SELECT 1 FROM polls WHERE id = ?", (stop.poll,)).fetchone():
            found += stop.metric - (start.metric if start.poll == stop.poll else 0)
        lost += max(count - found, 0)
    return lost


def _metrics_between(connection: sqlite3.Connection, begin: Position, end_poll: int) -> tuple[int, int, int]:
    """Of the polls from `begin` to `end_poll`, exclusive: the first one's id, how many they are, how many metrics they make."""
    first, polls, metrics = connection.execute(
        "SELECT min(id), count(*), sum(metric_count) FROM polls WHERE id >= ? AND id < ?", (begin.poll, end_poll)
    ).fetchone()
    return first or 0, polls, (metrics or 0) - (begin.metric if polls and first == begin.poll else 0)
