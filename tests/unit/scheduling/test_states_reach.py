"""A device that is silent over SNMP is down only if it does not answer ping either."""

import asyncio

import pytest
from structlog.testing import capture_logs

from support import devices, virtual_time
from towerops_agent.counters import Count, Counters
from towerops_agent.model import Layout, LayoutKind, PingPlan, Poll, State
from towerops_agent.ping.sockets import NotSent
from towerops_agent.polling.reading import PollResult
from towerops_agent.reasons import Reason, Unsent, word_of
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.scheduling.states import ReachPoller
from towerops_agent.snmp.icmp_errors import NO_WAY_THERE

COMPLETE = PollResult(Poll(devices.LAYOUT, 0, (1,), ((1, 0),), 1), rtt_s=0.01)
SILENT = PollResult(None, silence=Reason.TIMEOUT)
NO_PERMISSION = NotSent(Unsent.NO_PERMISSION, "Operation not permitted")
PLAN = PingPlan(5, 60)
STATES = 42


class FakePoller:
    """SNMP, as the test has it."""

    def __init__(self):
        self.result = COMPLETE
        self.polled = 0

    async def poll(self, _device, _within_s):
        self.polled += 1
        await asyncio.sleep(0.1)
        return self.result


class FakeEchoes:
    """Ping, as the test has it. `asked`: how long ago a reply may have come at most, of each question."""

    def __init__(self):
        self.result = True
        self.asked = []
        self.followed, self.dropped = [], []

    async def answers(self, _device, since_s):
        self.asked.append(asyncio.get_running_loop().time() - since_s)
        return self.result

    def __len__(self):
        return 0  # as of what follows no device yet

    def follow(self, device):
        self.followed.append(device.id)

    def drop(self, device_id):
        self.dropped.append(device_id)


class Bench:
    def __init__(self, **wanted):
        self.snmp, self.ping, self.counters, self.stored = FakePoller(), FakeEchoes(), Counters(), []
        poller = ReachPoller(self.snmp, self.ping)
        self.fleet = Fleet(poller, self.counters, self.stored.append, now_us=lambda: 0, pings=self.ping)
        self.device = devices.device(**{"ping": PLAN, **wanted})
        self.device.state_layout = STATES

    def poll(self):
        """The log of one poll."""

        async def main():
            self.fleet.replace([self.device])
            await self.fleet.poll_all_once()

        with capture_logs() as logs:
            virtual_time.run(main())
        return [(line["log_level"], line["event"], line.get("reason")) for line in logs if line["log_level"] != "debug"]

    @property
    def state(self):
        state = self.device.state
        return state and (state.state, state.reason)


@pytest.mark.parametrize("silence", [Reason.TIMEOUT, Reason.UNREACHABLE, Reason.REFUSED, Reason.DEADLINE])
def test_a_device_that_answers_ping_and_not_snmp_is_degraded_in_those_words(silence):
    bench = Bench()
    bench.snmp.result = PollResult(None, silence=silence)
    assert bench.poll() == [("warning", "device answers ping, not SNMP", silence)]
    assert bench.state == (State.DEGRADED, Reason.PING_ONLY)
    assert Reason.PING_ONLY.text == "answers ping, not SNMP"
    assert [word_of(poll.values[1]) for poll in bench.stored] == ["ping_only"]
    assert bench.stored[0].values[2] is None
    assert bench.poll() == []
    assert bench.counters.by_reason(Count.POLLS) == {"silent": 2}
    assert bench.fleet.answering == (1, 0)


@pytest.mark.parametrize("detail", [*sorted(NO_WAY_THERE), "a firewall on the way forbids it"])
def test_a_ping_refutes_that_there_is_no_such_host_and_not_that_a_firewall_forbids_it(detail):
    """ICMP may have said so of an earlier request: a device that was back was said not to be there for ten minutes."""
    bench, reason, is_forbidden = Bench(), Reason.UNREACHABLE, detail not in NO_WAY_THERE
    bench.snmp.result = PollResult(None, silence=reason, detail=detail)
    assert bench.poll() == [("warning", "device answers ping, not SNMP", reason if is_forbidden else Reason.TIMEOUT)]
    assert (bench.state, bench.device.detail) == ((State.DEGRADED, Reason.PING_ONLY), detail if is_forbidden else "")
    bench = Bench()
    bench.snmp.result, bench.ping.result = PollResult(None, silence=reason, detail=detail), False
    bench.poll()
    assert (bench.state, bench.device.detail) == ((State.DOWN, reason), detail)


