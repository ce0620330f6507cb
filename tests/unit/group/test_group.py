"""Members with real fleets and a pretended engine, in virtual time: who polls what, whatever happens to members and engine."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from support import devices, virtual_time
from support.engine import Engine
from towerops_agent.counters import Count, Counters
from towerops_agent.group.course.learned import AT_ONCE
from towerops_agent.group.course.wire import Presence, Seat, Wanted, decode_message, encode_message
from towerops_agent.group.group import Group
from towerops_agent.group.seal import Seal
from towerops_agent.loops import go_on
from towerops_agent.model import Poll, Secret
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import PollResult
from towerops_agent.scheduling.fleet import Fleet

INTERVAL_S = 20
DEVICES = 60
TOKEN = Secret("the token")
ANSWER = PollResult(Poll(devices.LAYOUT, 0, (1,), ((1, 0),), 1))
SILENCE = PollResult(None, silence="timeout")


class Member:
    """One agent of the group: its fleet and its loops."""

    def __init__(
        self,
        site: "Site",
        name: str,
        *,
        weight: float = 1.0,
        token: Secret = TOKEN,
        group: str = "g",
        count: int = DEVICES,
        key: str = "",
        ahead_s: float = 0.0,
    ) -> None:
        """`ahead_s`: how far its wall clock is off."""
        self.site, self.name, self.ahead_s = site, key or name, ahead_s
        self.counters, self.planner = Counters(), Planner()
        self.fleet = Fleet(self, self.counters, lambda _: None, now_us=site.now_us)  # type: ignore[arg-type]  # it is its poller
        self.refreshed = 0
        self.reread = 0
        self.sees = True
        self.group = Group(
            Seat(group, name, weight),
            Seal(group, lambda: [token]),
            site.engine.bus_of(self.name),  # type: ignore[arg-type]
            self.planner,
            self.counters,
            condition=lambda: (0, True),
            refresh=self._refresh,
            reread_token=self._reread,
            now_us=lambda: site.now_us() + round(self.ahead_s * 1e6),
        )
        self.group.attach(self.fleet)
        self.fleet.ownership = self.group
        self.configure(count)
        self.tasks = [asyncio.create_task(self.group.run()), asyncio.create_task(self.fleet.run())]
        site.members[self.name] = self

    def configure(self, count: int, first: int = 0) -> None:
        of = range(first, first + count)
        self.fleet.replace(
            [devices.device(self.planner, equipment_id=f"d{n}", host=f"192.0.2.{n}", interval_s=INTERVAL_S) for n in of]
        )
        self.group.configured()

    def _refresh(self) -> None:
        self.refreshed += 1

    def _reread(self) -> None:
        self.reread += 1

    async def poll(self, device: Any, within_s: float) -> PollResult:
        self.site.polls.append((asyncio.get_running_loop().time(), device.id, self.name))
        await asyncio.sleep(0.01)
        return ANSWER if self.sees else SILENCE

    async def kill(self) -> None:
        """As a power cut does: it says nothing more."""
        self.site.engine.buses[self.name].is_dead = True
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        del self.site.members[self.name]

    async def stop(self) -> None:
        await self.group.leave()
        await self.kill()


class Site:
    """Devices, an engine and members. `polls`: when, of which device, by whom."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.members: dict[str, Member] = {}
        self.polls: list[tuple[float, str, str]] = []

    def now_us(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e6) + 1_764_000_007_300_000

    async def start(self, *names: str, **options: Any) -> None:
        for name in names:
            Member(self, name, **options)
        await asyncio.sleep(5)

    def owners(self) -> Counter[str]:
        """How many devices each polls."""
        return Counter({name: len(member.fleet.polled) for name, member in self.members.items()})

    def times(self, since: float) -> dict[str, list[float]]:
        times: dict[str, list[float]] = {f"d{n}": [] for n in range(DEVICES)}
        for at, device_id, _ in self.polls:
            if at >= since and device_id in times:
                times[device_id].append(at)
        return times

    def longest_gap(self, since: float) -> float:
        """Of any device, since then until now."""
        now = asyncio.get_running_loop().time()
        return max(after - before for times in self.times(since).values() for before, after in pairwise([since, *times, now]))

    def extra(self, since: float) -> int:
        """How many polls there were beyond one an interval, of all devices."""
        now = asyncio.get_running_loop().time()
        return sum(max(len(times) - math.ceil((now - since) / INTERVAL_S), 0) for times in self.times(since).values())


