"""Status line by line: label, words, tone and indent, of an agent to which everything happens, and of those that do not run."""

import pytest

from support.snapshots import MINUTE_US, NOW_US, report, snapshot
from towerops_agent.telemetry.views.lines import Tone
from towerops_agent.telemetry.views.snapshot import (
    Configuration,
    Dealing,
    Destined,
    DiscoverySummary,
    Late,
    RefusedItem,
    SingleRun,
    Undelivered,
)
from towerops_agent.telemetry.views.status import status_lines

GOOD, WARNING, BAD, PLAIN = Tone.GOOD, Tone.WARNING, Tone.BAD, Tone.PLAIN

DOWN = report("d", "South", "10.0.0.2:161", state="down", reason="timeout", since_us=NOW_US - 3 * MINUTE_US)
PART = report("e", "East", "10.0.0.3:161", state="degraded", reason="interface_away", since_us=NOW_US - MINUTE_US)
WEST = report(*("w", "West", "10.0.0.4:161"), rtt_ms=812.5, max_varbinds=9, refused_at=10, mute=2, odd_replies=["cut_request_id"])
WRONG = snapshot(
    states={"up": 1, "degraded": 1, "down": 3, "unknown": 2},
    troubled=[DOWN, PART],
    slowest=[WEST],
    limited=[WEST],
    dealings={
        "configuration": Dealing(True, NOW_US - 5 * MINUTE_US, NOW_US - 12_000_000, 0, ""),
        "metrics": Dealing(False, NOW_US - 12 * MINUTE_US, None, 1234, "status 503: busy"),
        "heartbeat": Dealing(None, None, None, 0, ""),
    },
    configuration=Configuration(
        *("7", None, 3, 2),
        [RefusedItem("sensor", "North", "s1", "oid is 'x'"), RefusedItem("equipment", "Far", "", "no address")],
    ),
    pending=Undelivered(81_612, 1203, NOW_US - 72 * MINUTE_US),
    backlog=Late(81_600, NOW_US - 72 * MINUTE_US, 40.0),
    missing={"noSuchObject": 3, "timeout": 9},
    lacking=2,
    counters={"metrics_expired": {"": 7}, "polls_skipped": {"late": 2, "still_running": 5}, "bugs": {}},
    clock_skew_s=-31.5,
    in_memory_because="the disk is full",
    salvaging="the corrupt database a.db.corrupt is being copied",
)
LINES = [
    ("agent", "0.1.0 on poller-1, running for 1 h 30 min (pid 812)", GOOD, 0),
    ("API", "configuration: works for 5 min, last 12 s ago", GOOD, 0),
    ("", "metrics: fails for 12 min (1,234 times): status 503: busy", BAD, 0),
    ("", "heartbeat: not tried yet", PLAIN, 0),
    ("config", "version 7, 3 devices, kept from before", PLAIN, 0),
    ("", "2 refused:", WARNING, 0),
    ("", "sensor North s1: oid is 'x'", PLAIN, 2),
    ("", "equipment Far: no address", PLAIN, 2),
    ("devices", "1 up, 1 degraded, 3 down, 2 unknown", BAD, 0),
    ("", "down      South (10.0.0.2:161)  timeout, for 3 min", BAD, 2),
    ("", "degraded  East (10.0.0.3:161)  interface_away, for 1 min", WARNING, 2),
    ("", "and 2 more: `towerops-agent devices` lists all", PLAIN, 2),
    ("polling", "3 polls, 204 metrics a minute; started at most 0.0 s late", PLAIN, 0),
    (
        "",
        "missing in the last polls: 9 timeout, 3 noSuchObject, of 2 devices (`towerops-agent devices --lacking`)",
        *(WARNING, 0),
    ),
    ("delivery", "12 metrics wait for the next batch", PLAIN, 0),
    ("backlog", "81,600 metrics late, the oldest 1 h 12 min old, delivered in about 40 s", WARNING, 0),
    ("database", "12.3 MB", PLAIN, 0),
    ("", "polls are in memory only: the disk is full", BAD, 0),
    ("", "the corrupt database a.db.corrupt is being copied", WARNING, 0),
    ("lost", "polls skipped since the start: 5 still_running, 2 late", BAD, 0),
    ("", "metrics expired since the start: 7", BAD, 0),
    ("slowest", "  812.5 ms  West (10.0.0.4:161), 9 at once", PLAIN, 0),
    (
        "limits",
        "West (10.0.0.4:161): asked for 9 at once, as it refuses 10; 2 OIDs are never answered; cuts request-ids to 16 bits",
        *(PLAIN, 0),
    ),
    ("clock", "differs from the server's by 32 s: have NTP set it", BAD, 0),
]


def lines(seen, **how):
    return [(line.label, line.text, line.tone, line.indent) for line in status_lines(seen, NOW_US, **how)]


def test_everything_that_may_be_wrong_is_a_line():
    assert lines(WRONG) == LINES


