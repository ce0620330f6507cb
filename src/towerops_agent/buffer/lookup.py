"""Polls of some layouts, found without a look at those of all others, by the index of the packs.

The table of polls has no index but its id: one would be written with each poll, and flash cards wear. Packs have one, and end at
one id for all layouts of a block of polls (packer.py): if no plain body is left of a block, there are polls of a layout only if
there is a pack of it. Blocks with plain bodies are looked through: the latest minutes, and what a salvage has left.
Read-only, within the caller's transaction. Functions raise sqlite3.Error. Times in microseconds since 1970-01-01 UTC (`_us`).
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from towerops_agent.buffer.format.batch import OPEN_END
from towerops_agent.buffer.format.codec import Packing
from towerops_agent.buffer.store import PollFound, Polls
from towerops_agent.errors import BufferFailure

POLLS_AT_ONCE: Final = 100_000
"""So many polls are looked through before it is asked whether more must be."""

FEW: Final = 500
"""So many layouts are looked up one by one; of more, all that a stretch has are read."""


@dataclass(frozen=True, slots=True)
class Block:
    """The polls with ids from `first` to `end`, exclusive. `is_packed`: what can be read of them is in packs that end there."""

    first: int
    end: int
    is_packed: bool


@dataclass(frozen=True, slots=True)
class Newest:
    """When the newest poll of a device was started, and the oldest of those that were looked at; `polls`: how many they are."""

    newest_us: int
    oldest_us: int
    polls: int = 1

    def with_others(self, others: "Newest") -> "Newest":
        """This one and others of the same device."""
        newest_us, oldest_us = max(self.newest_us, others.newest_us), min(self.oldest_us, others.oldest_us)
        return Newest(newest_us, oldest_us, self.polls + others.polls)


def blocks(connection: sqlite3.Connection) -> Iterator[Block]:
    """All polls, in blocks, the latest first."""

    def one(sql: str, *parameters: int) -> Any:  # noqa: ANN401 -- a row is what the SQL says
        return connection.execute(sql, parameters).fetchone()

    (lowest,) = one("SELECT min(id) FROM polls")
    end = OPEN_END
    while lowest is not None and end > lowest:
        (first,) = one("SELECT coalesce(max(end_poll), 0) FROM packs WHERE end_poll < ?", end)
        if end != OPEN_END and one("SELECT 1 FROM bodies WHERE poll >= ? AND poll < ? LIMIT 1", first, end) is None:
            yield Block(first, end, is_packed=True)
        else:
            at_once = "SELECT id FROM polls WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?"
            while (row := one(at_once, first, end, POLLS_AT_ONCE - 1)) is not None:
                yield Block(row[0], end, is_packed=False)
                (end,) = row
            yield Block(first, end, is_packed=False)
        end = first


def newest(
    connection: sqlite3.Connection, devices: Mapping[int, str], found: Mapping[str, Newest], paced: Collection[str]
) -> dict[str, Newest]:
    """By device, its newest poll. `devices`: whose each of the layouts is. `found`: what is known of later polls.

    `paced`: the devices of which two polls are to be found, if there are.
    """
    result = dict(found)

    def lacks(device: str) -> bool:
        return device not in result or (device in paced and result[device].polls < 2)

    lacking = [layout for layout, device in devices.items() if lacks(device)]
    for block in blocks(connection):
        if not lacking:
            break
        layouts = _packed(connection, block.end, lacking) if block.is_packed else lacking
        if not layouts:
            continue
        for layout, at_us in _within(connection, block, layouts).items():
            device = devices[layout]
            result[device] = at_us if device not in result else result[device].with_others(at_us)
        lacking = [layout for layout in lacking if lacks(devices[layout])]
    return result


def polls_of(connection: sqlite3.Connection, polls: Polls, layouts: Sequence[int], since_us: int) -> Iterator[PollFound]:
    """The polls of these layouts that were started from `since_us` on, in the order of their ids."""
    packing = Packing()
    among = f"layout_id IN ({_places(layouts)})"
    for block in reversed(list(blocks(connection))):
        if not block.is_packed:
            where = f"id >= ? AND id < ? AND started_at_us >= ? AND {among}"
            yield from polls.found(where, block.first, block.end, since_us, *layouts)
            continue
        packs = connection.execute(
            f"SELECT layout_id, body FROM packs WHERE end_poll = ? AND {among}",  # noqa: S608 -- our names
            (block.end, *layouts),
        ).fetchall()
        bodies = {poll: (layout, body) for layout, pack in packs for poll, body in _unpacked(packing, pack).items()}
        for poll, (layout, body) in sorted(bodies.items()):
            row = connection.execute(
                "SELECT started_at_us, metric_count FROM polls WHERE id = ? AND layout_id = ? AND started_at_us >= ?",
                (poll, layout, since_us),
            ).fetchone()
            if row is not None:
                yield poll, layout, row[0], row[1], body


def _packed(connection: sqlite3.Connection, end: int, layouts: Sequence[int]) -> list[int]:
    """Those of the layouts of which there is a pack that ends there."""
    if len(layouts) <= FEW:
        sql = f"SELECT layout_id FROM packs WHERE end_poll = ? AND layout_id IN ({_places(layouts)})"  # noqa: S608 -- our names
        return [layout for (layout,) in connection.execute(sql, (end, *layouts))]
    there = {layout for (layout,) in connection.execute("SELECT layout_id FROM packs WHERE end_poll = ?", (end,))}
    return [layout for layout in layouts if layout in there]


def _within(connection: sqlite3.Connection, block: Block, layouts: Sequence[int]) -> dict[int, Newest]:
    """By layout, what its polls in the block are."""
    among = f" AND layout_id IN ({_places(layouts)})" if len(layouts) <= FEW else ""
    rows = connection.execute(
        "SELECT layout_id, max(started_at_us), min(started_at_us), count(*) FROM polls"  # noqa: S608 -- our names
        f" WHERE id >= ? AND id < ?{among} GROUP BY layout_id",
        (block.first, block.end, *(layouts if among else ())),
    )
    wanted = frozenset(layouts)
    return {
        layout: Newest(newest_us, oldest_us, count)
        for layout, newest_us, oldest_us, count in rows
        if layout in wanted and type(newest_us) is int and type(oldest_us) is int
    }


def _unpacked(packing: Packing, pack: object) -> Mapping[int, bytes]:
    try:
        return packing.unpack(pack) if isinstance(pack, bytes) else {}
    except BufferFailure:
        return {}  # its polls can't be read


def _places(values: Sequence[int]) -> str:
    return ", ".join("?" * len(values))
