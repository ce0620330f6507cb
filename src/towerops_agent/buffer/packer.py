"""Packs what is no longer young, in the background: a stretch of polls at a time, a pack per layout.

bodies -> packs. Three phases per stretch, each in bounded transactions: its polls are listed by layout (in memory, 8 octets a
poll), packed, and then their plain bodies removed from front to end, so that each page of them is written once, as free.
The row in `ranges` is what makes packs count; a kill before it leaves packs that the next run removes, a kill after it leaves
bodies that the next run removes.
Synchronous, for the writer's thread. Seconds on the age clock (`_s`).
"""

import sqlite3
from array import array

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.codec import Packing
from towerops_agent.buffer.retention import Step

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
        self._to_remove = True  # bodies of polls before _packed_to may be left

    def step(self, now_s: int) -> Step:
        """Do a bounded part of what is to be done."""
        packed_to = self._begin() if self._packed_to is None else self._packed_to  # and on: else one that fails begins for ever
        if self._to_remove:
            self._to_remove = self._remove_bodies(packed_to)
            return Step(done=False)
        if self._complete:
            self._pack_some()
            return Step(done=False)
        return self._list_some(now_s - PLAIN_S)

    def _begin(self) -> int:
        with transaction(self._connection):
            (end,) = self._connection.execute("SELECT coalesce(max(end_poll), 1) FROM ranges").fetchone()
            self._connection.execute("DELETE FROM packs WHERE end_poll > ?", (end,))
        self._packed_to = self._next = int(end)
        return self._packed_to

    def _list_some(self, until_s: int) -> Step:
        seen = 0
        for poll, layout, age_s in self._connection.execute(
            "SELECT id, layout_id, age_s FROM polls WHERE id >= ? ORDER BY id LIMIT ?", (self._next, SCANNED_PER_STEP)
        ).fetchall():
            if type(age_s) is int and age_s > until_s:
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
                    if (row := self._connection.execute("SELECT body FROM bodies WHERE poll = ?", (poll,)).fetchone()) and row[0]
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
            self._packed_to, self._count, self._complete, self._to_remove = self._next, 0, False, True

    def _remove_bodies(self, end: int) -> bool:
        # Not the empty ones: they say that a damaged poll has been counted.
        with transaction(self._connection):
            removed = self._connection.execute(
                "DELETE FROM bodies WHERE poll IN"
                " (SELECT poll FROM bodies WHERE poll < ? AND length(body) > 0 ORDER BY poll LIMIT ?)",
                (end, REMOVED_PER_STEP),
            ).rowcount
        return removed == REMOVED_PER_STEP
