"""Rounds of pings in virtual time: when each echo goes out, what a round comes to, and what is never a loss."""

import asyncio
import socket
from collections import Counter
from itertools import pairwise

import pytest
import structlog

from support import devices, virtual_time
from support.pings import FakeNetwork
from towerops_agent.counters import Count, Counters
from towerops_agent.model import PING_VALUES, PingPlan
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.polling.course.plan import Planner
from towerops_agent.reasons import Unsent
from towerops_agent.scheduling.echoes import CHECKS, RESOLVE_AGAIN_S, Echoes

LAYOUT = 77
PLAN = PingPlan(5, 60)


class Bench:
    """Echoes over a network that answers after 10 ms, but for what a test makes of it."""

    def __init__(self, count=1):
        self.counters, self.stored, self.network, self.names = Counters(), [], FakeNetwork(), {}
        self.resolved = []
        self.planner = Planner()
        self.count = count

    def device(self, n=0, ping=PLAN):
        made = devices.device(self.planner, equipment_id=f"dev-{n}", host=f"192.0.2.{n}", ping=ping)
        made.ping_layout = LAYOUT
        return made

    async def resolve(self, host, port):
        self.resolved.append((asyncio.get_running_loop().time(), host))
        found = self.names.get(host, host)
        if isinstance(found, OSError):
            raise found
        return [(one, port) for one in ([found] if isinstance(found, str) else found)]

    def run(self, for_s, *, then=None, follow=None):
        async def main():
            clock_us = lambda: round(asyncio.get_running_loop().time() * 1e6)  # noqa: E731
            client = PingClient(self.counters, open_socket=self.network.open, wall_ns=lambda: clock_us() * 1000)
            async with client:
                self.echoes = Echoes(client, self.resolve, self.counters, self.stored.append, now_us=clock_us)
                for device in [self.device(n) for n in range(self.count)] if follow is None else follow:
                    self.echoes.follow(device)
                running = asyncio.create_task(self.echoes.run())
                began = asyncio.get_running_loop().time()
                for at_s, action in sorted((then or {}).items()):
                    await asyncio.sleep(began + at_s - asyncio.get_running_loop().time())
                    found = action()
                    if asyncio.iscoroutine(found):
                        await found
                await asyncio.sleep(began + for_s - asyncio.get_running_loop().time())
                running.cancel()
                self.open_rounds = client.open_rounds

        virtual_time.run(main())

    def rounds(self):
        return [dict(zip(PING_VALUES, poll.values, strict=True)) for poll in self.stored]


def test_echoes_are_spread_over_the_interval_and_a_round_is_stored_when_the_next_one_begins():
    bench = Bench()
    bench.run(60 * 10 + 30)
    times = [at for at, _, _ in bench.network.sent]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[1:] == pytest.approx([12.0] * (len(gaps) - 1))
    assert {one["sent"] for one in bench.rounds()} == {5}
    assert {one["received"] for one in bench.rounds()} == {5}
    assert {one["rtt_avg_us"] for one in bench.rounds()} == {10_000}
    assert len(bench.stored) in (9, 10)
    assert {(poll.layout, poll.metric_count) for poll in bench.stored} == {(LAYOUT, 1)}
    ends = [poll.started_at_us / 1e6 for poll in bench.stored]
    assert all(min(abs(end - at) for at in times) < 1e-3 for end in ends)


def test_the_sequence_goes_on_from_round_to_round():
    bench = Bench()
    bench.run(60 * 3)
    assert [echo.sequence for _, echo, _ in bench.network.sent] == list(range(len(bench.network.sent)))


def test_many_devices_are_pinged_at_times_of_their_own():
    bench = Bench(count=200)
    bench.run(80)
    per_second = Counter(int(at) for at, _, _ in bench.network.sent if 1015 <= at < 1075)
    assert per_second.total() == 1000
    assert len(per_second) == 60
    assert max(per_second.values()) < 45


def test_a_lost_echo_is_lost_and_a_late_one_counts_until_the_next_round():
    bench = Bench()
    bench.network.delays = lambda n: {0: 100.0, 1: 47.0, 2: None}.get(n, 0.01)
    bench.run(60 * 2)
    first = bench.rounds()[0]
    assert (first["sent"], first["received"], first["rtt_max_us"]) == (5, 3, 47_000_000)
    assert bench.counters.by_reason(Count.PINGS_DISCARDED) == {"late": 1}


