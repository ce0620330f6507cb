"""What an answer shows of the batch, of the API and of the others under way."""

from math import inf

import pytest

from towerops_agent.api.wire.outcomes import Accepted, NotFound, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane, Position
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.parcel import ASK_AGAIN_US, ASK_EACH_US, REFUSALS
from towerops_agent.delivery.course.verdicts import Delivered, Finish, Halve, Kept, MetricRefused, Verdicts

ACCEPTS = Accepts(is_stated=True, max_metrics=1000)
BUSY, BUG = Unavailable("busy", 503), Unavailable("bug", 500)
REJECTED = Rejected(422, "no")


def batch(number: int, metrics: int = 10, lane: Lane = Lane.FRESH) -> Batch:
    return Batch(number, f"key-{number}", Position(number, 0), Position(number + 1, 0), metrics, 0, lane)


def send(verdicts: Verdicts, one: Batch, now_s: float = 1000.0) -> Batch:
    """The batch, on its way."""
    verdicts.begin(one)
    assert verdicts.may_go(one, now_s)
    return one


def answer(verdicts: Verdicts, one: Batch, outcome, now_s: float = 1000.0, jitter: float = 0.0, oldest_us: int = 7):
    """The verdict on the outcome, carried out."""
    verdict = verdicts.take(one, outcome, oldest_us, jitter, now_s)
    del verdicts.under_way[one.id]
    return verdict


def fail(verdicts: Verdicts, one: Batch, outcome=BUSY, jitter: float = 0.0) -> Kept:
    """The verdict on a failure of the batch, sent as soon as it may be."""
    now_s = max(1000.0, verdicts.pace.opens_at_s)
    return answer(verdicts, send(verdicts, one, now_s), outcome, now_s, jitter)


def test_a_failing_api_is_left_alone_for_longer_each_time():
    verdicts = Verdicts()
    assert [fail(verdicts, batch(1)) for _ in range(4)] == [Kept(1.0, 1), Kept(2.0, 2), Kept(4.0, 3), Kept(8.0, 4)]
    assert fail(verdicts, batch(1), jitter=0.5) == Kept(24.0, 5)
    assert not verdicts.wants_token


def test_requests_that_fail_together_count_once():
    verdicts = Verdicts()
    first, second = send(verdicts, batch(1)), send(verdicts, batch(2))
    assert answer(verdicts, first, BUSY, 1000.5) == Kept(1.0, 1)
    assert answer(verdicts, second, BUSY, 1000.75) == Kept(0.75, 1)
    assert verdicts.pace.failures == 1
    assert verdicts.pace.opens_at_s == 1001.5


@pytest.mark.parametrize(
    ("outcome", "is_blamed"), [(BUG, True), (Unavailable("cut"), True), (BUSY, False), (Unavailable("", 429), False),
                               (Unavailable("bug", 500, 3.0), False), (Unauthorized(401), False), (NotFound("/x"), False)]
)  # fmt: skip
def test_a_batch_that_fails_beside_one_that_passes_may_be_the_cause(outcome, is_blamed):
    verdicts = Verdicts()
    bad, good = send(verdicts, batch(1)), send(verdicts, batch(2))
    answer(verdicts, good, Accepted(), 1000.1)
    verdict = answer(verdicts, bad, outcome, 1000.2)
    assert (verdict.others_pass, verdicts.pace.is_down) == (is_blamed, not is_blamed)
    if is_blamed:
        assert verdict == Kept(2.0, 1, others_pass=True)
        assert answer(verdicts, send(verdicts, bad, 1003.0), outcome, 1003.0) == Kept(4.0, 2, others_pass=True), "by itself, too"


def test_an_answer_from_before_the_request_does_not_excuse_it():
    verdicts = Verdicts()
    answer(verdicts, send(verdicts, batch(2)), Accepted(), 1000.1)
    assert not answer(verdicts, send(verdicts, batch(1), 1000.1), BUG, 1000.2).others_pass


