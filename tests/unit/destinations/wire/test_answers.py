"""What a receiver's answer means: receivers say with the same status that samples are late, bad, or that they are busy."""

import pytest

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.destinations.wire.answers import Misconfigured, TooLate, outcome_of

LATE = [
    (400, "out of order sample", False),
    (400, "out of bounds", True),
    (400, "duplicate sample for timestamp", False),
    (400, "sample is too old", True),
    (409, "err-mimir-sample-out-of-order", False),
    (422, "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)", True),
    (500, "out of order sample", False),
]


@pytest.mark.parametrize(("status", "said", "by_time"), LATE)
def test_late_is_distinguished_from_bad_whatever_the_status(status, said, by_time):
    assert outcome_of(status, said) == TooLate(status, said, by_time)


def test_bad_data_is_refused_also_with_a_500():
    assert outcome_of(400, "x") == Rejected(400, "x")
    assert outcome_of(422, "") == Rejected(422, "no reason given")
    said = 'label name "sensor" is not unique: invalid sample'
    assert outcome_of(500, said) == Rejected(500, said)


def test_a_failing_receiver_is_waited_for():
    assert outcome_of(500, "disk full") == Unavailable("status 500: disk full", 500)
    assert outcome_of(429, "", retry_after_s=7.0) == Unavailable("status 429: an empty body", 429, 7.0)
    assert outcome_of(503, "") == Unavailable("status 503: an empty body", 503)


@pytest.mark.parametrize(
    ("status", "word"),
    [(401, "credentials"), (403, "credentials"), (404, "remote write"), (405, "remote write"), (302, "redirected to https://b")],
)
def test_what_the_operator_has_to_correct_is_said(status, word):
    outcome = outcome_of(status, "", "https://b")
    assert isinstance(outcome, Misconfigured)
    assert (outcome.status, word in outcome.reason) == (status, True)


def test_the_next_step_is_said_in_these_words():
    where = "is the URL right, and does it accept remote write? Prometheus: --web.enable-remote-write-receiver"
    assert outcome_of(404, "") == Misconfigured(404, f"no remote write at this URL (404): {where}")
    assert outcome_of(399, "") == Misconfigured(399, "redirected to nowhere (399), not followed: is the URL right?")
    assert outcome_of(300, "") == Misconfigured(300, "redirected to nowhere (300), not followed: is the URL right?")


def test_the_rest():
    assert outcome_of(200, "") == Accepted(200)
    assert outcome_of(204, "") == Accepted(204)
    assert outcome_of(299, "") == Accepted(299)
    assert outcome_of(413, "") == TooLarge()
