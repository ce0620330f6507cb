"""When the course has a turn, a split, a line for the log, a question about a refused series, and when it is done."""

from math import inf

import pytest

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane, Pending, Position
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.backlog import Backlog
from towerops_agent.delivery.course.course import (
    Course,
    CutBatch,
    Done,
    Drained,
    Part,
    Report,
    SeePending,
    Send,
    TryRefused,
    Wait,
)
from towerops_agent.delivery.course.parcel import REFUSALS

ACCEPTS = Accepts(is_stated=True, max_metrics=10)
UNSTATED = Accepts(max_metrics=10)
NOTHING = Pending(0, 0, None)
BUSY = Unavailable("busy", 503)


def batch(number: int, lane: Lane = Lane.FRESH, metrics: int = 10) -> Batch:
    return Batch(number, f"key-{number}", Position(number, 0), Position(number + 1, 0), metrics, 0, lane)


def pending(fresh: int, backlog: int = 0, oldest_us: int | None = None) -> Pending:
    return Pending(10 * (fresh + backlog), fresh + backlog, 0, 10 * backlog, oldest_us)


def begun(fresh: int, backlog: int = 0, accepts: Accepts = ACCEPTS) -> Course:
    """A course at 1000 s, which has just seen so many batches of each lane."""
    course = Course()
    assert course.next(accepts, 0, 1000.0) == Part()
    course.parted(NOTHING, 1000.0)
    assert course.next(accepts, 0, 1000.0) == SeePending()
    course.saw(pending(fresh, backlog), 1000.0)
    return course


def cut(course: Course, one: Batch, now_s: float = 1000.0, accepts: Accepts = ACCEPTS) -> Batch:
    step = course.next(accepts, 0, now_s)
    assert isinstance(step, CutBatch)
    assert step.lane is one.lane
    course.cut(one.lane, one)
    return one


def deliver(course: Course, one: Batch, now_s: float = 1000.0, outcome=None, oldest_us: int = 0) -> None:
    assert course.verdicts.may_go(one, now_s)
    course.verdicts.take(one, outcome or Accepted(), oldest_us, 0.0, now_s)
    course.ended([one])


def test_the_first_turn_waits_for_the_polls_that_follow_the_first():
    course = Course(settle_s=0.5)
    assert course.next(ACCEPTS, 0, 1000.0) == Part()
    course.parted(NOTHING, 1000.0)
    assert course.next(ACCEPTS, 0, 1000.25) == Wait(1000.5)
    assert course.next(ACCEPTS, 0, 1000.5) == SeePending()
    course.parted(NOTHING, 1001.0)
    assert course.next(ACCEPTS, 0, 1001.0) == SeePending(), "later splits settle at once"


def test_a_turn_is_done_when_all_that_was_pending_is_sent_and_the_next_one_comes_30_s_after_it_began():
    course = begun(2)
    assert course.next(ACCEPTS, 0, 1000.0) == CutBatch(Lane.FRESH, 10, frozenset())
    deliver(course, cut(course, batch(1)), 1003.0)
    deliver(course, cut(course, batch(2), 1003.0), 1004.0)
    assert course.next(ACCEPTS, 0, 1004.0) == Wait(1030.0)
    assert course.next(ACCEPTS, 0, 1029.9) == Wait(1030.0)
    assert course.next(ACCEPTS, 0, 1030.0) == SeePending()


def test_a_lane_that_is_empty_before_its_time_ends_the_turn():
    course = begun(5)
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)
    course.cut(Lane.FRESH, None)
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1030.0)


def test_nothing_pending_is_the_end_until_it_is_asked_again():
    course = begun(0)
    assert course.next(ACCEPTS, 0, 1000.0) == Done(all_delivered=True)
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1030.0)


def test_what_is_under_way_is_not_cut_again_nor_is_what_is_held():
    course = begun(9)
    deliver(course, cut(course, batch(1)))
    cut(course, batch(2))
    step = course.next(ACCEPTS, 0, 1000.0)
    assert step == CutBatch(Lane.FRESH, 10, frozenset({2}))
    course.cut(Lane.FRESH, batch(3))
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1060.0), "two are under way, as one was answered at once; a split is next"
    deliver(course, batch(2))
    course.verdicts.held.hold(batch(8))
    assert course.next(ACCEPTS, 0, 1000.0) == CutBatch(Lane.FRESH, 10, frozenset({3, 8}))


def test_a_server_without_idempotency_keys_has_one_batch_at_a_time_unless_the_polls_outrun_it():
    course = begun(9, accepts=UNSTATED)
    for number in range(3):
        deliver(course, cut(course, batch(number), accepts=UNSTATED))
    cut(course, batch(10), accepts=UNSTATED)
    assert course.next(UNSTATED, 0, 1029.9) == Wait(1060.0)
    assert isinstance(course.next(UNSTATED, 0, 1030.0), CutBatch), "the turn lasts for longer than its time"
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)