def test_a_pause_that_the_server_asks_for_binds_a_run_that_ends_too():
    for outcome, may_try in ((Unavailable("busy", 503, 8.0), False), (BUSY, True)):
        verdicts = Verdicts()
        assert fail(verdicts, batch(1), outcome).retry_in_s == (1.0 if may_try else 8.0)
        assert verdicts.pace.may_try_at_once(1001.0) == may_try


def test_a_refused_token_is_read_again_and_a_wrong_path_is_not_its_fault():
    for outcome, wants in ((Unauthorized(401), True), (NotFound("/x"), False)):
        verdicts = Verdicts()
        assert fail(verdicts, batch(1), outcome) == Kept(60.0, 1)
        assert verdicts.wants_token == wants
        fail(verdicts, batch(1))
        assert verdicts.wants_token == wants, "until it is done"


def test_a_batch_that_is_never_answered_makes_smaller_ones():
    for timed_out, most in ((True, 200), (False, 1000)):
        verdicts = Verdicts()
        fail(verdicts, batch(1, 400), Unavailable("silence", timed_out=timed_out))
        assert verdicts.pace.size.within(ACCEPTS.max_metrics) == most


@pytest.mark.parametrize(
    ("outcome", "took_s", "most"),
    [(Unavailable("timeout", 504), 15.0, 200), (BUSY, 6.0, 200), (BUSY, 1.0, 1000), (NotFound("/x"), 15.0, 1000)],
)
def test_a_batch_that_takes_too_long_for_a_proxy_makes_smaller_ones(outcome, took_s, most):
    """Else a backlog behind Envoy, which waits for 15 s, is never delivered by a server that needs more for a thousand."""
    verdicts = Verdicts()
    answer(verdicts, send(verdicts, batch(1, 400)), outcome, 1000.0 + took_s)
    assert verdicts.pace.size.within(ACCEPTS.max_metrics) == most


def test_what_waited_while_the_api_was_down_is_due_once_it_answers():
    verdicts = Verdicts()
    waits = send(verdicts, batch(2))
    fail(verdicts, batch(1))
    answer(verdicts, waits, BUSY, 1000.0)
    assert answer(verdicts, send(verdicts, batch(1), 1001.0), Accepted(), 1001.5) == Delivered()
    assert verdicts.wants_look
    assert verdicts.held.due(1001.5, ()) == waits
    assert not verdicts.pace.is_down


def test_an_answer_of_an_api_that_works_changes_no_turn():
    verdicts = Verdicts()
    answer(verdicts, send(verdicts, batch(1)), Accepted())
    assert not verdicts.wants_look


def test_only_what_the_server_has_of_the_backlog_is_progress():
    verdicts = Verdicts()
    verdicts.catch_up.measured(100, 0)
    answer(verdicts, send(verdicts, batch(1)), Accepted())
    answer(verdicts, send(verdicts, batch(2, lane=Lane.BACKLOG)), TooLarge())
    assert verdicts.catch_up.delivered == 0
    answer(verdicts, send(verdicts, batch(3, lane=Lane.BACKLOG)), Accepted(), oldest_us=3_000_000)
    assert verdicts.catch_up.delivered == 10
    state = verdicts.catch_up.state(5_000_000, 1000.0)
    assert (state.metrics, state.behind_s) == (90, 2.0)


def test_what_is_too_large_is_halved_and_what_is_left_of_it_stays():
    verdicts = Verdicts()
    one = send(verdicts, batch(1, 400))
    assert verdicts.take(one, TooLarge(), 0, 0.0, 1000.0) == Halve(too_large=True)
    assert verdicts.under_way[1].stays
    assert verdicts.pace.size.within(ACCEPTS.max_metrics) == 200
    assert not verdicts.pace.is_down


