"""The verdict on a batch after one attempt to send it: the table of answers in docs/api.md, row by row.

course.py asks. Pure: the jitter is passed in. Seconds.
"""

from dataclasses import dataclass
from typing import assert_never

from towerops_agent.api.wire.outcomes import (
    Accepted,
    NotFound,
    Outcome,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
)

LEAST_S = 1.0
MOST_S = 60.0
SLOW_S = 60.0
"""Between attempts that fail until the operator does something."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server has the batch: acknowledge it."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Send the same batch, with the same key, after `seconds`; read the token's file again before that if so stated."""

    seconds: float
    reread_token: bool = False


@dataclass(frozen=True, slots=True)
class Halve:
    """Send the batch in halves. `too_large`: because of its size, to be remembered, not because of its content.

    `is_search`: nothing has been taken since it was refused, so that the server may be failing.
    """

    too_large: bool
    is_search: bool = False


@dataclass(frozen=True, slots=True)
class SetAside:
    """Keep the batch's single metric in the database, with the server's reason, and go on."""

    reason: str


Decision = Delivered | RetryIn | Halve | SetAside


def decide(outcome: Outcome, attempt: int, metric_count: int, jitter: float) -> Decision:
    """What to do after the `attempt`-th attempt, from 1, at a batch of `metric_count` metrics. `jitter`: from 0 up to 1."""
    match outcome:
        case Accepted():
            return Delivered()
        case Unauthorized():
            return RetryIn(SLOW_S, reread_token=True)
        case NotFound() | Redirected():
            return RetryIn(SLOW_S)
        case TooLarge():
            return Halve(too_large=True) if metric_count > 1 else SetAside(outcome.reason)
        case Rejected():
            return Halve(too_large=False) if metric_count > 1 else SetAside(f"status {outcome.status}: {outcome.reason}")
        case Unavailable():
            if outcome.retry_after_s is not None:
                return RetryIn(max(LEAST_S, outcome.retry_after_s))
            return RetryIn(backoff_s(attempt, jitter))
        case _:
            assert_never(outcome)


def backoff_s(attempt: int, jitter: float) -> float:
    """How long to wait after the `attempt`-th failure: 1 to 2 s, 2 to 4 s, and so on up to 30 to 60 s."""
    ceiling = min(LEAST_S * (1 << min(max(attempt, 1), 6)), MOST_S)
    return ceiling / 2 * (1 + jitter)
