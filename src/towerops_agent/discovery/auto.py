"""The devices of the site files that have `profile: auto`, discovered by a running agent, again and again.

The site's source says which they are and takes what was found; the fleet's devices are asked, while they are not polled. What was
found is in the database, so that a restart polls it at once. I/O: SNMP, the buffer's kept values, the log, the clock. Seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import structlog

from towerops_agent import __version__
from towerops_agent.counters import Count, Counters
from towerops_agent.discovery.course.course import discover
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.course.profile import Profile
from towerops_agent.discovery.course.renewal import KeptDevice, Signs, failed, is_due, renewed
from towerops_agent.discovery.kept import KEY, decode_known
from towerops_agent.discovery.library import Library
from towerops_agent.discovery.reading import read_rest
from towerops_agent.discovery.report.equipment import port_object, sensor_object
from towerops_agent.discovery.report.summary import left_out_texts, what_it_is
from towerops_agent.errors import BufferFailure, is_out_of_memory
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.traits import USELESS
from towerops_agent.site.document.auto import SEEN_AT, AutoDevice
from towerops_agent.site.document.nodes import Problem  # noqa: TC001 - as all others
from towerops_agent.snmp.session import Asker, Session
from towerops_agent.snmp.wire.exchange import NoReply

LOOK_EACH_S: Final = 2.0
AT_ONCE: Final = 8
MOST_TROUBLES: Final = 20
PROFILES_EACH_S: Final = 3_600.0
TIMEOUTS_S: Final = (1.0, 2.0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DiscoveryView:
    """`devices`: how many are to be discovered; `found`: how many were, the longest ago at `oldest_us`.

    `gone`: how many of their sensors and interfaces are not there any more, and are still polled. `troubles`: the first devices
    whose last discovery failed, and why.
    """

    devices: int
    found: int
    oldest_us: int | None
    gone: int
    troubles: list[tuple[str, str]]


class PolledDevices(Protocol):
    """The part of the fleet that is needed."""

    @property
    def polled(self) -> Collection[Device]: ...  # noqa: D102

    def without_polls(self, device_id: str) -> AbstractAsyncContextManager[None]: ...  # noqa: D102


class KeptValues(Protocol):
    """The part of the buffer that is needed."""

    async def get_meta(self, key: str) -> bytes | None: ...  # noqa: D102

    async def put_meta(self, key: str, value: bytes) -> None: ...  # noqa: D102


class AutoDiscovery:
    """`known`: what was found of each device, by its id; `revision` grows with each change of it."""

    def __init__(
        self,
        client: Asker,
        memory: KeptValues,
        counters: Counters,
        *,
        fleet: Callable[[], PolledDevices],
        profiles: Callable[[], Awaitable[Library]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`profiles` are read when the first device is discovered, and again for the first one an hour later."""
        self._client = client
        self._memory = memory
        self._counters = counters
        self._fleet = fleet
        self._read_profiles = profiles
        self._library: Library | None = None
        self._read_at_s = 0.0
        self._complained: set[Problem] = set()
        self._sleep = sleep
        self._now_s = now_s
        self._wanted: dict[str, AutoDevice] = {}
        self._signs: dict[str, Signs] = {}
        self._changed_at_s: dict[str, float] = {}
        self._under_way: set[str] = set()
        self.known: dict[str, KeptDevice] = {}
        self.revision = 0

    def want(self, devices: Iterable[AutoDevice]) -> None:
        """Discover exactly these from now on."""
        self._wanted = {device.id: device for device in devices}

    @property
    def wanted(self) -> Mapping[str, AutoDevice]:
        """The devices that are discovered, by id."""
        return self._wanted

    @property
    def view(self) -> DiscoveryView:
        """What it has come to, for `status`."""
        known = {each: self.known.get(each, KeptDevice()) for each in self._wanted}
        found = [kept for kept in known.values() if kept.at_s]
        return DiscoveryView(
            devices=len(known),
            found=len(found),
            oldest_us=round(min(kept.at_s for kept in found) * 1e6) if found else None,
            gone=sum(len(kept.gone) for kept in found),
            troubles=[(self._wanted[each].name, kept.trouble) for each, kept in known.items() if kept.failures][:MOST_TROUBLES],
        )

    async def restore(self) -> None:
        """Use what an earlier run found. Raises BufferFailure."""
        octets = await self._memory.get_meta(KEY)
        if octets is None:
            return
        try:
            self.known = decode_known(octets)
        except msgspec.MsgspecError as error:
            log.warning("what was discovered earlier can't be read, it is discovered again", reason=str(error))
        self.revision += 1

    async def run(self) -> None:
        """Discover each device when it is due, for good."""
        self._under_way.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                for device in self._due():
                    self._under_way.add(device.id)
                    group.create_task(self._discover(device, self._wanted[device.id]))
                await self._sleep(LOOK_EACH_S)

    def _due(self) -> list[Device]:
        now_s, devices = self._now_s(), {device.id: device for device in self._fleet().polled}
        due = []
        for device_id in self._wanted:
            device = devices.get(device_id)
            if device is None or device_id in self._under_way or device.state is None or not device.traits.answers:
                continue  # it is polled by another member, or not yet; or its last poll was not answered: the fleet looks for it
            self._look_at(device, now_s)
            kept = self.known.get(device_id, KeptDevice())
            if is_due(device_id, kept, self._changed_at_s.get(device_id), now_s, __version__):
                due.append(device)
        return due[: max(AT_ONCE - len(self._under_way), 0)]

    def _look_at(self, device: Device, now_s: float) -> None:
        """Note whether the device has restarted, or its interfaces have changed, since it was discovered, or last looked at.

        A restart while the agent was down is found in the first poll, before the device is looked at.
        """
        signs, before = _signs_of(device), self._signs.get(device.id, Signs())
        if signs.differs_from(before):
            self._changed_at_s[device.id] = now_s
        self._signs[device.id] = signs.after(before)

    async def _discover(self, device: Device, wanted: AutoDevice) -> None:
        device_id = wanted.id
        try:
            self._changed_at_s.pop(device_id, None)
            async with self._fleet().without_polls(device_id):
                found = await self._ask(device)
            self._note(wanted, device, found)
            await self._memory.put_meta(
                KEY, msgspec.json.encode({each: self.known[each] for each in self._wanted if each in self.known})
            )
        except BufferFailure as error:
            log.warning("what was discovered can't be stored", device=device.name, address=device.address, error=str(error))
        except Exception as error:
            if is_out_of_memory(error):
                why = "the agent had no memory for it"
                log.error("no memory to discover a device, tried again later", device=device.name, address=device.address)
            else:
                why = "a bug in the agent, see the log"
                self._counters.add(Count.BUGS, "discovery")
                log.exception("discovery failed because of a bug; please report it", device=device.name, address=device.address)
            self.known[device_id] = failed(self.known.get(device_id, KeptDevice()), why, self._now_s())
        finally:
            self._under_way.discard(device_id)

    async def _ask(self, device: Device) -> Discovery | NoReply:
        """What the device is; why it does not answer, if it does not answer the first request."""
        assert device.peer is not None  # noqa: S101 - else it is not due
        session = Session(
            *(self._client, device.peer, device.security),
            over_tcp=device.over_tcp,
            from_any=device.traits.any_address,
            timeouts_s=TIMEOUTS_S,
        )
        course = discover(device.security.version, await self._profiles())
        answer = await session.ask(next(course))
        return answer if isinstance(answer, NoReply) else await read_rest(session, course, answer)

    async def _profiles(self) -> list[Profile]:
        """The profiles; what is wrong with them is logged once."""
        now_s = self._now_s()
        if self._library is None or not 0 <= now_s - self._read_at_s < PROFILES_EACH_S:
            self._read_at_s = now_s
            self._library = await self._read_profiles()
            for problem in self._library.problems:
                if problem not in self._complained:
                    log.warning("profile has a mistake", place=str(problem.place), reason=problem.text)
            self._complained = set(self._library.problems)
        return list(self._library.profiles.values())

    def _note(self, wanted: AutoDevice, device: Device, found: Discovery | NoReply) -> None:
        before = self.known.get(wanted.id, KeptDevice())
        line = log.bind(device=device.name, address=device.address)
        if isinstance(found, NoReply):
            self._counters.add(Count.DISCOVERIES, "silent")
            if not before.failures:
                line.warning("device is not discovered, it does not answer", reason=found.reason)
            self.known[wanted.id] = failed(before, found.reason.text, self._now_s())
            return
        self._counters.add(Count.DISCOVERIES, "cut_short" if found.broken else "complete")
        sensors = [sensor_object(sensor, wanted.host, wanted.port) for sensor in found.sensors]
        interfaces = [_by_name(port_object(port, wanted.host, wanted.port)) for port in found.ports]
        now = renewed(
            *(before, self._now_s()),
            sensors=sensors,
            interfaces=interfaces,
            what=what_it_is(found),
            left_out=left_out_texts(found),
            broken=found.broken,
            again=found.again,
            by=__version__,
        )
        self.known[wanted.id] = now
        if (now.sensors, now.interfaces) != (before.sensors, before.interfaces):
            self.revision += 1
            line.info(
                "device is discovered",
                what=now.what,
                sensors=len(now.sensors),
                interfaces=len(now.interfaces),
                gone=len(now.gone),
                left_out=len(found.left_out),
                requests=found.requests,
            )
        if found.broken:
            line.warning("discovery was cut short, what is known is kept", reason=found.broken)


def _by_name(interface: dict[str, object]) -> dict[str, object]:
    """Wherever its name is, if it has one: then a moved index changes nothing of the configuration."""
    return interface | {"if_index": 0, SEEN_AT: interface["if_index"]} if interface.get("if_name") else interface


def _signs_of(device: Device) -> Signs:
    traits = device.traits
    return Signs(traits.starts, None if traits.last_change in (None, USELESS) else traits.last_change)
