"""Each row of the answers' table, and how long is waited."""

import pytest

from towerops_agent.api.wire.outcomes import Accepted, NotFound, Redirected, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.pace import DELIVERED_BEFORE_GROWTH, BatchSize
from towerops_agent.delivery.course.verdicts import Delivered, Halve, MetricRefused, RetryIn, backoff_s, decide


@pytest.mark.parametrize(
    ("outcome", "metrics", "decision"),
    [
        (Accepted(), 1000, Delivered()),
        (Unauthorized(401), 1000, RetryIn(60, reread_token=True)),
        (Unauthorized(403), 1, RetryIn(60, reread_token=True)),
        (NotFound("/x"), 1000, RetryIn(60)),
        (Redirected(302, "https://x"), 1, RetryIn(60)),
        (TooLarge(), 2, Halve(too_large=True)),
        (TooLarge("5000 octets"), 1, MetricRefused("5000 octets")),
        (Rejected(422, "no"), 2, Halve(too_large=False)),
        (Rejected(400, "no such sensor"), 1, MetricRefused("status 400: no such sensor")),
        (Unavailable("busy", 503, 8.0), 1000, RetryIn(8)),
        (Unavailable("busy", 429, 600.0), 1, RetryIn(600)),
        (Unavailable("busy", 429, 0.0), 1, RetryIn(1)),
        (Unavailable("no connection"), 1, RetryIn(3)),
    ],
)
def test_an_answer_leads_to_what_the_contract_says(outcome, metrics, decision):
    assert decide(outcome, attempt=2, metric_count=metrics, jitter=0.5) == decision


def test_waiting_doubles_from_1_s_to_60_s():
    assert [backoff_s(attempt, 0.0) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert [backoff_s(attempt, 0.5) for attempt in (1, 2, 10**9)] == [1.5, 3, 45]
    assert backoff_s(10**9, 1 - 2**-53) <= 60


def test_a_smaller_size_is_remembered_and_tried_out_again_later():
    size = BatchSize()
    accepts = Accepts(is_stated=True, max_metrics=1000)
    assert size.within(accepts.max_metrics) == 1000
    size.too_large(1000)
    size.too_large(500)
    assert size.within(accepts.max_metrics) == 250
    assert size.within(100) == 100
    for _ in range(DELIVERED_BEFORE_GROWTH):
        assert size.within(accepts.max_metrics) == 250
        size.delivered()
    assert size.within(accepts.max_metrics) == 500
    size.one_too_large()
    assert size.within(accepts.max_metrics) == 1000
