"""What is sent next, and what follows from an answer; the property test has any sequence of them."""

from math import inf

import pytest

from towerops_agent.api.wire.outcomes import Accepted, TooLarge, Unauthorized, Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane, Pending, Position
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.course import (
    HURRY_EACH_S,
    HURRY_GATHERS_S,
    PART_AFTER_S,
    Course,
    CutBatch,
    Done,
    Part,
    RereadToken,
    SeePending,
    Send,
    Wait,
)
from towerops_agent.delivery.course.verdicts import Delivered, Halve, Kept

ACCEPTS = Accepts(is_stated=True, max_metrics=10)
NOTHING = Pending(0, 0, None)
BUSY = Unavailable("busy", 503)


def batch(number: int, lane: Lane = Lane.FRESH) -> Batch:
    return Batch(number, f"key-{number}", Position(number, 0), Position(number + 1, 0), 10, 0, lane)


def begun(fresh: int, backlog: int = 0) -> Course:
    """A course at 1000 s, which has just seen so many batches of each lane."""
    course = Course()
    assert course.next(ACCEPTS, 0, 1000.0) == Part()
    course.parted(NOTHING, 1000.0)
    assert course.next(ACCEPTS, 0, 1000.0) == SeePending()
    course.saw(Pending(10 * (fresh + backlog), fresh + backlog, 0, 10 * backlog, 0), 1000.0)
    return course


def sent(course: Course, number: int, now_s: float, lane: Lane = Lane.FRESH) -> Batch:
    """The batch, cut of the lane and on its way."""
    step = course.next(ACCEPTS, 0, now_s)
    assert isinstance(step, CutBatch)
    assert step.lane is lane
    course.cut(lane, batch(number, lane))
    assert course.verdicts.may_go(batch(number, lane), now_s)
    return batch(number, lane)


def quick(course: Course, count: int) -> None:
    """So many batches accepted at once, so that some may be under way together."""
    for number in range(count):
        one = sent(course, 100 + number, 1000.0)
        assert course.verdicts.take(one, Accepted(), 0, 0.0, 1000.1) == Delivered()
        course.ended([one])


def test_what_became_ready_after_a_failure_waits_with_the_rest():
    course = begun(9)
    quick(course, 3)
    first = sent(course, 1, 1001.0)
    step = course.next(ACCEPTS, 0, 1001.0)
    assert isinstance(step, CutBatch)
    course.cut(Lane.FRESH, batch(2))
    assert course.verdicts.take(first, BUSY, 0, 0.0, 1001.5) == Kept(1.0, 1)
    assert not course.verdicts.may_go(batch(2), 1001.5)
    course.ended([first, batch(2)])
    assert course.next(ACCEPTS, 0, 1001.5) == Wait(1002.5)
    assert course.next(ACCEPTS, 0, 1002.5) == Send(first), "it is the probe"


def test_when_the_api_answers_again_what_is_pending_is_seen_again():
    """So that what was polled during the outage goes before the backlog."""
    course = begun(1, 5)
    one = sent(course, 1, 1000.0)
    course.verdicts.take(one, BUSY, 0, 0.0, 1000.0)
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1001.0) == Send(one)
    assert course.verdicts.may_go(one, 1001.0)
    assert course.verdicts.take(one, Accepted(), 0, 0.0, 1001.1) == Delivered()
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1001.1) == SeePending()


def test_the_token_is_read_again_before_the_attempt_after_a_refusal_and_not_before():
    course = begun(1)
    one = sent(course, 1, 1000.0)
    course.verdicts.take(one, Unauthorized(401), 0, 0.0, 1000.0)
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1000.0) == Wait(1060.0)
    assert course.next(ACCEPTS, 0, 1060.0) == SeePending()
    course.saw(Pending(10, 1, 0), 1060.0)
    assert course.next(ACCEPTS, 0, 1060.1) == RereadToken()
    assert course.next(ACCEPTS, 0, 1060.1) == Send(one)


def test_a_batch_that_is_under_way_when_its_lane_becomes_backlog_stays_with_it():
    """Its halves are backlog in the buffer: at the end of a run they are looked for there."""
    course = begun(9)
    quick(course, 3)
    one = sent(course, 1, 1000.0)
    now_s = 1000.0 + PART_AFTER_S
    assert course.next(ACCEPTS, 0, now_s) == Part()
    course.parted(Pending(30, 3, 0, 30, 0), now_s)
    assert course.finish(1, inf, now_s)
    for lane in Lane:
        step = course.next(ACCEPTS, 0, now_s)
        assert isinstance(step, CutBatch)
        assert step.lane is lane
        course.cut(lane, None)
    assert course.next(ACCEPTS, 0, now_s) == Wait(inf)
    assert course.verdicts.take(one, TooLarge(), 0, 0.0, now_s) == Halve(too_large=True)
    course.ended([one])
    step = course.next(ACCEPTS, 0, now_s)
    assert isinstance(step, CutBatch)
    assert step.lane is Lane.BACKLOG