def test_fresh_values_that_are_not_sent_within_a_minute_are_backlog():
    course = begun(9)
    cut(course, batch(1))
    assert course.next(ACCEPTS, 0, 1059.9) == Wait(1060.0)
    assert course.next(ACCEPTS, 0, 1060.0) == Part()
    course.parted(pending(0, 9), 1060.0)
    assert course.parted_s == 1060.0
    assert course.next(ACCEPTS, 0, 1060.0) == SeePending()


def test_a_turn_that_is_done_has_nothing_to_split():
    course = begun(1)
    cut(course, batch(1))
    assert course.next(ACCEPTS, 0, 1020.0) == Wait(1030.0)


def test_while_the_api_is_down_what_gathers_becomes_backlog_each_minute_but_not_just_before_a_probe():
    course = begun(1)
    deliver(course, cut(course, batch(1)), outcome=Unavailable("busy", 503, 90.0))
    assert course.next(ACCEPTS, 0, 1030.0) == SeePending()
    course.saw(pending(1), 1030.0)
    assert course.next(ACCEPTS, 0, 1030.0) == Wait(1060.0)
    assert course.next(ACCEPTS, 0, 1060.0) == Part()
    course.parted(pending(0, 1), 1060.0)
    step = course.next(ACCEPTS, 0, 1060.0)
    assert step == SeePending()
    course.saw(pending(0, 1), 1060.0)
    assert course.next(ACCEPTS, 0, 1060.0) == Wait(1090.0), "the next probe comes before the next split"
    assert course.next(ACCEPTS, 0, 1125.0) == SeePending(), "a split is due, and a probe is as well"
    course.saw(pending(0, 1), 1125.0)
    assert course.next(ACCEPTS, 0, 1125.0) == Send(batch(1, Lane.BACKLOG))
    assert course.next(ACCEPTS, 0, 1126.0) == Wait(inf), "only the probe is under way"


def test_the_backlog_is_sent_when_no_fresh_values_are_left():
    course = begun(1, 2)
    deliver(course, cut(course, batch(1)))
    assert course.next(ACCEPTS, 0, 1000.0) == CutBatch(Lane.BACKLOG, 10, frozenset())
    deliver(course, cut(course, batch(2, Lane.BACKLOG)))
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)
    course.cut(Lane.BACKLOG, None)
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1030.0)


def test_a_batch_that_failed_beside_others_is_due_before_the_backlog():
    course = begun(0, 9)
    deliver(course, cut(course, batch(1, Lane.BACKLOG)))
    bad, good = cut(course, batch(2, Lane.BACKLOG)), cut(course, batch(3, Lane.BACKLOG))
    assert course.verdicts.may_go(bad, 1000.0)
    deliver(course, good, 1000.1)
    course.verdicts.take(bad, Unavailable("bug", 500), 0, 0.0, 1000.2)
    course.ended([bad])
    assert isinstance(course.next(ACCEPTS, 0, 1002.1), CutBatch)
    course.cut(Lane.BACKLOG, None)
    assert course.next(ACCEPTS, 0, 1002.1) == Wait(1002.2)
    assert course.next(ACCEPTS, 0, 1002.2) == Send(bad)


def test_a_batch_that_failed_beside_others_is_the_probe_if_there_is_no_other():
    course = begun(0, 9)
    deliver(course, cut(course, batch(1, Lane.BACKLOG)))
    bad, good = cut(course, batch(2, Lane.BACKLOG)), cut(course, batch(3, Lane.BACKLOG))
    assert course.verdicts.may_go(bad, 1000.0)
    deliver(course, good, 1000.1)
    course.verdicts.take(bad, Unavailable("bug", 500), 0, 0.0, 1000.2)
    course.ended([bad])
    gone = cut(course, batch(4, Lane.BACKLOG), 1000.3)
    deliver(course, gone, 1000.3, BUSY)
    course.verdicts.emptied(gone)
    for lane in Lane:
        step = course.next(ACCEPTS, 0, 1001.3)
        assert isinstance(step, CutBatch)
        assert step.lane is lane
        course.cut(lane, None)
    assert course.next(ACCEPTS, 0, 1001.3) == Send(bad)


def test_the_halves_of_a_batch_are_sent_in_the_same_turn():
    for lane, course in ((Lane.FRESH, begun(1)), (Lane.BACKLOG, begun(0, 1))):
        one = cut(course, batch(1, lane))
        deliver(course, one, outcome=TooLarge())
        step = course.next(ACCEPTS, 0, 1000.0)
        assert step == CutBatch(lane, 5, frozenset())


