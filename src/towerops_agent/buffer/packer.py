"""Packs what is no longer young, in the background: a stretch of polls at a time, a pack per layout.

bodies -> packs. Three phases per stretch, each in bounded transactions: its polls are listed by layout (in memory, 8 octets a
poll), packed, and then their plain bodies removed from front to end, so that each page of them is written once, as free.
The row in `ranges` is what makes packs count; a kill before it leaves packs that the next run removes, a kill after it leaves
bodies that the next run removes.
Synchronous, for the writer's thread. Seconds on the age clock (`_s`).
"""

import sqlite3
from array import array
from collections.abc import Mapping

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.codec import Packing
from towerops_agent.buffer.lanes import next_poll_id
from towerops_agent.buffer.retention import Step
from towerops_agent.errors import BufferFailure

PLAIN_S = 600
"""How long polls stay plain: in quiet times they are delivered by then."""

POLLS_PER_LAYOUT = 16
"""How many polls of a layout make a pack: half of them cost a tenth more space, twice as many save as little."""

POLLS_PER_RANGE = 49_152
"""Bounds the list of a stretch's polls in memory; from 3,000 devices on packs get shorter by it."""

SCANNED_PER_STEP = 10_000
PACKED_PER_STEP = 500
REMOVED_PER_STEP = 1_000
"""Each some 10 ms on the machine of the decision's figures."""


