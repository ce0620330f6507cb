"""Whether a socket is flooded: so much arrives that nobody asked for that it is worth leaving.

client.py reports what it has read, and opens another socket, with another port: what is still sent to the old one costs the
kernel a little, and the agent nothing. Pure: times are seconds on a monotonic clock, passed in.
"""

from typing import Final

WINDOW_S: Final = 1.0
FLOOD: Final = 2_000
"""Datagrams in a second that are not a reply to anything: as many are a flood. A device that answers twice makes a few."""

MOVE_AGAIN_S: Final = 5.0
"""How long a socket is kept at least: a move loses the replies that are on their way, which are then asked for again."""


class FloodWatch:
    """Counts what one socket receives in vain. `opened_s`: when it was opened."""

    def __init__(self, opened_s: float) -> None:
        self._opened_s = opened_s
        self._window_s = opened_s
        self._vain = 0

    def read(self, vain: int, now_s: float) -> bool:
        """Note that so many datagrams came in vain; whether the socket is to be left."""
        if now_s - self._window_s >= WINDOW_S:
            self._window_s, self._vain = now_s, 0
        self._vain += vain
        return self._vain >= FLOOD and now_s - self._opened_s >= MOVE_AGAIN_S
