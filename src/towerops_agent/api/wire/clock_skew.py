"""How far this machine's clock is from the server's: readings carry this clock's time, and a wrong one misplaces them all.

client.py measures with each configuration, config/sync.py keeps the state and logs changes; `status` shows it.
Pure: the clock is passed in. Seconds; ahead is positive.
"""

from datetime import datetime

MOST_S = 30.0


def ahead_s(date: datetime | None, sent: datetime, received: datetime) -> float | None:
    """How far this clock is ahead of a server that wrote `date` between the two moments; None if it sent no date.

    0 if the two may agree: a date has whole seconds (RFC 9110 §5.6.7), and the moment between the two is not known.
    """
    if date is None:
        return None
    early, late = (sent - date).total_seconds() - 1, (received - date).total_seconds()
    if early > 0 and late > 0:
        return min(early, late)
    return late if late < 0 else 0.0


class ClockSkew:
    """`ahead_s`: as last measured, None before. `is_wrong`: whether the clocks are more than 30 s apart."""

    def __init__(self) -> None:
        self.ahead_s: float | None = None
        self.is_wrong = False

    def measured(self, ahead_s: float | None) -> bool:
        """Note a measurement, which may be None: whether it changes `is_wrong`."""
        if ahead_s is None:
            return False
        self.ahead_s = ahead_s
        was_wrong, self.is_wrong = self.is_wrong, abs(ahead_s) > MOST_S
        return was_wrong != self.is_wrong
