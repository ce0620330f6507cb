"""What one result after another makes of a device's state, with the time that it is of."""

from collections import Counter
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from support import devices
from towerops_agent.buffer.format.event import NOT_KEPT
from towerops_agent.model import NOT_POLLED, PingPlan, Poll, State
from towerops_agent.polling.reading import PollResult
from towerops_agent.scheduling.states import HELD_POLLS, States
from towerops_agent.telemetry.views.snapshot import report_devices, troubled_devices

POLL = Poll(devices.LAYOUT, 0, (1,), ((1, 0),), 1)
ANSWERED = PollResult(POLL)
SILENT = PollResult(None, silence="timeout")


class Bench:
    """States of devices, as time passes by a microsecond a poll."""

    def __init__(self, *, doubts=False):
        self.now_us, self.doubtful = 0, doubts
        self.stored, self.noted, self.changes = [], [], 0
        self.states = States(
            self.stored.append,
            now_us=lambda: self.now_us,
            changed=self.change,
            note=self.noted.append,
            doubts=lambda: self.doubtful,
        )

    def change(self):
        self.changes += 1

    def take(self, device, *results, is_polled=True):
        for result in results:
            self.now_us += 1
            self.states.take(device, result, is_polled=is_polled)
        return device.state


def test_a_device_that_was_held_is_down_since_its_first_silent_poll():
    bench = Bench(doubts=True)
    silent, other = (devices.device(equipment_id=name) for name in ("a", "b"))
    assert bench.take(silent, SILENT, SILENT) is None
    bench.take(other, ANSWERED)
    assert (silent.state.state, silent.state.since_us) == (State.DOWN, 1)
    assert bench.states.answering == (1, 1)


def test_a_device_is_down_for_as_long_as_it_is_whatever_was_done_to_the_clock():
    """A box without a clock of its own starts in 1970; without this its devices were up for 56 years once NTP had set it."""
    steady_us, wall_us, device = 0, 0, devices.device()
    states = States(
        lambda _: None,
        now_us=lambda: wall_us,
        steady_us=lambda: steady_us,
        changed=lambda: None,
        note=lambda _: None,
        doubts=lambda: False,
    )
    states.take(device, SILENT, is_polled=True)
    steady_us, wall_us = 60_000_000, 1_800_000_000_000_000
    states.take(device, SILENT, is_polled=True)
    (report,) = report_devices([device], states.ahead_us)
    assert wall_us - report.since_us == 60_000_000
    assert [one.since_us for one in troubled_devices([device], states.ahead_us)] == [report.since_us]


def test_it_is_down_after_so_many_silent_polls_and_then_held_no_more():
    bench = Bench(doubts=True)
    device = devices.device()
    assert bench.take(device, *[SILENT] * (HELD_POLLS - 1)) is None
    assert bench.take(device, SILENT).since_us == 1
    with capture_logs() as logs:
        bench.take(device, SILENT)
    assert device.state.since_us == 1
    assert logs == []


def test_a_result_from_which_nothing_is_known_leaves_no_state_and_no_count():
    bench = Bench()
    device = devices.device()
    bench.take(device, PollResult(None, silence="timeout", detail="said why"))
    assert (device.state.state, device.detail, bench.states.answering) == (State.DOWN, "said why", (0, 1))
    bench.states.take_unknown(device)
    assert (device.state, device.detail, bench.states.answering) == (None, "", (0, 0))


def test_a_device_that_is_up_and_leaves_no_poll_is_noted_as_it_is_and_one_whose_polls_show_it_is_not():
    """Only pinged, without anybody who accepts that; or all of its sensors have nothing to read."""
    bench = Bench()
    empty = PollResult(replace(POLL, values=(None,), metric_count=0), missing=Counter(nothing_there=1))
    camera = replace(devices.device(equipment_id="camera"), has_snmp=False, ping=PingPlan(5, 60))
    bench.take(camera, PollResult(None), PollResult(None), SILENT, PollResult(None))
    bench.take(replace(camera, id="kept", ping_layout=9), PollResult(None), SILENT, PollResult(None))
    bench.take(devices.device(equipment_id="cage"), ANSWERED, empty, ANSWERED, empty)
    bench.states.take_unknown(camera)
    assert [(event.at_us, event.subject, event.what, event.why) for event in bench.noted] == [
        *((1, "camera", "up", NOT_KEPT), (3, "camera", "down", "timeout"), (4, "camera", "up", NOT_KEPT)),
        *((6, "kept", "down", "timeout"), (7, "kept", "up", "")),
        *((9, "cage", "up", NOT_KEPT), (11, "camera", NOT_POLLED, "")),
    ]