def play(scene: Callable[[Site], Awaitable[None]]) -> list[Any]:
    """The log lines of a scene in virtual time."""

    async def main() -> None:
        site = Site()
        await scene(site)
        for member in list(site.members.values()):
            await member.kill()

    with capture_logs() as logs:
        virtual_time.run(main())
    assert not [line for line in logs if line["log_level"] in ("error", "critical")]
    return [line["event"] for line in logs]


def now() -> float:
    return asyncio.get_running_loop().time()


def test_three_members_share_the_devices_and_each_is_polled_once_an_interval():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(25)
        owners = site.owners()
        assert owners.total() == DEVICES
        assert all(10 <= owners[name] <= 30 for name in "abc")
        since = now()
        await asyncio.sleep(10 * INTERVAL_S)
        assert all(len(times) == 10 for times in site.times(since).values())
        assert site.extra(since) == 0
        assert [member.group.sends_heartbeat for member in site.members.values()] == [True, False, False]
        assert all(member.refreshed == 0 for member in site.members.values())

    play(scene)


def test_devices_of_a_killed_member_go_on_within_the_bound():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        await site.members["b"].kill()
        await asyncio.sleep(200)
        assert site.owners().total() == DEVICES
        assert site.longest_gap(since) <= INTERVAL_S + 11 + DEVICES / 200
        assert site.extra(since) == 0
        assert site.members["a"].counters.by_reason(Count.GROUP_MEMBER_CHANGES) == {"joined": 2, "lost": 1}

    assert play(scene).count("member of the group is lost, its devices are taken over") == 2


@pytest.mark.parametrize("after_s", [0.0, 1.2, 2.2])
def test_polls_that_a_killed_member_had_not_stored_yet_are_made_again_within_the_bound(after_s: float):
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        while site.polls[-1][2] != "b":  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(0.1)
        await asyncio.sleep(after_s)
        await site.members["b"].kill()
        since = now() - INTERVAL_S - 5
        kept = [(at, key, by) for at, key, by in site.polls if by != "b" or at < now() - after_s - 0.2]
        assert len(kept) < len(site.polls)
        site.polls[:] = kept
        await asyncio.sleep(200)
        assert site.longest_gap(since) <= INTERVAL_S + 11 + DEVICES / 200 + after_s

    play(scene)


def test_a_device_keeps_its_times_whoever_polls_it():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(60)
        before = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        await site.members["a"].stop()
        await asyncio.sleep(45)
        await site.start("c")
        await asyncio.sleep(60)
        after = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        assert all(abs(before[key] - after[key]) < 0.06 for key in before)

    play(scene)


def test_a_member_that_has_its_configuration_before_it_begins_keeps_the_times_too():
    """It is kept in its database: it is applied before the group's loop has run."""

    async def scene(site: Site) -> None:
        await site.start("a")
        site.members["a"].configure(DEVICES)
        await asyncio.sleep(60.3)
        before = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        await site.members["a"].stop()
        await site.start("b")
        await asyncio.sleep(50)
        after = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        assert all(abs(before[key] - after[key]) < 0.06 for key in before)

    play(scene)


def test_a_goodbye_misses_no_poll():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        await site.members["b"].stop()
        await asyncio.sleep(100)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        assert site.extra(since) <= 3, "those that fell into the half second of the goodbye"

    lines = play(scene)
    assert lines.count("leaving the group, the others take over") == 1
    assert lines.count("member has left the group, its devices are taken over") == 2


