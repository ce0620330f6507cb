"""Whether two databases belong together, by what their ids stand for."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from towerops_agent.buffer.format.codec import checksum, digest, encode_layout
from towerops_agent.buffer.ids import agree
from unit.buffer.samples import LAYOUT

OTHERS = encode_layout(replace(LAYOUT, equipment_id="eq-9"))


async def two_databases(bench):
    """A database with a layout, and a copy of it."""
    async with bench.buffer() as buffer:
        await buffer.register(LAYOUT)
    copy = bench.path.with_name("copy.db")
    shutil.copyfile(bench.path, copy)
    return bench.path, copy


@pytest.mark.parametrize("is_turned_round", [False, True])
@pytest.mark.parametrize(
    ("column", "value", "belongs"),
    [
        ("body", encode_layout(LAYOUT)[:-1] + b"!", True),
        ("body", "a text", True),
        ("body", OTHERS, False),
    ],
    ids=["a flipped bit", "another type", "another agent's"],
)
async def test_a_damaged_layout_makes_no_database_another_agents(bench, column, value, belongs, is_turned_round):
    """As a disk that came back with it: its polls, and those in memory meanwhile, were kept apart until a restart."""
    paths = await two_databases(bench)
    with closing(sqlite3.connect(paths[0])) as one, closing(sqlite3.connect(paths[1])) as other:
        other.execute(f"UPDATE layouts SET {column} = ?", (value,))
        if not belongs:
            (layout,) = other.execute("SELECT id FROM layouts").fetchone()
            other.execute("UPDATE layouts SET digest = ?, checksum = ?", (digest(OTHERS), checksum(layout, OTHERS)))
        assert agree(*((other, one) if is_turned_round else (one, other))) is belongs