def test_a_device_of_which_nothing_is_known_any_more_is_not_down_on_the_page():
    """As when the agent can't ping any more."""
    bench, device = Bench(), devices.device()
    bench.take(device, SILENT)
    bench.states.take_unknown(device)
    assert [event.what for event in bench.noted] == [State.DOWN, NOT_POLLED]


def test_a_poll_that_ends_after_its_device_is_gone_is_not_counted_among_those_that_answer():
    bench = Bench()
    assert bench.take(devices.device(), ANSWERED, is_polled=False).state is State.UP
    assert bench.states.answering == (0, 0)


@pytest.mark.parametrize("doubts", [False, True])
def test_a_dead_device_that_is_removed_while_it_is_polled_stays_forgotten(doubts):
    """Else it would be down from then on, for as long as it is gone: no later poll would say otherwise."""
    bench = Bench()
    device = devices.device()
    bench.take(device, SILENT)
    bench.states.forget(device.id)
    bench.doubtful, device.state_layout = doubts, 7
    with capture_logs() as logs:
        bench.take(device, PollResult(None, silence="refused"), is_polled=False)
    assert [event.what for event in bench.noted] == [State.DOWN, NOT_POLLED]
    assert logs == []
    assert len(bench.stored) == (0 if doubts else 1), "what its last poll found out, if anything"
    bench.take(devices.device(), ANSWERED)
    assert [event.what for event in bench.noted] == [State.DOWN, NOT_POLLED], "added again, and up from the first poll on"


def test_a_device_that_is_forgotten_while_it_is_held_is_not_down_later():
    bench = Bench(doubts=True)
    device, other = devices.device(equipment_id="a"), devices.device(equipment_id="b")
    bench.take(device, SILENT)
    bench.states.forget("a")
    bench.take(other, ANSWERED)
    assert device.state is None
    assert bench.noted == []


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), PollResult(POLL, missing=Counter(genErr=2)), "device answers in part"),
        ((), PollResult(POLL, missing=Counter(noSuchObject=2)), "device answers, but lacks some configured readings"),
        ((), ANSWERED, "device answers"),
        ((ANSWERED,), PollResult(POLL, missing=Counter(noSuchObject=2)), None),
        ((SILENT,), PollResult(None, silence="refused"), "device does not answer, will be probed once each interval"),
        ((SILENT,), PollResult(None, silence="timeout", answers_ping=True), "device answers ping, not SNMP"),
        ((PollResult(POLL, missing=Counter(genErr=2)),), PollResult(POLL, missing=Counter(genErr=1)), None),
    ],
)
def test_one_line_says_what_changed(before, now, said):
    bench, device = Bench(), devices.device()
    bench.take(device, *before)
    with capture_logs() as logs:
        bench.take(device, now)
    assert [line["event"] for line in logs] == ([] if said is None else [said])


def test_a_device_that_was_replaced_by_another_says_what_it_lacks():
    """It answers at once, so its state has not changed."""
    bench, device, lacking = Bench(), devices.device(), Counter(noSuchObject=2)
    bench.take(device, ANSWERED)
    with capture_logs() as logs:
        bench.take(device, PollResult(POLL, missing=lacking, restarted=True), *[PollResult(POLL, missing=lacking)] * 2)
        bench.take(device, PollResult(POLL, missing=lacking, restarted=True))  # the same one, after a power cut
    said = [(entry["event"], entry["missing_noSuchObject"]) for entry in logs]
    assert said == [("device answers, but lacks some configured readings", 2)]


def test_a_device_that_recovers_says_what_it_lacks_now():
    bench, device = Bench(), devices.device()
    bench.take(device, SILENT)
    with capture_logs() as logs:
        bench.take(device, PollResult(POLL, missing=Counter(noSuchObject=2)))
    assert [(entry["event"], entry["missing_noSuchObject"]) for entry in logs] == [("device has recovered", 2)]


def test_a_state_that_is_to_be_delivered_is_stored_each_time_and_announced_when_it_changes():
    bench, device = Bench(), devices.device()
    device.state_layout = 7
    bench.take(device, ANSWERED, ANSWERED, SILENT, SILENT)
    assert [poll.layout for poll in bench.stored] == [7, 7, 7, 7]
    assert bench.changes == 1
