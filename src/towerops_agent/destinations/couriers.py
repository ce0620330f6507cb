"""All destinations: a courier for each, so that none waits for another.

    destinations of the configuration -> a line in the buffer, labels beside the polls, a courier -> receiver

Each destination has its own place in what is stored (buffer/lanes.py), and its own task: one that is down, slow or refuses
everything is behind by itself. A bug in one courier restarts that one.
I/O: the buffer, tasks, the log. Seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import TYPE_CHECKING, Final

import structlog

from towerops_agent import clocks
from towerops_agent.api.wire.outcomes import Availability, Certificate
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import ConfigText
from towerops_agent.counters import Counters
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.courier import RemoteCourier, WriteClient, rest
from towerops_agent.destinations.heads import Heads, LayoutsOf
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_agent.loops import go_on
from towerops_agent.site.document.destination import Destination

if TYPE_CHECKING:
    from towerops_agent.delivery.course.backlog import Backlog

log = structlog.get_logger()

LOOK_EACH_S: Final = 5.0
"""How often the loop moves if nothing changes."""

LEARNED_WITHIN_S: Final = 600.0
"""How long it may take to learn all labels again: a minute for each destination of 10,000 devices, and more on a slow machine."""

Sleep = Callable[[float], Awaitable[None]]


async def _nothing() -> None:
    pass


class Couriers:
    """Delivers to the destinations of the last `use`; none: to nobody, and what is read stays in the buffer for a day.

    `beside`: lines of the buffer that others deliver. `latest`: the destinations as they are now, by the same names:
    another URL or secret is in use at once. `sleeper`: returns the sleep of the loop with this name, `moved` what the loop
    calls at each step beside, and `forget` ends it. `learn_again` has `learn` called with the configuration in use, soon.
    `dealings`: whether each destination accepts metrics, by the operator's name of it, at any time.
    `time_us`: the time that polls get now.
    """

    def __init__(
        self,
        buffer: Buffer,
        counters: Counters,
        *,
        loop: str,
        sleeper: Callable[[str], Sleep],
        forget: Callable[[str], None],
        moved: Callable[[str], Callable[[float], None]] = lambda _loop: lambda _again_within_s: None,
        beside: Sequence[str] = (),
        latest: Callable[[], Iterable[Destination]] | None = None,
        learn_again: Callable[[], Awaitable[None]] = _nothing,
        client: Callable[[Destination], AbstractAsyncContextManager[WriteClient]] = DestinationClient,
        time_us: Callable[[], int] = clocks.wall_us,
    ) -> None:
        self._buffer = buffer
        self._counters = counters
        self._sleep = sleeper(loop)
        self._move = moved(loop)
        self._sleeper = sleeper
        self._forget = forget
        self._moved = moved
        self._beside = tuple(beside)
        self._latest = latest or self._used
        self._client = client
        self._time_us = time_us
        self._learn_again = learn_again
        self._heads = Heads(buffer)
        self._destinations: dict[str, Destination] = {}
        self._changed = asyncio.Event()
        self.couriers: dict[str, RemoteCourier] = {}
        self.dealings: dict[str, Availability] = {}
        self.backlog: Backlog | None = None  # all that is pending for a destination is one line

    @property
    def availability(self) -> Availability:
        """Of the destination that fails for the longest; of the first one if all work."""
        every = [courier.availability for courier in self.couriers.values()] or [Availability()]
        return min(every, key=lambda one: (one.works is not False, one.since_us or 0))

    @property
    def delivers(self) -> bool:
        """Whether there is a destination."""
        return bool(self._destinations)

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the buffer that are delivered; without a destination the one that nobody is given."""
        return tuple(self._destinations) or ("",)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return sum(courier.in_flight for courier in self.couriers.values())

    @property
    def is_behind(self) -> bool:
        """Whether none of the destinations that work gets what is pending in time: one that is slow is late by itself."""
        working = [courier for courier in self.couriers.values() if courier.availability.works]
        return bool(working) and all(courier.is_behind for courier in working)

    @property
    def certificates(self) -> list[Certificate]:
        """Those in use, of all destinations."""
        return [one for name, courier in self.couriers.items() for one in courier.certificates(_dealing(name))]

    async def use(self, destinations: Iterable[Destination]) -> None:
        """Deliver to these from now on; their names differ. Their labels are to be learned. Raises BufferFailure."""
        wanted = {one.name: one for one in destinations}
        if wanted.keys() != self._destinations.keys() or not self.couriers:
            await self._buffer.line_up([*self._beside, *wanted] or [""])
        self._destinations = wanted
        for name in self.couriers.keys() - wanted.keys():
            del self.couriers[name], self.dealings[_dealing(name)]
            self._forget(_loop(name))  # one that runs leaves another mark perhaps, until `run` has ended it
        for name in wanted:
            if name not in self.couriers:
                courier = self.couriers[name] = self._new(name)
                self.dealings[_dealing(name)] = courier.availability
        self._changed.set()

    def _used(self) -> Iterable[Destination]:
        return self._destinations.values()

    async def learn(self, config: ConfigText, layouts: LayoutsOf) -> None:
        """Keep the labels of these devices for the destinations in use. Raises BufferFailure."""
        await self._heads.learn(config, list(self._destinations.values()), layouts)

    def _new(self, name: str) -> RemoteCourier:
        return RemoteCourier(
            self._buffer,
            self._heads,
            self._counters,
            line=name,
            destination=lambda: next((one for one in self._latest() if one.name == name), None),
            client=self._client,
            sleep=self._sleeper(_loop(name)),
            moved=self._moved(_loop(name)),
            time_us=self._time_us,
        )

    def reread_certificates(self) -> None:
        """Use the current certificate files of all destinations.

        Raises SettingsError if one can't be used: that destination's stay in use as they are then.
        """
        wrong = []
        for name, courier in self.couriers.items():
            try:
                courier.reread_certificates()
            except SettingsError as error:
                wrong.append(f"destination {name}: {error}")
        if wrong:
            raise SettingsError("; ".join(wrong))

    def forget_layouts(self) -> None:
        """The buffer has lost its layouts, and they get new ids."""
        self._heads.forget()

    async def wait(self, event: asyncio.Event) -> None:
        """Return once it is set: before `run`, of which all loops move meanwhile."""
        while not event.is_set():
            for name in self.couriers:
                self._moved(_loop(name))(LOOK_EACH_S)
            await rest(self._sleep(LOOK_EACH_S), event)

    async def run(self) -> None:
        """Deliver, for good. Raises MemoryError if a courier could not go on for lack of memory."""
        tasks: dict[str, tuple[RemoteCourier, asyncio.Task[None]]] = {}
        try:
            while True:
                self._changed.clear()
                for name, (courier, task) in list(tasks.items()):
                    if self.couriers.get(name) is not courier:  # gone, or gone and named again since the last look
                        del tasks[name]
                        await _ended(task)
                        if name not in self.couriers:  # else it is the mark of the new one
                            self._forget(_loop(name))
                    elif task.done():
                        task.result()
                for name, courier in self.couriers.items():
                    if name not in tasks:
                        tasks[name] = courier, asyncio.create_task(go_on(_loop(name), courier.run, self._counters))
                if self._heads.lost.is_set():
                    await self._find_labels()
                await rest(self._sleep(LOOK_EACH_S), self._changed)
        finally:
            for _, task in tasks.values():
                await _ended(task)

    async def _find_labels(self) -> None:
        log.warning("labels in the database are damaged, they are learned again")
        self._heads.lost.clear()
        self._move(LEARNED_WITHIN_S)
        try:
            await self._learn_again()
        except BufferFailure as error:
            self._heads.lost.set()
            log.warning("labels could not be learned, will retry", reason=str(error), retry_in_s=LOOK_EACH_S)

    def hurry(self) -> None:
        """Deliver soon, and not only at the next turn: a device's state has changed."""
        for courier in self.couriers.values():
            courier.hurry()

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:
        """Whether all that is pending was delivered to all; False once one has failed so many times in a row."""
        every = [courier.deliver_pending(attempts, within_s) for courier in self.couriers.values()]
        return all(await together(*every))

    async def retry_refused(self) -> int:
        """How many refused metrics were delivered after all: none, as they are too old by now."""
        return 0


async def together(*deliveries: Awaitable[bool]) -> list[bool]:
    """What each returned, once all have ended. Raises what one of them raised."""
    outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, bool)]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _loop(name: str) -> str:
    return f"delivery to {name}"


def _dealing(name: str) -> str:
    return f"destination {name}"
