"""Each tile says in a figure and a sentence what an engineer asks first."""

import msgspec

from support.snapshots import MINUTE_US, NOW_US, snapshot
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.buffer.format.event import FAILS, GONE, STARTED, WORKS, Event, EventKind
from towerops_agent.page.views.standing import Standing
from towerops_agent.page.views.tiles import NOTHING, tiles
from towerops_agent.telemetry.views.snapshot import Configuration, Dealing

UP, DOWN = Standing("up"), Standing("down", "timeout", NOW_US)
NONE = Pending(0, 0, None)


def tile(name, of=None, *, events=(), states=(UP, UP), pending=NONE, runs=True, newest_us=NOW_US, failing_now=None):
    of = snapshot() if of is None else of
    return tiles(of, events, states, pending, runs, newest_us, NOW_US, failing_now=failing_now)[name]


def test_devices_that_are_down_are_counted_first():
    assert tile("devices").figure == "2 of 2 up"
    found = tile("devices", states=(UP, DOWN, Standing("degraded"), Standing("unknown")))
    assert (found.figure, found.kind, found.note) == ("1 of 4 up", "bad", "1 down, 1 degraded, 1 unknown")
    assert (tile("devices", runs=False).kind, tile("devices", states=()).figure) == ("stale", "None yet")


def test_a_device_that_has_not_been_read_lately_is_a_warning_and_one_that_is_another_agents_is_not():
    late = Standing("unknown", "nothing has been read lately", NOW_US)
    assert (tile("devices", states=(late, late)).figure, tile("devices", states=(late, late)).kind) == ("0 of 2 up", "warn")
    assert tile("devices", states=(UP, Standing("unknown"))).kind == ""
    assert tile("devices", states=(late,), runs=False).kind == "stale"


def test_an_agent_runs_was_stopped_or_is_silent():
    assert tile("agent").note == "version 0.1.0 on poller-1, for 1 h 30 min"
    stopped = tile("agent", snapshot(stopped_us=NOW_US - 3 * MINUTE_US), runs=False)
    assert (stopped.figure, stopped.note) == ("Stopped", "3 min ago; version 0.1.0 on poller-1")
    silent = tile("agent", runs=False, newest_us=NOW_US - 20 * MINUTE_US)
    assert (silent.figure, silent.kind) == ("Silent", "bad")


def test_the_api_fails_as_soon_as_one_dealing_does_whoever_says_so_last():
    failed = Event(NOW_US - MINUTE_US, EventKind.API, "metrics", FAILS, "no answer within 10 s")
    works = Event(NOW_US, EventKind.API, "metrics", WORKS)
    old = snapshot(written_us=NOW_US - 5 * MINUTE_US)
    assert tile("api").figure == "Works"
    assert (tile("api", old, events=(failed,)).figure, tile("api", old, events=(failed,)).note) == (
        *("Fails", "metrics, for 1 min: no answer within 10 s"),
    )
    assert tile("api", old, events=(failed, works)).figure == "Works"
    assert tile("api", old, events=(failed, Event(NOW_US, EventKind.AGENT, "", STARTED))).figure == "Works"
    assert tile("api", snapshot(), events=(failed,)).figure == "Works"


def test_what_the_agent_says_now_counts_more_than_what_it_wrote():
    """On a full disk it writes nothing of it; the reason of an outage may be another one by now."""
    failed = Event(NOW_US - MINUTE_US, EventKind.API, "metrics", FAILS, "no answer within 10 s")
    old = snapshot(written_us=NOW_US - 5 * MINUTE_US)
    now = {"metrics": "status 500: busy"}
    assert tile("api", old, events=(failed,), failing_now=now).note == "metrics, for 1 min: status 500: busy"
    assert tile("api", old, failing_now=now).note == "metrics: status 500: busy", "since when is not written yet"
    assert tile("api", old, events=(failed,), failing_now={}).note == "all of configuration, metrics"
    assert tile("api", old, failing_now={}).note == tile("api", old).note
    untried = snapshot(dealings={**snapshot().dealings, "metrics": Dealing(None, None, None, 0, "")})
    assert tile("api", untried, failing_now={}).note == tile("api", untried).note
    assert tile("api", untried, failing_now=now).note == "metrics: status 500: busy"


