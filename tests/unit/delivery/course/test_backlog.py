"""How far a backlog is, as the log and the status say it."""

from towerops_agent.delivery.course.backlog import Backlog, CatchUp

HOUR_US = 3_600_000_000


def test_a_backlog_is_one_sentence():
    assert str(Backlog(1000, 4320, 40)) == "backlog 1 h 12 min, drained in about 40 s"
    assert str(Backlog(1000, 4320)) == "backlog 1 h 12 min, not being delivered"


def test_the_estimate_is_what_is_left_at_the_rate_of_the_last_minutes():
    catch_up = CatchUp()
    catch_up.measured(100_000, 0)
    assert catch_up.state(HOUR_US, 0.0) == Backlog(100_000, 3600.0)
    assert catch_up.report(HOUR_US, 0.0) is None, "nothing is delivered yet"
    catch_up.took(1000, 1_000_000, 0.0)
    assert catch_up.report(HOUR_US, 0.0) == Backlog(99_000, 3599.0)
    for second in range(1, 11):
        catch_up.took(1000, second * 1_000_000, float(second))
        assert (catch_up.report(HOUR_US, float(second)) is not None) == (second == 5)
    assert catch_up.state(HOUR_US, 10.0) == Backlog(89_000, 3590.0, 89.0)


def test_an_outage_during_it_ends_the_estimate():
    catch_up = CatchUp()
    catch_up.measured(100_000, 0)
    catch_up.took(1000, 0, 0.0)
    catch_up.took(1000, 0, 1.0)
    catch_up.stopped()
    assert catch_up.state(HOUR_US, 60.0) == Backlog(98_000, 3600.0)
    assert catch_up.report(HOUR_US, 60.0) is None


def test_what_is_less_than_a_minute_late_is_not_in_the_log():
    catch_up = CatchUp()
    catch_up.measured(2000, 0)
    catch_up.took(1000, 0, 0.0)
    assert catch_up.report(59_000_000, 0.0) is None
    assert catch_up.took_s(1.0) is None


def test_a_wall_clock_that_is_set_back_makes_no_negative_age():
    catch_up = CatchUp()
    catch_up.measured(1000, HOUR_US)
    state = catch_up.state(0, 0.0)
    assert state is not None
    assert state.behind_s == 0


def test_the_estimate_follows_the_rate_since_the_last_report_but_one():
    """Ten metrics a second, and from the second report on a hundred: each report forgets what is older than the one before it."""
    catch_up = CatchUp()
    catch_up.measured(100_000, 0)
    catch_up.took(0, 0, 1000.0)
    reports = []
    for second in range(1, 181):
        catch_up.took(10 if second <= 66 else 100, 0, 1000.0 + second)
        report = catch_up.report(HOUR_US, 1000.0 + second)
        if report is not None:
            reports.append((second, report.metrics, None if report.drained_in_s is None else round(report.drained_in_s)))
    assert reports == [(1, 99_990, 9_999), (6, 99_940, 9_994), (66, 99_340, 9_934), (126, 93_340, 1_697)]
    state = catch_up.state(HOUR_US, 1180.0)
    assert state is not None
    assert state.drained_in_s == 87_940 * (1180 - 1066) / (180 * 100 - 66 * 100)


def test_a_report_without_any_delivery_since_has_no_estimate():
    catch_up = CatchUp()
    catch_up.measured(1000, 0)
    catch_up.took(100, 0, 5.0)
    assert catch_up.state(HOUR_US, 5.0) == Backlog(900, 3600.0)
    assert catch_up.state(HOUR_US, 9.0) == Backlog(900, 3600.0), "nothing was delivered since the first"
    catch_up.took(100, 0, 5.0)
    assert catch_up.state(HOUR_US, 5.0) == Backlog(800, 3600.0), "nor is a rate known at the same moment"


def test_a_backlog_of_exactly_a_minute_is_worth_a_line():
    catch_up = CatchUp()
    catch_up.measured(1000, 0)
    catch_up.took(10, 0, 0.0)
    assert catch_up.report(60_000_000, 0.0) == Backlog(990, 60.0)


def test_a_backlog_of_which_all_is_delivered_has_ended():
    catch_up = CatchUp()
    catch_up.measured(1000, 0)
    catch_up.took(999, 5, 0.0)
    assert catch_up.state(HOUR_US, 0.0) == Backlog(1, 3600.0 - 5e-6)
    catch_up.took(1, 5, 1.0)
    assert catch_up.state(HOUR_US, 1.0) is None


def test_a_batch_that_says_nothing_of_its_age_leaves_the_backlog_as_old_as_it_was():
    catch_up = CatchUp()
    catch_up.measured(1000, 60_000_000)
    catch_up.took(10, None, 0.0)
    assert catch_up.state(120_000_000, 0.0) == Backlog(990, 60.0)


def test_before_anything_is_known_there_is_no_backlog():
    catch_up = CatchUp()
    assert (catch_up.delivered, catch_up.state(HOUR_US, 0.0), catch_up.report(HOUR_US, 0.0), catch_up.took_s(0.0)) == (
        0,
        None,
        None,
        None,
    )
    catch_up.took(10, 5, 0.0)
    assert (catch_up.delivered, catch_up.state(HOUR_US, 0.0)) == (10, None), (
        "not even by what was delivered before it was measured"
    )


def test_a_backlog_whose_age_is_not_known_is_not_shown():
    catch_up = CatchUp()
    catch_up.measured(1000, None)
    assert catch_up.state(HOUR_US, 0.0) is None
    catch_up.took(10, 0, 0.0)
    assert catch_up.state(HOUR_US, 0.0) == Backlog(990, 3600.0)


def test_how_long_it_took_is_counted_from_the_end_of_its_first_delivery_if_its_start_was_logged():
    catch_up = CatchUp()
    catch_up.measured(1000, 0)
    catch_up.took(10, 0, 7.0)
    assert catch_up.took_s(8.0) is None
    assert catch_up.report(HOUR_US, 8.0) is not None
    catch_up.took(10, 0, 9.0)
    assert (catch_up.took_s(7.0), catch_up.took_s(19.5), catch_up.delivered) == (0.0, 12.5, 20)
