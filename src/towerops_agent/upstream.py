"""Where the configuration comes from and where values go: the Towerops API and destinations beside it, or site files and theirs.

An Upstream is one of the two. agent.py constructs it, asks its `source` for configurations and runs its courier and its loops.
The site's imports are lazy: an agent of the API needs neither YAML nor a destination's encoder.
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar, Final

import structlog

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ANSWER_WITHIN_S, ApiClient
from towerops_agent.api.wire.outcomes import Availability, Certificate
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config import sealing
from towerops_agent.config.document.accepts import Accepts, decode_accepts, encode_accepts
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.config.kept import without_secrets
from towerops_agent.config.sync import ConfigSource
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.delivery import Delivery
from towerops_agent.delivery.heartbeat import HeartbeatLoop
from towerops_agent.errors import BufferFailure, InvalidConfig, SettingsError
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.scheduling.settling import Settling
from towerops_agent.settings import Settings
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.telemetry.marks import Marks

if TYPE_CHECKING:
    from towerops_agent.destinations.couriers import Couriers
    from towerops_agent.discovery.auto import AutoDiscovery

log = structlog.get_logger()

DISCOVERED_WITHIN_S: Final = 60.0
"""How long the loop of discovery works between two sleeps at most."""

ACCEPTS_KEY: Final = "accepts"
"""Under which it is kept what the server accepts."""

FIRST_DELIVERY_AFTER_S: Final = 0.5
"""How long after the first poll the first delivery begins: by then 100 devices have been polled."""


class Upstream(ABC):
    """What the agent needs of either."""

    source_name: ClassVar[str]
    """What the configuration comes from, for the operator."""

    source: ConfigSource
    refresh_s: float
    courier: Delivery
    dealings: MutableMapping[str, Availability]
    """What is heard of each peer but the source, by the operator's name of it; changes with the destinations."""
    discovery: "AutoDiscovery | None" = None
    """What discovers devices; the API has no such devices."""
    loops: Mapping[str, Callable[[], Awaitable[None]]]
    """What runs beside the courier, by the name of its mark."""

    @abstractmethod
    async def kept(self) -> ConfigText | None:
        """The configuration for a start without the source. Raises InvalidConfig if it can't be read."""

    @abstractmethod
    async def keep(self, config: ConfigText) -> None:
        """Keep the applied configuration. Raises BufferFailure."""

    async def restored(self, config: ConfigText) -> None:  # noqa: B027
        """The kept configuration is in use; the source's may be the same, and is not kept again then. Raises BufferFailure."""

    async def kept_accepts(self) -> Accepts | None:
        """What the server accepted in an earlier run; None: not known. Raises BufferFailure."""
        return None

    async def prepare(self) -> None:  # noqa: B027
        """Have all in place for the polls of the configuration that is about to be applied. Raises BufferFailure."""

    async def open(self, parts: AsyncExitStack) -> None:  # noqa: B027 -- nothing is open for long by default, and so on
        """Open what has to be closed. Raises SettingsError if it can't begin."""

    async def reread_certificates(self) -> None:  # noqa: B027
        """Read the certificates' files again. Raises SettingsError if one can't be used; the previous ones stay in use then."""

    @property
    def decisive(self) -> Mapping[str, Availability]:
        """Of the dealings, those by which a group judges whether this member reaches what it delivers to."""
        return self.dealings

    @property
    def certificates(self) -> list[Certificate]:
        """Those in use, by servers that were reached, and by the agent itself."""
        return []

    def forget_layouts(self) -> None:  # noqa: B027
        """The buffer has lost its layouts, and they get new ids."""

    def send_heartbeat_if(self, wanted: Callable[[], bool]) -> None:  # noqa: B027
        """Send heartbeats only while `wanted` says so: of a group, one member does."""