def test_of_an_agent_that_does_not_run_the_api_works_or_fails_until_it_was_last_seen():
    """An agent that was stopped two minutes ago has known nothing of the API since."""
    stopped_us = NOW_US - 2 * MINUTE_US
    assert tile("api", runs=False, newest_us=stopped_us).note == "when last seen; all of configuration, metrics, for 3 min"
    failed = Event(NOW_US - 3 * MINUTE_US, EventKind.API, "metrics", FAILS, "no answer")
    old = snapshot(written_us=NOW_US - 5 * MINUTE_US)
    found = tile("api", old, events=(failed,), runs=False, newest_us=stopped_us)
    assert (found.kind, found.note) == ("stale", "when last seen; metrics, for 1 min: no answer")


def test_of_the_api_only_what_was_tried_is_said_to_work():
    assert tile("api").note == "all of configuration, metrics, for 5 min"
    untried = {**snapshot().dealings, "metrics": Dealing(None, None, None, 0, "")}
    assert tile("api", snapshot(dealings=untried)).note == "configuration, for 5 min; metrics not tried yet"


def test_a_configuration_that_was_never_fetched_was_not_kept_either():
    assert tile("config", snapshot(configuration=Configuration("", None, 0, 0, []))).note == "none applied yet"


def test_a_backlog_has_its_size_and_its_age():
    assert tile("backlog").note == "all is delivered"
    assert tile("backlog", pending=Pending(70, 3, NOW_US)).note == "70 values for the next batch"
    found = tile("backlog", pending=Pending(1234, 3, 0, 1230, NOW_US - 60 * MINUTE_US))
    assert (found.figure, found.note) == ("1,230 values", "kept until they can be delivered, the oldest 1 h old")
    assert tile("backlog", snapshot(delivers=False), pending=Pending(9, 1, 0)).figure == "Kept here"
    assert tile("backlog", snapshot(in_memory_because="the disk is full")).kind == "warn"
    found = tile("backlog", snapshot(salvaging="a corrupt database is being copied"))
    assert (found.kind, found.note) == ("warn", "all is delivered; what a corrupt database had is still being copied")


def test_the_configuration_has_its_age_and_what_of_it_is_refused():
    assert tile("config", snapshot(stopped_us=NOW_US)).note == "version 7, fetched 1 min ago; database 12.3 MB"
    refused = msgspec.structs.replace(snapshot().configuration, refused=2, fetched_us=None)
    found = tile("config", snapshot(configuration=refused))
    assert (found.kind, found.note) == ("warn", "version 7, kept from before; 2 items refused; database 12.3 MB")


def test_the_configuration_is_the_one_in_use_and_was_fetched_since_the_snapshot_if_that_works():
    old = snapshot(written_us=NOW_US - 9 * MINUTE_US)
    applied = [Event(NOW_US - ago * MINUTE_US, EventKind.CONFIG, "", what) for ago, what in ((10, "1 device"), (2, "4 devices"))]
    assert tile("config", old, events=applied[:1]).note == "version 7, fetched in the last 1 min; database 12.3 MB"
    found = tile("config", old, events=applied)
    assert (found.figure, found.note) == ("4 devices", "applied 2 min ago; database 12.3 MB")
    named = Event(NOW_US - MINUTE_US, EventKind.CONFIG, "", "version 8, b, 1,234 devices")
    assert tile("config", old, events=[named]).figure == "1,234 devices"
    assert tile("config", old, events=[named]).note == "version 8, b, applied 1 min ago; database 12.3 MB"
    fetched_us = old.configuration.fetched_us
    fails = snapshot(dealings={"configuration": Dealing(False, NOW_US, fetched_us, 3, "503")}, written_us=old.written_us)
    assert tile("config", fails).note == "version 7, fetched 1 min ago; database 12.3 MB"
    works = Event(NOW_US, EventKind.API, "configuration", WORKS)
    assert tile("config", fails, events=[works]).note == "version 7, fetched in the last 1 min; database 12.3 MB"


def test_a_destination_that_was_removed_does_not_fail():
    failed = Event(NOW_US - MINUTE_US, EventKind.API, "destination old", FAILS, "503")
    gone = Event(NOW_US, EventKind.API, "destination old", GONE)
    assert tile("api", snapshot(written_us=0), events=(failed,)).figure == "Fails"
    assert tile("api", snapshot(written_us=0), events=(failed, gone)).figure == "Works"


def test_an_empty_database_says_so():
    empty = tiles(None, (), (), NONE, False, 0, NOW_US)
    assert [empty[name].figure for name in ("devices", "agent", "config")] == ["None yet", "Not seen yet", NOTHING]
