"""Which credentials an address sees, and when."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.discovery.course.tries import APART_S, DAY_S, MOST_MESSAGES, Tried, Tries, Try

NOW = 1_800_000_000.0
PLACE = "10.0.0.1 161"


def test_one_set_is_sent_twice_as_a_datagram_may_get_lost():
    assert Tries().following(PLACE, ["radios"], NOW) == Try("radios", 2, 0)


def test_several_sets_share_three_messages_a_minute_apart():
    tries = Tries()
    first = tries.following(PLACE, ["a", "b"], NOW)
    assert first == Try("a", 2, 0)
    tries.failed(PLACE, "a", 2, NOW)
    assert tries.following(PLACE, ["b"], NOW + 3) == Try("b", 1, 57)
    tries.failed(PLACE, "b", 1, NOW + 60)
    assert tries.following(PLACE, ["c"], NOW + 3600) is None
    assert tries.following(PLACE, ["c"], NOW + DAY_S + 1) is not None


def test_what_has_worked_is_first_and_is_never_rationed():
    tries = Tries({PLACE: Tried("b", [NOW - 1] * 5)})
    assert tries.following(PLACE, ["a", "b"], NOW) == Try("b", 2, 0)


def test_what_works_no_more_is_rationed_again():
    tries = Tries({PLACE: Tried("b")})
    tries.failed(PLACE, "b", 2, NOW)
    assert tries.following(PLACE, ["a"], NOW) == Try("a", 1, 60)


def test_each_address_has_its_own_three():
    tries = Tries()
    tries.failed(PLACE, "a", 3, NOW)
    assert tries.following(PLACE, ["a"], NOW + 60) is None
    assert tries.following("10.0.0.2 161", ["a"], NOW + 60) is not None
    assert tries.free_again_s(PLACE, NOW) == DAY_S
    assert tries.free_again_s(PLACE, NOW + 60) == DAY_S - 60
    assert tries.free_again_s("10.0.0.2 161", NOW) == 0


def test_a_clock_that_is_set_back_permits_no_more_than_three():
    """The device has seen them, whatever this machine's clock says; a clock of another year is not heeded."""
    tries = Tries()
    tries.failed(PLACE, "a", 2, NOW + 3600)
    assert tries.following(PLACE, ["b"], NOW) == Try("b", 1, 0)
    tries.failed(PLACE, "b", 1, NOW)
    assert tries.following(PLACE, ["c"], NOW + 120) is None
    assert tries.free_again_s(PLACE, NOW + 120) == DAY_S - 120
    assert len(tries.merged({}, NOW)[PLACE].sent) == MOST_MESSAGES
    assert tries.following(PLACE, ["c"], NOW - 400 * DAY_S) == Try("c", 2, 0)


def test_two_runs_at_a_time_lose_nothing_of_each_other():
    mine, theirs = Tries(), Tries()
    mine.failed(PLACE, "a", 1, NOW)
    theirs.failed(PLACE, "b", 1, NOW + 1)
    theirs.succeeded("10.0.0.2 161", "b")
    merged = mine.merged(theirs.known, NOW + 2)
    assert merged == {PLACE: Tried("", [NOW, NOW + 1]), "10.0.0.2 161": Tried("b")}
    assert Tries({PLACE: Tried("", [NOW])}).merged({PLACE: Tried("b")}, NOW) == {PLACE: Tried("", [NOW])}, "it works no more"
    assert Tries(merged).merged({}, NOW + 2) == merged
    assert Tries(merged).merged(merged, NOW + 2) == merged
    assert Tries(merged).merged({}, NOW + DAY_S + 2) == {"10.0.0.2 161": Tried("b")}