def changed(**changes):
    """The lines that differ from those of an agent in which all works."""
    usual = lines(snapshot())
    return [line for line in lines(snapshot(**changes)) if line not in usual]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"states": {"up": 2, "degraded": 1, "down": 0}}, ("devices", "2 up, 1 degraded, 0 down", WARNING, 0)),
        ({"pending": Undelivered(1, 1, None)}, ("delivery", "1 metric waits for the next batch", PLAIN, 0)),
        ({"pending": Undelivered(9, 1, None), "backlog": Late(9, None, None)}, ("delivery", "nothing waits", PLAIN, 0)),
        ({"pending": Undelivered(9, 1, None), "backlog": Late(9, None, None)}, ("backlog", "9 metrics late", WARNING, 0)),
        ({"clock_skew_s": 30.1}, ("clock", "differs from the server's by 30 s: have NTP set it", BAD, 0)),
        ({"slowest": [report("a", "A", "a:1", rtt_ms=None)]}, ("slowest", "    0.0 ms  A (a:1), 20 at once", PLAIN, 0)),
        ({"limited": [report("a", "A", "a:1", mute=1)]},
         ("limits", "A (a:1): asked for 20 at once; 1 OID is never answered", PLAIN, 0)),
        ({"a_minute": {}, "counters": {"polls": {"": 3}, "readings": {"a": 1, "b": 1}}},
         ("polling", "3 polls, 2 metrics in the first 1 h 30 min; started at most 0.0 s late", PLAIN, 0)),
    ],
)  # fmt: skip
def test_a_change_is_a_line(changes, line):
    assert line in changed(**changes)


@pytest.mark.parametrize("count", [20, 21])
def test_twenty_devices_are_listed_and_the_others_counted(count):
    said = lines(snapshot(states={"up": 0, "degraded": 0, "down": count, "unknown": 0}, troubled=[DOWN] * count))
    assert sum("South" in text for _, text, _, _ in said) == 20
    assert (("", "and 1 more: `towerops-agent devices` lists all", PLAIN, 2) in said) == (count == 21)


def test_twenty_devices_with_limits_and_ten_refused_items_are_listed():
    items = [RefusedItem("sensor", "North", "s1", f"oid is 'x{n}'") for n in range(30)]
    said = lines(snapshot(limited=[WEST] * 30, configuration=Configuration("", NOW_US, 1, 30, items)))
    assert sum("asked for 9" in text for _, text, _, _ in said) == 20
    assert sum("oid is" in text for _, text, _, _ in said) == 10
    assert ("config", "1 device, fetched 0 s ago", PLAIN, 0) in said


def test_an_agent_that_was_killed_and_one_that_was_stopped():
    killed = lines(snapshot(written_us=NOW_US - 3 * MINUTE_US, pending=Undelivered(5, 1, None)), runs=False)
    assert killed[0] == (
        "agent",
        "0.1.0 on poller-1, does not run: killed, or a power cut; what follows is 3 min old",
        *(BAD, 0),
    )
    assert ("delivery", "5 metrics wait for the next start", PLAIN, 0) in killed
    stopped = lines(snapshot(stopped_us=NOW_US - MINUTE_US, a_minute={}), runs=False)
    assert stopped[0] == ("agent", "0.1.0 on poller-1, stopped 1 min ago, at 2027-01-15 07:59:00 UTC", WARNING, 0)
    assert ("polling", "0 polls, 0 metrics in the first 1 h 29 min; started at most 0.0 s late", PLAIN, 0) in stopped


@pytest.mark.parametrize("ended", ["written_us", "stopped_us"])
def test_what_an_agent_that_does_not_run_has_seen_lasted_until_it_last_looked(ended):
    """Not until now: nobody knows what the API and the devices have done since. How long ago something was is another thing."""
    dealings = {
        "configuration": Dealing(True, NOW_US - 65 * MINUTE_US, NOW_US - 61 * MINUTE_US, 0, ""),
        "metrics": Dealing(False, NOW_US - 62 * MINUTE_US, None, 3, "no connection"),
    }
    down = report("d", "South", "10.0.0.2:161", state="down", reason="timeout", since_us=NOW_US - 63 * MINUTE_US)
    left = snapshot(
        **{ended: NOW_US - 60 * MINUTE_US},
        started_us=NOW_US - 70 * MINUTE_US,
        a_minute={},
        dealings=dealings,
        troubled=[down],
    )
    said = [text for _, text, _, _ in lines(left, runs=False)]
    assert "configuration: works for 5 min, last 1 h 1 min ago" in said
    assert "metrics: fails for 2 min (3 times): no connection" in said
    assert "down      South (10.0.0.2:161)  timeout, for 3 min" in said
    assert "0 polls, 0 metrics in the first 10 min; started at most 0.0 s late" in said


