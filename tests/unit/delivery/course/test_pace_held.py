"""A batch that fails is sent again; which one, when, and which is the probe while the API is down."""

from itertools import pairwise
from math import inf

from towerops_agent.buffer.format.batch import Batch, Lane, Position
from towerops_agent.delivery.course.pace import LEAST_BLAMED_S, MOST_BLAMED_S, TRIES, Held


def batch(number: int) -> Batch:
    return Batch(number, f"key-{number}", Position(number, 0), Position(number + 1, 0), 10, 0)


def test_the_same_batch_is_the_probe_until_it_was_tried_three_times():
    held = Held()
    for _ in range(TRIES):
        held.failed(batch(1))
        assert held.attempts(batch(1)) <= TRIES
    assert held.probe() is None
    held.failed(batch(2))
    assert held.probe() == batch(2)


def test_a_long_outage_cuts_few_batches():
    """A probe a minute for a day: each further batch is tried after twice as many attempts."""
    held = Held()
    known = 0
    for _ in range(1440):
        probe = held.probe()
        if probe is None:
            known += 1
            probe = batch(known)
        held.failed(probe)
    assert known <= 10


def test_all_that_failed_with_the_api_are_due_when_it_answers_again():
    held = Held()
    held.failed(batch(1))
    held.failed(batch(2))
    held.api_answers(50.0)
    assert held.due(50.0, ()) == batch(1)
    assert held.due(50.0, {1}) == batch(2)
    assert held.due(50.0, {1, 2}) is None
    held.settled(batch(1))
    assert held.due(50.0, ()) == batch(2)


def test_one_that_fails_by_itself_is_held_for_longer_each_time():
    held = Held()
    holds_s = [held.blame(batch(1), 0.0) for _ in range(15)]
    assert holds_s[:4] == [2, 4, 8, 16]
    assert holds_s[-1] == MOST_BLAMED_S
    assert all(before <= after for before, after in pairwise(holds_s))
    assert held.due(MOST_BLAMED_S - 1, ()) is None
    assert held.next_due_s(()) == MOST_BLAMED_S
    assert held.next_due_s({1}) == inf
    assert held.probe() is None, "another one says more"
    assert held.any() == batch(1)


def test_one_that_was_tried_in_vain_is_blamed_when_another_passes():
    held = Held()
    for _ in range(TRIES):
        held.failed(batch(1))
    held.failed(batch(2))
    held.api_answers(100.0)
    assert held.is_blamed(batch(1))
    assert not held.is_blamed(batch(2))
    assert held.due(100.0, ()) == batch(2)


def test_a_new_round_of_attempts_forgives_all():
    held = Held()
    held.blame(batch(1), 1000.0)
    assert held.attempts(batch(1)) == 1
    held.forgive()
    assert (held.attempts(batch(1)), held.is_blamed(batch(1)), held.due(0.0, ())) == (0, False, batch(1))


def test_what_is_held_becomes_backlog_with_the_rest():
    held = Held()
    held.failed(batch(1))
    held.part()
    probe = held.probe()
    assert probe is not None
    assert probe.lane is Lane.BACKLOG


def test_one_that_is_blamed_keeps_its_time_when_the_api_answers():
    held = Held()
    held.blame(batch(1), 0.0)
    held.failed(batch(2))
    held.api_answers(1.0)
    assert held.due(1.0, ()) == batch(2)
    held.settled(batch(2))
    assert held.due(LEAST_BLAMED_S - 0.5, ()) is None
    assert held.due(LEAST_BLAMED_S, ()) == batch(1)


def test_an_answer_resets_the_count_of_tries():
    """A batch is the probe three times in each outage, not in all."""
    held = Held()
    held.failed(batch(1))
    held.failed(batch(1))
    held.api_answers(0.0)
    for _ in range(TRIES - 1):
        held.failed(batch(1))
        assert held.probe() == batch(1)
    held.api_answers(0.0)
    assert not held.is_blamed(batch(1))


def test_an_answer_ends_the_widening_of_tries():
    held = Held()
    for _ in range(TRIES):
        held.failed(batch(1))
    assert held.probe() is None, "a second one is to be tried, and each twice as often"
    assert held.probe() == batch(1)
    held.api_answers(0.0)
    held.settled(batch(1))
    for _ in range(TRIES):
        held.failed(batch(2))
    assert held.probe() is None


def test_of_several_the_one_to_take_if_there_is_no_other_is_the_least_blamed_then_tried_then_the_oldest():
    held = Held()
    assert held.any() is None
    held.blame(batch(1), 0.0)
    held.failed(batch(4))
    held.failed(batch(4))
    held.failed(batch(3))
    held.failed(batch(2))
    for wanted in (2, 3, 4, 1):
        assert held.any() == batch(wanted)
        held.settled(batch(wanted))


def test_a_batch_that_is_not_held_has_not_failed():
    assert Held().attempts(batch(1)) == 0
    assert not Held().is_blamed(batch(1))


def test_a_new_round_of_attempts_ends_the_widening_of_tries():
    held = Held()
    for _ in range(TRIES):
        held.failed(batch(1))
    assert held.probe() is None
    held.forgive()
    for _ in range(TRIES):
        held.failed(batch(1))
    assert held.probe() is None, "and not only after six"


def test_attempts_are_counted_whether_the_batch_or_the_api_failed():
    held = Held()
    counts = []
    for _ in range(3):
        held.failed(batch(1))
        counts.append(held.attempts(batch(1)))
    held.blame(batch(1), 0.0)
    assert [*counts, held.attempts(batch(1))] == [1, 2, 3, 4]
    assert held.attempts(batch(2)) == 0
    assert list(held.ids) == [1]


def test_one_that_is_held_without_a_failure_is_due_at_once_and_one_that_failed_keeps_its_count():
    held = Held()
    held.hold(batch(1))
    assert (held.attempts(batch(1)), held.is_blamed(batch(1)), held.due(0.0, ())) == (0, False, batch(1))
    held.failed(batch(1))
    held.hold(batch(1))
    assert held.attempts(batch(1)) == 1
    assert list(held.ids) == [1]


def test_one_that_is_not_held_can_be_forgotten():
    held = Held()
    held.hold(batch(1))
    held.settled(batch(2))
    held.settled(batch(1))
    held.settled(batch(1))
    assert (list(held.ids), held.due(0.0, ()), held.probe(), held.next_due_s(())) == ([], None, None, inf)


def test_each_further_batch_is_tried_after_twice_as_many_attempts():
    held = Held()
    tries = []
    for number in range(1, 5):
        held.hold(batch(number))
        count = 0
        while held.probe() is not None:
            probe = held.probe()
            assert probe is not None
            held.failed(probe)
            count += 1
        tries.append(count)
    assert tries == [TRIES, 2 * 2 * TRIES - TRIES, 3 * 4 * TRIES - 2 * 2 * TRIES, 4 * 8 * TRIES - 3 * 4 * TRIES]


def test_in_a_last_round_each_is_sent_so_often_and_no_more():
    held = Held()
    held.hold(batch(1))
    held.forgive(2)
    held.failed(batch(1))
    assert (held.due(0.0, ()), held.probe(), held.any(), held.next_due_s(())) == (batch(1), batch(1), batch(1), 0.0)
    held.failed(batch(1))
    assert (held.due(0.0, ()), held.probe(), held.any(), held.next_due_s(())) == (None, None, None, inf)
    held.forgive()
    assert held.due(0.0, ()) == batch(1)
