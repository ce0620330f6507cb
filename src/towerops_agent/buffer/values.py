"""Small values kept under a key, and large ones: each in a row of its own, or in rows of 256 kB.

store.py keeps and returns them; reader.py and salvage.py read them, of an intact and of a corrupt file. One that is yet to be
made is kept piece by piece, so that nobody has all of it in memory. I/O: SQLite. Functions raise sqlite3.Error.
"""

import os
import sqlite3
from collections.abc import Callable
from struct import Struct
from typing import Final

import structlog

from towerops_agent.buffer.format.codec import checksum, is_intact
from towerops_agent.errors import BufferFailure

log = structlog.get_logger()

PIECE_OCTETS: Final = 1 << 18
"""A larger value is kept in pieces. SQLite holds one that is written twice more, as it is given and within its row: of the
configuration of 10,000 devices, 17 MB, that was most of what the agent needed to keep it.

The key's own row says which pieces, and how many; they are rows like others, each with its checksum. If one is missing or of
another write the whole is damaged, and never another value.
"""

_MARK: Final = b"towerops-agent: in pieces\0"
_HEAD: Final = Struct(f">{len(_MARK)}s8sI")  # with the name of the write, and how many pieces
_BEFORE, _BEHIND = "\x1f", "\x20"  # what is between a key and its pieces' names, and the character behind it


def kept_value(connection: sqlite3.Connection, key: str) -> bytes | None:
    """What is kept under `key`; None if nothing is, or it is damaged."""
    return whole(key, lambda name: _row(connection, name))


def whole(key: str, read: Callable[[str], bytes | None]) -> bytes | None:
    """The value under `key`. `read`: returns a row's by its key; None if there is none, or it is damaged."""
    head = read(key)
    if head is None or not _is_head(head):
        return head
    _, write, count = _HEAD.unpack(head)
    pieces = []
    for n in range(count):
        piece = read(_name(key, write, n))
        if piece is None:
            log.warning("damaged value left out", key=key)
            return None
        pieces.append(piece)
    return b"".join(pieces)


def keep_value(connection: sqlite3.Connection, key: str, value: bytes | bytearray) -> None:
    """Keep `value` under `key`, in place of what was there. Within a transaction."""
    _remove_pieces(connection, key)
    if len(value) > PIECE_OCTETS:
        write, octets = new_write(), memoryview(value)
        starts = range(0, len(value), PIECE_OCTETS)
        for n, start in enumerate(starts):
            _put(connection, _name(key, write, n), bytes(octets[start : start + PIECE_OCTETS]))
        value = _HEAD.pack(_MARK, write, len(starts))
    _put(connection, key, value)


def new_write() -> bytes:
    """The name of a write of a large value, by which its pieces are not those of the write before."""
    return os.urandom(8)


def put_piece(connection: sqlite3.Connection, key: str, write: bytes, n: int, piece: bytes) -> None:
    """Keep a piece of what `end_pieces` makes the value under `key`; until then that stays. `n`: from 0 on, which begins it.

    Within a transaction: each piece may have its own.
    """
    if n == 0:
        drop_pieces(connection, key)
    _put(connection, _name(key, write, n), piece)


def drop_pieces(connection: sqlite3.Connection, key: str) -> None:
    """Remove the pieces under `key` of writes that were not finished."""
    head = _row(connection, key) or b""
    _remove_pieces(connection, key, _HEAD.unpack(head)[1] if _is_head(head) else b"")


def end_pieces(connection: sqlite3.Connection, key: str, write: bytes, count: int) -> None:
    """Have these pieces be the value under `key`, in place of what was there. Within a transaction.

    Raises BufferFailure if they are not all here: the database is another one than at the beginning, or another write has begun.
    """
    (found,) = connection.execute("SELECT count(*) FROM meta WHERE key > ? AND key < ?", _between(key, write)).fetchone()
    if found != count:
        raise BufferFailure(f"{count - found} of {count} pieces of a value are not in the database: it was changed meanwhile")
    _put(connection, key, _HEAD.pack(_MARK, write, count))
    _remove_pieces(connection, key, write)


def _remove_pieces(connection: sqlite3.Connection, key: str, but: bytes = b"") -> None:
    """Remove the pieces of the value under `key`, but those of one write."""
    kept = _between(key, but) if but else ("", "")
    connection.execute(
        "DELETE FROM meta WHERE key > ? AND key < ? AND NOT (key > ? AND key < ?)", (key + _BEFORE, key + _BEHIND, *kept)
    )


def _between(key: str, write: bytes) -> tuple[str, str]:
    """Between what the names of the write's pieces are."""
    return f"{key}{_BEFORE}{write.hex()} ", f"{key}{_BEFORE}{write.hex()}!"


def _is_head(value: bytes) -> bool:
    return len(value) == _HEAD.size and value.startswith(_MARK)


def _name(key: str, write: bytes, n: int) -> str:
    return f"{key}{_BEFORE}{write.hex()} {n}"


def _put(connection: sqlite3.Connection, key: str, value: bytes | bytearray) -> None:
    row = (key, value, checksum(key, value))
    connection.execute("INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?, ?, ?)", row)


def _row(connection: sqlite3.Connection, key: str) -> bytes | None:
    row = connection.execute("SELECT key, value, checksum FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    if not is_intact(*row):
        log.warning("damaged value left out", key=key)
        return None
    return bytes(row[1])
