"""The doctor's judgement of the clock."""

from datetime import UTC, datetime

import pytest

from towerops_agent.doctor.findings.check import Mark
from towerops_agent.doctor.findings.clock import check_clock

NOON = datetime(2026, 1, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "ahead_s", "mark", "text"),
    [
        (NOON, 0.0, Mark.OK, "within 1 s of the server's"),
        (NOON, -20.4, Mark.OK, "within 20 s"),
        (NOON, None, Mark.OK, "not compared"),
        (NOON, 7500.0, Mark.FAILED, "2 h 5 min ahead of the server's"),
        (NOON, -31.0, Mark.FAILED, "31 s behind the server's"),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), None, Mark.FAILED, "has lost its time"),
    ],
)
def test_the_clock_is_held_against_the_servers_and_against_reason(now, ahead_s, mark, text):
    check = check_clock(now, ahead_s)
    assert check.mark is mark
    assert text in check.found
    assert bool(check.hint) is (mark is Mark.FAILED)
