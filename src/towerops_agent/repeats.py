"""What repeats is logged once a minute, and counted in between: a long outage does not flood the log.

Pure: the clock is passed in, as microseconds since 1970.
"""

from typing import Final

LOG_EACH_US: Final = 60_000_000


class Repeats:
    """A log line that is due once a minute, however often what it reports happens."""

    def __init__(self) -> None:
        self._logged_us: int | None = None
        self._unlogged = 0

    def due(self, now_us: int) -> int | None:
        """Note that it happened: how often it did unlogged since the last line, if a line is due; None if none is."""
        if self._logged_us is not None and abs(now_us - self._logged_us) < LOG_EACH_US:
            self._unlogged += 1
            return None
        self._logged_us, unlogged, self._unlogged = now_us, self._unlogged, 0
        return unlogged
