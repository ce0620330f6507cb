"""What a database that may be damaged says is undelivered, line by line, and what is left out of it by damage.

Its stretches and batches, if all of them can be read; otherwise all that no batch has, so that nothing is left out that is there.
Synchronous, for the writer's thread.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from towerops_agent.buffer.database import FAILURES
from towerops_agent.buffer.format.batch import OPEN_END, Position
from towerops_agent.buffer.remains import Remains, Row


@dataclass(frozen=True, slots=True)
class Uncut:
    """Of a line: from `begin` up to `end`, exclusive."""

    line: str
    begin: Position
    end: Position


class Ledger:
    """The stretches and batches of a database, as rows, and whether these are all of them.

    `stretches`, `batches`: rows of remains.COLUMNS.
    """

    def __init__(self, remains: Remains) -> None:
        self.stretches = list(remains.all("uncut"))
        self.batches = list(remains.all("batches"))
        self._lacks_batches = "batches" in remains.damaged or not _has_all_rows(remains, "batches")
        open_lines = [row[-2] for row in self.stretches if row[2] is None]
        self.is_whole = (
            bool(open_lines)  # there is always one
            and len(set(open_lines)) == len(open_lines)
            and "uncut" not in remains.damaged
            and _has_all_rows(remains, "uncut")
            and not self._lacks_batches
        )
        self._open_lines = set(open_lines)

    def open_lines(self, configured: Collection[str]) -> set[str]:
        """The lines that new polls belong to; of a damaged ledger those too that it may have lost."""
        if self.is_whole:
            return set(self._open_lines)
        known = {row[-2] for row in (*self.stretches, *self.batches)} | set(configured)
        return known or {""}

    def uncut(self, configured: Collection[str], end: int) -> list[Uncut]:
        """Of which polls, before `end`, no batch has been cut; of a damaged ledger all that is in no batch."""
        if self.is_whole:
            return [
                Uncut(row[-2], Position(row[0], row[1]), Position(end if row[2] is None else row[2], 0))
                for row in self.stretches
                if row[2] is not None or row[0] < end
            ]
        return [part for line in sorted(self.open_lines(configured)) for part in self._between_batches(line, Position(end, 0))]

    def _between_batches(self, line: str, end: Position) -> Iterator[Uncut]:
        begin = Position(0, 0)
        rows = sorted((row for row in self.batches if row[-2] == line), key=lambda row: (row[2], row[3]))
        for start, stop in [*((Position(row[2], row[3]), Position(row[4], row[5])) for row in rows), (end, end)]:
            # Of a poll that a batch has the end of, the beginning was in a batch that is gone: delivered, if none is damaged.
            until = start if self._lacks_batches else Position(start.poll, 0)
            if begin < until:
                yield Uncut(line, begin, until)
            begin = max(begin, start, stop)

    def undelivered(self, configured: Collection[str], end: int) -> list[tuple[int, int]]:
        """The polls of which a line has not got all: from, up to but not; in order, none overlaps another."""
        ranges = [(part.begin.poll, part.end.poll + bool(part.end.metric)) for part in self.uncut(configured, end)]
        ranges += [(row[2], row[4] + bool(row[5])) for row in self.open_batches]
        merged: list[tuple[int, int]] = []
        for first, stop in sorted(ranges):
            if merged and first <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            elif first < stop:
                merged.append((first, stop))
        return merged

    @property
    def open_batches(self) -> list[Row]:
        """The batches that were not sent."""
        return [row for row in self.batches if row[8] is None]

    @property
    def first_uncut(self) -> int:
        """From which poll on none is in a batch: by batches and open stretches, which have checksums."""
        first: int = max([1, *(row[4] for row in self.batches), *(row[0] for row in self.stretches if row[2] is None)])
        return first


def _has_all_rows(remains: Remains, table: str) -> bool:
    """Whether no row can have vanished from the table: a row that is gone has no checksum."""
    try:
        return bool(remains.source.execute(f"PRAGMA quick_check({table})").fetchone() == ("ok",))
    except FAILURES:
        return False


def left_of(parts: Sequence[Uncut], taken: Sequence[tuple[Position, Position]]) -> Iterator[Uncut]:
    """What is in one of the parts of a line, and not between the positions that are taken; in order, each once.

    `taken`: from, up to but not; in order.
    """
    reach = Position(0, 0)  # all before it is done with
    batches = iter(taken)
    start, stop = next(batches, _NOWHERE)
    for part in sorted(parts, key=lambda part: (part.begin, part.end)):
        begin = max(part.begin, reach)
        while begin < part.end:
            while stop <= begin:
                start, stop = next(batches, _NOWHERE)
            if begin < start:
                yield Uncut(part.line, begin, min(start, part.end))
            begin = max(begin, min(stop, part.end) if start < part.end else part.end)
        reach = max(reach, part.end)


_NOWHERE = (Position(OPEN_END, 0), Position(OPEN_END, 1))
