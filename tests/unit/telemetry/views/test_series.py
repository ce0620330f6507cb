"""Series of stored polls."""

from support.snapshots import MINUTE_US
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.model import Layout, LayoutKind, Poll
from towerops_agent.telemetry.views.series import PINGS, SENSOR, TRAFFIC, series_of

LAYOUT = Layout("eq", (("temp", 10.0), ("never", 1.0)), ("eth0",))


def stored(minute, raw, octets_in):
    poll = Poll(1, minute * MINUTE_US, (raw, None, octets_in, None, 0, 0, 0, 0), ((3, 0),), 2)
    return StoredPoll(minute, LAYOUT, poll, 0, 2)


def read(polls):
    """Without the rates of errors and discards."""
    return [one for one in series_of(polls) if one.what in (SENSOR, *TRAFFIC)]


def test_history_has_values_as_delivered_and_rates_between_neighbours():
    """No rate over a reboot, nor over a hole; no series of what was never read."""
    polls = [stored(0, 410, 0), stored(1, 420, 7500), stored(2, None, 100), stored(3, 430, 7600), stored(9, 440, 9000)]
    polls.insert(1, StoredPoll(99, Layout("eq", kind=LayoutKind.STATE), Poll(2, 0, (0, 0, 5), ((1, 0),), 1), 0, 1))
    temp, eth0 = read(polls)
    assert (temp.id, temp.values) == ("temp", [41.0, 42.0, 43.0, 44.0])
    assert (eth0.id, eth0.what) == ("eth0", "in")
    assert [value for _, value in eth0.points] == [1000.0, None, 1000.0, None]


def test_each_point_is_at_its_items_time():
    layout = Layout("eq", (("a", 1.0), ("b", 4.0)), ("eth0", "eth1"))

    def at(minute, *octets):
        values = (10, 10, octets[0], octets[1], 0, 0, 0, 0, octets[2], octets[3], 0, 0, 0, 0)
        return StoredPoll(minute, layout, Poll(1, minute * MINUTE_US, values, ((1, 1), (1, 2), (1, 3), (1, 4)), 4), 0, 4)

    found = read([at(0, 0, 0, 0, 0), at(1, 7500, 15_000, 30_000, 60_000)])
    assert [(series.id, series.what) for series in found] == [
        *(("a", "sensor"), ("b", "sensor"), ("eth0", "in"), ("eth0", "out"), ("eth1", "in"), ("eth1", "out")),
    ]
    assert [list(series.points)[-1] for series in found] == [
        *((MINUTE_US + 1, 10), (MINUTE_US + 2, 2.5), (MINUTE_US + 3, 1000.0), (MINUTE_US + 3, 2000.0)),
        *((MINUTE_US + 4, 4000.0), (MINUTE_US + 4, 8000.0)),
    ]


def test_a_rate_is_shown_over_one_missing_poll_and_not_over_two():
    def rates(*minutes):
        polls = [stored(minute, None, minute * 7500) for minute in minutes]
        (eth0,) = read(polls)
        return [value for _, value in eth0.points]

    assert rates(0, 1, 2, 4) == [1000.0, 1000.0, 1000.0]
    assert rates(0, 1, 2, 5) == [1000.0, 1000.0, None]
    assert rates(0, 1, 1, 2) == [1000.0, None, 1000.0]


def test_an_interval_that_is_longer_now_has_rates():
    """Of polls each five minutes, after many that were made each minute."""
    minutes = [*range(60), *range(60, 120, 5)]
    (eth0,) = read([stored(minute, None, minute * 7500) for minute in minutes])
    assert eth0.readings == [1000.0] * (len(minutes) - 1)


def test_a_counter_that_stands_still_is_a_rate_of_nothing():
    (eth0,) = read([stored(0, None, 5), stored(1, None, 5)])
    assert eth0.values == [0.0]


def test_pings_have_their_loss_and_mean_and_jitter_and_none_that_was_not_measured():
    layout = Layout("eq", kind=LayoutKind.PINGS)
    rounds = [(5, 5, 900, 1000, 1100, 50), (4, 3, 900, 2000, 2100, 60), (5, 0, None, None, None, None), (5, 1, 7, 7, 7, None)]
    polls = [StoredPoll(i, layout, Poll(1, i * MINUTE_US, values, ((1, 5),), 1), 0, 1) for i, values in enumerate(rounds)]
    found = series_of([stored(0, 410, 0), *polls])
    assert [(one.id, one.what) for one in found[-3:]] == [("eq", what) for what in PINGS]
    assert [[value for _, value in one.points] for one in found[-3:]] == [
        [0.0, 25.0, 100.0, 80.0],
        [1.0, 2.0, None, 0.007],
        [0.05, 0.06, None, None],
    ]
    assert [at_us for at_us, _ in found[-1].points] == [i * MINUTE_US + 5 for i in range(4)]
