"""The doctor's judgement of the clock."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.fetch import EARLIEST, check_clock

NOON = datetime(2026, 1, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "ahead_s", "mark", "text"),
    [
        (NOON, 0.0, Result.OK, "within 1 s of the server's"),
        (NOON, -20.4, Result.OK, "within 20 s"),
        (NOON, None, Result.OK, "not compared"),
        (NOON, 7500.0, Result.FAILED, "2 h 5 min ahead of the server's"),
        (NOON, -31.0, Result.FAILED, "31 s behind the server's"),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), None, Result.FAILED, "has lost its time"),
    ],
)
def test_the_clock_is_held_against_the_servers_and_against_reason(now, ahead_s, mark, text):
    check = check_clock(now, ahead_s)
    assert check.result is mark
    assert text in check.found
    assert bool(check.hint) is (mark is Result.FAILED)


SET_IT = "set it by NTP (chrony, systemd-timesyncd); `timedatectl` shows its state"
BEFORE = datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)
IN_INDIA = datetime(2026, 1, 9, 17, 30, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))


@pytest.mark.parametrize(
    ("now", "ahead_s", "check"),
    [
        (IN_INDIA, None, Check("clock", Result.OK, "2026-01-09 12:00:00 UTC; not compared, as no server sent its time")),
        (NOON, 30.0, Check("clock", Result.OK, "2026-01-09 12:00:00 UTC, within 30 s of the server's")),
        (NOON, 0.2, Check("clock", Result.OK, "2026-01-09 12:00:00 UTC, within 1 s of the server's")),
        (
            NOON,
            31.0,
            Check("clock", Result.FAILED, "2026-01-09 12:00:00 UTC, 31 s ahead of the server's", SET_IT),
        ),
        (
            NOON,
            -31.0,
            Check("clock", Result.FAILED, "2026-01-09 12:00:00 UTC, 31 s behind the server's", SET_IT),
        ),
        (
            BEFORE,
            0.0,
            Check(
                "clock",
                Result.FAILED,
                "2023-12-31 23:59:59 UTC: this machine has lost its time (no battery-backed clock?)",
                SET_IT,
            ),
        ),
        (EARLIEST, None, Check("clock", Result.OK, "2024-01-01 00:00:00 UTC; not compared, as no server sent its time")),
    ],
)
def test_the_clock_s_line(now, ahead_s, check):
    assert check_clock(now, ahead_s) == check