def test_a_configuration_that_was_never_there_is_not_kept_from_before():
    assert ("config", "0 devices, none applied yet", PLAIN, 0) in lines(snapshot(configuration=Configuration("", None, 0, 0, [])))


@pytest.mark.parametrize(("count", "more"), [(10, []), (12, [("", "and 2 more", PLAIN, 2)])])
def test_a_single_run_with_its_problems(count, more):
    run = SingleRun(3, 1612, [f"radio {i} returned nothing" for i in range(count)])
    said = lines(snapshot(stopped_us=NOW_US, single_run=run), runs=False)
    assert said[0][2] is PLAIN
    assert said[1 : said.index(next(line for line in said if line[0] == "API"))] == [
        ("", "a single run (run --once): 3 devices polled, 1,612 metrics delivered, with problems:", WARNING, 0),
        *(("", f"radio {i} returned nothing", BAD, 2) for i in range(10)),
        *more,
    ]
    good = lines(snapshot(stopped_us=NOW_US, single_run=SingleRun(1, 1, [])), runs=False)
    assert good[1] == ("", "a single run (run --once): 1 device polled, 1 metric delivered", GOOD, 0)


def of(label, said):
    """The lines of this section."""
    labels = [line[0] for line in said]
    start = labels.index(label)
    end = next((at for at in range(start + 1, len(said)) if said[at][0]), len(said))
    return [line[1:] for line in said[start:end]]


def test_discovery_is_a_part_of_the_configuration():
    summary = DiscoverySummary(5, 3, NOW_US - 26 * 60 * MINUTE_US, 2, [f"radio {n}: no answer" for n in range(12)])
    assert of("config", lines(snapshot(discovery=summary))) == [
        ("version 7, 3 devices, fetched 1 min ago", PLAIN, 0),
        ("3 of 5 devices discovered, the longest ago 1 d 2 h", WARNING, 0),
        ("2 items not there any more, polled for 7 days", PLAIN, 2),
        *((f"radio {n}: no answer", WARNING, 2) for n in range(10)),
    ]
    done = DiscoverySummary(1, 1, None, 0, [])
    assert of("config", lines(snapshot(discovery=done)))[1:] == [("1 of 1 device discovered", PLAIN, 0)]


def test_destinations_are_a_line_each_unless_there_is_one_only():
    """One that is the only one is what `delivery` is about."""
    late = NOW_US - 61_000_000
    three = {"a": Destined(0, None), "b": Destined(1500, late), "c": Destined(1, NOW_US - 60_000_000)}
    of_site = {"site files": Dealing(True, NOW_US, NOW_US, 0, "")}
    said = lines(snapshot(dealings=of_site, destinations=three))
    assert of("destinations", said) == [
        ("a: all is delivered", PLAIN, 0),
        ("b: 1,500 metrics wait, the oldest 1 min 1 s old", WARNING, 0),
        ("c: 1 metric wait, the oldest 1 min old", PLAIN, 0),
    ]
    assert "delivery" not in [line[0] for line in said]
    assert of("site", said) == [("site files: works for 0 s, last 0 s ago", GOOD, 0)]
    only = lines(snapshot(dealings=of_site, destinations={"a": Destined(0, None)}))
    assert of("delivery", only) == [("all is delivered", PLAIN, 0)]
    assert "destinations" not in [line[0] for line in only]
    beside = lines(snapshot(destinations={"a": Destined(0, None)}))
    assert of("delivery", beside) == [("all is delivered", PLAIN, 0)]
    assert of("destinations", beside) == [("a: all is delivered", PLAIN, 0)]


def test_without_a_destination_values_are_kept_for_history():
    said = lines(snapshot(delivers=False, pending=Undelivered(1200, 9, NOW_US)))
    kept = "nothing is delivered, as there is no destination; 1,200 metrics of the last day kept for `history`"
    assert of("delivery", said) == [(kept, WARNING, 0)]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "asked for 20 at once"),
        ({"max_varbinds": 9, "refused_at": 10}, "asked for 9 at once, as it refuses 10"),
        ({"mute": 1}, "asked for 20 at once; 1 OID is never answered"),
        ({"mute": 2}, "asked for 20 at once; 2 OIDs are never answered"),
        ({"answers_from_elsewhere": True}, "asked for 20 at once; answers from another address"),
        ({"odd_replies": ["of a later version"]}, "asked for 20 at once"),
        ({"gap_s": 2.04}, "asked for 20 at once; answers one request in 2.0 s"),
        ({"by_next": 1}, "asked for 20 at once; gives 1 OID by GETNEXT only"),
        ({"by_next": 2, "next_only": True}, "asked for 20 at once; answers GETNEXT only"),
    ],
)
def test_what_is_known_of_a_device_that_needs_care(changes, text):
    said = lines(snapshot(limited=[report("a", "A", "a:1", **changes)]))
    assert of("limits", said) == [(f"A (a:1): {text}", PLAIN, 0)]
