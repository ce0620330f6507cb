"""As much as the API accepts: more while it answers quickly, less if it is slow or fails, and nothing if it says so."""

from math import inf

from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.pace import (
    DELIVERED_BEFORE_GROWTH,
    FIRST_IN_FLIGHT,
    LEAST_FOR_SLOWNESS,
    LEAST_FOR_TIMEOUTS,
    MOST_IN_FLIGHT,
    QUICK_BEFORE_GROWTH,
    QUICK_S,
    SLOW_S,
    BatchSize,
    Pace,
)

ACCEPTS = Accepts(is_stated=True, max_metrics=1000)


def grown() -> Pace:
    pace = Pace()
    for _ in range(100):
        pace.answered(pace.sent(0.0), 1000, 0.1)
    return pace


def test_quick_answers_make_it_one_more_a_round_up_to_the_most():
    pace = Pace()
    assert pace.in_flight == FIRST_IN_FLIGHT
    for wanted in range(FIRST_IN_FLIGHT + 1, MOST_IN_FLIGHT + 1):
        for _ in range(wanted - 1):
            pace.answered(pace.sent(0.0), 1000, 0.1)
        assert pace.in_flight == wanted
    assert grown().in_flight == MOST_IN_FLIGHT


def test_answers_that_are_neither_quick_nor_slow_change_nothing():
    pace = Pace()
    for _ in range(50):
        pace.answered(pace.sent(0.0), 1000, QUICK_S)
    assert pace.in_flight == FIRST_IN_FLIGHT
    assert pace.size.within(ACCEPTS.max_metrics) == 1000