def test_a_batch_larger_than_the_stated_limit_is_halved_unsent_and_a_single_metric_refused():
    verdicts = Verdicts()
    verdicts.begin(batch(1, 400))
    assert verdicts.take_unsent(batch(1, 400), TooLarge()) == Halve(too_large=True)
    assert verdicts.pace.size.within(ACCEPTS.max_metrics) == 200
    verdicts.begin(batch(2, 1))
    assert verdicts.take_unsent(batch(2, 1), TooLarge("5000 octets")) == MetricRefused("5000 octets")
    assert verdicts.pace.size.within(ACCEPTS.max_metrics) == 1000, "one large metric says nothing of the others"


def test_a_metric_is_refused_for_good_only_if_something_was_taken_since():
    verdicts = Verdicts()
    whole, left, right = batch(1, 2), batch(2, 1), batch(3, 1)
    assert answer(verdicts, send(verdicts, whole), REJECTED) == Halve(too_large=False, is_search=True)
    verdicts.split(whole, (left, right))
    answer(verdicts, send(verdicts, right), Accepted())
    assert answer(verdicts, send(verdicts, left), REJECTED) == MetricRefused("status 422: no")
    assert not verdicts.pace.is_down


def test_a_server_that_takes_nothing_is_failing():
    verdicts = Verdicts()
    verdicts.catch_up.took(10, 0, 999.0)
    assert answer(verdicts, send(verdicts, batch(1, 1)), REJECTED) == Kept(1.0, 1)
    assert verdicts.pace.is_down
    assert not verdicts.refusals.is_searching
    assert fail(verdicts, batch(1, 1), REJECTED, jitter=0.5) == Kept(3.0, 2)
    probed_s = verdicts.pace.opens_at_s
    assert fail(verdicts, batch(2, 8), REJECTED) == Halve(too_large=False, is_search=True), "a probe is halved"
    assert verdicts.pace.failures == 3
    assert verdicts.pace.opens_at_s == probed_s + 4.0, "its halves wait as after any third failure"
    assert not verdicts.wants_look


def test_a_batch_that_is_refused_beside_the_one_that_is_searched_waits_for_the_result():
    verdicts = Verdicts()
    first, second = send(verdicts, batch(1)), send(verdicts, batch(2))
    assert answer(verdicts, first, REJECTED) == Halve(too_large=False, is_search=True)
    assert answer(verdicts, second, REJECTED) == Kept(0.0, 0, is_search=True)
    assert verdicts.held.due(1000.0, ()) == second
    assert verdicts.refusals.is_searching
    fail(verdicts, batch(3))
    assert not verdicts.refusals.is_searching, "an API that is down is not searched"


def test_a_single_metric_that_is_refused_is_kept_while_the_search_has_more_to_send():
    verdicts = Verdicts()
    whole, left, right = batch(1, 2), batch(2, 1), batch(3, 1)
    assert answer(verdicts, send(verdicts, whole), REJECTED) == Halve(too_large=False, is_search=True)
    verdicts.split(whole, (left, right))
    assert answer(verdicts, send(verdicts, right), REJECTED) == Kept(0.0, 0, is_search=True)
    assert not verdicts.pace.is_down, "the other half is not sent yet"
    assert verdicts.held.due(1000.0, ()) == right


def test_a_run_that_ends_promises_no_attempt_that_it_does_not_make():
    for attempts, until_s, promised in ((2, inf, [1.0, None]), (9, 1000.5, [None]), (9, 1001.0, [1.0, None])):
        verdicts = Verdicts()
        verdicts.finish = Finish(attempts, until_s)
        assert [fail(verdicts, batch(1)).retry_in_s for _ in promised] == promised


def test_a_batch_that_is_the_only_one_to_fail_ends_a_run_by_its_own_attempts():
    verdicts = Verdicts()
    verdicts.finish = Finish(2, inf)
    bad, good = send(verdicts, batch(1)), send(verdicts, batch(2))
    answer(verdicts, good, Accepted(), 1000.1)
    assert answer(verdicts, bad, BUG, 1000.2) == Kept(2.0, 1, others_pass=True)
    assert answer(verdicts, send(verdicts, bad, 1003.0), BUG, 1003.0) == Kept(None, 2, others_pass=True)


