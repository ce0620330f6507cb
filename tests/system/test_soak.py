"""A soak of half a minute in which everything fails: each value that a device sent is delivered once, or counted with a reason.

The long one is `python tests/soak/run.py` (docs/testing.md).
"""

import subprocess
import sys
from pathlib import Path

import pytest

from soak.ledger import LATEST_S, Clock, Ledger, code
from support.skips import NO_MOUNT

RUN = Path(__file__).parents[1] / "soak" / "run.py"
SKIPPED = 77
SENT_S = 1_795_651_200.0


def test_each_value_of_a_short_soak_is_accounted_for():
    done = subprocess.run([sys.executable, RUN, "--short"], capture_output=True, text=True, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(NO_MOUNT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def ledger():
    """One device of two, device 1, has sent its three values."""
    made = Ledger(2, Clock())
    made.begin(0)
    made.sent(1, made.begin(1), {0, 1, 2}, SENT_S)
    return made


def test_a_value_that_arrives_once_is_right_and_what_does_not_is_missing(ledger):
    ledger.take(1, 0, code(1, 0, 0), SENT_S + 0.1)
    assert ledger.wrong == []
    assert (ledger.sent_count, ledger.taken_count) == (3, 1)
    assert ledger.missing_between(SENT_S - 1, SENT_S + 1) == 2
    assert ledger.missing_between(SENT_S + 1, SENT_S + 2) == 0


@pytest.mark.parametrize(
    ("device", "value", "got", "shown_s"),
    [
        pytest.param(0, 0, code(1, 0, 0), SENT_S, id="another device's"),
        pytest.param(1, 0, code(1, 0, 1), SENT_S, id="another sensor's"),
        pytest.param(1, 0, code(1, 1, 0), SENT_S, id="never sent"),
        pytest.param(0, 0, code(0, 0, 0), SENT_S, id="asked for, and not sent"),
        pytest.param(1, 0, code(1, 0, 0), SENT_S - 60, id="too early"),
        pytest.param(1, 0, code(1, 0, 0), SENT_S + LATEST_S + 1, id="too late"),
    ],
)
def test_a_value_that_is_not_what_was_sent_is_wrong(ledger, device, value, got, shown_s):
    ledger.take(device, value, got, shown_s)
    assert len(ledger.wrong) == 1


def test_a_value_that_arrives_twice_is_wrong(ledger):
    for _ in range(2):
        ledger.take(1, 2, code(1, 0, 2), SENT_S)
    assert ledger.wrong == ["value 2 of answer 0 of device 1 was delivered twice"]


def test_a_time_is_by_the_agent_s_clock_as_it_was_set(ledger):
    clock = Clock()
    clock.set(3600, SENT_S - 100)
    clock.set(0, SENT_S + 100)
    assert clock.may_show(SENT_S + 3600, SENT_S)
    assert not clock.may_show(SENT_S, SENT_S)
    assert not clock.may_show(SENT_S + 3600, SENT_S + 200)