@pytest.mark.parametrize("late_s", [0.4, 1.0, 3.0, 8.0])
def test_a_goodbye_that_is_late_costs_a_device_no_poll(late_s: float):
    """Over a link that loses packets, or to a busy member: a device whose time came meanwhile is polled once it is heard."""

    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        await asyncio.sleep(INTERVAL_S)
        site.engine.late_s["b"] = late_s
        await site.members["b"].stop()
        await asyncio.sleep(100)
        assert site.longest_gap(since) <= INTERVAL_S + late_s + 0.1
        assert site.extra(since) <= 3

    assert play(scene).count("member has left the group, its devices are taken over") == 2


def test_a_goodbye_by_a_clock_that_is_not_the_groups_is_taken_as_it_comes():
    """What it says of the time when it was sent would have all devices polled at once, or none."""

    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        await asyncio.sleep(INTERVAL_S)
        seat, beat = site.members["b"].group.seat, site.members["b"].group.own_beat()
        goodbye = replace(beat, presence=Presence.LEAVING, sequence=beat.sequence + 100, clock_s=beat.clock_s - 3600)
        sealed = Seal(seat.group, lambda: [TOKEN]).seal(seat.here, encode_message(goodbye))
        for name in "ac":
            site.engine.buses[name].hear(seat.here, sealed)
        await site.members["b"].kill()
        await asyncio.sleep(100)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        assert site.extra(since) <= 3

    play(scene)


def test_a_rolling_restart_misses_no_poll():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        for name in "abc":
            await site.members[name].stop()
            await asyncio.sleep(3)
            await site.start(name)
            await asyncio.sleep(10)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        assert site.extra(since) <= 0.05 * DEVICES * (now() - since) / INTERVAL_S

    play(scene)


@pytest.mark.parametrize("name", ["a", "c"])
@pytest.mark.parametrize("ahead_s", [-7.0, 9.0, -1.764e9])
def test_a_member_that_returns_with_a_wrong_clock_takes_the_others(name: str, ahead_s: float):
    """Its name may be the lowest, so that the others follow it as soon as it polls."""

    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        await site.members[name].stop()
        await asyncio.sleep(3)
        await site.start(name, ahead_s=ahead_s)
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        assert site.extra(since) <= 0.05 * DEVICES * (now() - since) / INTERVAL_S

    play(scene)


@pytest.mark.parametrize("ahead_s", [9.0, 12.0])
def test_who_had_a_wrong_clock_at_its_start_is_followed_once_it_has_the_lowest_name(ahead_s: float):
    async def scene(site: Site) -> None:
        await site.start("a", "c")
        await site.start("b", ahead_s=ahead_s)
        await asyncio.sleep(60)
        before = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        since = now()
        await site.members["a"].stop()
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        after = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        assert all(abs(before[key] - after[key]) < 0.06 for key in before)

    play(scene)


@pytest.mark.parametrize("ahead_s", [-7.0, 9.0])
def test_a_member_that_began_without_an_engine_and_with_a_wrong_clock_takes_the_others_once_it_finds_them(ahead_s: float):
    """As one does whose wrong clock shows a certificate that is not valid yet."""

    async def scene(site: Site) -> None:
        await site.start("b", "c")
        await asyncio.sleep(60)
        since = now()
        site.engine.cut = {frozenset(("a",))}
        await site.start("a", ahead_s=ahead_s)
        await asyncio.sleep(13)
        assert site.owners() == {"a": DEVICES, "b": site.owners()["b"], "c": DEVICES - site.owners()["b"]}
        site.engine.heal()
        await asyncio.sleep(60)
        assert site.owners().total() == DEVICES
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    play(scene)


def test_a_member_that_is_killed_and_back_before_it_is_missed_leaves_no_hole():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(60)
        since = now()
        await site.members["b"].kill()
        await asyncio.sleep(4)
        await site.start("b")
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 11

    play(scene)


def test_the_learned_traits_of_a_device_go_with_it():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(30)
        a, b = site.members["a"], site.members["b"]
        moved = next(iter(a.fleet.polled)).id
        a.fleet.devices[moved].traits.max_varbinds = 7
        await asyncio.sleep(61)
        a.fleet.devices[moved].traits.check = b.fleet.devices[moved].traits.check = False
        await a.kill()
        await asyncio.sleep(12)
        assert b.fleet.devices[moved].traits.max_varbinds == 7
        assert b.fleet.devices[moved].traits.check
        assert b.fleet.devices[moved] in b.fleet.polled

    play(scene)


