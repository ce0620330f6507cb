"""What changes at the site is noted, from the start of a service to its stop."""

from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.buffer.format.event import GONE, Event, EventKind
from towerops_agent.telemetry.diary import Diary


def test_a_destination_that_failed_until_it_was_removed_fails_no_longer():
    noted: list[Event] = []
    diary = Diary(noted.append, lambda: 7)
    dealings = {name: Availability() for name in ("destination old", "destination fine", "metrics")}
    diary.begin("0.1.0")
    diary.follow(dealings)
    dealings["destination old"].failed("503", 8)
    dealings["destination fine"].succeeded(9)
    diary.follow({"metrics": dealings["metrics"]})
    dealings["destination fine"].failed("503", 10)
    diary.follow({"metrics": dealings["metrics"]})
    assert [(event.subject, event.what) for event in noted[1:]] == [
        *(("destination old", "fails"), ("destination fine", "works"), ("destination old", GONE)),
    ]


def test_a_run_of_the_agent_is_noted_from_its_start_to_its_stop():
    noted: list[Event] = []
    diary = Diary(noted.append, lambda: 7)
    dealing = Availability()
    diary.follow({"metrics": dealing})
    diary.configured("1", 1)  # before it has begun
    diary.begin("0.1.0")
    diary.configured("7", 2)
    diary.configured("", 1)
    dealing.failed("no answer", 8)
    dealing.failed("no answer", 9)
    dealing.succeeded(10)
    dealing.succeeded(11)
    diary.end()
    dealing.failed("no answer", 12)
    assert noted == [
        Event(7, EventKind.AGENT, "", "started", "version 0.1.0"),
        Event(7, EventKind.CONFIG, "", "version 7, 2 devices"),
        Event(7, EventKind.CONFIG, "", "1 device"),
        Event(8, EventKind.API, "metrics", "fails", "no answer"),
        Event(10, EventKind.API, "metrics", "works"),
        Event(7, EventKind.AGENT, "", "stopped"),
    ]
