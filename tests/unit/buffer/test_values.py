"""Values kept under a key, small ones and such as are kept in pieces."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.values import PIECE_OCTETS, keep_value, kept_value

TABLE = "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID"
LARGE = bytes(range(251)) * (3 * PIECE_OCTETS // 251)
SIZES = [0, 1, PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 2 * PIECE_OCTETS, 2 * PIECE_OCTETS + 1]


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(TABLE)
        yield connection


def rows(connection) -> int:
    return connection.execute("SELECT count(*) FROM meta").fetchone()[0]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_kept_is_what_was_given(connection, size):
    keep_value(connection, "a", bytearray(LARGE[:size]))
    assert kept_value(connection, "a") == LARGE[:size]


def test_sqlite_never_holds_more_than_a_piece_at_once(connection):
    keep_value(connection, "a", LARGE)
    assert connection.execute("SELECT max(length(value)) FROM meta").fetchone() == (PIECE_OCTETS,)


@given(st.lists(st.tuples(st.sampled_from(["a", "a b", "ab", "b"]), st.integers(0, len(SIZES) - 1)), max_size=8))
def test_a_value_takes_the_place_of_the_one_before_and_of_no_other(puts):
    kept: dict[str, bytes] = {}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(TABLE)
        for key, which in puts:
            kept[key] = LARGE[: SIZES[which]]
            keep_value(connection, key, kept[key])
        assert {key: kept_value(connection, key) for key in kept} == kept
        pieces = [-(-len(value) // PIECE_OCTETS) for value in kept.values()]
        assert rows(connection) == len(kept) + sum(count for count in pieces if count > 1)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("DELETE FROM meta WHERE key LIKE '% 1'", id="a piece is missing"),
        pytest.param("UPDATE meta SET value = zeroblob(9) WHERE key LIKE '% 1'", id="a piece is damaged"),
        pytest.param("UPDATE meta SET value = substr(value, 1, 9) WHERE key = 'a'", id="the head is damaged"),
    ],
)
def test_of_a_value_that_is_damaged_nothing_is_left(connection, damage):
    keep_value(connection, "a", LARGE)
    connection.execute(damage)
    assert kept_value(connection, "a") is None


def test_pieces_of_two_writes_are_never_one_value(connection):
    """As a copy of one database into another may leave them: each row by itself, those that are there stay."""
    keep_value(connection, "a", LARGE)
    first = connection.execute("SELECT key, value, checksum FROM meta").fetchall()
    keep_value(connection, "a", LARGE[::-1])
    connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?, ?)", first)
    assert kept_value(connection, "a") == LARGE[::-1]
    keep_value(connection, "a", b"small")
    assert rows(connection) == 1


async def test_a_large_configuration_is_there_after_a_restart_and_for_a_reader(bench):
    async with bench.buffer() as buffer:
        await buffer.keep_config(LARGE)
        with DatabaseReader(bench.path) as reader:
            assert reader.meta("config") == LARGE
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == LARGE
        await buffer.keep_config(b"small")
    assert bench.rows("SELECT count(*) FROM meta WHERE key LIKE 'config%'") == [(1,)]
