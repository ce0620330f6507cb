"""Request-ids and message IDs: from the system's randomness, so that they can't be guessed.

Drawn some hundred at a time: a system call for each would be a twentieth of a poll's cost.
Source: RFC 3416 §4.1 (request-id), RFC 3412 §6.2 (msgID).
"""

import os
import struct
from typing import Final

LOWEST_ID: Final = 0x01000000
HIGHEST_ID: Final = 0x7FFFFFFF
"""All ids between these have four octets."""

_AT_ONCE: Final = 256

_drawn: list[int] = []


def random_id() -> int:
    """A number from LOWEST_ID to HIGHEST_ID, both included; all equally likely."""
    while True:
        if not _drawn:
            _drawn.extend([number & HIGHEST_ID for (number,) in struct.iter_unpack(">I", os.urandom(4 * _AT_ONCE))])
        number = _drawn.pop()
        if number >= LOWEST_ID:
            return number
