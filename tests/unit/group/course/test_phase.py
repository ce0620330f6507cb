from towerops_agent.group.course.phase import PhaseClock


def heard(clock: PhaseClock, member: str, offset_s: float, beats: int = 3, late_s: float = 0.0, sets: int = 0) -> None:
    for now in range(beats):
        clock.hear(member, now + offset_s, sets, now + late_s)


def test_the_clock_follows_a_member():
    clock = PhaseClock(100.0)
    heard(clock, "a", 500.0)
    assert clock.follow("a")
    assert abs(clock.offset_s - 500) < 0.01
    assert abs(clock.read(1) - 501) < 0.01
    assert clock.sets == 1
    assert not clock.follow("a")
    assert clock.sets == 1


def test_a_clock_that_is_hardly_off_is_left():
    clock = PhaseClock(500.0)
    heard(clock, "a", 500.04)
    assert not clock.follow("a")
    assert clock.offset_s == 500
    assert clock.sets == 0


def test_a_few_beats_are_awaited():
    clock = PhaseClock(0.0)
    heard(clock, "a", 500.0, beats=2)
    assert not clock.follow("a")
    assert not clock.follow("who?")
    assert not clock.follow("who?", 0)
    assert (clock.has_heard("a"), clock.has_heard("who?")) == (True, False)
    assert clock.follow("a", 2)


def test_beats_that_were_late_count_less():
    clock = PhaseClock(0.0)
    heard(clock, "a", 500.0, beats=1)
    heard(clock, "a", 500.0, late_s=3.0)
    assert clock.follow("a")
    assert abs(clock.offset_s - 500) < 0.01


def test_a_clock_that_fell_behind_is_followed_after_a_minute():
    """As the clock of a machine that stood still does."""
    clock = PhaseClock(500.0)
    heard(clock, "a", 500.0)
    heard(clock, "a", 499.0, beats=63)
    assert not clock.follow("a")
    heard(clock, "a", 499.0, beats=1)
    assert clock.follow("a")
    assert abs(clock.offset_s - 499) < 0.01


def test_what_a_clock_showed_before_it_was_set_says_nothing_of_it():
    clock = PhaseClock(10.0)
    heard(clock, "a", 500.0)
    heard(clock, "a", 10.0, beats=2, sets=1)
    assert not clock.follow("a")
    heard(clock, "a", 10.0, beats=1, sets=1)
    assert not clock.follow("a")
    assert clock.offset_s == 10


def test_a_member_that_has_started_again_is_heard_again():
    clock = PhaseClock(0.0)
    heard(clock, "a", 500.0)
    clock.forget("a")
    clock.forget("nobody")
    assert not clock.follow("a")
    heard(clock, "a", 7.0)
    assert clock.follow("a")
    assert abs(clock.offset_s - 7) < 0.01