def test_a_member_that_joins_gets_what_the_others_have_learned():
    async def scene(site: Site) -> None:
        await site.start("a")
        await asyncio.sleep(30)
        for device in site.members["a"].fleet.devices.values():
            device.traits.max_varbinds = 7
        await site.start("b")
        polled = site.members["b"].fleet.polled
        assert len(polled) > 10
        assert all(device.traits.max_varbinds == 7 for device in polled)

    play(scene)


def learn(member: Member) -> None:
    """How many varbinds each of its devices can answer: 7."""
    for device in member.fleet.polled:
        device.traits.max_varbinds = 7


@pytest.mark.parametrize("part", [True, False], ids=["one is cut off", "the engine is away"])
def test_traits_learned_while_members_did_not_hear_each_other_are_known_to_all_after_it(part: bool):
    """For less than a silence: nobody counted as lost, and nobody has polled the others' devices."""

    async def scene(site: Site) -> None:
        await site.start("a", "b")
        a, b = site.members["a"], site.members["b"]
        await asyncio.sleep(56)
        if part:
            site.engine.part("a")
        else:
            site.engine.stop()
        learn(a)
        await asyncio.sleep(6)  # a minute after its start it sends what is new
        site.engine.heal()
        await asyncio.sleep(10)
        theirs = [device.id for device in a.fleet.polled]
        assert all(b.fleet.devices[device_id].traits.max_varbinds != 7 for device_id in theirs)
        await a.kill()
        await asyncio.sleep(12)
        assert all(b.fleet.devices[device_id].traits.max_varbinds == 7 for device_id in theirs)

    assert play(scene).count("member of the group is lost, its devices are taken over") == 1


def test_a_member_that_began_without_an_engine_gets_what_the_others_have_learned_too():
    async def scene(site: Site) -> None:
        await site.start("a", "c")
        await asyncio.sleep(30)
        learn(site.members["a"])
        await asyncio.sleep(60)  # each minute it sends what is new, but not to who is not there
        site.engine.cut = {frozenset(("b",))}
        await site.start("b")
        b = site.members["b"]
        await asyncio.sleep(20)
        site.engine.heal()
        await asyncio.sleep(10)
        theirs = {device.id for device in site.members["a"].fleet.polled}
        await site.members["a"].kill()
        await asyncio.sleep(12)
        taken = [device for device in b.fleet.polled if device.id in theirs]
        assert len(taken) > 5
        assert all(device.traits.max_varbinds == 7 for device in taken)

    play(scene)


def test_a_member_that_has_no_configuration_yet_keeps_what_it_hears_of_the_devices():
    async def scene(site: Site) -> None:
        await site.start("a")
        await asyncio.sleep(30)
        learn(site.members["a"])
        b = Member(site, "b", count=0)
        b.group.membership.configure("")
        await asyncio.sleep(3.8)
        b.configure(DEVICES)
        await asyncio.sleep(1)
        assert len(b.fleet.polled) > 10
        assert all(device.traits.max_varbinds == 7 for device in b.fleet.polled)

    play(scene)


def test_who_misses_messages_all_the_time_asks_each_minute():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(60)
        bus, seal = site.engine.buses["a"], Seal("g", lambda: [TOKEN])
        hear, since, asked = bus.hear, now(), 0

        def listen(subject: str, octets: bytes) -> None:
            nonlocal asked
            asked += decode_message(seal.unseal(subject, octets) or b"") == Wanted("b")
            hear(subject, octets)

        bus.hear = listen
        for _ in range(100):
            site.engine.part("a")
            await asyncio.sleep(1.5)
            site.engine.heal()
            await asyncio.sleep(1.5)
        assert 3 <= asked <= (now() - since) / 60 + 1

    play(scene)


