"""Checksums of what is on disk: SQLite itself keeps no checksums, so a flipped bit would be read back as a reading.

A row's is over the values that it was written with, as msgpack, so a value that came back as another type does not match either.
Pure. 32 bits: one damaged row in four billion passes.
"""

from zlib import crc32

import msgspec

Column = int | float | str | bytes | None

_encoder = msgspec.msgpack.Encoder()
_SIGN = 1 << 31


def checksum(*columns: Column) -> int:
    """The checksum of a row, -2^31..2^31-1, which takes 4 octets in SQLite."""
    return crc32(_encoder.encode(columns)) - _SIGN


def is_intact(*row: Column) -> bool:
    """Whether the row's last column is the checksum of those before it."""
    try:
        return row[-1] == checksum(*row[:-1])
    except (UnicodeEncodeError, OverflowError):
        return False
