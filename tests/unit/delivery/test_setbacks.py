"""What is logged and counted of batches that are not delivered, with all that an operator needs of it."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from towerops_agent.api.wire.outcomes import Availability, NotFound, Redirected, Rejected, Unauthorized, Unavailable
from towerops_agent.buffer.format.batch import Batch, Position
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.parcel import Parcel
from towerops_agent.delivery.course.verdicts import Kept, Verdicts
from towerops_agent.delivery.setbacks import Setbacks

BATCH = Batch(7, "key", Position(41, 0), Position(58, 0), 1000, 0)
PARCEL = Parcel(BATCH, b"", None, 0, 1000, 0)
BUSY = Unavailable("busy", 503)
FIELDS = {"batch": "41-57", "metrics": 1000, "attempt": 3}
HALVES = (Batch(8, "a", Position(41, 0), Position(50, 0), 500, 0), Batch(9, "b", Position(50, 0), Position(58, 0), 500, 0))


@pytest.fixture
def bench():
    """`keep` and `halve` log into `lines`. The clock stands still until `now_us` is set."""

    async def split(batch):
        assert batch == BATCH
        return HALVES

    bench = SimpleNamespace(counters=Counters(), now_us=0, verdicts=Verdicts())
    buffer = SimpleNamespace(split=split)
    bench.verdicts.begin(BATCH)
    bench.setbacks = Setbacks(buffer, bench.counters, bench.verdicts, Availability(), now_us=lambda: bench.now_us)
    with capture_logs() as bench.lines:
        yield bench


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (BUSY, "warning"),
        (Unauthorized(401), "error"),
        (NotFound("/api/v1/agent/metrics"), "error"),
        (Redirected(302, "https://portal.example/"), "error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("retry_in_s", [8.16, None], ids=["in this run", "in the next"])
def test_a_batch_that_is_kept_is_logged_with_its_reason_and_more_loudly_if_somebody_has_to_act(bench, outcome, level, retry_in_s):
    bench.setbacks.keep(PARCEL, outcome, Kept(retry_in_s, 3))
    event = "batch not delivered, kept for the next run" if retry_in_s is None else "batch not delivered, will retry"
    shown = FIELDS | {"status": outcome.status, "reason": outcome.reason, "unlogged": 0}
    retry = {} if retry_in_s is None else {"retry_in_s": 8.2}
    assert bench.lines == [{"event": event, "log_level": level, **shown, **retry}]
    assert bench.counters.by_reason(Count.BATCHES) == {"retried": 1}


def test_the_same_failure_is_counted_in_between_lines(bench):
    for _ in range(3):
        bench.setbacks.keep(PARCEL, BUSY, Kept(8.0, 3))
    assert len(bench.lines) == 1
    bench.setbacks.keep(PARCEL, Unavailable("no connection"), Kept(None, 4))
    assert bench.lines[1]["unlogged"] == 2
    assert bench.counters.by_reason(Count.BATCHES) == {"retried": 4}


@pytest.mark.parametrize(("retry_in_s", "what"), [(8.16, "will retry"), (None, "kept for the next run")])
def test_a_batch_that_fails_where_others_pass_does_not_make_the_api_one_that_fails(bench, retry_in_s, what):
    bench.setbacks.keep(PARCEL, BUSY, Kept(retry_in_s, 3, others_pass=True))
    retry = {} if retry_in_s is None else {"retry_in_s": 8.2}
    shown = FIELDS | {"status": 503, "reason": "busy"}
    assert bench.lines == [{"event": f"batch not delivered, others are; {what}", "log_level": "warning", **shown, **retry}]
    bench.setbacks.keep(PARCEL, BUSY, Kept(8.0, 4))
    assert bench.lines[1]["event"] == "batch not delivered, will retry", "the first failure of the API itself"


def test_a_refused_batch_that_waits_for_a_search_is_logged_for_the_curious(bench):
    bench.setbacks.keep(PARCEL, Rejected(422, "a metric is bad"), Kept(8.0, 1, is_search=True))
    event = "batch refused, kept until the API accepts another"
    assert bench.lines == [{"event": event, "log_level": "debug", "batch": "41-57", "metrics": 1000}]


async def test_halves_are_counted_each_time_and_logged_once_a_minute(bench):
    refusal = Rejected(422, "a metric is bad")
    for seconds in (0, 1, 2, 61):
        bench.now_us = seconds * 1_000_000
        await bench.setbacks.halve(PARCEL, refusal)
    shown = {"event": "batch refused, sent in halves", "log_level": "warning", "batch": "41-57", "metrics": 1000}
    shown |= {"status": 422, "reason": refusal.reason}
    assert bench.lines == [shown | {"unlogged": 0}, shown | {"unlogged": 2}]
    assert bench.counters.by_reason(Count.BATCHES) == {"split": 4}
