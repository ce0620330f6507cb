"""A long outage is few lines."""

from towerops_agent.api.wire.outcomes import Availability

MINUTE_US = 60_000_000


def test_the_first_failure_a_new_reason_and_one_a_minute_are_logged():
    state = Availability()
    assert state.succeeded(1)
    assert not state.succeeded(2)
    assert state.failed("503", 10)
    assert not state.failed("503", 11)
    assert not state.failed("503", 12)
    assert state.failed("refused", 13)
    assert state.take_unlogged() == 2
    assert state.take_unlogged() == 0
    assert not state.failed("refused", 13 + MINUTE_US - 1)
    assert state.failed("refused", 13 + MINUTE_US)
    assert (state.works, state.since_us, state.failures, state.last_success_us) == (False, 10, 6, 2)
    assert state.succeeded(99)
    assert (state.works, state.since_us, state.last_failure) == (True, 99, "refused")


def test_if_nothing_is_to_be_repeated_a_failure_is_logged_once():
    state = Availability(repeat_us=None)
    assert state.failed("503", 0)
    assert not state.failed("503", 10**15)


def test_a_clock_that_is_set_back_silences_nothing():
    state = Availability()
    state.failed("503", 10**15)
    assert state.failed("503", 0)


def test_an_outage_counts_the_failures_that_it_did_not_log_itself():
    """What the outage before left uncounted, as it ended, is not part of the next one."""
    state = Availability()
    state.failed("503", 0)
    state.failed("503", 1)
    state.succeeded(2)
    state.failed("503", 3)
    assert state.take_unlogged() == 0
    assert state.failures == 1


def test_since_when_it_works_or_fails_is_by_the_clock_that_nobody_sets():
    """The clock of the calls, which is set from 1970 to now between the two, is that of what is noted elsewhere."""
    steady = iter([5, 8])
    noted = []
    state = Availability(steady_us=lambda: next(steady), on_change=lambda *change: noted.append(change))
    state.succeeded(1)
    assert (state.since_us, state.last_success_us) == (5, 5)
    state.failed("503", 10**15)
    assert (state.since_us, state.last_success_us) == (8, 5)
    assert noted == [(True, "", 1), (False, "503", 10**15)]