class ApiUpstream(Upstream):
    """The Towerops API: configuration, metrics, heartbeat."""

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
        known: asyncio.Event,
        settling: Settling,
        layouts: Callable[[], dict[bytes, tuple[int, ...]]],
    ) -> None:
        """`layouts`: returns the ids of each device's layouts, by the digest of its part of the configuration."""
        self._dated = settling.dated
        self._token = token
        self._buffer = buffer
        self._client = ApiClient(
            settings.api_url, token, ca_file=settings.ca_file, client_cert=settings.client_cert, client_key=settings.client_key
        )
        self._client.on_answer, self._client.on_silence = settling.dating.heard, settling.unheard
        self.source = self._client
        self.refresh_s = settings.config_refresh_s
        courier = Courier(
            buffer,
            self._client,
            counters,
            accepts=accepts,
            known=known,
            dated=settling.dated,
            undated=settling.over,
            settle_s=FIRST_DELIVERY_AFTER_S,
            for_others=settings.destinations is not None,
            moved=marks.mover("delivery", ANSWER_WITHIN_S),
        )
        self.courier = self._courier = courier
        self._heartbeat = HeartbeatLoop(
            self._client, counters, socket.gethostname(), sleep=marks.sleeper("heartbeat", ANSWER_WITHIN_S)
        )
        dealings = {"metrics": courier.availability, "heartbeat": self._heartbeat.availability}
        self.dealings, self._dealings, self.loops = dealings, dealings, {"heartbeat": self._heartbeat.run}
        self._layouts = layouts
        self._config: ConfigText | None = None
        self._destinations = settings.destinations
        self._couriers: Couriers | None = None
        if self._destinations is not None:
            from towerops_agent.destinations import beside, couriers  # noqa: PLC0415

            self._couriers = couriers.Couriers(
                *(buffer, counters),
                loop="destinations",
                sleeper=_sleeper(marks),
                moved=_mover(marks),
                forget=marks.forget,
                learn_again=self._learn_again,
                beside=("",),
                time_us=settling.dating.time_us,
            )
            self.courier = beside.Beside(courier, self._couriers, settling.dated)
            self.dealings = ChainMap(self._couriers.dealings, dealings)
            self.loops["destinations"] = self._deliver_beside

    @property
    def decisive(self) -> Mapping[str, Availability]:
        """Those with the API: a destination that fails beside it does not make the API fail."""
        return self._dealings

    async def open(self, parts: AsyncExitStack) -> None:
        """Open the client, and read which destinations there are beside the API. Raises SettingsError."""
        await parts.enter_async_context(self._client)
        await self._courier.recall()
        if self._couriers is None:
            await self._buffer.line_up([""])
        else:
            await self.use_destinations()

    async def _deliver_beside(self) -> None:
        if self._couriers is not None:
            await self._couriers.wait(self._dated)
            await self._couriers.run()

    async def use_destinations(self) -> None:
        """Read the file of destinations and those that it names again, and deliver to them. Raises SettingsError."""
        if self._couriers is not None and self._destinations is not None:
            from towerops_agent.destinations import beside  # noqa: PLC0415

            destinations = await asyncio.to_thread(beside.read_destinations, self._destinations)
            await self._couriers.use(destinations)
            await self._learn_again()
            self._couriers.reread_certificates()

    async def _learn_again(self) -> None:
        if self._couriers is not None and self._config is not None:
            await self._couriers.learn(self._config, self._layouts())

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

    async def restored(self, config: ConfigText) -> None:
        """Keep the labels of its devices: there may be destinations that the run before did not have."""
        if self._couriers is not None:
            self._config = config
            await self._learn_again()

    async def kept_accepts(self) -> Accepts | None:
        """As the last configuration that was kept has it: no secret, so that it can be read with any token."""
        octets = await self._buffer.get_meta(ACCEPTS_KEY)
        return None if octets is None else decode_accepts(octets)

    async def keep(self, config: ConfigText) -> None:
        """Keep the configuration, sealed, what the server accepts, and the labels of the devices if there are destinations."""
        await self.restored(config)
        await self._buffer.put_meta(ACCEPTS_KEY, encode_accepts(read_config(config).accepts))
        await sealing.seal(self._token.token, config, self._buffer.keeping_config)

    async def reread_certificates(self) -> None:
        """Read the certificates' files and that of the destinations again. Raises SettingsError."""
        wrong = []
        for reread in (self._client.reread_certificates, self.use_destinations):
            try:
                await reread()
            except (SettingsError, BufferFailure) as error:
                wrong.append(str(error))
        if wrong:
            raise SettingsError("; ".join(wrong))

    @property
    def certificates(self) -> list[Certificate]:  # noqa: D102
        return [*self._client.expiries.of("API"), *([] if self._couriers is None else self._couriers.certificates)]

    def forget_layouts(self) -> None:  # noqa: D102
        if self._couriers is not None:
            self._couriers.forget_layouts()

    def send_heartbeat_if(self, wanted: Callable[[], bool]) -> None:  # noqa: D102
        self._heartbeat.is_wanted = wanted


