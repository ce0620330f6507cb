"""The pace of delivery: how many requests at once, how much in each, and when none at all.

course.py asks before a batch is sent, and reports the result. A server that answers quickly gets one more request
after each round; one that is slow, or fails, gets half as many. While the API is down there is one at a time: the probe.
A batch has as many metrics as the server says that it accepts, or a smaller number that it accepted, or accepted quickly.
Pure: the monotonic clock is passed in. Seconds (`_s`).
"""

from dataclasses import dataclass
from math import inf

from towerops_agent.config.document.accepts import Accepts

DELIVERED_BEFORE_GROWTH = 100
"""After a batch that was too large: limits change, and to test one costs a request."""

QUICK_BEFORE_GROWTH = 10
"""After a batch that took long: links and servers recover, and a test costs nothing."""

LEAST_FOR_SLOWNESS = 100
"""Below this a request costs more than its metrics, and smaller batches are not quicker."""


class BatchSize:
    """Halved when a batch was too large or took long, and doubled again after a number of batches that were neither."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._delivered = 0
        self._delivered_before_growth = DELIVERED_BEFORE_GROWTH

    def within(self, accepts: Accepts) -> int:
        """The most metrics of the next batch."""
        return accepts.max_metrics if self._limit is None else min(self._limit, accepts.max_metrics)

    def too_large(self, metric_count: int) -> None:
        """Note that a batch of this many metrics was too large."""
        self._shrink(max(1, metric_count // 2), DELIVERED_BEFORE_GROWTH)

    def one_too_large(self) -> None:
        """Note that a single metric was too large, which shows nothing about the others: forget the learned size."""
        self._limit = None

    def slow(self, metric_count: int) -> None:
        """Note that a batch of this many metrics took long, or was never answered."""
        if metric_count > LEAST_FOR_SLOWNESS:
            self._shrink(max(LEAST_FOR_SLOWNESS, metric_count // 2), QUICK_BEFORE_GROWTH)

    def delivered(self) -> None:
        """Note that a batch was accepted."""
        if self._limit is None:
            return
        self._delivered += 1
        if self._delivered >= self._delivered_before_growth:
            self._limit *= 2
            self._delivered = 0

    def _shrink(self, limit: int, delivered_before_growth: int) -> None:
        """At most `limit`: of several requests under way, those sent before it was learned show less than is known."""
        if self._limit is None or limit < self._limit:
            self._limit, self._delivered_before_growth = limit, delivered_before_growth
        self._delivered = 0


FIRST_IN_FLIGHT = 1
MOST_IN_FLIGHT = 12
"""1,000 devices of 68 metrics make 1,133 a second; at 1,000 a request twelve drain 50 times that over 200 ms a round trip."""

QUICK_S = 1.0
SLOW_S = 5.0
"""Durations of a request: below the first it is quick, from the second on slow; between them the pace does not change."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way. `round`: how often the API had failed before it; those of one round fail together, and count once."""

    at_s: float
    round: int


class Pace:
    """How much the API can handle, as far as is known. `failures`: rounds that failed since it last answered."""

    def __init__(self) -> None:
        self.size = BatchSize()
        self.failures = 0
        self.down_since_s: float | None = None
        self._in_flight = FIRST_IN_FLIGHT
        self._quick = 0  # answers since it last changed
        self._round = 0
        self._closed_until_s = -inf  # by the agent's own back-off
        self._told_until_s = -inf  # by a Retry-After
        self._answered_s = -inf
        self._slowed_s = -inf

    @property
    def is_down(self) -> bool:
        """Whether the last round failed."""
        return self.down_since_s is not None

    @property
    def in_flight(self) -> int:
        """How many requests may be under way at once."""
        return 1 if self.is_down else self._in_flight

    @property
    def opens_at_s(self) -> float:
        """When requests are allowed again; mostly in the past."""
        return max(self._closed_until_s, self._told_until_s)

    def may_try_at_once(self, now_s: float) -> bool:
        """Whether a single attempt is allowed during a back-off; the server's Retry-After is still obeyed."""
        self._closed_until_s, self.failures = -inf, 0
        return now_s >= self._told_until_s

    def sent(self, now_s: float) -> Sent:
        """Note a request that is sent now."""
        return Sent(now_s, self._round)

    def has_answered_since(self, sent: Sent) -> bool:
        """Whether the API answered another request since this one was sent."""
        return self._answered_s > sent.at_s

    def is_first_failure(self, sent: Sent) -> bool:
        """Whether a failure of this request is the first one of its round."""
        return sent.round == self._round

    def answered(self, sent: Sent, metric_count: int, now_s: float) -> None:
        """Note that the API accepted the batch, or refused its content."""
        self.failures, self.down_since_s, self._closed_until_s, self._answered_s = 0, None, -inf, now_s
        took_s = now_s - sent.at_s
        if took_s >= SLOW_S:
            self._slow_down(sent, metric_count, now_s)
        elif took_s < QUICK_S:
            self._quick += 1
            if self._quick >= self._in_flight < MOST_IN_FLIGHT:
                self._in_flight, self._quick = self._in_flight + 1, 0

    def failed(self, sent: Sent, retry_in_s: float, now_s: float) -> None:
        """Note that the API failed: nothing is sent for this long, then one request at a time until it answers."""
        if not self.is_first_failure(sent):
            return
        self._round += 1
        self.failures += 1
        self.down_since_s = now_s if self.down_since_s is None else self.down_since_s
        self._closed_until_s = now_s + retry_in_s
        self._halve()

    def told(self, retry_after_s: float, now_s: float) -> None:
        """Note that the server asked for a pause this long."""
        self._told_until_s = max(self._told_until_s, now_s + retry_after_s)

    def unanswered(self, sent: Sent, metric_count: int, now_s: float) -> None:
        """Note that the server was reached but did not answer in time: perhaps the batch was too large."""
        self._slow_down(sent, metric_count, now_s)

    def _slow_down(self, sent: Sent, metric_count: int, now_s: float) -> None:
        """Half as much, once for all requests that were under way together."""
        if sent.at_s < self._slowed_s:
            return
        self._slowed_s = now_s
        self._halve()
        self.size.slow(metric_count)

    def _halve(self) -> None:
        self._in_flight, self._quick = max(1, self._in_flight // 2), 0
