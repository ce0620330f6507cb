"""The search for anything that the server takes."""

from towerops_agent.buffer.format.batch import Batch, Lane, Position
from towerops_agent.delivery.course.verdicts import Refusals


def batch(number: int) -> Batch:
    return Batch(number, f"key-{number}", Position(number, 0), Position(number + 1, 0), 8, 0)


def searched() -> Refusals:
    refusals = Refusals()
    assert not refusals.refused(batch(1))
    assert refusals.search(batch(1))
    refusals.split(batch(1), (batch(2), batch(3)))
    return refusals


def test_the_halves_are_sent_one_at_a_time_the_one_that_is_not_halved_first():
    refusals = searched()
    assert refusals.next_part(()) == batch(3)
    assert refusals.next_part({3}) is None
    assert not refusals.refused(batch(3))
    assert not refusals.search(batch(3)), "it is kept whole"
    assert refusals.next_part(()) == batch(2)
    assert not refusals.refused(batch(2))
    assert refusals.search(batch(2))


def test_what_is_taken_ends_the_search_and_is_evidence_for_all_parts():
    refusals = searched()
    refusals.next_part(())
    refusals.taken()
    assert not refusals.is_searching
    assert refusals.next_part(()) is None
    assert refusals.refused(batch(2)), "something was taken since the whole was refused"
    assert not refusals.refused(batch(9)), "which says nothing of another batch"


def test_after_the_first_metric_it_goes_on_to_the_last_one():
    refusals = searched()
    refusals.next_part(())
    refusals.next_part(())
    assert refusals.goes_on()
    assert refusals.next_part(()) == batch(3)
    assert refusals.search(batch(3))
    refusals.split(batch(3), (batch(4), batch(5)))
    assert refusals.next_part(()) == batch(4)
    assert refusals.next_part(()) == batch(5)
    assert not refusals.goes_on()


def test_a_half_that_was_too_large_is_not_sent_again_whole():
    """Its parts are in the buffer in its place: they would be delivered twice."""
    refusals = searched()
    assert refusals.next_part(()) == batch(3)
    refusals.split(batch(3), (batch(4), batch(5)))
    assert refusals.next_part(()) == batch(2)
    assert refusals.goes_on()
    assert refusals.next_part(()) == batch(5)


def test_a_half_that_is_no_more_is_not_sent_again():
    refusals = searched()
    assert refusals.next_part(()) == batch(3)
    refusals.forget(batch(3))
    assert refusals.next_part(()) == batch(2)
    assert not refusals.goes_on()


def test_what_becomes_backlog_is_sent_as_such():
    refusals = searched()
    refusals.part_backlog()
    part = refusals.next_part(())
    assert part is not None
    assert part.lane is Lane.BACKLOG


def test_halves_of_a_batch_that_is_not_searched_do_not_join_the_search():
    refusals = searched()
    refusals.split(batch(7), (batch(8), batch(9)))
    assert refusals.next_part(()) == batch(3)
    assert refusals.next_part(()) == batch(2)


def test_without_a_search_halves_begin_none():
    """A batch that is only too large is halved, and nothing is searched for."""
    refusals = searched()
    refusals.taken()
    assert not refusals.is_searching
    refusals.split(batch(1), (batch(4), batch(5)))
    assert not refusals.has_more