@pytest.mark.parametrize("rtt_s", [0.6, 1.9])
@pytest.mark.parametrize("count", [1, 5, 20])
def test_no_echo_of_a_short_round_is_lost_only_because_the_next_round_has_begun(count, rtt_s):
    """Each round is dated at its end, and stored once its last echoes had two seconds."""
    bench = Bench()
    bench.network.delays = lambda _n: rtt_s
    bench.run(20, follow=[bench.device(ping=PingPlan(count, 1))])
    assert {(one["sent"], one["received"]) for one in bench.rounds()} == {(count, count)}
    ends = [poll.started_at_us / 1e6 for poll in bench.stored]
    assert [later - earlier for earlier, later in pairwise(ends)] == pytest.approx([1.0] * (len(ends) - 1))
    assert len(ends) >= 16
    assert bench.counters.by_reason(Count.PINGS_DISCARDED) == {}


def test_what_does_not_come_back_within_two_seconds_of_the_last_echo_of_a_short_round_is_lost():
    bench = Bench()
    bench.network.delays = lambda n: None if n == 7 else 2.5
    bench.run(20, follow=[bench.device(ping=PingPlan(5, 1))])
    assert max(one["received"] for one in bench.rounds()) in range(1, 5)
    assert bench.counters.get(Count.PINGS_DISCARDED, "late") > 0


@pytest.mark.parametrize("reason", [Unsent.NO_PERMISSION, Unsent.NO_ROUTE])
def test_a_round_of_which_nothing_could_be_sent_does_not_count(reason):
    bench = Bench()
    bench.network.failure = NotSent(reason)
    bench.run(60 * 3)
    assert bench.stored == []
    assert set(bench.counters.by_reason(Count.PINGS_UNSENT)) == {reason}
    assert bench.counters.total(Count.PINGS) == 0


def test_a_round_of_which_a_part_was_sent_is_of_that_part():
    bench = Bench()

    def fail(failure):
        bench.network.failure = failure

    bench.run(60 * 2, then={20: lambda: fail(NotSent(Unsent.NO_ROUTE)), 45: lambda: fail(None)})
    first = bench.rounds()[0]
    assert first["sent"] == first["received"] == 5 - bench.counters.get(Count.PINGS_UNSENT, "no_route")
    assert first["sent"] == 3