def test_while_the_engine_is_away_nothing_is_missed_and_after_a_minute_all_poll_everything():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        site.engine.stop()
        await asyncio.sleep(55)
        assert site.owners().total() == DEVICES
        assert site.extra(since) == 0
        assert site.members["a"].group.away_at is not None
        await asyncio.sleep(10)
        assert site.owners() == dict.fromkeys("abc", DEVICES)
        assert site.members["a"].group.alone_at is not None
        site.engine.heal()
        await asyncio.sleep(2)
        assert site.owners().total() == DEVICES
        assert site.members["a"].group.away_at is None
        assert site.members["a"].group.alone_at is None
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    lines = play(scene)
    assert lines.count("group's engine is away, the share of the devices stays") == 3
    assert lines.count("group's engine is still away, all devices are polled here from now on") == 3
    assert lines.count("group's engine is back") == 3


def test_an_outage_of_the_engine_of_half_a_minute_moves_no_device():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since, owners = now(), site.owners()
        site.engine.stop()
        await asyncio.sleep(30)
        site.engine.heal()
        await asyncio.sleep(60)
        assert site.owners() == owners
        assert site.extra(since) == 0
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    assert "member of the group is lost, its devices are taken over" not in play(scene)


def test_in_a_partition_both_sides_poll_everything_and_share_again_once_it_heals():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        site.engine.part("a")
        await asyncio.sleep(40)
        assert site.owners()["a"] == DEVICES
        assert site.owners()["b"] + site.owners()["c"] == DEVICES
        site.engine.heal()
        await asyncio.sleep(2)
        assert site.owners().total() == DEVICES
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 11 + DEVICES / 200

    play(scene)


def test_a_member_that_loses_its_way_to_the_devices_leaves_them_to_the_others_and_returns():
    async def scene(site: Site) -> None:
        await site.start("a", "b", count=DEVICES)
        await asyncio.sleep(60)
        a = site.members["a"]
        a.sees = False
        await asyncio.sleep(2 * INTERVAL_S + 2)
        assert a.group.membership.presence is Presence.BLIND
        assert site.owners() == {"a": 0, "b": DEVICES}
        states = Counter(None if device.state is None else str(device.state.state) for device in a.fleet.devices.values())
        assert states["down"] == 0, "it has not said of any that it is down"
        assert site.members["b"].counters.by_reason(Count.GROUP_MEMBER_CHANGES)["blind"] == 1
        await asyncio.sleep(60)
        a.sees = True
        await asyncio.sleep(12)
        assert a.group.membership.presence is Presence.READY
        assert site.owners()["a"] > 10
        assert site.owners().total() == DEVICES
        since = now()
        await asyncio.sleep(60)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    lines = play(scene)
    assert lines.count("devices are silent only here, others poll them from now on") == 1
    assert lines.count("devices answer here again, a share of them is polled here again") == 1
    assert "device does not answer, will be probed once each interval" not in lines


def test_a_blind_member_returns_though_the_devices_that_it_asked_are_no_longer_configured():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(60)
        a = site.members["a"]
        a.sees = False
        await asyncio.sleep(2 * INTERVAL_S + 2)
        assert a.group.membership.presence is Presence.BLIND
        a.configure(0)
        await asyncio.sleep(12)
        for member in site.members.values():
            member.configure(DEVICES, first=1000)
        a.sees = True
        await asyncio.sleep(12)
        assert a.group.membership.presence is Presence.READY
        assert site.owners()["a"] > 10

    play(scene)


def test_if_nobody_reaches_the_devices_nobody_is_blind_and_they_are_down():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(60)
        for member in site.members.values():
            member.sees = False
        await asyncio.sleep(4 * INTERVAL_S)
        assert site.owners().total() == DEVICES
        down = [device for member in site.members.values() for device in member.fleet.polled if str(device.state.state) == "down"]  # type: ignore[union-attr]
        assert len(down) == DEVICES

    assert "devices are silent only here, others poll them from now on" not in play(scene)


