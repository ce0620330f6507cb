"""What status says, of snapshots made by hand."""

import re

import pytest

from support import devices
from support.snapshots import MINUTE_US, NOW_US, report, snapshot
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.snmp.wire.oddities import Oddity
from towerops_agent.telemetry.views.lines import Tone, laid_out
from towerops_agent.telemetry.views.snapshot import (
    Configuration,
    Dealing,
    Late,
    RefusedItem,
    SingleRun,
    Undelivered,
    count_states,
    decode_snapshot,
    encode_snapshot,
    limited_devices,
    missing_now,
    slowest_devices,
    troubled_devices,
)
from towerops_agent.telemetry.views.status import render, status_lines

SOUTH = report("d", "South", "10.0.0.2:161", state="down", reason="timeout", since_us=NOW_US - 26 * 60 * MINUTE_US)


def test_an_agent_that_is_healthy_takes_a_few_lines():
    assert render(snapshot(), NOW_US).splitlines() == [
        "agent      0.1.0 on poller-1, running for 1 h 30 min (pid 812)",
        "API        configuration: works for 5 min, last 12 s ago",
        "           metrics: works for 5 min, last 12 s ago",
        "config     version 7, 3 devices, fetched 1 min ago",
        "devices    3 up, 0 degraded, 0 down",
        "polling    3 polls, 204 metrics a minute; started at most 0.0 s late",
        "delivery   all is delivered",
        "database   12.3 MB",
    ]


def test_a_single_run_is_said_with_what_came_of_it():
    run = SingleRun(3, 612, [f"Radio {i} (10.0.0.{i}:161) returned nothing: timeout" for i in range(12)])
    lines = render(snapshot(stopped_us=NOW_US - MINUTE_US, single_run=run), NOW_US, runs=False).splitlines()
    assert lines[0].startswith("agent      0.1.0 on poller-1, stopped 1 min ago")
    assert lines[1] == "           a single run (run --once): 3 devices polled, 612 metrics delivered, with problems:"
    assert lines[2] == "             Radio 0 (10.0.0.0:161) returned nothing: timeout"
    assert lines[12] == "             and 2 more"


def test_what_is_wrong_is_reported_with_its_reason_and_since_when():
    text = render(
        snapshot(
            dealings={"metrics": Dealing(False, NOW_US - 12 * MINUTE_US, None, 9, "status 503: busy")},
            configuration=Configuration("7", None, 3, 1, [RefusedItem("sensor", "North", "s1", "oid is 'x'")]),
            states={"up": 1, "degraded": 0, "down": 42, "unknown": 1},
            troubled=[SOUTH] * 30,
            limited=[report("w", "West", "10.0.0.3:161", max_varbinds=9, refused_at=10, mute=2, answers_from_elsewhere=True)],
            pending=Undelivered(81_612, 1203, NOW_US - 72 * MINUTE_US),
            backlog=Late(81_600, NOW_US - 72 * MINUTE_US, 40.0),
            missing={"noSuchObject": 3, "timeout": 9},
            lacking=2,
            counters={
                "metrics_expired": {"": 7},
                "polls_skipped": {"late": 2},
                "pings_unsent": {"no_permission": 5},
                "bugs": {},
                "readings_missing": {"noSuchObject": 3000, "refused": 900},
            },
            clock_skew_s=-95.0,
        ),
        NOW_US,
    )
    for said in (
        "metrics: fails for 12 min (9 times): status 503: busy",
        "3 devices, kept from before",
        "sensor North s1: oid is 'x'",
        "1 up, 0 degraded, 42 down, 1 unknown",
        "down      South (10.0.0.2:161)  timeout, for 1 d 2 h",
        "and 22 more",
        "West (10.0.0.3:161): asked for 9 at once, as it refuses 10; 2 OIDs are never answered; answers from another address",
        "delivery   12 metrics wait for the next batch",
        "backlog    81,600 metrics late, the oldest 1 h 12 min old, delivered in about 40 s",
        "metrics expired since the start: 7",
        "polls skipped since the start: 2 late",
        "pings unsent since the start: 5 no_permission",
        "missing in the last polls: 9 timeout, 3 noSuchObject, of 2 devices (`towerops-agent devices --lacking`)",
        "differs from the server's by 1 min 35 s",
    ):
        assert said in text
    assert "bugs" not in text
    assert "3000" not in text, "what devices lacked that may be gone"


