"""Retry-After, in seconds or as a date, is obeyed up to ten minutes; anything else asks for nothing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from towerops_agent.api.wire.outcomes import http_date, retry_after_s

NOW = datetime(2026, 1, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        (" 120 ", 120.0),
        ("600", 600.0),
        ("601", 600.0),
        ("0000000005", 0.0),  # nine digits are more than any time that is obeyed
        ("9" * 5000, 600.0),
        ("Fri, 09 Jan 2026 12:00:00 GMT", 0.0),
        ("Fri, 09 Jan 2026 12:00:30 GMT", 30.0),
        ("Fri, 09 Jan 2026 12:10:01 GMT", 600.0),
        ("Fri, 09 Jan 2026 11:00:00 GMT", 0.0),
    ],
)
def test_seconds_and_dates_are_cut_to_ten_minutes(value, seconds):
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize("value", [None, "", "  ", "soon", "-5", "1.5", "٣", "Fri, 99 Jan 2026 12:00:00 GMT"])
def test_what_is_neither_asks_for_nothing(value):
    assert retry_after_s(value, NOW) is None


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("Fri, 09 Jan 2026 12:00:00 GMT", NOW),
        ("Fri, 09 Jan 2026 14:00:00 +0200", NOW),
        ("Fri, 09 Jan 2026 12:00:00 -0000", NOW),
        ("Fri, 09 Jan 2026 12:00:00", NOW),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_has_a_time_zone_utc_if_it_names_none(value, moment):
    assert http_date(value) == moment


def test_a_date_keeps_its_own_time_zone():
    assert http_date("Fri, 09 Jan 2026 14:00:00 +0200").tzinfo == timezone(timedelta(hours=2))
