"""The server's clock is compared with this machine's, and a difference is reported when it begins and when it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from towerops_agent.api.wire.outcomes import ClockSkew, ahead_s

SENT = datetime(2026, 1, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date_s", "took_s", "ahead"),
    [
        (0, 0.2, 0.0),
        (-1, 0.2, 0.0),  # a date has whole seconds
        (0, 300.0, 0.0),  # it took long, and the server may have written it at any moment of that
        (300, 300.0, 0.0),
        (-1.5, 0.2, 0.5),
        (-31, 0.5, 30.0),
        (-3600, 10.0, 3599.0),
        (3600, 10.0, -3590.0),
    ],
)
def test_only_what_the_clocks_must_differ_by_counts(date_s, took_s, ahead):
    received = SENT + timedelta(seconds=took_s)
    assert ahead_s(SENT + timedelta(seconds=date_s), SENT, received) == ahead


def test_a_server_that_sends_no_time_shows_no_difference():
    assert ahead_s(None, SENT, SENT) is None


def test_a_clock_that_steps_between_question_and_answer_is_at_most_as_far_off_as_either_reading():
    assert ahead_s(SENT, SENT, SENT - timedelta(hours=5)) == -5 * 3600
    assert ahead_s(SENT, SENT, SENT + timedelta(hours=5)) == 0.0
    assert ahead_s(SENT - timedelta(hours=5), SENT, SENT - timedelta(hours=5) + timedelta(seconds=0.5)) == 0.5


def test_a_change_is_reported_once():
    skew = ClockSkew()
    assert not skew.measured(None)
    assert skew.ahead_s is None
    assert not skew.measured(-30.0)
    assert skew.measured(31.0)
    assert not skew.measured(45.0)
    assert not skew.measured(None)
    assert (skew.is_wrong, skew.ahead_s) == (True, 45.0)
    assert skew.measured(2.0)
    assert (skew.is_wrong, skew.ahead_s) == (False, 2.0)