def test_a_name_is_looked_up_for_a_round_and_one_that_is_not_found_does_not_count_as_lost():
    bench = Bench()
    bench.names["192.0.2.0"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def find():
        bench.names["192.0.2.0"] = "198.51.100.1"

    bench.run(1000, then={70: find})
    assert bench.counters.by_reason(Count.PINGS_UNSENT) == {"unresolved": 6}
    assert {peer[0] for _, _, peer in bench.network.sent} == {"198.51.100.1"}
    assert bench.rounds()[0]["received"] > 0
    looked_up = [at for at, _ in bench.resolved[6:]]
    assert [later - earlier for earlier, later in pairwise(looked_up)] == [pytest.approx(RESOLVE_AGAIN_S, abs=61)] * (
        len(looked_up) - 1
    )


ONE, OTHER = "198.51.100.1", "198.51.100.2"


@pytest.mark.parametrize("unsent", [False, True])
def test_of_a_name_s_addresses_the_first_that_answers_is_pinged_from_the_first_round_on(unsent):
    """The device loses nothing by a silent one, as of IPv6 without a way there."""
    bench = Bench()
    bench.names["192.0.2.0"] = [ONE, OTHER]
    if unsent:
        bench.network.unsent[ONE] = NotSent(Unsent.NO_ROUTE)
    else:
        bench.network.silent.add(ONE)
    bench.run(60 * 4)
    assert len(bench.rounds()) >= 2
    assert {(one["sent"], one["received"]) for one in bench.rounds()} == {(5, 5)}
    assert bench.network.sent[-1][2][0] == OTHER


def test_an_address_that_falls_silent_is_left_for_one_that_answers_and_not_for_one_that_does_not():
    bench, found = Bench(), []
    device = bench.device(0)
    bench.names[device.host] = [ONE, OTHER]

    async def ask():
        now = asyncio.get_running_loop().time()
        found.append((await bench.echoes.answers(device, now), bench.network.sent[-1][2][0]))

    def silence(*hosts):
        bench.network.silent = set(hosts)

    steps = {100: lambda: silence(ONE), 101: ask, 200: ask, 250: lambda: silence(ONE, OTHER), 260: ask, 300: lambda: silence(ONE)}
    with structlog.testing.capture_logs() as lines:
        bench.run(60 * 10, follow=[device], then={**steps, 310: ask})
    assert found == [(True, OTHER), (True, OTHER), (False, ONE), (True, OTHER)]
    assert [(line["event"], line["answers_at"]) for line in lines] == [
        ("device answers ping at another address of its name, pinged there from now on", OTHER)
    ]
    assert {peer[0] for at, _, peer in bench.network.sent if at > 1000 + 310} == {OTHER}
    assert bench.rounds()[-1]["received"] == 5
    assert 0 < min(one["sent"] for one in bench.rounds()) <= 5
    assert bench.open_rounds <= 2


def test_an_address_that_answers_is_kept_though_the_name_server_changes_their_order():
    bench = Bench()
    bench.names["192.0.2.0"] = [ONE, OTHER]

    def turn():
        bench.names["192.0.2.0"] = [OTHER, ONE]

    def change():
        bench.names["192.0.2.0"] = [OTHER]

    bench.run(1800, then={100: turn, 1000: change})
    assert {peer[0] for at, _, peer in bench.network.sent if at < 2000} == {ONE}
    assert {peer[0] for at, _, peer in bench.network.sent if at > 2400} == {OTHER}


def test_a_single_run_pings_the_address_that_answers():
    bench = Bench()
    bench.names["192.0.2.0"] = [ONE, OTHER]
    bench.network.silent.add(ONE)
    bench.run(10, follow=[], then={1: lambda: bench.echoes.once([bench.device(0)])})
    assert [(one["sent"], one["received"]) for one in bench.rounds()] == [(5, 5)]


def test_a_device_is_pinged_where_snmp_asks_it():
    bench = Bench()
    device = bench.device(0)
    device.peer = ("203.0.113.7", 161)
    bench.run(60, follow=[device])
    assert {peer[0] for _, _, peer in bench.network.sent} == {"203.0.113.7"}
    assert bench.resolved == []


def test_a_round_under_way_is_not_reported_when_its_device_goes():
    bench = Bench()
    bench.network.delays = lambda n: None
    bench.run(200, then={40: lambda: bench.echoes.drop("dev-0"), 41: lambda: bench.echoes.drop("dev-0")})
    assert (bench.stored, bench.echoes.followed, bench.open_rounds) == ([], 0, 0)
    assert set(bench.counters.by_reason(Count.PINGS)) == {"abandoned"}


def test_a_configuration_that_changes_nothing_of_the_pings_keeps_the_round_and_one_that_does_begins_another():
    bench = Bench()
    again, other = bench.device(0), bench.device(0, ping=PingPlan(2, 60))
    bench.run(300, then={30: lambda: bench.echoes.follow(again), 130: lambda: bench.echoes.follow(other)})
    assert {one["sent"] for one in bench.rounds()} == {5, 2}
    assert again.pings.sent == 5


def test_a_device_that_is_not_to_be_pinged_any_more_is_not():
    bench = Bench()
    bench.run(300, then={100: lambda: bench.echoes.follow(bench.device(0, ping=None))})
    assert max(at for at, _, _ in bench.network.sent) < 1000 + 100


def test_what_was_due_while_the_machine_was_suspended_is_late_and_does_not_count_as_lost():
    bench = Bench()

    def suspend():
        asyncio.get_running_loop().now += 600

    bench.run(900, then={130: suspend})
    assert bench.counters.by_reason(Count.PINGS_UNSENT)["late"] == pytest.approx(50, abs=2)
    assert all(one["received"] == one["sent"] for one in bench.rounds())


def test_a_server_that_does_not_take_rounds_gets_none_and_the_device_still_knows_its_last_one():
    bench = Bench()
    device = bench.device(0)
    device.ping_layout = None
    bench.run(150, follow=[device])
    assert (bench.stored, device.pings.received) == ([], 5)


def test_whether_a_device_answers_is_known_from_its_echoes_else_asked():
    bench, found = Bench(), []
    device = bench.device(0)

    def ask(since_s):
        async def asking():
            sent = len(bench.network.sent)
            found.append((await bench.echoes.answers(device, 1000 + since_s), len(bench.network.sent) - sent))

        return asking

    def die():
        bench.network.delays = lambda n: None

    bench.run(
        100,
        follow=[device],
        then={70: ask(40), 71: ask(71), 72: die, 73: ask(40), 74: ask(74)},
    )
    assert found == [(True, 0), (True, 1), (True, 0), (False, CHECKS)]


def test_whether_a_device_answers_cant_be_asked_without_permission_or_name():
    bench, found = Bench(), []
    bench.network.failure = NotSent(Unsent.NO_PERMISSION, "Operation not permitted")
    device = bench.device(1)

    async def ask():
        found.append(await bench.echoes.answers(device, 0))
        bench.names[device.host] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found.append(await bench.echoes.answers(device, 0))

    bench.run(30, follow=[], then={1: ask})
    assert [one.reason for one in found] == [Unsent.NO_PERMISSION, Unsent.UNRESOLVED]


def test_a_single_run_pings_each_device_in_one_short_round():
    bench = Bench()
    some = [bench.device(n) for n in range(3)] + [bench.device(3, ping=None)]
    bench.run(10, follow=[], then={1: lambda: bench.echoes.once(some)})
    assert [one["received"] for one in bench.rounds()] == [5, 5, 5]