def test_a_member_with_another_token_polls_everything_and_all_say_so():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await site.start("c", token=Secret("another"))
        await asyncio.sleep(30)
        owners = site.owners()
        assert owners["c"] == DEVICES
        assert owners["a"] + owners["b"] == DEVICES
        assert all(member.counters.get(Count.GROUP_MESSAGES_REFUSED, "another_token") > 10 for member in site.members.values())
        assert all(1 <= member.reread <= 4 for member in site.members.values()), "it may have changed in its file"

    assert play(scene).count("message of the group can't be opened: does an agent have another token?") == 3


def test_another_agent_of_the_same_name_is_said_once():
    async def scene(site: Site) -> None:
        await site.start("a")
        await site.start("a", key="its twin")
        await asyncio.sleep(60)
        assert site.owners() == {"a": DEVICES, "its twin": DEVICES}, "rather twice than not at all"
        assert all(member.counters.get(Count.GROUP_MESSAGES_REFUSED, "same_name") > 10 for member in site.members.values())

    assert play(scene).count("another agent has this member's name: set GROUP_MEMBER") == 2


@pytest.mark.parametrize("is_killed", [True, False])
def test_once_its_twin_has_stopped_a_member_counts_again(is_killed: bool):
    """The operator gives the twin a name of its own, and starts nobody else again."""

    async def scene(site: Site) -> None:
        await site.start("a", "c")
        await site.start("a", key="its twin")
        await asyncio.sleep(60)
        twin = site.members["its twin"]
        await (twin.kill() if is_killed else twin.stop())
        await site.start("b")
        await asyncio.sleep(60)
        since = now()
        await asyncio.sleep(5 * INTERVAL_S)
        assert site.extra(since) == 0, "none is polled twice"
        assert all(10 <= site.owners()[name] <= 30 for name in "abc")

    play(scene)


def test_a_member_with_another_configuration_only_doubles_polls():
    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now()
        site.members["a"].configure(DEVICES + 30)
        await asyncio.sleep(1)
        assert site.members["b"].refreshed == site.members["c"].refreshed == 1, "they are to fetch it too"
        await asyncio.sleep(40)
        assert len(site.members["a"].fleet.polled) == DEVICES + 30, "nobody else has the new ones"
        assert site.owners()["b"] + site.owners()["c"] == DEVICES
        assert site.longest_gap(since) <= INTERVAL_S + 0.1
        for name in "bc":
            site.members[name].configure(DEVICES + 30)
        await asyncio.sleep(2)
        assert site.owners().total() == DEVICES + 30
        await asyncio.sleep(40)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    play(scene)


@pytest.mark.parametrize("after_s", [1, 6, 8, 9])
def test_devices_of_a_member_that_is_killed_with_another_configuration_go_on_within_the_bound(after_s: int):
    """Its share may end because of that before it counts as lost."""

    async def scene(site: Site) -> None:
        await site.start("a", "b", "c")
        await asyncio.sleep(60)
        since = now() - INTERVAL_S
        site.members["a"].configure(DEVICES + 1)
        await asyncio.sleep(after_s)
        await site.members["a"].kill()
        await asyncio.sleep(60)
        assert site.owners().total() == DEVICES
        assert site.longest_gap(since) <= INTERVAL_S + 11 + DEVICES / 200

    play(scene)


@pytest.mark.parametrize("after_s", [n / 24 for n in range(24)])
def test_a_member_that_joins_while_its_clock_already_shows_the_time_of_devices_misses_none(after_s: float):
    """Clocks are nearly the same: to one of the members the time has just been, to the other it would come just after."""

    async def scene(site: Site) -> None:
        await site.start("b", "c")
        await asyncio.sleep(60 + after_s)
        since = now()
        await site.start("a", ahead_s=0.045)
        await asyncio.sleep(2 * INTERVAL_S)
        assert site.longest_gap(since) <= INTERVAL_S + 0.1

    play(scene)


def test_devices_that_only_one_has_are_polled_after_ten_seconds_though_another_one_would_own_them():
    """The other's configuration changes all the time, and never to the same one."""

    async def scene(site: Site) -> None:
        await site.start("a", "b")
        await asyncio.sleep(30)
        site.members["a"].configure(2 * DEVICES)
        since = now()
        for n in range(20):
            site.members["b"].configure(DEVICES - n)
            await asyncio.sleep(0.6)
        polled = {device_id for at, device_id, by in site.polls if at >= since and by == "a"}
        assert {f"d{n}" for n in range(DEVICES, 2 * DEVICES)} <= polled

    play(scene)


