"""The state of a device is what the last word about it says; what nobody has said anything about is unknown."""

from support.snapshots import report, snapshot
from towerops_agent.buffer.format.event import STARTED, STOPPED, Event, EventKind
from towerops_agent.page.views.standing import Standing, does_run, ending_us, standings

HOLDS_US = 136_000_000
NOW_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000


def state(ago_min, what, why="", device="a"):
    return Event(NOW_US - ago_min * MINUTE_US, EventKind.STATE, device, what, why)


def agent(ago_min, what):
    return Event(NOW_US - ago_min * MINUTE_US, EventKind.AGENT, "", what)


def standing(*events, of=None, polled_ago_min=1):
    newest = {"a": (NOW_US - polled_ago_min * MINUTE_US if polled_ago_min is not None else 0, HOLDS_US)}
    return standings(["a"], of, events, newest, NOW_US)["a"]


def test_a_device_with_polls_and_no_word_about_it_is_up():
    assert standing(agent(60, STARTED)) == standing() == Standing("up")


def test_the_last_change_counts():
    assert standing(agent(60, STARTED), state(50, "down", "timeout"), state(40, "up")) == Standing(
        "up", "", state(40, "up").at_us
    )
    assert standing(agent(60, STARTED), state(50, "down", "timeout")).state == "down"


def test_a_change_before_the_agents_last_start_says_nothing():
    assert standing(state(90, "down", "timeout"), agent(60, STOPPED), agent(50, STARTED)) == Standing("up")
    assert standing(state(90, "down"), agent(50, STARTED), polled_ago_min=70) == Standing("unknown")


def test_without_a_change_the_snapshot_counts():
    down = report("a", "A", "10.0.0.1", state="down", reason="auth", since_us=5)
    assert standing(of=snapshot(troubled=[down])) == Standing("down", "auth", 5)
    assert standing(agent(1, STARTED), of=snapshot(troubled=[down], written_us=NOW_US - 2 * MINUTE_US)) == Standing("up")


def test_a_snapshot_says_nothing_of_a_device_that_was_given_away_since():
    """To another agent of its group, or as it left the configuration; a device that comes back up makes no event."""
    down = snapshot(troubled=[report("a", "A", "10.0.0.1", state="down", since_us=5)], written_us=NOW_US - 8 * MINUTE_US)
    given = (agent(60, STARTED), state(20, "down", "timeout"), state(5, "unknown"))
    assert standing(*given, of=down, polled_ago_min=30).state == "unknown"
    assert standing(*given, of=down) == Standing("up")


def test_up_is_believed_only_while_there_are_polls():
    old = standing(agent(60, STARTED), state(40, "up"), polled_ago_min=4)
    assert old == Standing("unknown", "nothing has been read lately", NOW_US - 4 * MINUTE_US)
    assert standing(polled_ago_min=None) == Standing("unknown")


def test_polls_that_are_not_written_yet_are_not_missing():
    """They may wait for a minute in memory (BUFFER_COMMIT_SECONDS): six polls of a device that is polled each ten seconds."""
    told, hold_us = (agent(60, STARTED), state(40, "up")), 23_500_000
    for ago_us, is_up in ((hold_us + MINUTE_US, True), (hold_us + MINUTE_US + 1, False)):
        found = standings(["a"], None, told, {"a": (NOW_US - ago_us, hold_us)}, NOW_US)["a"]
        assert (found.state == "up") is is_up


def test_a_device_that_leaves_no_polls_is_up_by_its_event_while_the_agent_writes():
    told = (agent(60, STARTED), state(50, "up", "no value of it is kept"))
    newest = {"a": (0, HOLDS_US)}
    up = Standing("up", "no value of it is kept", told[1].at_us)
    assert standings(["a"], None, told, newest, NOW_US, NOW_US - MINUTE_US) == {"a": up}
    assert standings(["a"], None, told, newest, NOW_US, NOW_US - 20 * MINUTE_US)["a"].state == "unknown"
    assert standing(*told) == Standing("up", "", told[1].at_us), "it leaves some again"


def test_the_agent_runs_if_it_has_written_lately_and_has_not_stopped():
    assert does_run(snapshot(), [], NOW_US - MINUTE_US, NOW_US)
    assert not does_run(snapshot(), [], NOW_US - 20 * MINUTE_US, NOW_US)
    assert not does_run(snapshot(stopped_us=NOW_US), [], NOW_US, NOW_US)
    assert does_run(snapshot(stopped_us=NOW_US - 5 * MINUTE_US), [agent(1, STARTED)], NOW_US - MINUTE_US, NOW_US)
    assert not does_run(None, [agent(3, STARTED), agent(1, STOPPED)], NOW_US - 2 * MINUTE_US, NOW_US)
    assert not does_run(None, [], 0, NOW_US)


def test_charts_of_an_old_database_end_when_it_was_last_written():
    assert ending_us(NOW_US - MINUTE_US, NOW_US) == NOW_US
    assert ending_us(NOW_US - 90 * MINUTE_US, NOW_US) == NOW_US - 90 * MINUTE_US + 1
    assert ending_us(0, NOW_US) == NOW_US
