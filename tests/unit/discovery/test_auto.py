"""Devices of a running agent that have `profile: auto`: discovered when they are due, and what was found is handed on."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from support import devices
from support.mib import IFX, FewValues, port
from support.virtual_time import run
from towerops_agent.counters import Count, Counters
from towerops_agent.discovery.auto import AutoDiscovery
from towerops_agent.discovery.course.renewal import EACH_S, KEPT_S, SETTLED_S, SPREAD_S
from towerops_agent.discovery.library import Library
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.device import Device
from towerops_agent.reasons import Reason
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.site.document.auto import AutoDevice
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Request

START_S = 1_800_000_000.0
A_DAY_S = EACH_S + SPREAD_S


class World:
    """One device, the fleet that polls it, and the buffer's kept values. `asked`: when it was asked, in the loop's time."""

    def __init__(self) -> None:
        self.answers = FewValues(port(1, "ether1") | port(2, "ether2") | {f"{IFX}.18.1": "uplink"})
        self.is_silent = False
        self.asked: list[float] = []
        self.kept: dict[str, bytes] = {}
        self.counters = Counters()
        self.device = devices.device(host="192.0.2.1")
        self.device.peer = ("192.0.2.1", 161)
        self.device.state = DeviceState(State.UP, "", 0)
        self.device.traits.answers = True
        self.devices = {self.device.id: self.device}
        self.is_polled = True
        self.fleet: World | Fleet = self
        self.discovery = self.made()

    def made(self) -> AutoDiscovery:
        async def no_profiles() -> Library:
            return Library()

        made = AutoDiscovery(
            *(self, self, self.counters),
            fleet=lambda: self.fleet,
            profiles=no_profiles,
            sleep=self.sleep_as_it_is_now,
            now_s=lambda: START_S + asyncio.get_running_loop().time(),
        )
        made.want([AutoDevice(self.device.id, "one", "192.0.2.1", 161)])
        return made

    async def sleep_as_it_is_now(self, seconds: float) -> None:
        await self.sleep(seconds)  # a test may have put another one in its place

    async def sleep(self, seconds: float) -> None:
        """After an hour a minute at least: weeks pass here."""
        await asyncio.sleep(seconds if asyncio.get_running_loop().time() < 5000 else max(seconds, 60.0))

    async def ask(self, peer: object, security: object, request: Request, timeouts_s: object, **_: object) -> Answer:
        self.asked.append(asyncio.get_running_loop().time())
        assert not self.is_polled, "it is asked while it is polled"
        return NoReply(Reason.TIMEOUT, 2) if self.is_silent else self.answers.answer(request)

    @asynccontextmanager
    async def without_polls(self, device_id: str) -> AsyncIterator[None]:
        assert device_id == self.device.id
        self.is_polled = False
        yield
        self.is_polled = True

    @property
    def polled(self) -> list[Device]:
        return list(self.devices.values())

    async def get_meta(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def put_meta(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    @property
    def interfaces(self) -> list[tuple[str, int]]:
        known = self.discovery.known.get(self.device.id)
        return [(each.get("if_name", ""), each["if_index"]) for each in known.interfaces] if known else []


class Nothing:
    """Another member polls each device."""

    def owns(self, _device_id: str) -> bool:
        return False

    def doubts(self) -> bool:
        return False


def during(story: Callable[[World], Awaitable[None]]) -> World:
    """Run the story while the loop of discovery runs."""

    async def main() -> World:
        world = World()
        loop = asyncio.create_task(world.discovery.run())
        await story(world)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        return world

    return run(main())


def test_a_device_is_discovered_once_it_answers_and_then_each_day():
    """Interfaces by their names, wherever they are; nothing is asked in between."""

    async def story(world: World) -> None:
        world.device.state = None
        await asyncio.sleep(60)
        assert world.asked == []
        world.device.state = DeviceState(State.UP, "", 0)
        await asyncio.sleep(5)
        first = len(world.asked)
        assert world.interfaces == [("ether1", 0), ("ether2", 0)]
        assert [each["seen_at"] for each in world.discovery.known[world.device.id].interfaces] == [1, 2]
        assert world.discovery.revision == 1
        await asyncio.sleep(EACH_S - SPREAD_S)
        assert len(world.asked) == first > 0
        await asyncio.sleep(2 * SPREAD_S)
        assert len(world.asked) == 2 * first
        assert world.discovery.revision == 1, "nothing has changed"

    with capture_logs() as lines:
        world = during(story)
    assert [line["event"] for line in lines] == ["device is discovered"]
    assert world.counters.by_reason(Count.DISCOVERIES) == {"complete": 2}


def test_after_a_restart_and_a_change_of_its_interfaces_it_is_discovered_again():
    async def story(world: World) -> None:
        await asyncio.sleep(5)
        count = len(world.asked)
        world.device.traits.last_change = 1_000_000_000
        await asyncio.sleep(10 * SETTLED_S)
        assert len(world.asked) == count, "it was not known before"
        for change in ("starts", "last_change"):
            setattr(world.device.traits, change, 2_000_000_000)
            await asyncio.sleep(SETTLED_S - 5)
            assert len(world.asked) == count
            await asyncio.sleep(10)
            assert len(world.asked) > count
            count = len(world.asked)
            await asyncio.sleep(10 * SETTLED_S)
            assert len(world.asked) == count

    during(story)


def test_a_device_that_has_restarted_while_the_agent_was_down_is_discovered_again():
    """A power cut restarts both: the rows of its tables may have moved, and with them what its sensors mean."""

    async def story(world: World) -> None:
        await asyncio.sleep(5)
        count = len(world.asked)
        world.discovery = world.made()  # the agent starts again
        await world.discovery.restore()
        world.device.traits.starts = 1  # as its first poll has found
        loop = asyncio.create_task(world.discovery.run())
        await asyncio.sleep(SETTLED_S - 5)
        assert len(world.asked) == count
        await asyncio.sleep(10)
        assert len(world.asked) > count
        loop.cancel()

    during(story)


def test_what_is_gone_is_polled_for_seven_days():
    async def story(world: World) -> None:
        await asyncio.sleep(5)
        world.answers = FewValues(port(1, "ether1"))
        await asyncio.sleep(A_DAY_S)
        assert world.interfaces == [("ether1", 0), ("ether2", 0)]
        assert world.discovery.view.gone == 1
        await asyncio.sleep(KEPT_S - 2 * A_DAY_S)
        assert world.interfaces == [("ether1", 0), ("ether2", 0)]
        await asyncio.sleep(3 * A_DAY_S)
        assert world.interfaces == [("ether1", 0)]

    during(story)


def test_a_device_that_falls_silent_is_tried_later_and_later_and_loses_nothing():
    async def story(world: World) -> None:
        await asyncio.sleep(5)
        world.is_silent = True
        before = len(world.asked)
        await asyncio.sleep(2 * A_DAY_S)
        assert 10 < len(world.asked) - before < 60
        assert world.interfaces == [("ether1", 0), ("ether2", 0)]
        assert [name for name, _ in world.discovery.view.troubles] == ["one"]
        world.is_silent = False
        await asyncio.sleep(3600)
        assert world.discovery.view.troubles == []

    with capture_logs() as lines:
        world = during(story)
    assert [line["event"] for line in lines].count("device is not discovered, it does not answer") == 1
    assert world.counters.get(Count.DISCOVERIES, "silent") > 10


def test_what_was_found_is_known_after_a_restart_of_the_agent():
    async def story(world: World) -> None:
        await asyncio.sleep(5)
        again = world.made()
        await again.restore()
        assert again.known == world.discovery.known
        assert again.revision == 1
        world.kept["discovered"] = b"{"
        broken = world.made()
        await broken.restore()
        assert broken.known == {}

    with capture_logs() as lines:
        during(story)
    assert lines[-1]["event"] == "what was discovered earlier can't be read, it is discovered again"


def test_a_device_that_is_not_wanted_any_more_is_not_asked_and_not_kept():
    async def story(world: World) -> None:
        await asyncio.sleep(5)
        world.discovery.want([])
        count = len(world.asked)
        await asyncio.sleep(2 * A_DAY_S)
        assert len(world.asked) == count
        assert world.discovery.view.devices == 0

    during(story)


@pytest.mark.parametrize("answers", [True, False])
def test_a_device_whose_polls_are_not_answered_is_left_to_the_fleet(answers: bool):
    async def story(world: World) -> None:
        world.device.traits.answers = answers
        await asyncio.sleep(60)
        assert bool(world.asked) is answers

    during(story)


def test_a_bug_costs_one_device_its_discovery_and_is_reported():
    async def story(world: World) -> None:
        world.answers = None  # type: ignore[assignment]  # the bug
        await asyncio.sleep(5)
        assert world.discovery.view.troubles == [("one", "a bug in the agent, see the log")]

    with capture_logs() as lines:
        world = during(story)
    assert lines[0]["event"] == "discovery failed because of a bug; please report it"
    assert world.counters.get(Count.BUGS, "discovery") == 1


def test_a_discovery_without_memory_is_tried_again_and_not_a_bug(monkeypatch):
    def no_memory(*_: object) -> None:
        raise MemoryError

    async def story(world: World) -> None:
        monkeypatch.setattr("towerops_agent.discovery.auto.discover", no_memory)
        await asyncio.sleep(5)
        assert world.discovery.view.troubles == [("one", "the agent had no memory for it")]

    with capture_logs() as lines:
        world = during(story)
    assert lines[0]["event"] == "no memory to discover a device, tried again later"
    assert "exc_info" not in lines[0]
    assert world.counters.total(Count.BUGS) == 0


def test_a_device_that_is_removed_at_the_moment_at_which_it_is_due_costs_the_others_nothing():
    async def story(world: World) -> None:
        discovery = world.discovery

        async def sleep(_: float) -> None:
            """What was due has been begun, and has not run yet."""
            world.devices.clear()
            await asyncio.Event().wait()

        world.sleep = sleep  # between two steps of the loop
        await asyncio.sleep(5)
        assert discovery.view.troubles == []
        assert world.interfaces == [("ether1", 0), ("ether2", 0)]

    during(story)


def test_a_device_that_another_member_of_the_group_polls_by_now_is_not_asked():
    """Though it has answered here before."""

    async def main() -> None:
        world = World()
        fleet = Fleet(None, Counters(), lambda _: None, now_us=lambda: 0)  # type: ignore[arg-type]  # it does not run
        fleet.replace(world.devices.values())
        fleet.ownership = Nothing()
        fleet.share(lambda _: math.inf)
        world.fleet = fleet
        loop = asyncio.create_task(world.discovery.run())
        await asyncio.sleep(60)
        assert world.asked == []
        assert world.device.state is not None
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)

    run(main())