def test_an_outage_in_which_all_has_expired_is_tried_with_what_comes_later():
    course = begun(1)
    one = sent(course, 1, 1000.0)
    course.verdicts.take(one, BUSY, 0, 0.0, 1000.0)
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1001.0) == Send(one)
    course.verdicts.emptied(one)
    course.ended([one])
    for lane in Lane:
        step = course.next(ACCEPTS, 0, 1001.0)
        assert isinstance(step, CutBatch)
        assert step.lane is lane
        course.cut(lane, None)
    assert course.next(ACCEPTS, 0, 1001.0) == Wait(1030.0)
    assert course.next(ACCEPTS, 0, 1030.0) == SeePending()
    course.saw(NOTHING, 1030.0)
    assert course.next(ACCEPTS, 0, 1030.0) == Done(all_delivered=True)
    assert isinstance(course.next(ACCEPTS, 0, 1031.0), CutBatch)


def test_a_lane_that_was_empty_but_for_what_was_under_way_has_a_probe():
    """What was under way fails: that it could not be cut once more says nothing of what there is to try the API with."""
    course = begun(9)
    quick(course, 3)
    one = sent(course, 1, 1000.0)
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)
    course.cut(Lane.FRESH, None)
    course.verdicts.take(one, BUSY, 0, 0.0, 1000.0)
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1001.0) == Send(one)


def test_an_answer_to_what_was_never_sent_is_a_bug():
    course = begun(1)
    assert isinstance(course.next(ACCEPTS, 0, 1000.0), CutBatch)
    course.cut(Lane.FRESH, batch(1))
    with pytest.raises(ValueError, match="was not sent"):
        course.verdicts.take(batch(1), Accepted(), 0, 0.0, 1000.0)


def waiting(at_s: float = 1000.0) -> Course:
    """A course whose turn at that time is done: it waits for the next one, of which something is pending."""
    course = begun(1)
    one = sent(course, 1, at_s)
    course.verdicts.take(one, Accepted(), 0, 0.0, at_s)
    course.ended([one])
    assert course.next(ACCEPTS, 0, at_s) == Wait(at_s + 30)
    return course


def test_what_hurries_has_a_turn_soon_and_the_next_regular_one_follows_from_it():
    course = waiting()
    course.hurry(1012.0)
    assert course.next(ACCEPTS, 0, 1012.0) == Wait(1012.0 + HURRY_GATHERS_S)
    assert course.next(ACCEPTS, 0, 1012.5) == SeePending()
    course.saw(Pending(10, 1, 0, 0, 0), 1012.5)
    one = sent(course, 2, 1012.5)
    course.verdicts.take(one, Accepted(), 0, 0.0, 1012.6)
    course.ended([one])
    assert course.next(ACCEPTS, 0, 1012.6) == Wait(1042.5)


def test_what_hurries_again_and_again_has_a_turn_each_five_seconds():
    course = waiting()
    turns = []
    for tenth in range(1, 200):
        now_s = 1000.0 + tenth / 10
        course.hurry(now_s)
        if course.next(ACCEPTS, 0, now_s) == SeePending():
            turns.append(now_s)
            course.saw(Pending(10, 1, 0, 0, 0), now_s)
            one = sent(course, tenth, now_s)
            course.verdicts.take(one, Accepted(), 0, 0.0, now_s)
            course.ended([one])
    assert turns == [1005.0, 1010.0, 1015.0]


@pytest.mark.parametrize("pending", [0, 1])
def test_what_hurries_while_pending_is_counted_may_not_be_in_it_and_has_a_turn_of_its_own_soon(pending):
    course = waiting()
    assert course.next(ACCEPTS, 0, 1030.0) == SeePending()
    course.hurry(1030.1)
    course.saw(Pending(10 * pending, pending, 0, 0, 0), 1030.2)
    if pending:
        one = sent(course, 2, 1030.2)
        course.verdicts.take(one, Accepted(), 0, 0.0, 1030.2)
        course.ended([one])
    else:
        assert course.next(ACCEPTS, 0, 1030.2) == Done(all_delivered=True)
    assert course.next(ACCEPTS, 0, 1030.2) == Wait(1030.2 + HURRY_EACH_S)
    assert course.next(ACCEPTS, 0, 1035.2) == SeePending()
    course.saw(Pending(0, 0, 0, 0, 0), 1035.3)
    assert course.next(ACCEPTS, 0, 1035.3) == Done(all_delivered=True)
    assert course.next(ACCEPTS, 0, 1035.3) == Wait(1065.3)


def test_what_hurries_while_the_api_is_down_makes_no_attempt_more():
    course = begun(1)
    one = sent(course, 1, 1000.0)
    course.verdicts.take(one, BUSY, 0, 0.0, 1000.0)
    course.ended([one])
    course.hurry(1000.1)
    for tenth in range(1, 10):
        assert not isinstance(course.next(ACCEPTS, 0, 1000.0 + tenth / 10), CutBatch | Send)
    assert course.next(ACCEPTS, 0, 1001.0) == Send(one)
