"""Small values kept under a key, and large ones: each in a row of its own, or in rows of 1 MB.

store.py keeps and returns them; reader.py and salvage.py read them, of an intact and of a corrupt file. I/O: SQLite. Functions
raise sqlite3.Error.
"""

import os
import sqlite3
from collections.abc import Callable
from struct import Struct
from typing import Final

import structlog

from towerops_agent.buffer.format.codec import checksum, is_intact

log = structlog.get_logger()

PIECE_OCTETS: Final = 1 << 20
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
    if head is None or len(head) != _HEAD.size or not head.startswith(_MARK):
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
    connection.execute("DELETE FROM meta WHERE key > ? AND key < ?", (key + _BEFORE, key + _BEHIND))
    if len(value) > PIECE_OCTETS:
        write, octets = os.urandom(8), memoryview(value)
        starts = range(0, len(value), PIECE_OCTETS)
        for n, start in enumerate(starts):
            _put(connection, _name(key, write, n), bytes(octets[start : start + PIECE_OCTETS]))
        value = _HEAD.pack(_MARK, write, len(starts))
    _put(connection, key, value)


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
