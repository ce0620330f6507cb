"""Request-ids and message IDs: from the system's randomness, so that nobody guesses them.

Drawn some hundred at a time: a system call for each takes a twentieth of all that a poll costs.
Source: RFC 3416 §4.1 (request-id), RFC 3412 §6.2 (msgID).
"""

import os
from typing import Final

LOWEST_ID: Final = 0x01000000
HIGHEST_ID: Final = 0x7FFFFFFF
"""Between these each takes four octets."""

_AT_ONCE: Final = 256

_drawn: list[int] = []


def random_id() -> int:
    """A number from LOWEST_ID to HIGHEST_ID, both included; each as likely as any other."""
    while True:
        if not _drawn:
            octets = os.urandom(4 * _AT_ONCE)
            _drawn.extend(int.from_bytes(octets[i : i + 4], "big") & HIGHEST_ID for i in range(0, len(octets), 4))
        number = _drawn.pop()
        if number >= LOWEST_ID:
            return number
