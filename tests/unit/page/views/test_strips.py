"""A strip has no hole and no overlap; up is shown only where polls show it."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.buffer.format.event import FAILS, GONE, STARTED, STOPPED, WORKS, Event, EventKind
from towerops_agent.page.views.strips import runs_over, states_over, works_over

moments = st.integers(0, 100)
events = st.lists(
    st.builds(Event, moments, st.just(EventKind.STATE), st.just("a"), st.sampled_from(["up", "degraded", "down"]))
    | st.builds(Event, moments, st.just(EventKind.AGENT), st.just(""), st.sampled_from([STARTED, STOPPED]))
    | st.builds(
        Event, moments, st.just(EventKind.API), st.sampled_from(["metrics", "heartbeat"]), st.sampled_from([WORKS, FAILS])
    ),
    max_size=8,
)


def changed(at, what):
    return Event(at, EventKind.STATE, "a", what, "timeout" if what == "down" else "")


def agent(at, what):
    return Event(at, EventKind.AGENT, "", what)


def shown(spans):
    return [(span.from_us, span.to_us, span.state) for span in spans]


def test_a_device_was_up_where_polls_are_and_down_from_the_change_on():
    polls = [0, 10, 20, 30, 70, 80, 90]
    spans = states_over([agent(0, STARTED), changed(42, "down"), changed(71, "up")], polls, [15] * 7, 0, 100)
    assert shown(spans) == [(0, 42, "up"), (42, 71, "down"), (71, 100, "up")]
    assert spans[1].reason == "timeout"


def test_each_poll_holds_as_long_as_its_interval_says():
    spans = states_over([agent(0, STARTED)], [0, 10, 20, 60], [15, 15, 45, 45], 0, 120)
    assert shown(spans) == [(0, 105, "up"), (105, 120, "unknown")]
    assert shown(states_over([agent(0, STARTED)], [20, 60], [45, 10], 30, 100)) == [(30, 70, "up"), (70, 100, "unknown")]


def test_a_device_that_leaves_no_polls_is_up_by_its_event():
    told = [agent(0, STARTED), Event(10, EventKind.STATE, "a", "up", "no value of it is kept"), agent(80, STOPPED)]
    spans = states_over(told, [40], [15], 0, 100)
    assert shown(spans) == [(0, 10, "unknown"), (10, 40, "up"), (40, 55, "up"), (55, 80, "up"), (80, 100, "unknown")]
    assert [span.reason for span in spans[1:4]] == ["no value of it is kept", "", "no value of it is kept"]


def test_nothing_is_known_while_no_agent_ran():
    spans = states_over([agent(30, STOPPED), agent(60, STARTED)], [0, 10, 20, 60, 70, 80, 90], [15] * 7, 0, 100)
    assert shown(spans) == [(0, 35, "up"), (35, 60, "unknown"), (60, 100, "up")]


def test_a_device_that_was_down_before_is_down_from_the_beginning():
    assert shown(states_over([], [], [], 0, 100, "down")) == [(0, 100, "down")]
    assert shown(states_over([changed(-50, "down")], [], [], 0, 100)) == [(0, 100, "down")]


def test_one_failing_dealing_is_enough_for_the_api_not_to_work():
    told = [Event(at, EventKind.API, name, what, why) for at, name, what, why in (
        (10, "metrics", WORKS, ""), (20, "heartbeat", FAILS, "503"), (30, "metrics", WORKS, ""), (40, "heartbeat", WORKS, ""),
    )]  # fmt: skip
    spans = works_over(told, 0, 50)
    assert shown(spans) == [(0, 10, "unknown"), (10, 20, "works"), (20, 40, "fails"), (40, 50, "works")]
    assert spans[2].reason == "heartbeat: 503"


def test_what_was_removed_fails_no_longer():
    told = [Event(at, EventKind.API, name, what, why) for at, name, what, why in (
        (10, "old", FAILS, "503"), (20, "new", WORKS, ""), (30, "old", GONE, ""), (40, "new", FAILS, "504"),
        (50, "new", GONE, ""),
    )]  # fmt: skip
    assert shown(works_over(told, 0, 60)) == [
        *((0, 10, "unknown"), (10, 30, "fails"), (30, 40, "works"), (40, 50, "fails"), (50, 60, "unknown"))
    ]


def test_an_agent_ran_from_its_start_to_its_stop():
    assert shown(runs_over([agent(10, STARTED), agent(60, STOPPED)], 0, 100)) == [
        *((0, 10, "unknown"), (10, 60, "runs"), (60, 100, "does not run"))
    ]
    assert shown(runs_over([agent(10, STARTED)], 0, 100)) == [(0, 10, "unknown"), (10, 100, "runs")]


def test_what_was_noted_while_the_clock_was_ahead_takes_no_time_from_what_followed():
    ahead = [agent(10, STARTED), changed(900, "down"), agent(30, STOPPED), agent(40, STARTED), changed(50, "down")]
    assert shown(states_over(ahead, [10, 20, 40], [10] * 3, 0, 100)) == [
        *((0, 10, "unknown"), (10, 30, "up"), (30, 40, "unknown"), (40, 50, "up"), (50, 100, "down"))
    ]
    assert shown(runs_over([agent(900, STARTED), agent(40, STOPPED), agent(60, STARTED)], 0, 100)) == [
        *((0, 40, "unknown"), (40, 60, "does not run"), (60, 100, "runs"))
    ]


polls = st.lists(st.tuples(moments, st.integers(0, 30)), max_size=10).map(sorted)


@given(events, polls, st.integers(0, 60), st.integers(1, 60))
def test_a_strip_covers_its_time_once(told, polls, begin, length):
    end = begin + length
    polls, holds = [at for at, _ in polls], [hold for _, hold in polls]
    for spans in (states_over(told, polls, holds, begin, end), works_over(told, begin, end), runs_over(told, begin, end)):
        assert (spans[0].from_us, spans[-1].to_us) == (begin, end)
        assert [span.to_us for span in spans[:-1]] == [span.from_us for span in spans[1:]]
        assert all(span.from_us < span.to_us for span in spans)