def test_what_became_ready_while_the_api_failed_is_cut_again_unless_it_is_held():
    verdicts = Verdicts()
    fail(verdicts, batch(1))
    for number, stays in ((1, False), (2, True)):
        verdicts.begin(batch(number))
        assert not verdicts.may_go(batch(number), 1000.9)
        assert verdicts.under_way[number].stays == stays
    assert verdicts.may_go(batch(2), 1001.0)


def test_an_emptied_batch_is_not_sent_again():
    verdicts = Verdicts()
    fail(verdicts, batch(1))
    verdicts.emptied(batch(1))
    assert not verdicts.held.ids


def test_a_series_is_left_out_of_batches_after_the_newest_one():
    verdicts = Verdicts()
    for number in (5, 3):
        verdicts.begin(batch(number))
    assert [verdicts.learn("a", "no", 1) for _ in range(REFUSALS)] == [False] * (REFUSALS - 1) + [True]
    assert (dict(verdicts.exclusions.of(5)), dict(verdicts.exclusions.of(6))) == ({}, {"a": "no"})
    assert verdicts.asked("a", Accepted(), 2, 1000.0) is True
    verdicts.begin(batch(6))
    assert (dict(verdicts.exclusions.of(5)), len(verdicts.exclusions)) == ({}, 0)


@pytest.mark.parametrize(
    ("outcome", "next_us", "opens_s"),
    [(REJECTED, ASK_EACH_US, -inf), (TooLarge(), ASK_EACH_US, -inf), (BUSY, ASK_AGAIN_US, -inf),
     (Unavailable("busy", 503, 9.0), ASK_AGAIN_US, 1009.0), (NotFound("/x"), ASK_AGAIN_US, -inf)],
)  # fmt: skip
def test_a_series_that_is_still_refused_is_asked_about_later(outcome, next_us, opens_s):
    verdicts = Verdicts()
    for _ in range(REFUSALS):
        verdicts.learn("a", "no", 0)
    now_us = ASK_EACH_US
    assert verdicts.exclusions.due(now_us) == "a"
    assert verdicts.asked("a", outcome, now_us, 1000.0) is False
    assert verdicts.exclusions.due(now_us + next_us - 1) is None
    assert verdicts.exclusions.due(now_us + next_us) == "a"
    assert verdicts.pace.opens_at_s == opens_s


def test_what_is_accepted_when_asked_about_shows_that_the_server_takes_something():
    verdicts = Verdicts()
    answer(verdicts, send(verdicts, batch(1)), REJECTED)
    assert verdicts.refusals.is_searching
    verdicts.asked("a", Accepted(), 0, 1000.0)
    assert not verdicts.refusals.is_searching


def test_a_run_that_is_over_as_the_api_fails_promises_nothing_to_a_batch_that_others_outran():
    verdicts = Verdicts()
    verdicts.finish = Finish(2, inf)
    slow, quick = send(verdicts, batch(1)), send(verdicts, batch(2))
    answer(verdicts, quick, Accepted(), 1000.5)
    assert fail(verdicts, batch(3), BUSY).retry_in_s == 1.0
    assert fail(verdicts, batch(3), BUSY).retry_in_s is None
    assert answer(verdicts, slow, BUG, 1009.0) == Kept(None, 1, others_pass=True)


def test_a_run_that_ends_sends_a_refused_metric_so_often_and_no_more():
    verdicts = Verdicts()
    verdicts.finish = Finish(2, inf)
    one = batch(1, metrics=1)
    assert fail(verdicts, one, REJECTED) == Kept(1.0, 1)
    assert fail(verdicts, one, REJECTED) == Kept(None, 2)


def test_a_run_that_ends_sends_nothing_again_after_its_end():
    verdicts = Verdicts()
    verdicts.finish = Finish(99, 1000.5)
    assert fail(verdicts, batch(1, metrics=1), REJECTED) == Kept(None, 1)
    assert fail(Verdicts(), batch(1, metrics=1), REJECTED) == Kept(1.0, 1)
