"""The doctor: checks each thing that the agent needs, in turn, and says what was found and what to do.

Settings -> database -> the way to the API -> token -> configuration -> devices. Results are passed on, not asked for again.
It changes nothing, and works beside a running agent. I/O: through the other modules of doctor/.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.outcomes import Certificate, ConfigFetched, ConfigOutcome, Unavailable
from towerops_agent.buffer.reader import DatabaseReader, NotReadable
from towerops_agent.config.document.text import ConfigIntake, ConfigText
from towerops_agent.config.kept import NoKeptDevices, is_at, is_called, read_devices
from towerops_agent.counters import Counters
from towerops_agent.discovery.kept import read_site
from towerops_agent.doctor.database import check_database
from towerops_agent.doctor.destination import NO_DESTINATION, check_destinations, check_path
from towerops_agent.doctor.device import Waits, check_devices
from towerops_agent.doctor.findings.check import Check, Result, split_expected
from towerops_agent.doctor.findings.fetch import CONFIG, Configured, check_api, check_clock, check_config, kept_config
from towerops_agent.doctor.network import Network, check_network
from towerops_agent.doctor.ping import check_sockets
from towerops_agent.doctor.settings import Prepared, check_settings
from towerops_agent.doctor.tls import NAME as TLS
from towerops_agent.doctor.tls import expiring
from towerops_agent.errors import BufferFailure, InvalidConfig, SettingsError
from towerops_agent.model import Equipment, Secret
from towerops_agent.ping.client import PingClient
from towerops_agent.polling.course.memory import MEMORY_KEY, decode_memory
from towerops_agent.settings import Settings
from towerops_agent.site.document.auto import Additions
from towerops_agent.site.document.site import Compiled
from towerops_agent.site.files import SiteFiles, SiteUnreadable
from towerops_agent.site.source import unusable
from towerops_agent.snmp.client import SnmpClient

CONNECT_WITHIN_S = 5.0
READ_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Orders:
    """The scope of an examination. `devices`: names, ids or addresses; empty: all devices. `waits`: how long to wait for devices.

    `begin_devices`: called with their number; the function that it returns is called after each.
    """

    devices: tuple[str, ...] = ()
    waits: Waits = field(default_factory=Waits)
    begin_devices: Callable[[int], Callable[[], None]] = lambda _: lambda: None
    on_token: Callable[[Secret], None] = lambda _: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def wants(self, equipment: Equipment) -> bool:
        """Whether this device is to be checked."""
        return not self.devices or any(_matches(text, equipment) for text in self.devices)

    def wants_name(self, name: str) -> bool:
        """Whether a device of which only the name or id is known was asked for."""
        return any(text.casefold() == name.casefold() for text in self.devices)


def _matches(text: str, equipment: Equipment) -> bool:
    return is_called(text)(equipment) or is_at(text, None)(equipment)


async def examine(environ: Mapping[str, str], flags: Mapping[str, object], orders: Orders) -> AsyncGenerator[Check, None]:
    """The checks, each as soon as it is done; `environ` and `flags` as for read_settings.

    If only some devices are to be checked, those of these devices; or, if there is no configuration to find them in, why not.
    """
    configured: Configured | None = None
    others: list[Check] = []
    async for item in _agent_checks(environ, flags, orders):
        if isinstance(item, Configured):
            configured = item
        elif orders.devices:
            others.append(item)
        else:
            yield item
    if configured is None or not configured.is_there:
        for check in others:
            if check.result is not Result.OK:
                yield check
    if configured is None:
        return
    for check in configured.of_devices if orders.devices else ():
        yield check
    for text in await asyncio.to_thread(_unmatched, configured, orders):
        hint = "is the spelling right? A device that is refused or has SNMP switched off is not polled"
        yield Check(text, Result.FAILED, "the configuration has no device with this name, id or address that can be polled", hint)
    async with SnmpClient(Counters()) as client, PingClient(Counters()) as ping:
        if configured.pinged:
            yield check_sockets(ping, configured.pinged)
        checked = orders.begin_devices(configured.total)
        for check in await check_devices(client, configured, orders.waits, checked, ping):
            yield check


async def _agent_checks(
    environ: Mapping[str, str], flags: Mapping[str, object], orders: Orders
) -> AsyncGenerator[Check | Configured, None]:
    """All checks but those of devices, and what there is to find the devices in."""
    prepared = check_settings(environ, flags, orders.on_token)
    for check in prepared.checks:
        yield check
    settings = prepared.settings
    if settings is None:
        yield check_clock(orders.now(), None)
        yield Check("all else", Result.SKIPPED, "not checked: the settings come first")
        return
    for check in check_database(settings.database_path, settings.buffer_max_mb << 20):
        yield check
    if settings.site is not None:
        files = SiteFiles(settings.site)
        compiled = await asyncio.to_thread(_compiled, files, settings.database_path)
        destinations = compiled.destinations if isinstance(compiled, Compiled) else ()
        checks, ahead_s = await check_destinations(destinations) if destinations else ([NO_DESTINATION], None)
        yield check_clock(orders.now(), ahead_s)
        for check in checks:
            yield check
        configured = await asyncio.to_thread(_of_site, compiled, files.additions, orders)
        for check in configured.checks:
            yield check
        for check in await _group_checks(settings, prepared, None):
            yield check
        yield await asyncio.to_thread(with_units, configured, settings.database_path)
        return
    network = await asyncio.to_thread(check_network, settings.api_url, prepared.tls, orders.now, CONNECT_WITHIN_S)
    fit = prepared.token is not None and prepared.tls is not None
    began = time.monotonic()
    outcome, own = await _fetch(settings, prepared.token) if fit and prepared.token is not None else (None, [])
    took_s = time.monotonic() - began
    ahead_s = outcome.ahead_s if isinstance(outcome, ConfigFetched) else None
    yield check_clock(orders.now(), network.ahead_s if ahead_s is None else ahead_s)
    for check in (*network.checks, *expiring(TLS, own, orders.now()), *_api_checks(outcome, network, took_s)):
        yield check
    if settings.destinations is not None:
        for check in await check_path(settings.destinations):
            yield check
    configured = await asyncio.to_thread(_configured, settings, prepared.token, outcome, orders)
    for check in configured.checks:
        yield check
    for check in await _group_checks(settings, prepared, outcome.config if isinstance(outcome, ConfigFetched) else None):
        yield check
    yield await asyncio.to_thread(with_units, configured, settings.database_path)


def with_units(configured: Configured, database: Path) -> Configured:
    """`configured`, with the units in which the agent has first read the texts of sensors, as far as its database has them."""
    try:
        with DatabaseReader(database) as reader:
            configured.units = decode_memory(reader.meta(MEMORY_KEY)).units(configured.digests)
    except BufferFailure:
        pass  # the check of the database says so
    return configured


async def _group_checks(settings: Settings, prepared: Prepared, config: ConfigText | None) -> list[Check]:
    """Of the group that the agent is in, if it is in one."""
    if not settings.group_nats_urls:
        return []
    token = prepared.token or TokenSource(settings.token, settings.token_file)
    try:
        _ = token.token
    except SettingsError:
        return [Check("group", Result.SKIPPED, "not checked: its messages are sealed with the token")]
    try:
        from towerops_agent.doctor.group import check_group  # noqa: PLC0415  # nats-py may be absent
    except ModuleNotFoundError:
        return [Check("group", Result.FAILED, "nats-py is not installed", "pip install 'towerops-agent[group]'")]
    return await check_group(settings, token, config)


def _compiled(files: SiteFiles, database: Path) -> Compiled | SiteUnreadable:
    try:
        try:
            return read_site(files, database)
        except NotReadable:
            return files.read()  # the check of the database says so
    except SiteUnreadable as error:
        return error


def _of_site(compiled: Compiled | SiteUnreadable, found: Additions, orders: Orders) -> Configured:
    """The configuration that the site files make, with what was found of the devices that are discovered."""
    if isinstance(compiled, SiteUnreadable):
        wrong, wanted = split_expected(str(compiled))
        return Configured([Check(CONFIG, Result.FAILED, wrong, f"expected {wanted}" if wanted else "")])
    if compiled.config is None:
        return Configured([Check(CONFIG, Result.FAILED, unusable(compiled), "the agent goes on with the configuration before")])
    configured = check_config(compiled.config, orders.wants, orders.wants_name, place="the site file")
    configured.undiscovered = frozenset(device.id for device in compiled.auto if device.id not in found)
    return configured


async def _fetch(settings: Settings, token: TokenSource) -> tuple[ConfigOutcome[ConfigText] | SettingsError, list[Certificate]]:
    """What came of it, and the agent's own certificate, if it has one."""
    client = ApiClient(
        settings.api_url,
        token,
        ca_file=settings.ca_file,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
        connect_timeout_s=CONNECT_WITHIN_S,
        read_timeout_s=READ_WITHIN_S,
    )
    try:
        async with client:
            own = [one for one in client.expiries.of("API") if one.is_own]
            return await client.get_config(ConfigIntake()), own
    except SettingsError as error:  # the proxy's URL
        return error, []


