"""The age clock: how old what is stored is, whatever is done to the wall clock.

It goes on with the monotonic clock while the agent runs. Over a restart it goes on by what the wall clock says has passed, but
never back, and by 12 h at most: a machine without a battery starts in 1970, and one bad reading must not make a day's polls
look a year old. What was stored before a longer stop is kept that much longer.
Pure. Microseconds (`_us`).
"""

BELIEVED_STOP_US = 12 * 3600 * 1_000_000
"""The longest time between two runs that a single look at the wall clock is believed."""


class AgeClock:
    """The time that has passed over the database's life: 0 when it was created, never set back."""

    __slots__ = ("_age_us", "_monotonic_us")

    def __init__(self, kept: tuple[int, int] | None, wall_us: int, monotonic_us: int) -> None:
        """`kept`: the (age_us, wall_us) that an earlier run left; None: this is the first."""
        age_us, kept_wall_us = kept or (0, wall_us)
        self._age_us = age_us + min(max(wall_us - kept_wall_us, 0), BELIEVED_STOP_US)
        self._monotonic_us = monotonic_us

    def age_us(self, monotonic_us: int) -> int:
        """The age when the monotonic clock shows `monotonic_us`."""
        return self._age_us + max(monotonic_us - self._monotonic_us, 0)