def test_while_a_batch_is_searched_nothing_else_is_sent():
    course = begun(9)
    one = cut(course, batch(1))
    assert course.verdicts.may_go(one, 1000.0)
    course.verdicts.take(one, Rejected(400, "no"), 0, 0.0, 1000.0)
    left, right = batch(2, metrics=5), batch(3, metrics=5)
    course.verdicts.split(one, (left, right))
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1000.0) == Send(right)
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1060.0)
    deliver(course, right)
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch), "the server takes something"


def test_a_search_whose_batch_has_gone_without_an_answer_is_over():
    course = begun(9)
    one = cut(course, batch(1))
    assert course.verdicts.may_go(one, 1000.0)
    course.verdicts.take(one, Rejected(400, "no"), 0, 0.0, 1000.0)
    course.ended([one])  # its halves have expired
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)


def test_a_refused_series_is_asked_about_if_nothing_else_is_to_be_done():
    course = begun(1)
    for _ in range(REFUSALS):
        course.verdicts.learn("a", "no", 0)
    hour_us = 3_600_000_000
    one = cut(course, batch(1))
    assert course.next(ACCEPTS, hour_us, 1000.0) == Wait(1030.0)
    deliver(course, one)
    assert course.next(ACCEPTS, hour_us - 1, 1000.0) == Wait(1030.0)
    assert course.next(ACCEPTS, hour_us, 1000.0) == TryRefused("a")
    course.verdicts.asked("a", Unavailable("busy", 503, 5.0), hour_us, 1000.0)
    assert course.next(ACCEPTS, 2 * hour_us, 1004.9) == Wait(1005.0)
    assert course.next(ACCEPTS, 2 * hour_us, 1005.0) == TryRefused("a")


def test_the_log_hears_of_a_backlog_and_of_its_end():
    """Its oldest value is two minutes old."""
    course = begun(0, 3)
    now_us = 120_000_000
    course.measured(pending(0, 3, 0))
    assert course.backlog(now_us, 1000.0) == Backlog(30, 120.0)
    deliver(course, cut(course, batch(1, Lane.BACKLOG)))
    first, second = cut(course, batch(2, Lane.BACKLOG)), cut(course, batch(3, Lane.BACKLOG))
    assert course.next(ACCEPTS, now_us, 1001.0) == Report(Backlog(20, 120.0))
    deliver(course, first, 1001.0)
    assert isinstance(course.next(ACCEPTS, now_us, 1001.0), CutBatch)
    course.cut(Lane.BACKLOG, None)
    assert not isinstance(course.next(ACCEPTS, now_us, 1002.0), Drained), "one is under way"
    deliver(course, second, 1003.0)
    assert course.next(ACCEPTS, now_us, 1004.0) == Drained(30, 4.0)
    assert course.next(ACCEPTS, now_us, 1004.0) == Wait(1030.0)


def ended_run(course: Course, attempts: int = 1, until_s: float = inf, now_s: float = 1000.0) -> Course:
    assert course.finish(attempts, until_s, now_s)
    return course


def empty(course: Course, now_s: float = 1000.0) -> None:
    """Find both lanes empty."""
    for lane in Lane:
        step = course.next(ACCEPTS, 0, now_s)
        assert isinstance(step, CutBatch)
        assert step.lane is lane
        course.cut(lane, None)


def test_a_run_that_ends_sends_all_lanes_and_is_done():
    course = ended_run(begun(0))
    deliver(course, cut(course, batch(1)))
    empty(course)
    assert course.next(ACCEPTS, 0, 1000.0) == Done(all_delivered=True)


def test_a_run_that_ends_waits_for_what_is_under_way():
    course = begun(1)
    one = cut(course, batch(1))
    ended_run(course)
    assert course.next(UNSTATED, 0, 1000.0) == Wait(inf)
    deliver(course, one, outcome=BUSY)
    assert course.next(ACCEPTS, 0, 1000.0) == Done(all_delivered=False)


@pytest.mark.parametrize(
    ("attempts", "until_s", "step"), [(2, inf, Wait(1001.0)), (2, 1001.0, Wait(1001.0)), (2, 1000.9, None), (1, inf, None)]
)
def test_a_run_that_ends_tries_again_as_long_as_it_may(attempts, until_s, step):
    course = ended_run(begun(1), attempts, until_s)
    deliver(course, cut(course, batch(1)), outcome=BUSY)
    assert course.next(ACCEPTS, 0, 1000.0) == (step or Done(all_delivered=False))
    if step:
        assert course.next(ACCEPTS, 0, 1001.0) == Send(batch(1))


def test_a_run_that_ends_does_not_try_a_server_that_asked_for_a_pause():
    course = begun(1)
    deliver(course, cut(course, batch(1)), outcome=Unavailable("busy", 503, 9.0))
    assert not course.finish(3, inf, 1008.9)
    assert course.finish(3, inf, 1009.0)
    assert course.next(ACCEPTS, 0, 1009.0) == Send(batch(1))