class Packer:
    """What is being packed. To be dropped when a step has failed, and begun again: all that counts is in the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._packing = Packing()
        self._packed_to: int | None = None  # the end of the last range; None: not looked yet
        self._next = 0  # the first poll that is not listed yet
        self._listed: dict[int, array[int]] = {}  # polls by layout
        self._count = 0
        self._complete = False
        self._leftover = 0  # bodies of polls from here on and before _packed_to may be left of an earlier run; below 0: none
        self._own: tuple[int, int] | None = None  # bodies of these polls, packed by this run, may be left

    def step(self, now_s: int) -> Step:
        """Do a bounded part of what is to be done."""
        packed_to = self._begin() if self._packed_to is None else self._packed_to  # and on: else one that fails begins for ever
        if self._own is not None:
            if not self._remove_bodies(*self._own):
                self._own = None
            return Step(done=False)
        if self._leftover >= 0:
            self._remove_leftover(packed_to)
            return Step(done=False)
        if self._complete:
            self._pack_some()
            return Step(done=False)
        return self._list_some(now_s)

    def _begin(self) -> int:
        """From which poll on none is packed. What ranges say is not believed, as they have no checksum."""
        execute = self._connection.execute
        with transaction(self._connection):
            next_poll = next_poll_id(self._connection)
            execute("DELETE FROM ranges WHERE end_poll > ?", (next_poll,))
            (end,) = execute("SELECT coalesce(max(end_poll), 1) FROM ranges").fetchone()
            (packed,) = execute("SELECT coalesce(max(end_poll), 1) FROM packs WHERE end_poll <= ?", (next_poll,)).fetchone()
            if packed > end and self._lacks_bodies(end, packed):  # a range is lost: only then plain bodies are removed
                execute("INSERT INTO ranges (end_poll, first_poll) VALUES (?, ?)", (packed, end))
                end = packed
            execute("DELETE FROM packs WHERE end_poll > ?", (end,))
        self._packed_to = self._next = int(end)
        return self._packed_to

    def _lacks_bodies(self, first: int, end: int) -> bool:
        lacking = "SELECT 1 FROM polls WHERE id >= ? AND id < ? AND NOT EXISTS (SELECT 1 FROM bodies WHERE poll = id) LIMIT 1"
        return self._connection.execute(lacking, (first, end)).fetchone() is not None

    def _list_some(self, now_s: int) -> Step:
        seen = 0
        for poll, layout, age_s in self._connection.execute(
            "SELECT id, layout_id, age_s FROM polls WHERE id >= ? ORDER BY id LIMIT ?", (self._next, SCANNED_PER_STEP)
        ).fetchall():
            if type(age_s) is int and now_s - PLAIN_S < age_s <= now_s:  # later than now: it is damaged
                return Step()
            seen += 1
            if type(layout) is int:  # else its row is damaged, which whoever reads the poll counts
                self._listed.setdefault(layout, array("q")).append(poll)
            self._next = poll + 1
            self._count += 1
            if self._count >= min(POLLS_PER_LAYOUT * len(self._listed), POLLS_PER_RANGE):
                self._complete = True
                return Step(done=False)
        return Step(done=seen < SCANNED_PER_STEP)

    def _pack_some(self) -> None:
        packed: list[int] = []
        polls = 0
        with transaction(self._connection):
            for layout, ids in self._listed.items():
                bodies = [
                    (poll, row[0])
                    for poll in ids
                    if (row := self._connection.execute("SELECT body FROM bodies WHERE poll = ?", (poll,)).fetchone())
                    and type(row[0]) is bytes  # else it is damaged, and nobody could read the pack
                    and row[0]
                ]
                if bodies:
                    self._connection.execute(
                        "INSERT INTO packs (end_poll, layout_id, body) VALUES (?, ?, ?)",
                        (self._next, layout, self._packing.pack(bodies)),
                    )
                packed.append(layout)
                polls += len(ids)
                if polls >= PACKED_PER_STEP:
                    break
            if len(packed) == len(self._listed):
                self._connection.execute("INSERT INTO ranges (end_poll, first_poll) VALUES (?, ?)", (self._next, self._packed_to))
        for layout in packed:
            del self._listed[layout]
        if not self._listed:
            self._own = (self._packed_to or 0, self._next)
            self._packed_to, self._count, self._complete = self._next, 0, False

    def _remove_bodies(self, first: int, end: int) -> bool:
        # Not the empty ones: they say that a damaged poll has been counted.
        with transaction(self._connection):
            removed = self._connection.execute(
                "DELETE FROM bodies WHERE poll IN"
                " (SELECT poll FROM bodies WHERE poll >= ? AND poll < ? AND length(body) > 0 ORDER BY poll LIMIT ?)",
                (first, end, REMOVED_PER_STEP),
            ).rowcount
        return removed == REMOVED_PER_STEP

    def _remove_leftover(self, end: int) -> None:
        """Remove a part of what an earlier run left, by the ranges: of each poll only if it is in a pack indeed."""
        rows = self._connection.execute(
            "SELECT poll, body, layout_id FROM bodies LEFT JOIN polls ON id = poll"
            " WHERE poll >= ? AND poll < ? AND length(body) > 0 ORDER BY poll LIMIT ?",
            (self._leftover, end, REMOVED_PER_STEP),
        ).fetchall()
        packs: dict[tuple[int, int], Mapping[int, bytes]] = {}
        needless = [(poll,) for poll, body, layout in rows if layout is None or self._is_packed(poll, body, layout, packs)]
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM bodies WHERE poll = ?", needless)
        self._leftover = rows[-1][0] + 1 if len(rows) == REMOVED_PER_STEP else -1

    def _is_packed(self, poll: int, body: object, layout: int, packs: dict[tuple[int, int], Mapping[int, bytes]]) -> bool:
        row = self._connection.execute(
            "SELECT end_poll FROM ranges WHERE end_poll > ? ORDER BY end_poll LIMIT 1", (poll,)
        ).fetchone()
        if row is None:
            return False
        key = (row[0], layout)
        if key not in packs:
            pack = self._connection.execute("SELECT body FROM packs WHERE end_poll = ? AND layout_id = ?", key).fetchone()
            try:
                packs[key] = self._packing.unpack(pack[0]) if pack and type(pack[0]) is bytes else {}
            except BufferFailure:
                packs[key] = {}
        return packs[key].get(poll) == body