def test_a_device_that_says_by_snmp_what_is_wrong_keeps_that_reason():
    bench = Bench()
    bench.snmp.result = PollResult(None, silence=Reason.WRONG_AUTH_PASSWORD)
    bench.poll()
    assert bench.state == (State.DEGRADED, Reason.WRONG_AUTH_PASSWORD)


def test_a_device_that_answers_neither_is_down():
    bench = Bench()
    bench.snmp.result, bench.ping.result = SILENT, False
    assert bench.poll() == [("warning", "device does not answer, will be probed once each interval", "timeout")]
    assert bench.state == (State.DOWN, Reason.TIMEOUT)
    assert bench.fleet.answering == (0, 1)
    bench.ping.result = True
    assert bench.poll() == [("warning", "device answers ping, not SNMP", "timeout")]
    bench.snmp.result = COMPLETE
    assert bench.poll() == [("info", "device has recovered", None)]


def test_a_ping_that_cant_be_sent_changes_nothing():
    bench = Bench()
    bench.snmp.result, bench.ping.result = SILENT, NO_PERMISSION
    bench.poll()
    assert bench.state == (State.DOWN, Reason.TIMEOUT)


def test_ping_is_only_asked_if_snmp_is_silent_and_only_what_came_during_the_poll_counts():
    bench = Bench()
    bench.poll()
    assert bench.ping.asked == []
    bench.snmp.result = SILENT
    bench.poll()
    assert bench.ping.asked == [pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("wanted", "silence"), [({"ping": None}, Reason.TIMEOUT), ({"ping": PLAN}, Reason.UNRESOLVED)], ids=["not pinged", "no name"]
)
def test_a_device_that_is_not_pinged_or_has_no_address_is_down_as_it_was(wanted, silence):
    bench = Bench(**wanted)
    bench.snmp.result = PollResult(None, silence=silence)
    bench.poll()
    assert (bench.state, bench.ping.asked) == ((State.DOWN, silence), [])


def test_a_device_without_snmp_is_up_or_down_by_its_pings():
    bench = Bench(has_snmp=False)
    bench.poll()
    assert bench.state == (State.UP, "")
    assert bench.ping.asked == [pytest.approx(PLAN.interval_s / PLAN.count + 2)]
    bench.ping.result = False
    bench.poll()
    assert bench.state == (State.DOWN, Reason.TIMEOUT)
    assert bench.snmp.polled == 0
    assert bench.counters.by_reason(Count.POLLS) == {"complete": 1, "silent": 1}
    assert {poll.layout for poll in bench.stored} == {STATES}


def test_nothing_is_known_of_a_device_without_snmp_that_cant_be_pinged():
    bench = Bench(has_snmp=False)
    bench.ping.result = NO_PERMISSION
    assert bench.poll() == []
    assert (bench.state, bench.stored, bench.counters.total(Count.POLLS)) == (None, [], 0)


@pytest.mark.parametrize(("answers", "state"), [(True, State.UP), (False, State.DOWN)])
def test_a_device_without_snmp_has_no_state_any_more_once_it_cant_be_pinged(answers, state):
    """An agent whose own link is down says nothing of it, instead of what was so before."""
    bench = Bench(has_snmp=False)
    bench.ping.result = answers
    bench.poll()
    assert bench.state[0] is state
    bench.ping.result = NotSent(Unsent.NO_ROUTE, "Network is unreachable")
    assert bench.poll() == []
    assert (bench.state, bench.fleet.answering, len(bench.stored)) == (None, (0, 0), 1)
    why = "it can't be pinged: this machine has no route to the device (Network is unreachable)"
    assert bench.device.detail == why
    bench.ping.result = answers
    bench.poll()
    assert bench.state[0] is state


def test_a_device_without_snmp_that_is_pinged_seldom_is_asked_at_each_poll():
    """A reply from before the last poll says nothing of this one."""
    bench = Bench(has_snmp=False, ping=PingPlan(1, 600))
    bench.poll()
    assert bench.ping.asked == [pytest.approx(bench.device.interval_s + 2)]


def test_the_fleet_has_exactly_those_pinged_that_it_polls():
    bench = Bench()
    bench.poll()
    assert bench.ping.followed == ["eq-1"]

    async def leave():
        bench.fleet.replace([])

    virtual_time.run(leave())
    assert bench.ping.dropped == ["eq-1"]


def test_layouts_of_a_device_are_all_that_it_has():
    device = devices.device(ping=PLAN)
    assert device.layouts == (devices.LAYOUT,)
    device.state_layout, device.ping_layout = 8, 9
    assert device.layouts == (devices.LAYOUT, 8, 9)
    assert Layout(device.id, kind=LayoutKind.PINGS).value_count == 6
