"""The place at which a batch is cut off a line of polls."""

import pytest

from towerops_agent.buffer.format.batch import LONGEST_GAP, Batch, Cut, Position, cut

POLLS = [(2, 3), (5, 4), (6, 1)]


@pytest.mark.parametrize(
    ("first", "max_metrics", "expected"),
    [
        (Position(1, 0), 3, Cut(Position(2, 0), Position(3, 0), 3, 1)),
        (Position(1, 0), 4, Cut(Position(2, 0), Position(5, 1), 4, 1)),
        (Position(2, 1), 1, Cut(Position(2, 1), Position(2, 2), 1, 0)),
        (Position(2, 1), 2, Cut(Position(2, 1), Position(3, 0), 2, 1)),
        (Position(2, 2), 100, Cut(Position(2, 2), Position(7, 0), 6, 3)),
    ],
)
def test_a_batch_takes_what_there_is_up_to_its_limit(first, max_metrics, expected):
    assert cut(POLLS, first, max_metrics) == expected


def test_a_batch_that_is_full_at_the_end_of_a_poll_takes_no_part_of_the_next():
    assert cut([(2, 1), (3, 1), (4, 1)], Position(2, 0), 2) == Cut(Position(2, 0), Position(4, 0), 2, 2)
    assert cut([(5, 4)], Position(2, 3), 4) == Cut(Position(5, 0), Position(6, 0), 4, 1)


def test_nothing_is_cut_off_an_empty_line():
    assert cut([], Position(1, 0), 10) is None


def test_no_more_polls_are_read_than_the_batch_needs():
    line = iter(POLLS)
    cut(line, Position(2, 0), 3)
    assert list(line) == [(5, 4), (6, 1)]


def test_a_batch_of_no_metrics_is_a_mistake():
    with pytest.raises(ValueError, match=r"^max_metrics is 0: expected at least 1$"):
        cut(POLLS, Position(1, 0), 0)


def test_the_last_poll_is_the_one_before_a_stop_at_its_end():
    assert Batch(1, "k", Position(2, 0), Position(6, 0), 7, 0).last_poll == 5
    assert Batch(1, "k", Position(2, 0), Position(5, 1), 4, 0).last_poll == 5


def test_a_batch_ends_before_ids_that_other_polls_may_get_yet():
    """Polls that were in memory, or in another file, come into a gap as large as is left for them."""
    far = 100 + LONGEST_GAP + 1
    assert cut([(99, 3), (far - 1, 3)], Position(99, 0), 10) == Cut(Position(99, 0), Position(far, 0), 6, 2)
    assert cut([(99, 3), (far, 3)], Position(99, 0), 10) == Cut(Position(99, 0), Position(100, 0), 3, 1)
    assert cut([(far, 3)], Position(100, 0), 10) == Cut(Position(far, 0), Position(far + 1, 0), 3, 1)
