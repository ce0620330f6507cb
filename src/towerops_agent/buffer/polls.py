"""Polls read back from the database, plain or packed.

Connection -> StoredPoll; for the writer's thread (store.py) and for other processes (reader.py). Reads only; what does not match
its checksum is left out.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.buffer.format.codec import Packing, decode_layout, decode_poll, is_head, is_intact
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout

LAYOUTS_CACHED = 256
"""Some 3 MB; at more devices each poll read costs one look-up and decoding, 25 µs."""

PollHead = tuple[int, int, int, int]
"""What a row of `polls` has: id, layout_id, started_at_us, metric_count."""

HEAD = "id, layout_id, started_at_us, metric_count"


class Polls:
    """The polls of an open database. Methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._packing = Packing()
        self.layout: Callable[[int], Layout] = lru_cache(LAYOUTS_CACHED)(self._read_layout)

    def between(self, first: int, last: int) -> list[PollHead]:
        """The polls whose ids are in first..last, in order."""
        return self._connection.execute(
            f"SELECT {HEAD} FROM polls WHERE id BETWEEN ? AND ? ORDER BY id",  # noqa: S608 -- our names
            (first, last),
        ).fetchall()

    def decode(self, heads: Iterable[PollHead]) -> Iterator[tuple[PollHead, StoredPoll | BufferFailure | None]]:
        """Each poll whole; a BufferFailure if it is damaged; None if that was found, and counted, before."""
        packs: dict[tuple[int, int], Mapping[int, bytes]] = {}  # each pack is unpacked once
        for head in heads:
            poll_id, layout_id, started_at_us, metric_count = head
            try:
                if not is_head(head):
                    raise BufferFailure("the row of a stored poll is damaged")
                body = self._body(poll_id, layout_id, packs)
                if not body:
                    yield head, None
                    continue
                layout = self.layout(layout_id)
                poll = decode_poll((layout_id, started_at_us, metric_count, body), layout)
            except BufferFailure as error:
                yield head, error
                continue
            yield head, StoredPoll(poll_id, layout, poll, 0, metric_count)

    def _body(self, poll: int, layout: int, packs: dict[tuple[int, int], Mapping[int, bytes]]) -> bytes:
        row = self._connection.execute("SELECT body FROM bodies WHERE poll = ?", (poll,)).fetchone()
        if row is not None:
            return _octets(row[0])
        end_row = self._connection.execute(
            "SELECT end_poll FROM ranges WHERE end_poll > ? ORDER BY end_poll LIMIT 1", (poll,)
        ).fetchone()
        if end_row is not None:
            key = (end_row[0], layout)
            if key not in packs:
                packs[key] = self._unpacked(*key)
            if poll in packs[key]:
                return packs[key][poll]
        raise BufferFailure("the readings of a stored poll are missing")

    def _unpacked(self, end_poll: int, layout: int) -> Mapping[int, bytes]:
        row = self._connection.execute(
            "SELECT body FROM packs WHERE end_poll = ? AND layout_id = ?", (end_poll, layout)
        ).fetchone()
        return {} if row is None else self._packing.unpack(_octets(row[0]))

    def _read_layout(self, layout_id: int) -> Layout:
        row = self._connection.execute("SELECT id, body, checksum FROM layouts WHERE id = ?", (layout_id,)).fetchone()
        if row is None:
            raise BufferFailure(f"layout {layout_id} of a stored poll is missing")
        if not is_intact(*row):
            raise BufferFailure(f"layout {layout_id} of a stored poll does not match its checksum")
        return decode_layout(row[1])


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise BufferFailure("the readings of a stored poll are not octets")
    return value