def test_a_configuration_that_is_applied_while_learned_traits_are_sent_stops_nothing():
    """That of many devices are several messages, and polls and all else go on between them."""

    async def scene(site: Site) -> None:
        await site.start("a")
        a, bus = site.members["a"], site.engine.buses["a"]
        a.configure(3 * AT_ONCE)
        await asyncio.sleep(30)
        publish, learned = bus.publish, []

        async def publish_and_configure(subject: str, octets: bytes) -> bool:
            if subject == a.group.seat.learned:
                learned.append(octets)
                a.configure(3 * AT_ONCE + len(learned))
            return await publish(subject, octets)

        bus.publish = publish_and_configure  # type: ignore[method-assign]
        await site.start("b")
        assert len(learned) >= 3
        assert not a.tasks[0].done()

    play(scene)


def test_a_member_that_joins_later_has_the_same_configuration_once_it_has_one():
    async def scene(site: Site) -> None:
        await site.start("a", "b")
        Member(site, "c").group.membership.configure("")
        await asyncio.sleep(5)
        site.members["c"].configure(DEVICES)
        await asyncio.sleep(5)
        assert site.owners().total() == DEVICES
        assert [member.refreshed for member in site.members.values()] == [0, 0, 0]

    assert "member has another configuration, fetched again here" not in play(scene)


def test_without_an_engine_a_member_polls_everything_after_ten_seconds():
    async def scene(site: Site) -> None:
        site.engine.cut = {frozenset(("a",))}
        await site.start("a")
        assert site.owners() == {"a": 0}
        await asyncio.sleep(7)
        assert site.owners() == {"a": DEVICES}

    play(scene)


def test_a_member_whose_loop_meets_a_bug_again_and_again_polls_everything_all_the_same():
    """At each message, say: the time for which it has not heard itself goes on while the loop rests."""

    async def fails(_subject: str, _octets: bytes) -> bool:
        raise TypeError("a bug")

    async def main() -> None:
        site = Site()
        member = Member(site, "a")
        member.tasks[0].cancel()
        site.engine.buses["a"].publish = fails  # type: ignore[method-assign]
        member.tasks[0] = asyncio.create_task(go_on("group", member.group.run, member.counters))
        await asyncio.sleep(20)
        assert site.owners() == {"a": DEVICES}
        assert member.counters.get(Count.BUGS, "group") >= 3
        await member.kill()

    with capture_logs():
        virtual_time.run(main())


def test_a_member_whose_loop_starts_again_keeps_its_clock():
    """Its wall clock may have been set meanwhile; the others poll by it."""

    async def scene(site: Site) -> None:
        await site.start("a")
        await site.start("b")
        await asyncio.sleep(60)
        before = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        a = site.members["a"]
        a.tasks[0].cancel()
        a.ahead_s = -1.7e9
        await asyncio.sleep(5)
        a.tasks[0] = asyncio.create_task(a.group.run())
        await asyncio.sleep(60)
        after = {key: times[-1] % INTERVAL_S for key, times in site.times(now() - 25).items()}
        assert all(abs(before[key] - after[key]) < 0.06 for key in before)

    play(scene)


def test_a_heavy_member_polls_more():
    async def scene(site: Site) -> None:
        await site.start("a", weight=4.0)
        await site.start("b", weight=1.0)
        assert site.owners()["a"] > 2 * site.owners()["b"]

    play(scene)


@pytest.mark.parametrize("peers", [0, 1])
def test_only_a_member_with_peers_says_goodbye_at_length(peers: int):
    async def scene(site: Site) -> None:
        await site.start("a", *"b" * peers)
        await asyncio.sleep(30)
        began = now()
        await site.members["a"].stop()
        assert (now() - began > 0.4) == bool(peers)

    play(scene)
