"""Values kept under a key, small ones and such as are kept in pieces."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.buffer import values
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.values import PIECE_OCTETS, end_pieces, keep_value, kept_value, new_write, put_piece
from towerops_agent.errors import BufferFailure

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


def write(connection, key, value, *, stop_before=None) -> tuple[bytes, int]:
    """Write the value piece by piece, without its end; as a kill would leave it before that piece."""
    name = new_write()
    starts = range(0, len(value), PIECE_OCTETS)[:stop_before]
    for n, start in enumerate(starts):
        put_piece(connection, key, name, n, value[start : start + PIECE_OCTETS])
    return name, len(starts)


def test_a_value_that_is_written_piece_by_piece_is_another_one_at_its_end_only(connection):
    keep_value(connection, "a", LARGE[::-1])
    written = write(connection, "a", LARGE)
    assert kept_value(connection, "a") == LARGE[::-1]
    end_pieces(connection, "a", *written)
    assert kept_value(connection, "a") == LARGE
    assert rows(connection) == 1 + 3


def test_what_a_kill_leaves_of_a_value_is_removed_by_the_next_one(connection):
    keep_value(connection, "a", LARGE[::-1])
    keep_value(connection, "a b", LARGE)
    write(connection, "a", LARGE, stop_before=2)
    assert (kept_value(connection, "a"), rows(connection)) == (LARGE[::-1], 4 + 4 + 2)
    end_pieces(connection, "a", *write(connection, "a", LARGE))
    assert (kept_value(connection, "a"), kept_value(connection, "a b"), rows(connection)) == (LARGE, LARGE, 4 + 4)


@pytest.mark.parametrize("lost", ["% 0", "% 2", "%"])
def test_a_value_of_which_pieces_are_missing_does_not_take_the_place_of_another(connection, lost):
    """As after the file was taken away and another one begun, or when another write has begun."""
    written = write(connection, "a", LARGE)
    connection.execute("DELETE FROM meta WHERE key LIKE ?", (lost,))
    keep_value(connection, "a", b"small") if lost == "%" else None
    with pytest.raises(BufferFailure, match="of 3 pieces"):
        end_pieces(connection, "a", *written)
    assert kept_value(connection, "a") == (b"small" if lost == "%" else None)


@pytest.mark.parametrize("size", [0, 5, PIECE_OCTETS, PIECE_OCTETS + 1, 3 * PIECE_OCTETS])
async def test_a_configuration_that_comes_piece_by_piece_is_there_after_a_restart(bench, size):
    async with bench.buffer() as buffer:
        await buffer.keep_config(LARGE[::-1])
        keeping = buffer.keeping_config()
        for at in range(0, size, 100_000):
            await keeping.add(LARGE[at : min(at + 100_000, size)])
        assert await buffer.kept_config() == LARGE[::-1]
        await keeping.done()
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == LARGE[:size]
    pieces = -(-size // PIECE_OCTETS)
    assert bench.rows("SELECT count(*) FROM meta WHERE key LIKE 'config%'") == [(1 + pieces if pieces > 1 else 1,)]


async def test_of_a_configuration_for_which_there_is_no_room_nothing_takes_up_room(bench, monkeypatch):
    def full(*arguments):
        if arguments[3] == 2:
            raise sqlite3.OperationalError("database or disk is full")
        put_piece(*arguments)

    monkeypatch.setattr(values, "put_piece", full)
    async with bench.buffer() as buffer:
        await buffer.keep_config(b"before")
        keeping = buffer.keeping_config()
        with pytest.raises(BufferFailure, match="full"):
            await keeping.add(LARGE + LARGE)
        assert await buffer.kept_config() == b"before"
    assert bench.rows("SELECT count(*) FROM meta WHERE key LIKE 'config%'") == [(1,)]


async def test_a_large_configuration_is_there_after_a_restart_and_for_a_reader(bench):
    async with bench.buffer() as buffer:
        await buffer.keep_config(LARGE)
        with DatabaseReader(bench.path) as reader:
            assert reader.meta("config") == LARGE
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == LARGE
        await buffer.keep_config(b"small")
    assert bench.rows("SELECT count(*) FROM meta WHERE key LIKE 'config%'") == [(1,)]


async def test_a_reader_has_a_large_value_whole_though_another_one_is_written_meanwhile(bench):
    """A command that names a device, while the agent applies another configuration."""
    async with bench.buffer() as buffer:
        await buffer.keep_config(LARGE)
        with DatabaseReader(bench.path) as reader, closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
            looks = []

            def change(statement: str) -> None:
                looks.append(statement.startswith("SELECT"))
                if sum(looks) == 2:
                    keep_value(other, "config", LARGE[::-1])

            reader.connection.set_trace_callback(change)
            assert reader.meta("config") == LARGE
            reader.connection.set_trace_callback(None)
            assert reader.meta("config") == LARGE[::-1]
