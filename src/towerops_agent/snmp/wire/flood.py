"""Whether a socket is flooded: it receives so many unrequested datagrams that it should be replaced.

client.py reports what it has read, and opens another socket, with another port: datagrams to the old one cost the
kernel a little, and the agent nothing. Pure: times are seconds on a monotonic clock, passed in.
"""

from typing import Final

WINDOW_S: Final = 1.0
FLOOD: Final = 2_000
"""Datagrams in a second that answer nothing: this many are a flood. A device that answers twice causes a few."""

MOVE_AGAIN_S: Final = 5.0
"""How long a socket is kept at least: a move loses the replies on their way, which then have to be requested again."""


class FloodWatch:
    """Counts the useless datagrams of one socket. `opened_s`: when it was opened."""

    def __init__(self, opened_s: float) -> None:
        self._opened_s = opened_s
        self._window_s = opened_s
        self._vain = 0

    def read(self, vain: int, now_s: float) -> bool:
        """Note this many useless datagrams; whether to replace the socket."""
        if now_s - self._window_s >= WINDOW_S:
            self._window_s, self._vain = now_s, 0
        self._vain += vain
        return self._vain >= FLOOD and now_s - self._opened_s >= MOVE_AGAIN_S
