"""Of an agent that was killed, and of one that has run for longer than events are kept, the strips say what is known."""

from support.snapshots import snapshot
from towerops_agent.buffer.format.event import FAILS, STARTED, STOPPED, WORKS, Event, EventKind
from towerops_agent.page.views.runs import completed
from towerops_agent.page.views.strips import runs_over, states_over, works_over
from towerops_agent.telemetry.views.snapshot import Dealing, SingleRun

DEALINGS = {"metrics": Dealing(True, 3, 90, 0, ""), "heartbeat": Dealing(True, 3, 90, 0, "")}
LEFT = snapshot(started_us=2, written_us=90, dealings=DEALINGS)


def agent(at, what):
    return Event(at, EventKind.AGENT, "", what)


def api(at, name, what, why=""):
    return Event(at, EventKind.API, name, what, why)


def down(at):
    return Event(at, EventKind.STATE, "a", "down", "timeout")


def told(*events, of=LEFT, polls=(), silent_since_us=None, since_us=0):
    def last(before_us):
        return max((poll for poll in polls if poll < before_us), default=None)

    return completed(events, of, last, silent_since_us=silent_since_us, since_us=since_us)


def shown(spans):
    return [(span.from_us, span.to_us, span.state) for span in spans]


def test_a_run_that_was_killed_ended_with_its_last_poll_though_another_followed():
    events = told(agent(10, STARTED), api(12, "metrics", WORKS), down(20), agent(70, STARTED), polls=[10, 30, 40, 70, 80])
    assert shown(runs_over(events, 0, 100)) == [
        *((0, 10, "unknown"), (10, 40, "runs"), (40, 70, "does not run"), (70, 100, "runs"))
    ]
    assert shown(works_over(events, 0, 100)) == [(0, 12, "unknown"), (12, 40, "works"), (40, 100, "unknown")]
    about = [event for event in events if event.kind is not EventKind.API]
    assert shown(states_over(about, [70, 80], [15, 15], 0, 90)) == [
        *((0, 20, "unknown"), (20, 40, "down"), (40, 70, "unknown"), (70, 90, "up"))
    ]


def test_a_run_without_polls_ended_with_its_last_event():
    assert shown(runs_over(told(agent(10, STARTED), down(20), agent(70, STARTED)), 0, 100))[1:3] == [
        *((10, 20, "runs"), (20, 70, "does not run"))
    ]


def test_the_last_run_ended_when_the_agent_last_wrote():
    events = told(agent(10, STARTED), down(20), silent_since_us=60)
    assert shown(runs_over(events, 0, 100)) == [(0, 10, "unknown"), (10, 60, "runs"), (60, 100, "does not run")]
    assert shown(states_over(events, [], [], 0, 100)) == [(0, 20, "unknown"), (20, 60, "down"), (60, 100, "unknown")]
    assert shown(runs_over(told(agent(10, STARTED)), 0, 100)) == [(0, 10, "unknown"), (10, 100, "runs")]


def test_an_agent_of_which_no_event_is_left_runs_and_its_api_is_as_it_says_itself():
    assert shown(runs_over(told(), 0, 100)) == [(0, 2, "unknown"), (2, 100, "runs")]
    assert shown(works_over(told(), 5, 100)) == [(5, 100, "works")]
    failing = snapshot(started_us=2, dealings={**DEALINGS, "metrics": Dealing(False, 4, 3, 9, "503")})
    assert [(span.state, span.reason) for span in works_over(told(of=failing), 5, 100)] == [("fails", "metrics: 503")]


def test_what_began_to_fail_had_worked_and_what_began_to_work_may_not_have_been_tried():
    failed = told(api(30, "metrics", FAILS, "503"), api(40, "metrics", WORKS))
    assert shown(works_over(failed, 5, 100)) == [(5, 30, "works"), (30, 40, "fails"), (40, 100, "works")]
    begun = told(api(30, "metrics", WORKS), of=snapshot(started_us=2, dealings={"metrics": DEALINGS["metrics"]}))
    assert shown(works_over(begun, 5, 100)) == [(5, 30, "unknown"), (30, 100, "works")]


def test_an_agent_that_stopped_had_run_before():
    """The snapshot is of the next run: it says nothing of the API before."""
    events = told(agent(30, STOPPED), agent(60, STARTED), of=snapshot(started_us=60, dealings=DEALINGS))
    assert shown(runs_over(events, 0, 100)) == [(0, 30, "runs"), (30, 60, "does not run"), (60, 100, "runs")]
    assert shown(works_over(events, 0, 100)) == [(0, 100, "unknown")]


def test_nothing_is_known_of_the_time_before_the_first_event_if_the_earliest_have_made_room():
    events = told(down(20), agent(30, STOPPED), of=snapshot(started_us=60), since_us=20)
    assert shown(runs_over(events, 0, 50)) == [(0, 20, "unknown"), (20, 30, "runs"), (30, 50, "does not run")]


def test_a_first_run_and_single_runs_have_nothing_before_them():
    assert told(agent(10, STARTED)) == [agent(10, STARTED)]
    assert told(of=None) == told(of=None, silent_since_us=0) == []
    single = snapshot(started_us=2, stopped_us=3, single_run=SingleRun())
    assert told(of=single) == told(of=single, silent_since_us=3) == []