def test_a_try_is_permitted_again_exactly_a_day_after_the_third_message_before_it():
    tries = Tries({PLACE: Tried("", [NOW, NOW + 1, NOW + 2])})
    assert tries.free_again_s(PLACE, NOW + 2) == DAY_S - 2
    assert tries.free_again_s(PLACE, NOW + DAY_S - 1) == 1
    assert tries.free_again_s(PLACE, NOW + DAY_S) == 0
    assert tries.following(PLACE, ["a"], NOW + DAY_S) == Try("a", 1, 0)
    assert tries.following(PLACE, ["a"], NOW + DAY_S - 1) is None
    four = Tries({PLACE: Tried("", [NOW, NOW + 1, NOW + 2, NOW + 3])})
    assert four.free_again_s(PLACE, NOW + DAY_S) == 1, "however many there were"
    assert Tries().free_again_s(PLACE, NOW) == 0


def test_wrong_sets_are_rationed_across_runs_also_if_another_set_works():
    kept = {PLACE: Tried("radios")}
    for run in range(3):
        tries = Tries(kept)
        now = NOW + run * 3600
        if (following := tries.following(PLACE, ["guess"], now)) is not None:
            tries.failed(PLACE, following.name, following.attempts, now)
        kept = tries.merged(kept, now)
    assert kept == {PLACE: Tried("radios", [NOW, NOW, NOW + 3600])}
    assert Tries(kept).following(PLACE, ["guess"], NOW + 3 * 3600) is None


def test_a_set_that_works_does_not_give_the_wrong_ones_three_messages_more():
    tries = Tries()
    tries.failed(PLACE, "guess", 2, NOW)
    tries.succeeded(PLACE, "radios")
    assert tries.following(PLACE, ["guess"], NOW + 60) == Try("guess", 1, 0)


def test_of_more_sets_than_a_day_has_messages_each_is_tried_within_days():
    names, tries, seen = ["a", "b", "c", "d", "e"], Tries(), []
    for day in range(3):
        now, left = NOW + day * (DAY_S + 600), list(names)
        while (following := tries.following(PLACE, left, now)) is not None:
            now += following.wait_s
            left.remove(following.name)
            seen.append(following.name)
            tries.failed(PLACE, following.name, following.attempts, now)
        tries.owe(PLACE, left)
        assert tries.known[PLACE].owed == left
        tries = Tries(tries.merged({}, now))
    assert seen == ["a", "b", "c", "d", "e", "a", "b", "c", "a"]


def test_what_is_owed_is_remembered_over_runs_until_it_is_sent_or_another_set_works():
    tries = Tries()
    tries.owe(PLACE, ["c", "d"])
    kept = tries.merged({}, NOW + 9 * DAY_S)
    assert kept == {PLACE: Tried("", [], ["c", "d"])}
    assert Tries().merged(kept, NOW) == kept
    assert Tries({PLACE: Tried("", [NOW])}).merged(kept, NOW) == {PLACE: Tried("", [NOW])}, "this run knows better"
    later = Tries(kept)
    later.failed(PLACE, "c", 1, NOW)
    assert later.known[PLACE] == Tried("", [NOW], ["d"])
    later.succeeded(PLACE, "a")
    assert later.known[PLACE] == Tried("a", [NOW])
    assert Tries({PLACE: Tried("a", [], ["b"])}).following(PLACE, ["a", "b"], NOW) == Try("a", 2, 0)


@given(st.lists(st.tuples(st.floats(0, 20_000), st.integers(1, 5)), max_size=60))
def test_a_device_that_never_answers_sees_three_messages_a_day_and_sets_a_minute_apart(runs: list[tuple[float, int]]):
    """Whatever runs when, with however many sets."""
    tries = Tries()
    now, sent = NOW, []
    for pause, count in runs:
        now += pause
        names = [f"set {i}" for i in range(count)]
        while (following := tries.following(PLACE, names, now)) is not None:
            now += following.wait_s
            if following.wait_s:
                continue
            names.remove(following.name)
            sent.append((now, following.attempts))
            tries.failed(PLACE, following.name, following.attempts, now)
    for at, _ in sent:
        assert sum(count for other, count in sent if at - DAY_S < other <= at) <= MOST_MESSAGES
    assert all(later - earlier >= APART_S - 0.001 for (earlier, _), (later, _) in pairwise(sent))
