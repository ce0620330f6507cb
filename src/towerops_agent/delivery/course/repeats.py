"""A log line that is due once a minute, however often what it reports happens.

settlement.py asks before it writes one. Pure: the clock is passed in. Microseconds since 1970 (`_us`).
"""

EACH_US = 60_000_000


class Repeats:
    """How often it happened since the last line."""

    def __init__(self) -> None:
        self._logged_us: int | None = None
        self._unlogged = 0

    def due(self, now_us: int) -> int | None:
        """Note that it happened: how often it did unlogged since the last line, if a line is due; None if none is."""
        if self._logged_us is not None and abs(now_us - self._logged_us) < EACH_US:
            self._unlogged += 1
            return None
        self._logged_us, unlogged, self._unlogged = now_us, self._unlogged, 0
        return unlogged