def test_a_run_that_ends_leaves_a_batch_that_failed_too_often_and_says_that_it_is_left():
    course = ended_run(begun(0), attempts=1)
    deliver(course, cut(course, batch(1)))
    bad, good = cut(course, batch(2)), cut(course, batch(3))
    assert course.verdicts.may_go(bad, 1000.0)
    deliver(course, good, 1000.1)
    course.verdicts.take(bad, Unavailable("bug", 500), 0, 0.0, 1000.2)
    course.ended([bad])
    empty(course, 1000.2)
    assert course.next(ACCEPTS, 0, 1000.2) == Done(all_delivered=False)


def test_after_a_call_off_nothing_is_under_way():
    course = begun(9)
    cut(course, batch(1))
    assert course.in_flight == 1
    course.called_off()
    assert course.in_flight == 0
    assert course.next(ACCEPTS, 0, 1000.0) == CutBatch(Lane.FRESH, 10, frozenset())


def test_a_turn_is_behind_if_it_will_hardly_end_before_the_next_one():
    """Of ten batches one is sent at once: after 6 s that is less than it should be, after 2 s it is too early to say."""
    course = begun(10)
    cut(course, batch(1))
    assert not course.is_behind(1002.0)
    assert course.is_behind(1006.0)


def test_a_turn_that_goes_on_well_is_not_behind():
    course = begun(2)
    cut(course, batch(1))
    assert not course.is_behind(1006.0)
    assert course.is_behind(1018.0)


def test_nothing_is_behind_while_the_api_is_down():
    """Then it is not the agent that has too much to do."""
    course = begun(10)
    one = cut(course, batch(1))
    deliver(course, one, 1001.0, Unavailable("down", None))
    assert not course.is_behind(1020.0)


def test_a_backlog_is_behind_if_polls_outran_the_delivery_and_not_after_an_outage():
    outrun = begun(10)
    outrun.parted(pending(0, 10), 1060.0)
    assert outrun.is_behind(1061.0)
    assert not begun(0, 10).is_behind(1061.0)


def idle(wanted: tuple[str, ...] = ("sensor_reading s",)) -> Course:
    """A course at 1000 s with nothing pending, of which the operator wants refused series tried."""
    course = begun(0)
    course.verdicts.exclusions.want(wanted)
    return course


def test_what_the_operator_wants_tried_is_tried_though_nothing_is_pending():
    course = idle()
    assert course.next(ACCEPTS, 5, 1000.0) == TryRefused("sensor_reading s")
    assert course.verdicts.asked("sensor_reading s", Rejected(422, "no"), 5, 1000.0) is False
    assert course.next(ACCEPTS, 5, 1000.0) == Done(all_delivered=True), "it was tried"


def test_what_the_operator_wants_tried_waits_a_minute_after_no_answer_and_turns_go_on():
    course = idle()
    course.verdicts.asked("sensor_reading s", BUSY, 5_000_000, 1000.0)
    assert course.next(ACCEPTS, 5_000_000, 1000.0) == Wait(1030.0), "the next turn comes first"
    assert course.next(ACCEPTS, 5_000_000, 1000.0) == Wait(1030.0), "and it looks for what is pending by then"
    assert course.next(ACCEPTS, 35_000_000, 1030.0) == SeePending()
    course.saw(NOTHING, 1030.0)
    assert course.next(ACCEPTS, 45_000_000, 1040.0) == Wait(1060.0), "60 s after the question: 20 s from now"
    assert course.next(ACCEPTS, 65_000_000, 1060.0) == SeePending()
    course.saw(NOTHING, 1060.0)
    assert course.next(ACCEPTS, 65_000_000, 1060.0) == TryRefused("sensor_reading s")


def test_what_the_operator_wants_tried_waits_for_the_pause_that_the_server_asked_for():
    course = idle(("sensor_reading s", "sensor_reading t"))
    course.verdicts.asked("sensor_reading s", Unavailable("busy", 503, 7.5), 0, 1000.0)
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1007.5), "though the other series is due"
    assert course.next(ACCEPTS, 0, 1007.5) == TryRefused("sensor_reading t")


def test_the_backlog_has_an_end_by_the_clock_that_it_is_asked_at():
    course = begun(0, 9)
    catch_up = course.verdicts.catch_up
    catch_up.measured(90, 0)
    catch_up.took(10, 0, 1000.0)
    catch_up.took(10, 0, 1010.0)
    assert course.backlog(60_000_000, 1010.0) == Backlog(70, 60.0, 70.0)
    assert course.backlog(70_000_000, 1020.0) == Backlog(70, 70.0, 140.0)
