"""Where the configuration comes from and where values go: the Towerops API, or site files and the destination that they name.

An Upstream is one of the two. agent.py constructs it, asks its `source` for configurations and runs its courier and its loops.
The site's imports are lazy: an agent of the API needs neither YAML nor a destination's encoder.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import ClassVar, Final

import structlog

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ANSWER_WITHIN_S, ApiClient
from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config import sealing
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.text import ConfigText
from towerops_agent.config.kept import without_secrets
from towerops_agent.config.sync import ConfigSource
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier, Delivery
from towerops_agent.delivery.heartbeat import HeartbeatLoop
from towerops_agent.errors import InvalidConfig
from towerops_agent.settings import Settings
from towerops_agent.telemetry.observer import Marks

log = structlog.get_logger()

FIRST_DELIVERY_AFTER_S: Final = 0.5
"""How long after the first poll the first delivery begins: by then 100 devices have been polled."""


class Upstream(ABC):
    """What the agent needs of either."""

    marks: ClassVar[tuple[str, ...]] = ()
    """The marks of `loops`."""
    source_name: ClassVar[str]
    """What the configuration comes from, for the operator."""

    source: ConfigSource
    refresh_s: float
    courier: Delivery
    dealings: Mapping[str, Availability]
    """What is heard of each peer but the source, by the operator's name of it."""
    loops: Mapping[str, Callable[[], Awaitable[None]]]
    """What runs beside the courier, by the name of its mark."""

    @abstractmethod
    async def kept(self) -> ConfigText | None:
        """The configuration for a start without the source. Raises InvalidConfig if it can't be read."""

    @abstractmethod
    async def keep(self, config: ConfigText) -> None:
        """Keep the applied configuration. Raises BufferFailure."""

    async def open(self, parts: AsyncExitStack) -> None:  # noqa: B027 -- nothing is open for long by default, and so on
        """Open what has to be closed. Raises SettingsError if it can't begin."""

    async def reread_certificates(self) -> None:  # noqa: B027
        """Read the certificates' files again. Raises SettingsError if one can't be used; the previous ones stay in use then."""

    def forget_layouts(self) -> None:  # noqa: B027
        """The buffer has lost its layouts, and they get new ids."""

    def send_heartbeat_if(self, wanted: Callable[[], bool]) -> None:  # noqa: B027
        """Send heartbeats only while `wanted` says so: of a group, one member does."""


class ApiUpstream(Upstream):
    """The Towerops API: configuration, metrics, heartbeat."""

    marks = ("heartbeat",)
    source_name = "configuration"

    def __init__(
        self,
        settings: Settings,
        token: TokenSource,
        buffer: Buffer,
        counters: Counters,
        marks: Marks,
        *,
        accepts: Callable[[], Accepts],
    ) -> None:
        self._token = token
        self._buffer = buffer
        self._client = ApiClient(
            settings.api_url, token, ca_file=settings.ca_file, client_cert=settings.client_cert, client_key=settings.client_key
        )
        self.source = self._client
        self.refresh_s = settings.config_refresh_s
        self.courier = Courier(
            buffer,
            self._client,
            counters,
            accepts=accepts,
            settle_s=FIRST_DELIVERY_AFTER_S,
            sleep=marks.sleeper("delivery", ANSWER_WITHIN_S),
        )
        self._heartbeat = HeartbeatLoop(
            self._client, counters, socket.gethostname(), sleep=marks.sleeper("heartbeat", ANSWER_WITHIN_S)
        )
        self.dealings = {"metrics": self.courier.availability, "heartbeat": self._heartbeat.availability}
        self.loops = {"heartbeat": self._heartbeat.run}

    async def open(self, parts: AsyncExitStack) -> None:  # noqa: D102 -- as Upstream's
        await parts.enter_async_context(self._client)

    async def kept(self) -> ConfigText | None:
        """The configuration that was sealed with this token, or with the one before it."""
        sealed = await self._buffer.kept_config()
        if sealed is None:
            return None
        try:
            return await sealing.unseal(self._token.token, sealed)
        except InvalidConfig:
            if self._token.previous is None:
                raise
            return await sealing.unseal(self._token.previous, sealed)

    async def keep(self, config: ConfigText) -> None:  # noqa: D102
        await self._buffer.keep_config(await sealing.seal(self._token.token, config))

    async def reread_certificates(self) -> None:  # noqa: D102
        await self._client.reread_certificates()

    def send_heartbeat_if(self, wanted: Callable[[], bool]) -> None:  # noqa: D102
        self._heartbeat.is_wanted = wanted


class SiteUpstream(Upstream):
    """Site files, and the destination that they name. Nothing is sealed, and nobody awaits a heartbeat.

    `layouts`: returns the ids of the layouts of each device, by the device's id.
    """

    source_name = "site files"

    def __init__(
        self,
        settings: Settings,
        buffer: Buffer,
        counters: Counters,
        marks: Marks,
        *,
        layouts: Callable[[], dict[str, tuple[int, ...]]],
    ) -> None:
        from towerops_agent.destinations import client, courier, heads  # noqa: PLC0415
        from towerops_agent.site import files  # noqa: PLC0415
        from towerops_agent.site import source as site_source  # noqa: PLC0415

        assert settings.site is not None  # noqa: S101 - else the API is asked
        self._buffer = buffer
        self._layouts = layouts
        self._site = site_source.SiteSource(files.SiteFiles(settings.site))
        self.source = self._site
        self.refresh_s = site_source.LOOK_EACH_S
        self._heads = heads.Heads(buffer)
        self.courier = courier.RemoteCourier(
            buffer,
            self._heads,
            counters,
            destination=lambda: self._site.compiled.destination,
            client=client.DestinationClient,
            sleep=marks.sleeper("delivery", ANSWER_WITHIN_S),
        )
        self.dealings = {"destination": self.courier.availability}
        self.loops = {}

    async def kept(self) -> None:
        """Nothing: the files are at hand."""

    async def keep(self, config: ConfigText) -> None:
        """Keep the names for what is delivered later, and the configuration, without secrets, for commands."""
        compiled = self._site.compiled
        if compiled.destination is None:
            log.warning("no destination: values are kept for a day and delivered nowhere")
        destinations = () if compiled.destination is None else (compiled.destination,)
        await self._heads.learn(config, destinations, self._layouts())
        if compiled.shown is not None:
            await self._buffer.keep_config(without_secrets(compiled.shown))

    def forget_layouts(self) -> None:  # noqa: D102
        self._heads.forget()