def test_in_the_first_minute_there_are_counts_and_no_rates():
    """Most devices are polled at once at the start: a rate would be several times what it becomes."""
    young = snapshot(
        a_minute={}, started_us=NOW_US - 20_000_000, counters={"polls": {"complete": 2, "silent": 1}, "readings": {"": 1204}}
    )
    assert "polling    3 polls, 1,204 metrics in the first 20 s; started" in render(young, NOW_US)


def test_one_poll_is_not_said_in_the_plural():
    assert "polling    1 poll, 1 metric a minute; started" in render(snapshot(a_minute={"polls": 1.2, "metrics": 0.9}), NOW_US)


def test_missing_values_are_those_of_the_devices_that_there_are():
    one, two = devices.device(equipment_id="a"), devices.device(equipment_id="b")
    one.lacks, two.lacks = (("noSuchObject", 3),), ()
    assert missing_now([one, two]) == ({"noSuchObject": 3}, 1)
    assert missing_now([two]) == ({}, 0)


def test_a_long_line_is_wrapped_below_its_text_and_nothing_of_it_is_lost():
    failing = Dealing(False, NOW_US - MINUTE_US, None, 9, "no connection: " + "word " * 40)
    for line in status_lines(snapshot(dealings={"metrics": failing}), NOW_US):
        texts = laid_out(line, 60)
        assert max(map(len, texts)) <= 60
        assert " ".join(" ".join(texts).split()) == " ".join(f"{line.label} {line.text}".split())
        assert all(text.startswith(" " * 11) for text in texts[1:])


def test_what_is_wrong_has_the_tone_of_it():
    tones = {
        line.text.partition(":")[0]: line.tone
        for line in status_lines(
            snapshot(
                dealings={"metrics": Dealing(False, NOW_US, None, 1, "x"), "heartbeat": Dealing(True, NOW_US, NOW_US, 0, "")},
                states={"up": 1, "degraded": 0, "down": 1, "unknown": 0},
            ),
            NOW_US,
        )
    }
    assert (tones["metrics"], tones["heartbeat"], tones["1 up, 0 degraded, 1 down"]) == (Tone.BAD, Tone.GOOD, Tone.BAD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stopped_us": NOW_US - 3 * MINUTE_US}, "stopped 3 min ago"),
        ({"written_us": NOW_US - 20 * MINUTE_US}, "does not run: killed, or a power cut; what follows is 20 min old"),
    ],
)
def test_an_agent_that_is_gone_is_not_said_to_run(changes, said):
    text = render(snapshot(**changes), NOW_US, runs=False)
    assert said in text
    assert "running" not in text


def test_a_snapshot_is_the_same_after_the_database_and_another_version_s_is_not_read():
    assert decode_snapshot(encode_snapshot(snapshot())) == snapshot()
    assert decode_snapshot(b'{"version": 1}') is None
    assert decode_snapshot(b"\xff") is None


def test_failing_devices_are_listed_down_first_and_longest_first():
    def made(device_id, state, since_us):
        device = devices.device(equipment_id=device_id)
        device.state = None if state is None else DeviceState(state, "why", since_us)
        return device

    fleet = [
        made("a", State.UP, 1),
        made("b", State.DEGRADED, 1),
        made("c", State.DOWN, 9),
        made("d", State.DOWN, 5),
        made("e", None, 0),
    ]
    assert [device.id for device in troubled_devices(fleet)] == ["d", "c", "b"]
    assert count_states(fleet) == {"up": 1, "degraded": 1, "down": 2, "unknown": 1}
    fleet[0].traits.srtt_s, fleet[1].traits.srtt_s, fleet[2].traits.srtt_s, fleet[2].traits.refused_at = 0.2, 0.5, 2.0, 12
    assert [slow.id for slow in slowest_devices(fleet)] == ["b", "a"]  # the one that is down has only a former round trip
    assert [device.refused_at for device in limited_devices(fleet)] == [12]
    fleet[0].accept_odd([Oddity.CUT_REQUEST_ID])
    assert [device.odd_replies for device in limited_devices(fleet)] == [["cut_request_id"], []]
    fleet[1].traits.spacing = Spacing(2.0)
    fleet[3].traits.spacing = Spacing.recalled(2.0)
    fleet[4].traits.by_next = frozenset([b"\x2b"])
    assert [device.by_next for device in limited_devices(fleet)][-1] == 1
    fleet[4].traits.by_next = frozenset()
    assert [(device.id, device.gap_s) for device in limited_devices(fleet)] == [("a", None), ("c", None), ("d", 2.0)]
    fleet[0].traits.mute, fleet[0].traits.unreadable = frozenset((b"+\1", b"+\2")), frozenset((b"+\2", b"+\3"))
    assert next(limited for limited in limited_devices(fleet) if limited.id == fleet[0].id).mute == 1, "one is only encoded wrong"


