"""The layouts in the database: registered, in use or not, and freed when no poll belongs to them.

A configuration that changes at each fetch makes layouts of which most never get a poll: they go within a run.
Synchronous, for the writer's thread. Seconds on the age clock (`_s`).
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.codec import checksum, decode_layout, digest, encode_layout, is_intact
from towerops_agent.buffer.lanes import next_poll_id
from towerops_agent.buffer.retention import Step
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout

IDLE_S = 120
"""How long a layout must be unused before no more polls are expected of it: one that has just ended may still come in."""

FEW = 100
"""So many unused layouts wait for their polls to go, a day at most; more are worth a look at each poll."""

SCANNED_PER_STEP = 10_000

CACHED_OCTETS = 32 << 20
"""Of layouts as stored, those of 10,000 devices of 68 items: a running agent reads each of them once in every interval.

A look-up of another one costs 10 µs, and the pages of polls that are read next their place in SQLite's cache: with 4 MB the whole
agent took 6 % more for 10,000 devices.
"""

LOOKED_UP_OCTETS = 4 << 20
"""For another process, which looks at some of them."""

ENTRY_OCTETS = 150
"""What a layout in memory takes beside its octets."""

BESIDE_LAYOUTS = "series "
"""How the keys begin of values that are kept beside layouts, and go with them."""


class StoredLayouts:
    """Reads layouts by their ids. Their octets stay in memory, up to a bound; decoded they would take three times as much."""

    def __init__(self, connection: sqlite3.Connection, cached_octets: int) -> None:
        self._connection = connection
        self._cached_octets = cached_octets
        self._bodies: dict[int, bytes] = {}
        self._octets = 0

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._bodies)

    def read(self, layout_id: int) -> Layout:
        """The layout with this id. Raises BufferFailure if it is missing or damaged."""
        body = self._bodies.get(layout_id)
        if body is None:
            body = self._stored(layout_id)
            # Devices are polled in turns: what the least recently used one made room for would be gone before its own turn.
            if self._octets + len(body) + ENTRY_OCTETS <= self._cached_octets:
                self._bodies[layout_id] = body
                self._octets += len(body) + ENTRY_OCTETS
        return decode_layout(body)

    def keep_only(self, ids: Collection[int]) -> None:
        """Have only these in memory, of those that are."""
        self._bodies = {layout_id: body for layout_id, body in self._bodies.items() if layout_id in ids}
        self._octets = sum(len(body) + ENTRY_OCTETS for body in self._bodies.values())

    def _stored(self, layout_id: int) -> bytes:
        row = self._connection.execute("SELECT id, body, checksum FROM layouts WHERE id = ?", (layout_id,)).fetchone()
        if row is None:
            raise BufferFailure(f"layout {layout_id} of a stored poll is missing")
        if not is_intact(*row):
            raise BufferFailure(f"layout {layout_id} of a stored poll does not match its checksum")
        body: bytes = row[1]
        return body


def equipment_in(connection: sqlite3.Connection) -> Iterator[str]:
    """The id of the equipment of each layout that a database has, as far as it can be read. Raises sqlite3.Error."""
    for layout_id, body, sum_ in connection.execute("SELECT id, body, checksum FROM layouts"):
        if is_intact(layout_id, body, sum_):
            with suppress(BufferFailure):
                yield decode_layout(body).equipment_id


class Layouts:
    """The layouts of an open database. `last_poll` of a row: NULL while it is in use; below 0: it is idle since that age, less
    one; else no poll after that id belongs to it. What an earlier run used is in use until `use_only`: at a start most are used
    again, and a row is not written for that. Methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unused: set[int] = set()  # those of which no poll has been seen yet
        self._next = 0  # the first poll that has not been looked at; 0: no look is under way

    def register(self, layouts: Iterable[Layout]) -> list[int]:
        """The ids of the layouts, in order; a layout stored before keeps its id."""
        ids = []
        with transaction(self._connection):
            for layout in layouts:
                body = encode_layout(layout)
                key = digest(body)
                known = self._connection.execute("SELECT id, body, checksum FROM layouts WHERE digest = ?", (key,)).fetchone()
                if known and is_intact(*known) and known[1] == body:
                    layout_id = known[0]
                    self._use(layout_id)
                else:
                    layout_id = self._insert(key, body)
                ids.append(layout_id)
        return ids

    def _insert(self, key: bytes, body: bytes) -> int:
        execute = self._connection.execute
        # One that is damaged stays, and its polls are lost with it; nobody asks for a longer key.
        execute("UPDATE layouts SET digest = CAST(digest || id AS BLOB) WHERE digest = ?", (key,))
        layout_id = execute("INSERT INTO layouts (digest, body, checksum) VALUES (?, ?, 0)", (key, body)).lastrowid or 0
        execute("UPDATE layouts SET checksum = ? WHERE id = ?", (checksum(layout_id, body), layout_id))
        return layout_id

    def _use(self, layout_id: int) -> None:
        # Only if it changes: each start asks for all of them, and flash cards wear.
        self._connection.execute("UPDATE layouts SET last_poll = NULL WHERE id = ? AND last_poll IS NOT NULL", (layout_id,))

    def in_use(self) -> list[int]:
        """The ids of the layouts that are in use."""
        return [layout for (layout,) in self._connection.execute("SELECT id FROM layouts WHERE last_poll IS NULL")]

    def use_too(self, ids: Collection[int]) -> None:
        """Note that these are in use, as they were in a database whose content is in this one by now."""
        with transaction(self._connection):
            for layout_id in ids:
                self._use(layout_id)

    def use_only(self, ids: Collection[int], now_s: int) -> None:
        """Note that the other layouts are idle from now on."""
        with transaction(self._connection):
            idle = [(-1 - now_s, layout) for layout in self.in_use() if layout not in ids]
            self._connection.executemany("UPDATE layouts SET last_poll = ? WHERE id = ?", idle)

    def remove(self, now_s: int) -> Step:
        """Do a bounded part of it: remove the layouts that no poll belongs to, and none will."""
        if not self._next:
            self._begin(now_s)
        if not self._unused:
            self._next = 0
            return Step()
        rows = self._connection.execute(
            "SELECT id, layout_id FROM polls WHERE id >= ? ORDER BY id LIMIT ?", (self._next, SCANNED_PER_STEP)
        ).fetchall()
        self._unused.difference_update(layout for _, layout in rows)
        if len(rows) == SCANNED_PER_STEP:
            self._next = rows[-1][0] + 1
            return Step(done=False)
        with transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM layouts WHERE id = ? AND last_poll >= 0", [(layout,) for layout in self._unused]
            )
        self._unused, self._next = set(), 0
        return Step()

    def _begin(self, now_s: int) -> None:
        with transaction(self._connection):
            last = next_poll_id(self._connection) - 1
            self._connection.execute(
                "UPDATE layouts SET last_poll = ? WHERE last_poll < 0 AND last_poll >= ?", (last, -1 - (now_s - IDLE_S))
            )
            (first,) = self._connection.execute("SELECT min(id) FROM polls").fetchone()
            self._connection.execute(
                "DELETE FROM layouts WHERE last_poll >= 0 AND last_poll < ?", (last + 1 if first is None else first,)
            )
        unused = self._connection.execute("SELECT id FROM layouts WHERE last_poll >= 0").fetchall()
        self._unused = {row[0] for row in unused} if len(unused) > FEW else set()
        self._next = 1