def test_slow_answers_halve_both_and_once_for_all_that_were_under_way():
    pace = grown()
    together = [pace.sent(10.0) for _ in range(8)]
    for sent in together:
        pace.answered(sent, 1000, 10.0 + SLOW_S)
    assert pace.in_flight == MOST_IN_FLIGHT // 2
    assert pace.size.within(ACCEPTS.max_metrics) == 500
    pace.answered(pace.sent(20.0), 500, 30.0)
    assert (pace.in_flight, pace.size.within(ACCEPTS.max_metrics)) == (MOST_IN_FLIGHT // 4, 250)


def test_an_answer_that_never_came_makes_the_batches_smaller():
    pace = grown()
    pace.unanswered(pace.sent(0.0), 1000, 30.0)
    assert (pace.in_flight, pace.size.within(ACCEPTS.max_metrics)) == (MOST_IN_FLIGHT // 2, 500)
    for _ in range(10):
        pace.size.delivered()
    assert pace.size.within(ACCEPTS.max_metrics) == 1000


def test_slowness_makes_no_batch_smaller_than_a_hundred():
    pace = Pace()
    for second in range(20):
        pace.unanswered(pace.sent(float(second)), pace.size.within(ACCEPTS.max_metrics), second + 0.5)
    assert pace.size.within(ACCEPTS.max_metrics) == 100


def test_requests_that_fail_together_count_as_one_failure():
    pace = grown()
    together = [pace.sent(0.0) for _ in range(8)]
    assert pace.is_first_failure(together[0])
    for sent in together:
        pace.failed(sent, 1.0, 0.5)
    assert not pace.is_first_failure(together[1])
    assert (pace.failures, pace.is_down, pace.in_flight, pace.opens_at_s) == (1, True, 1, 1.5)
    pace.failed(pace.sent(1.5), 2.0, 1.6)
    assert (pace.failures, pace.opens_at_s, pace.down_since_s) == (2, 3.6, 0.5)
    pace.answered(pace.sent(3.6), 10, 3.7)
    assert (pace.failures, pace.is_down) == (0, False)
    assert pace.opens_at_s < 3.7
    assert pace.in_flight == MOST_IN_FLIGHT // 4, "and grows from there"


def test_a_servers_own_word_outlasts_an_answer_and_a_stop():
    pace = Pace()
    first, second = pace.sent(0.0), pace.sent(0.0)
    pace.failed(first, 600.0, 0.0)
    pace.told(600.0, 0.0)
    pace.answered(second, 10, 0.1)
    assert pace.opens_at_s == 600.0
    assert not pace.may_try_at_once(599.9)
    assert pace.may_try_at_once(600.0)


def test_a_later_shorter_word_of_the_server_does_not_win_over_a_longer_one():
    pace = grown()
    first, second, third = pace.sent(0.0), pace.sent(0.0), pace.sent(0.0)
    pace.failed(first, 600.0, 0.1)
    pace.told(600.0, 0.1)
    pace.failed(second, 3.0, 0.2)
    pace.told(3.0, 0.2)
    pace.answered(third, 10, 0.3)
    assert pace.opens_at_s == 600.1


def test_what_was_sent_before_a_size_was_learned_makes_it_no_larger_again():
    """Of requests that are under way together, the larger one may be answered last."""
    size = BatchSize()
    size.too_large(200)
    size.too_large(1000)
    assert size.within(ACCEPTS.max_metrics) == 100
    size.slow(800)
    assert size.within(ACCEPTS.max_metrics) == 100


def test_a_size_is_a_whole_number_and_at_least_one():
    size = BatchSize()
    size.slow(255)
    assert size.within(ACCEPTS.max_metrics) == 127
    assert isinstance(size.within(ACCEPTS.max_metrics), int)
    size.too_large(3)
    assert size.within(ACCEPTS.max_metrics) == 1
    size.too_large(1)
    assert size.within(ACCEPTS.max_metrics) == 1


def test_two_slow_answers_at_one_moment_are_of_two_rounds_if_one_was_sent_at_the_end_of_the_other():
    pace = grown()
    pace.answered(pace.sent(10.0), 1000, 10.0 + SLOW_S)
    assert pace.size.within(ACCEPTS.max_metrics) == 500
    pace.answered(pace.sent(10.0 + SLOW_S), 500, 10.0 + 2 * SLOW_S)
    assert pace.size.within(ACCEPTS.max_metrics) == 250


def test_a_size_that_is_known_already_keeps_the_patience_with_which_it_grows():
    size = BatchSize()
    size.too_large(200)
    size.slow(200)
    for _ in range(QUICK_BEFORE_GROWTH):
        size.delivered()
    assert size.within(ACCEPTS.max_metrics) == 100


def test_requests_that_fail_together_count_once_in_each_round():
    pace = grown()
    for failures in (1, 2, 3):
        together = [pace.sent(10.0) for _ in range(3)]
        for sent in together:
            pace.failed(sent, 1.0, 11.0)
        assert pace.failures == failures


def test_after_a_slow_answer_a_whole_round_of_quick_ones_makes_it_one_more():
    pace = grown()
    pace.answered(pace.sent(10.0), 1000, 10.0 + SLOW_S)
    for _ in range(MOST_IN_FLIGHT // 2 - 1):
        pace.answered(pace.sent(20.0), 1000, 20.1)
    assert pace.in_flight == MOST_IN_FLIGHT // 2
    pace.answered(pace.sent(20.0), 1000, 20.1)
    assert pace.in_flight == MOST_IN_FLIGHT // 2 + 1


def test_nothing_is_known_of_an_api_that_was_not_asked_yet():
    pace = Pace()
    assert (pace.failures, pace.is_down, pace.down_since_s, pace.opens_at_s) == (0, False, None, -inf)
    assert pace.size.within(ACCEPTS.max_metrics) == ACCEPTS.max_metrics
    assert not pace.has_answered_since(pace.sent(0.0))


def sizes_until(size: BatchSize, delivered: int) -> list[int]:
    """The size after each of so many batches that were accepted."""
    sizes = []
    for _ in range(delivered):
        size.delivered()
        sizes.append(size.within(10_000))
    return sizes


def test_a_size_that_was_too_large_is_doubled_after_a_hundred_batches_and_each_hundred_more():
    size = BatchSize()
    size.too_large(1000)
    wait = DELIVERED_BEFORE_GROWTH
    assert sizes_until(size, 2 * wait) == [500] * (wait - 1) + [1000] * wait + [2000]


def test_a_size_that_took_long_is_doubled_after_ten_batches_and_one_more_that_is_slow_begins_again():
    size = BatchSize()
    size.slow(1000)
    wait = QUICK_BEFORE_GROWTH
    assert sizes_until(size, wait - 1) == [500] * (wait - 1)
    size.slow(1000)
    assert sizes_until(size, 2 * wait) == [500] * (wait - 1) + [1000] * wait + [2000]


def test_a_single_metric_that_is_too_large_shows_nothing_about_the_others():
    size = BatchSize()
    size.too_large(2)
    size.one_too_large()
    assert size.within(ACCEPTS.max_metrics) == ACCEPTS.max_metrics
    assert sizes_until(size, DELIVERED_BEFORE_GROWTH)[-1] == 10_000


def test_a_batch_of_a_hundred_that_is_slow_shows_nothing_and_a_larger_one_makes_it_a_hundred_at_least():
    size = BatchSize()
    size.slow(LEAST_FOR_SLOWNESS)
    assert size.within(ACCEPTS.max_metrics) == ACCEPTS.max_metrics
    size.slow(LEAST_FOR_SLOWNESS + 1)
    assert size.within(ACCEPTS.max_metrics) == LEAST_FOR_SLOWNESS


def test_a_batch_of_a_hundred_that_is_not_answered_makes_it_smaller_down_to_ten():
    size = BatchSize()
    for metrics in (LEAST_FOR_SLOWNESS, 50, 25, 12, LEAST_FOR_TIMEOUTS):
        size.unanswered(metrics)
        assert size.within(ACCEPTS.max_metrics) == max(metrics // 2, LEAST_FOR_TIMEOUTS)
    size.slow(LEAST_FOR_TIMEOUTS)
    assert sizes_until(size, 2 * QUICK_BEFORE_GROWTH)[-1] == 4 * LEAST_FOR_TIMEOUTS


def test_each_round_of_quick_answers_is_a_whole_one():
    """One answer makes it two at once, two more three, three more four."""
    pace = Pace()
    in_flight = []
    for _ in range(10):
        pace.answered(pace.sent(0.0), 1000, 0.1)
        in_flight.append(pace.in_flight)
    assert in_flight == [2, 2, 3, 3, 3, 4, 4, 4, 4, 5]


def test_halved_it_is_a_whole_number_and_one_at_least():
    pace = grown()
    in_flight = []
    for second in range(5):
        pace.unanswered(pace.sent(float(second)), 1000, second + 0.5)
        in_flight.append(pace.in_flight)
    assert in_flight == [6, 3, 1, 1, 1]
    assert all(type(each) is int for each in in_flight)


def test_an_answer_is_one_since_a_request_only_if_it_came_after_it_was_sent():
    pace = Pace()
    first = pace.sent(0.0)
    pace.answered(pace.sent(0.0), 1, 1.0)
    assert pace.has_answered_since(first)
    assert not pace.has_answered_since(pace.sent(1.0))
    assert not pace.has_answered_since(pace.sent(2.0))


def test_a_single_attempt_ends_the_agents_own_back_off_and_begins_to_count_again():
    pace = Pace()
    pace.failed(pace.sent(0.0), 60.0, 1.0)
    assert pace.opens_at_s == 61.0
    assert pace.may_try_at_once(2.0)
    assert (pace.opens_at_s, pace.failures, pace.is_down) == (-inf, 0, True)


def test_the_api_is_down_since_the_first_failure_until_an_answer():
    pace = Pace()
    pace.failed(pace.sent(0.0), 1.0, 5.0)
    pace.failed(pace.sent(6.0), 1.0, 7.0)
    assert pace.down_since_s == 5.0
    pace.answered(pace.sent(8.0), 1, 8.1)
    assert pace.down_since_s is None
    pace.failed(pace.sent(9.0), 1.0, 9.5)
    assert (pace.down_since_s, pace.failures) == (9.5, 1)


def test_batches_of_the_least_size_that_take_long_are_not_followed_by_larger_ones():
    """They are delivered, but not quickly."""
    pace = Pace()
    pace.size.slow(2 * LEAST_FOR_SLOWNESS)
    for second in range(0, 300, 10):
        pace.answered(pace.sent(float(second)), LEAST_FOR_SLOWNESS, second + SLOW_S)
        pace.size.delivered()
        assert pace.size.within(1000) == LEAST_FOR_SLOWNESS
