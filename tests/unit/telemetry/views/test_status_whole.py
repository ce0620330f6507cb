"""Status line by line: label, words, tone and indent, of an agent to which everything happens, and of those that do not run."""

import pytest

from support.snapshots import MINUTE_US, NOW_US, report, snapshot
from towerops_agent.telemetry.views.lines import Tone
from towerops_agent.telemetry.views.snapshot import Configuration, Dealing, Late, RefusedItem, SingleRun, Undelivered
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
    ("devices", "1 up, 1 degraded, 3 down, 2 not polled yet", BAD, 0),
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
    ("lost", "polls skipped since the start: 5 still_running, 2 late", BAD, 0),
    ("", "metrics expired since the start: 7", BAD, 0),
    ("slowest", "  812.5 ms  West (10.0.0.4:161), 9 at once", PLAIN, 0),
    (
        "limits",
        "West (10.0.0.4:161): asked for 9 at once, as it refuses 10; 2 OIDs are never answered; cuts request-ids to 16 bits",
        *(PLAIN, 0),
    ),
    ("clock", "differs from the server's by 32 s: set it, or readings get wrong times", BAD, 0),
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
        ({"clock_skew_s": 30.1}, ("clock", "differs from the server's by 30 s: set it, or readings get wrong times", BAD, 0)),
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
    item = RefusedItem("sensor", "North", "s1", "oid is 'x'")
    said = lines(snapshot(limited=[WEST] * 30, configuration=Configuration("", NOW_US, 1, 30, [item] * 30)))
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
