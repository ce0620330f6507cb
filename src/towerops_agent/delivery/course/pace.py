"""The pace of delivery: how many requests at once, how much in each, when none at all; when a batch that failed is due again.

course.py asks before a batch is sent, and reports the result. A server that answers quickly gets one more request
after each round; one that is slow, or fails, gets half as many. While the API is down there is one at a time: the probe.
A batch has as many metrics as the server says that it accepts, or a smaller number that it accepted, or accepted quickly; so
have those to other destinations (destinations/courier.py).
While the API is down the same batch is its probe; if that fails again and again, others take turns with it, since the batch
may be the cause. A batch that fails while others pass waits longer each time, and delays no other.
Pure: the clock is passed in. Seconds (`_s`) on the monotonic clock.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf

from towerops_agent.api.wire.outcomes import Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane

DELIVERED_BEFORE_GROWTH = 100
"""After a batch that was too large: limits change, and to test one costs a request."""

QUICK_BEFORE_GROWTH = 10
"""After a batch that took long: links and servers recover, and a test costs nothing."""

LEAST_FOR_SLOWNESS = 100
"""Below this a request costs more than its metrics, and smaller batches are not quicker."""

LEAST_FOR_TIMEOUTS = 10
"""Below LEAST_FOR_SLOWNESS there may be an answer at all, over a link of a few hundred bits a second; not below this."""


class BatchSize:
    """Halved when a batch was too large or took long, and doubled again after a number of batches that were neither."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._delivered = 0
        self._delivered_before_growth = DELIVERED_BEFORE_GROWTH

    def within(self, most_metrics: int) -> int:
        """The most metrics of the next batch, if the server accepts so many."""
        return most_metrics if self._limit is None else min(self._limit, most_metrics)

    def too_large(self, metric_count: int) -> None:
        """Note that a batch of this many metrics was too large."""
        self._shrink(max(1, metric_count // 2), DELIVERED_BEFORE_GROWTH)

    def one_too_large(self) -> None:
        """Note that a single metric was too large, which shows nothing about the others: forget the learned size."""
        self._limit = None

    def slow(self, metric_count: int) -> None:
        """Note that a batch of this many metrics took long, or was never answered."""
        self._shrink_for_time(metric_count, LEAST_FOR_SLOWNESS)

    def unanswered(self, metric_count: int) -> None:
        """Note that a batch of this many metrics was not answered in time, and can be split if it is large."""
        self._shrink_for_time(metric_count, LEAST_FOR_TIMEOUTS)

    def delivered(self) -> None:
        """Note that a batch was accepted."""
        if self._limit is None:
            return
        self._delivered += 1
        if self._delivered >= self._delivered_before_growth:
            self._limit *= 2
            self._delivered = 0

    def _shrink_for_time(self, metric_count: int, least: int) -> None:
        if metric_count > least:
            self._shrink(max(least, metric_count // 2), QUICK_BEFORE_GROWTH)
        self._delivered = 0  # one of the least size may have been delivered, but not quickly

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


def took_long(outcome: object, took_s: float) -> bool:
    """Whether a smaller batch may get through if one failed so after `took_s`: a proxy may end a request, with its own 504.

    Envoy does after 15 s, before the agent's own limit.
    """
    if not isinstance(outcome, Unavailable):
        return False
    return outcome.timed_out or (outcome.status is not None and took_s >= SLOW_S)


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


TRIES = 3
"""How often a batch is the probe before another one is tried; twice as often before a third one is, and so on."""

LEAST_BLAMED_S = 2.0
MOST_BLAMED_S = 3600.0


@dataclass(slots=True)
class _Failed:
    """`attempts`: all of them; `tries`: since the API last answered; `blamed`: how often it failed while others passed."""

    batch: Batch
    attempts: int = 0
    tries: int = 0
    blamed: int = 0
    due_s: float = 0.0


class Held:
    """The batches to send again, by id."""

    def __init__(self) -> None:
        self._failed: dict[int, _Failed] = {}
        self._widened = 0
        self._most_attempts: float = inf

    @property
    def ids(self) -> Collection[int]:
        """The held batches."""
        return self._failed.keys()

    def attempts(self, batch: Batch) -> int:
        """How often the batch has failed."""
        failed = self._failed.get(batch.id)
        return failed.attempts if failed else 0

    def is_blamed(self, batch: Batch) -> bool:
        """Whether the batch failed while others passed."""
        failed = self._failed.get(batch.id)
        return failed is not None and failed.blamed > 0

    def hold(self, batch: Batch) -> None:
        """Hold the batch, to be sent again at once: this is not a failure of the batch."""
        self._failed.setdefault(batch.id, _Failed(batch))

    def failed(self, batch: Batch) -> None:
        """Hold the batch: it failed with the API."""
        failed = self._failed.setdefault(batch.id, _Failed(batch))
        failed.attempts += 1
        failed.tries += 1

    def blame(self, batch: Batch, now_s: float) -> float:
        """Hold the batch, as only this one failed; returns for how long."""
        self.failed(batch)
        return self._blame(self._failed[batch.id], now_s)

    def settled(self, batch: Batch) -> None:
        """Forget the batch: the server has it, or it was split, kept as refused, or expired."""
        self._failed.pop(batch.id, None)

    def part(self) -> None:
        """Note that all of them are backlog now."""
        for failed in self._failed.values():
            failed.batch = replace(failed.batch, lane=Lane.BACKLOG)

    def forgive(self, most_attempts: float = inf) -> None:
        """Forget everything except that they are to be sent again, each at most this often: a new round of attempts."""
        self._failed = {key: _Failed(failed.batch) for key, failed in self._failed.items()}
        self._widened = 0
        self._most_attempts = most_attempts

    def api_answers(self, now_s: float) -> None:
        """The API works again: all are due, except those that failed and may be the cause."""
        for failed in self._failed.values():
            if failed.tries >= TRIES:
                self._blame(failed, now_s)
            elif not failed.blamed:
                failed.due_s = now_s
            failed.tries = 0
        self._widened = 0

    def due(self, now_s: float, under_way: Collection[int]) -> Batch | None:
        """The oldest batch that is due and not under way."""
        keys = [failed.batch.id for failed in self._to_send(under_way) if failed.due_s <= now_s]
        return self._failed[min(keys)].batch if keys else None

    def next_due_s(self, under_way: Collection[int]) -> float:
        """When the next batch that is not under way is due; infinite if there is none."""
        return min((failed.due_s for failed in self._to_send(under_way)), default=inf)

    def probe(self) -> Batch | None:
        """The probe while the API is down; None: prefer one that has not been tried yet."""
        candidates = [failed for failed in self._to_send() if not failed.blamed]
        if not candidates:
            return None
        least = min(candidates, key=lambda failed: (failed.tries, failed.batch.id))
        if least.tries < TRIES << self._widened:
            return least.batch
        self._widened += 1
        return None

    def any(self) -> Batch | None:
        """One of them, the least tried first, if there is no other."""
        failed = min(self._to_send(), key=lambda failed: (failed.blamed, failed.tries, failed.batch.id), default=None)
        return None if failed is None else failed.batch

    def _to_send(self, under_way: Collection[int] = ()) -> list[_Failed]:
        return [failed for key, failed in self._failed.items() if key not in under_way and failed.attempts < self._most_attempts]

    @staticmethod
    def _blame(failed: _Failed, now_s: float) -> float:
        hold_s = min(MOST_BLAMED_S, LEAST_BLAMED_S * (1 << min(failed.blamed, 12)))
        failed.blamed += 1
        failed.due_s = now_s + hold_s
        return hold_s