def lines(**changes):
    return render(snapshot(**changes), NOW_US)


def test_each_section_has_its_label():
    limited = report("d", "South", "10.0.0.2:161", max_varbinds=4, refused_at=12)
    text = lines(clock_skew_s=31.5, limited=[limited], counters={"metrics_dropped": {"damaged": 3}})
    assert re.search("^clock  +differs from the server's by ", text, re.MULTILINE)
    assert re.search("^limits  +", text, re.MULTILINE)
    assert re.search("^lost  +", text, re.MULTILINE)
    odd = report("d", "South", "10.0.0.2:161", odd_replies=["cut_request_id", "of a later version"])
    assert "cuts request-ids to 16 bits\n" in lines(limited=[odd]) + "\n"
    paced = report("d", "South", "10.0.0.2:161", gap_s=2.04)
    assert "; answers one request in 2.0 s\n" in lines(limited=[paced]) + "\n"
    by_next = [report("d", "South", "10.0.0.2:161", by_next=n, next_only=n == 2) for n in (1, 2)]
    assert "; gives 1 OID by GETNEXT only\n" in lines(limited=by_next) + "\n"
    assert "; answers GETNEXT only\n" in lines(limited=by_next) + "\n"
    for skew_s in (30.0, -30.0, None):
        assert "clock" not in lines(clock_skew_s=skew_s)


def test_what_has_not_been_tried_is_said_to_be_so():
    assert "not tried yet" in lines(dealings={"metrics": Dealing(None, None, None, 0, "")})


def test_a_configuration_without_a_version_shows_no_version():
    text = lines(configuration=Configuration("", NOW_US - MINUTE_US, 3, 1, []))
    assert "version" not in text
    assert "1 refused:" in text


def test_rates_that_are_not_known_are_not_shown():
    text = lines(a_minute={}, missing={"timeout": 2, "noSuchName": 9}, lacking=1)
    assert "a minute" not in text
    assert "missing in the last polls: 9 noSuchName, 2 timeout, of 1 device" in text
    assert "missing" not in lines(counters={})


@pytest.mark.parametrize(
    ("missing", "tone"),
    [
        ({"nothing_there": 9}, Tone.PLAIN),
        ({"nothing_there": 9, "timeout": 1}, Tone.WARNING),
        ({"noSuchName": 1}, Tone.WARNING),
    ],
)
def test_what_is_not_there_is_shown_and_no_warning(missing, tone):
    shown = status_lines(snapshot(missing=missing, lacking=1), NOW_US)
    (line,) = [line for line in shown if line.text.startswith("missing in the last polls")]
    assert all(f"{count} {reason}" in line.text for reason, count in missing.items())
    assert line.tone is tone


def test_a_backlog_without_an_age_shows_no_age():
    text = lines(backlog=Late(7, None, None), pending=Undelivered(7, 2, None))
    assert "7 metrics late" in text
    assert "old" not in text
    assert "delivered in" not in text
    assert "nothing waits" in text


def test_polls_in_memory_only_are_said_with_the_reason():
    text = render(snapshot(in_memory_because="disk full: the database /data/a.db can't be written"), NOW_US)
    assert "polls are in memory only: disk full: the database /data/a.db can't be written" in text
    assert "in memory only" not in render(snapshot(), NOW_US)


def test_a_single_failure_is_said_to_be_one():
    text = lines(dealings={"metrics": Dealing(False, NOW_US - 2_000_000, None, 1, "no connection")})
    assert "metrics: fails for 2 s (once): no connection\n" in text


def test_a_name_or_a_reason_that_would_control_the_terminal_is_shown_without():
    down = report("d", "South\x1b[31m\nAPI        works", "10.0.0.2:161", state="down", reason="timeout")
    text = lines(troubled=[down], dealings={"metrics": Dealing(False, NOW_US, None, 1, "502\r\x1b[2J")})
    assert r"South\x1b[31m\nAPI        works (10.0.0.2:161)" in text
    assert r"502\r\x1b[2J" in text
    assert text.replace("\n", "").isprintable()
