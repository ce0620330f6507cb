"""What the echoes of a round came to: how many came back, after how long, and how evenly.

Jitter is the mean difference, in either direction, between the round trips of echoes that came back one after the other. That of
RFC 3550 §6.4.1 is the same difference smoothed over sixteen packets: it begins at 0 and needs some fifty to be right, and a
round has five.
Pure. Microseconds (`_us`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Tally:
    """One round's. The times are None if nothing came back, and the jitter if fewer than two echoes did."""

    sent: int
    received: int
    rtt_min_us: int | None = None
    rtt_avg_us: int | None = None
    rtt_max_us: int | None = None
    jitter_us: int | None = None


def tally(round_trips_us: Sequence[int | None]) -> Tally:
    """The tally of the echoes that were sent, in their order: the round trip of each, None if it did not come back."""
    came_us = [rtt_us for rtt_us in round_trips_us if rtt_us is not None]
    if not came_us:
        return Tally(len(round_trips_us), 0)
    differences_us = [abs(later_us - earlier_us) for earlier_us, later_us in pairwise(came_us)]
    return Tally(
        len(round_trips_us),
        len(came_us),
        min(came_us),
        round(sum(came_us) / len(came_us)),
        max(came_us),
        round(sum(differences_us) / len(differences_us)) if differences_us else None,
    )
