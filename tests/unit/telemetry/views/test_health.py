"""Health: only what a restart could help is a failure; all else that is wrong is a line."""

from dataclasses import replace

import pytest

from support.snapshots import NOW_US, snapshot
from towerops_agent.telemetry.views.health import SLACK_S, Vitals, health_text, judge, judge_left, standing_still
from towerops_agent.telemetry.views.snapshot import SingleRun

WORKING = Vitals(due_s={"polling": 1010.0, "delivery": 990.0}, failing={}, devices=3)


def test_healthy_is_an_agent_whose_loops_move():
    found = judge(WORKING, 1000.0)
    assert (found.problems, found.remarks) == ((), ())
    assert health_text(found) == "healthy\n"
    assert standing_still({"polling": 100.0}, 100.0 + SLACK_S) == {}


def test_a_loop_that_stands_still_is_a_failure():
    found = judge(replace(WORKING, due_s={"polling": 900.0, "delivery": 990.0}), 1000.0)
    assert found.problems == ("the polling loop is stuck, 1 min 40 s past its time",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failing": {"metrics": "no route"}}, "degraded: metrics fails: no route"),
        ({"in_memory_because": "the disk is full"}, "degraded: polls are kept in memory only: the disk is full"),
        ({"expiring": ("the certificate of API expires",)}, "degraded: the certificate of API expires"),
        ({"salvaging": "a corrupt database is being copied"}, "degraded: a corrupt database is being copied"),
        (
            {"bugs": {"delivery": 12}},
            "degraded: delivery met 12 bugs in the last 5 min: see the log, and please report it",
        ),
        ({"devices": 0}, "degraded: no device is polled, as there is no configuration, or none in it can be used"),
        ({"states": {"up": 0, "degraded": 0, "down": 3, "unknown": 1}}, "degraded: no device answers: 3 devices down"),
        (
            {"clock_off_s": -7200.0},
            "degraded: this machine's clock is 2 h behind the server's: have NTP set it",
        ),
    ],
)
def test_what_a_restart_would_not_help_is_a_line_and_not_a_failure(changes, said):
    found = judge(replace(WORKING, **changes), 1000.0)
    assert found.problems == ()
    assert health_text(found) == f"{said}\n"


@pytest.mark.parametrize("states", [{"up": 1, "down": 2}, {"degraded": 1, "down": 2}, {"down": 0, "unknown": 3}, {}])
def test_while_a_device_answers_or_none_has_been_asked_yet_nothing_is_said_of_them(states):
    assert judge(replace(WORKING, states=states), 1000.0).remarks == ()


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, "no agent has written to this database yet"),
        (snapshot(stopped_us=NOW_US - 60_000_000), "the agent was stopped 1 min ago"),
        (
            snapshot(written_us=NOW_US - 120_000_000),
            "the agent does not run: killed, or a power cut; it last wrote its state 2 min ago",
        ),
    ],
)
def test_an_agent_that_does_not_answer_is_not_healthy_whatever_it_wrote(left, said):
    assert judge_left(left, NOW_US).problems == (said,)


HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("run", "ago_us", "said", "healthy"),
    [
        (
            SingleRun(3, 612),
            300_000_000,
            "the last single run (run --once) ended 5 min ago: 3 devices polled, 612 metrics delivered\n",
            True,
        ),
        (
            SingleRun(0, 0, ["a", "b"]),
            300_000_000,
            "the last single run (run --once) ended 5 min ago, with problems:\na\nb\n",
            False,
        ),
        (
            SingleRun(3, 612),
            25 * HOUR_US + 1,
            "the last single run (run --once) ended 1 d 1 h ago: expected one a day at least\n",
            False,
        ),
    ],
)
def test_after_a_single_run_health_is_what_came_of_it(run, ago_us, said, healthy):
    found = judge_left(snapshot(stopped_us=NOW_US - ago_us, single_run=run), NOW_US)
    assert (health_text(found), not found.problems) == (said, healthy)
