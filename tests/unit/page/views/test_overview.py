"""Devices in a line each, and what changed, in words."""

from towerops_agent.buffer.format.event import FAILS, STARTED, Event, EventKind
from towerops_agent.page.views.overview import Known, happenings, line_of
from towerops_agent.page.views.standing import Standing


def test_a_device_in_a_line_has_its_reason_in_words():
    known = Known("r", "Radio", "10.0.0.2:161", "v3", 60, newest_us=7)
    line = line_of(known, Standing("down", "timeout", 5))
    assert (line.name, line.address, line.meta) == ("Radio", "10.0.0.2:161", "SNMP v3, polled every 1 min")
    assert (line.state, line.reason, line.since_us, line.newest_us) == ("down", "met with silence", 5, 7)
    assert line_of(Known("r", "r"), Standing("up")).meta == ""


def test_a_name_can_turn_no_line_around():
    name = "a\u202eb\x1b[2J\nc塔"
    assert line_of(Known("r", name), Standing("up")).name == "a b [2J c塔"
    assert line_of(Known("r", "\u202e"), Standing("up")).name == "r"
    told = [Event(1, EventKind.STATE, "r", "down", "timeout"), Event(2, EventKind.API, "metrics", FAILS, "no\u2066")]
    assert [one.text for one in happenings(told, {"r": name})] == [
        *("Metrics: fails, no", "a b [2J c塔 is down: met with silence"),
    ]


def test_events_are_the_newest_first_and_name_the_device():
    told = [
        Event(1, EventKind.AGENT, "", STARTED, "version 0.1.0"),
        Event(2, EventKind.CONFIG, "", "version 7, 2 devices"),
        Event(3, EventKind.STATE, "r", "down", "timeout"),
        Event(4, EventKind.RESTART, "r"),
        Event(5, EventKind.API, "metrics", FAILS, "503"),
        Event(6, EventKind.STATE, "gone", "up"),
    ]
    assert [(one.at_us, one.text, one.kind, one.device) for one in happenings(told, {"r": "Radio"})] == [
        (6, "gone is up", "up", "gone"),
        (5, "Metrics: fails, 503", "api", ""),
        (4, "Radio has restarted", "restart", "r"),
        (3, "Radio is down: met with silence", "down", "r"),
        (2, "Configuration applied: version 7, 2 devices", "config", ""),
        (1, "The agent started: version 0.1.0", "agent", ""),
    ]
