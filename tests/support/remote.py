"""A remote courier between a real buffer and a receiver: polls go in, requests are counted. It does not wait in its pauses."""

import asyncio
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from towerops_agent.api.wire.outcomes import Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.counters import Counters
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.courier import RemoteCourier
from towerops_agent.destinations.heads import Heads
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.answers import WriteOutcome
from towerops_agent.model import Layout, LayoutKind, Poll
from towerops_agent.polling.course.device import layout_of
from towerops_agent.site.document.destination import Destination
from towerops_agent.site.document.site import compile_site

SENSORS = 5


def site_of(devices: int, sensors: int = SENSORS, interfaces: int = 0) -> ConfigText:
    items = ", ".join(f"{{name: s{n}, oid: 1.3.6.1.4.1.9.{n}}}" for n in range(sensors))
    names = ", ".join(f"ether{n}" for n in range(interfaces))
    lines = [
        f"  - {{address: 10.0.{n >> 8}.{n & 255}, name: d{n}, sensors: [{items}], interfaces: [{names}]}}" for n in range(devices)
    ]
    config = compile_site([("a.yaml", "\n".join(["devices:", *lines]).encode())], lambda *_: "").config
    assert config is not None
    return config


class Recording(DestinationClient):
    """Notes each outcome; `lose`: how many answers are lost on the way back, although the receiver has the request."""

    outcomes: list[WriteOutcome]
    lose: list[int]
    remote: "Remote"

    async def send(self, body: bytes) -> WriteOutcome:
        self.remote.before_each()
        outcome = await super().send(body)
        self.outcomes.append(outcome)
        if self.lose[0] and body != KINDS[self._destination.kind].pack([]).body:  # not the empty request for the time
            self.lose[0] -= 1
            return self.remote.lost
        return outcome


def digests_of(config: ConfigText) -> list[bytes]:
    """Of each device's part of the configuration."""
    return [digest for digest, _ in read_config(config).equipment]


class Remote:
    """`outcomes`: of all requests so far; `before_each` is called before one. `layouts`: the ids of the devices' layouts.

    `lost`: what the courier gets in place of an answer that is lost.
    """

    def __init__(
        self,
        database: Path,
        url: str,
        devices: int = 3,
        sensors: int = SENSORS,
        max_metrics: int = 2000,
        interfaces: int = 0,
        **destination,
    ) -> None:
        self.counters = Counters()
        self.outcomes: list[WriteOutcome] = []
        self.lose = [0]
        self.lost = Unavailable("the answer was lost")
        self.pauses: list[float] = []
        self.now_s = 1000.0
        self.before_each = lambda: None
        self.pause = lambda seconds: asyncio.sleep(0)
        self.config = site_of(devices, sensors, interfaces)
        self.sensors = sensors
        self.layouts: list[int] = []
        self.buffer = Buffer(database, self.counters, clock_us=lambda: time.time_ns() // 1000, commit_window_s=0.0)
        self.client = None  # in place of one that speaks HTTP
        self.destination: Destination | None = Destination("test", url, max_metrics=max_metrics, **destination)
        self.heads = Heads(self.buffer)
        self.courier = self.new_courier()

    def new_courier(self) -> RemoteCourier:
        """As after a restart."""
        return RemoteCourier(
            self.buffer,
            self.heads,
            self.counters,
            line="test",
            destination=lambda: self.destination,
            client=self._client,
            sleep=self._pause,
            jitter=lambda: 0.5,
            monotonic_s=lambda: self.now_s,
        )

    def _client(self, destination: Destination):
        if self.client is not None:
            return self.client
        client = Recording(destination)
        client.outcomes, client.lose, client.remote = self.outcomes, self.lose, self
        return client

    @property
    def destinations(self) -> list[Destination]:
        return [] if self.destination is None else [self.destination]

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.pause(seconds)

    async def __aenter__(self) -> Self:
        await self.buffer.__aenter__()
        await self.buffer.line_up(["test"])
        equipment = [one for _, one in read_config(self.config).equipment]
        self.layouts = await self.buffer.register_all([layout_of(one) for one in equipment])
        parts = digests_of(self.config)
        await self.heads.learn(
            self.config, self.destinations, {one: (layout,) for one, layout in zip(parts, self.layouts, strict=True)}
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.buffer.__aexit__(kind, error, trace)

    async def register_states(self) -> list[int]:
        """The ids of layouts for the states of the devices, whose labels are known then."""
        ids = [msgspec.json.decode(text)["id"] for text in self.config.items()]
        states = await self.buffer.register_all([Layout(one, kind=LayoutKind.STATE) for one in ids])
        parts = digests_of(self.config)
        layouts = {one: (layout, state) for one, layout, state in zip(parts, self.layouts, states, strict=True)}
        await self.heads.learn(self.config, self.destinations, layouts)
        return states

    def add(self, device: int, at_s: float, value: float) -> None:
        """A poll of the device, whose sensors read value, value + 1, ..."""
        values = tuple(value + n for n in range(self.sensors))
        self.buffer.add(Poll(self.layouts[device], round(at_s * 1e6), values, ((self.sensors, 0),), self.sensors))

    async def deliver(self, attempts: int = 1) -> bool:
        await self.buffer.flush()
        return await self.courier.deliver_pending(attempts)