class SiteUpstream(Upstream):
    """Site files, and the destinations that they name. Nothing is sealed, and nobody awaits a heartbeat.

    `layouts`: returns the ids of the layouts of each device, by the digest of its part of the configuration.
    `snmp`, `fleet`: by which devices are discovered. `keep_again` has the files read now, and `keep` called.
    """

    source_name = "site files"

    def __init__(
        self,
        settings: Settings,
        buffer: Buffer,
        counters: Counters,
        marks: Marks,
        *,
        layouts: Callable[[], dict[bytes, tuple[int, ...]]],
        snmp: SnmpClient,
        fleet: Callable[[], Fleet],
        keep_again: Callable[[], None],
    ) -> None:
        from towerops_agent.destinations import couriers  # noqa: PLC0415
        from towerops_agent.discovery import auto, library  # noqa: PLC0415
        from towerops_agent.site import files  # noqa: PLC0415
        from towerops_agent.site import source as site_source  # noqa: PLC0415

        assert settings.site is not None  # noqa: S101 - else the API is asked
        site = settings.site
        self._buffer = buffer
        self._layouts = layouts
        self._keep_again = keep_again
        self.discovery = self._discovery = auto.AutoDiscovery(
            snmp,
            buffer,
            counters,
            fleet=fleet,
            profiles=lambda: asyncio.to_thread(library.profiles_beside, site),
            sleep=marks.sleeper("discovery", DISCOVERED_WITHIN_S),
        )
        self._site = site_source.SiteSource(files.SiteFiles(site), self.discovery)
        self.source = self._site
        self.refresh_s = site_source.LOOK_EACH_S
        self.courier = self._couriers = couriers.Couriers(
            buffer,
            counters,
            loop="delivery",
            sleeper=_sleeper(marks),
            moved=_mover(marks),
            forget=marks.forget,
            learn_again=self._read_again,
            latest=lambda: self._site.compiled.destinations,
        )
        self.dealings = self._couriers.dealings
        self.loops = {"discovery": self.discovery.run}

    async def _read_again(self) -> None:
        self._keep_again()

    async def kept(self) -> None:
        """Nothing: the files are at hand. What was discovered earlier is used from the first reading on."""
        await self._discovery.restore()

    async def prepare(self) -> None:
        """Have the destinations get the polls from now on. Raises BufferFailure."""
        await self._couriers.use(self._site.compiled.destinations)

    async def keep(self, config: ConfigText) -> None:
        """Keep the labels of the devices, and the configuration, without secrets, for commands."""
        compiled = self._site.compiled
        if not compiled.destinations:
            log.warning("no destination: values are kept for a day and delivered nowhere")
        await self._couriers.learn(config, self._layouts())
        if compiled.shown is not None:
            await self._buffer.keep_config(without_secrets(compiled.shown))

    async def reread_certificates(self) -> None:
        """Read the destinations' certificate files again. Raises SettingsError."""
        self._couriers.reread_certificates()

    @property
    def certificates(self) -> list[Certificate]:  # noqa: D102
        return self._couriers.certificates

    def forget_layouts(self) -> None:  # noqa: D102
        self._couriers.forget_layouts()


def _sleeper(marks: Marks) -> Callable[[str], Callable[[float], Awaitable[None]]]:
    return lambda loop: marks.sleeper(loop, ANSWER_WITHIN_S)


def _mover(marks: Marks) -> Callable[[str], Callable[[float], None]]:
    return lambda loop: marks.mover(loop, ANSWER_WITHIN_S)