def _api_checks(outcome: ConfigOutcome[ConfigText] | SettingsError | None, network: Network, took_s: float) -> list[Check]:
    match outcome:
        case None:
            return [Check("API", Result.SKIPPED, "not asked: the settings come first")]
        case SettingsError():
            return check_api(Unavailable(str(outcome)), network.works, took_s)
        case _:
            return check_api(outcome, network.works, took_s)


def _configured(
    settings: Settings, token: TokenSource | None, outcome: ConfigOutcome[ConfigText] | SettingsError | None, orders: Orders
) -> Configured:
    """The API's configuration; without it, the one that the agent kept."""
    if isinstance(outcome, ConfigFetched):
        return check_config(outcome.config, orders.wants, orders.wants_name)
    if token is None:
        return Configured([Check(CONFIG, Result.SKIPPED, "without the token neither the API's nor the kept one can be read")])
    try:
        devices = read_devices(settings.database_path, lambda: token.token, lambda _: True)
    except (NoKeptDevices, InvalidConfig) as error:
        return Configured([Check(CONFIG, Result.SKIPPED, f"not fetched: see above; and no kept one: {error}")])
    return kept_config(devices, orders.wants)


def _unmatched(configured: Configured, orders: Orders) -> list[str]:
    """The names that were asked for and match no device."""
    if not configured.is_there:
        return []
    left = set(orders.devices)
    for equipment in configured.devices():
        left -= {text for text in left if _matches(text, equipment)}
    return [text for text in dict.fromkeys(orders.devices) if text in left]
