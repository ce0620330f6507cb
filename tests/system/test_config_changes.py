"""A changed configuration is applied device by device, without a restart: what is unchanged stays, what is gone is gone."""

import asyncio
from copy import deepcopy
from pathlib import Path
from unittest.mock import AsyncMock, patch

import pytest
import structlog

from support.agent import TOKEN
from support.inside import polls_of, running
from support.site import METRICS_A_POLL, site
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH
from towerops_agent.api.wire.outcomes import ConfigFetched, NotModified, Unavailable
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_lab.sandbox.server import Sandbox


async def test_an_unchanged_device_keeps_its_phase_its_traits_and_its_layout(tmp_path: Path):
    """One device gets another sensor, one is new: the third is the very object that it was, due when it was due."""
    async with site(3) as config:
        first = deepcopy(config)
        new = first["equipment"].pop()
        sandbox = Sandbox(first, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: bool(store.readings("d0-s0") and store.readings("d1-s0")))
            before = dict(agent.fleet.devices)
            entries = {key: agent.fleet.timetable.entry(key) for key in before}
            phases = {key: (entry.interval_s, entry.phase_s) for key, entry in entries.items()}
            learned = before["d1"].traits
            second = deepcopy(first)
            second["version"] = "2"
            second["equipment"][1]["sensors"].append({"id": "d1-more", "oid": "1.3.6.1.2.1.1.3.0"})
            second["equipment"].append(new)
            sandbox.store.set_config(second)
            assert isinstance(await agent.sync.fetch_once(), ConfigFetched)
            after = agent.fleet.devices
            assert after["d0"] is before["d0"]
            assert agent.fleet.timetable.entry("d0") is entries["d0"]
            assert after["d1"] is not before["d1"]
            assert after["d1"].layout != before["d1"].layout
            assert after["d1"].traits.widths == learned.widths, "the learned traits of its interfaces are still known"
            entry = agent.fleet.timetable.entry("d1")
            assert (entry.interval_s, entry.phase_s) == phases["d1"], "its time is the same"
            assert agent.sync.version == "2"
            await polls_of(agent, "d1", 1)
            await polls_of(agent, "d2", 1)
        assert sandbox.store.readings("d1-more")
        assert sandbox.store.readings("d2-s0")
        assert sandbox.store.duplicates() == {}


async def test_destinations_that_the_database_can_not_note_leave_the_agent_to_be_reloaded_again(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: bool(store.readings("d0-s0")))
            sandbox.store.set_config({**config, "version": "2"})
            fails = AsyncMock(side_effect=BufferFailure("disk full"))
            with patch.object(agent.upstream, "reread_certificates", fails), structlog.testing.capture_logs() as lines:
                await agent.reload()
            assert [line["error"] for line in lines if line["log_level"] == "error"] == ["disk full"]
            while agent.sync.version != "2":  # noqa: ASYNC110 - it is fetched all the same
                await asyncio.sleep(0)


async def test_a_token_file_that_can_not_be_read_leaves_no_other_file_unread(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            token = patch.object(TokenSource, "reread", side_effect=SettingsError("the token file is empty"))
            gone = AsyncMock(side_effect=SettingsError("ca_file is gone"))
            certificates = patch.object(agent.upstream, "reread_certificates", gone)
            with token, certificates, structlog.testing.capture_logs() as lines:
                await agent.reload()
            wrong = [line["error"] for line in lines if line["event"].startswith("files could not all be read again")]
            assert wrong == ["the token file is empty; ca_file is gone"]


async def test_a_client_certificate_is_said_to_be_bad_though_the_database_fails_too(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            certificate = patch.object(ApiClient, "reread_certificates", AsyncMock(side_effect=SettingsError("no certificate")))
            database = patch.object(agent.upstream, "use_destinations", AsyncMock(side_effect=BufferFailure("disk full")))
            with certificate, database, pytest.raises(SettingsError, match=r"^no certificate; disk full$"):
                await agent.upstream.reread_certificates()


async def test_a_state_that_the_database_can_not_say_is_one_line(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            pending = patch.object(agent.buffer, "pending", AsyncMock(side_effect=BufferFailure("disk I/O error")))
            with pending, structlog.testing.capture_logs() as lines:
                await agent.log_state()
            said = [(line["event"], line["error"]) for line in lines if line["log_level"] == "error"]
            assert ("state can't be logged", "disk I/O error") in said


async def test_the_same_configuration_is_asked_for_by_its_etag_and_changes_nothing(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            before = agent.fleet.devices["d0"]
            assert isinstance(await agent.sync.fetch_once(), NotModified)
            assert agent.fleet.devices["d0"] is before
        (_, second) = [exchange for exchange in sandbox.store.exchanges if exchange.path == CONFIG_PATH]
        assert (second.status, second.headers["if-none-match"]) == (304, sandbox.store.etag)


@pytest.mark.parametrize("broken", [b"<html>Please log in</html>", b"", b"[]", b'{"equipment": "none"}', b'{"equipment": [}'])
async def test_a_broken_configuration_leaves_the_running_one_in_use(tmp_path: Path, broken: bytes):
    """Polls go on, what is kept for the next start is the good one, and the next good one is taken."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            kept = await agent.upstream.kept()
            sandbox.store.set_config(broken)
            assert isinstance(await agent.sync.fetch_once(), Unavailable)
            assert list(agent.fleet.devices) == ["d0"]
            await polls_of(agent, "d0", 1)
            assert await agent.upstream.kept() == kept
            sandbox.store.set_config(config | {"version": "2"})
            assert isinstance(await agent.sync.fetch_once(), ConfigFetched)
            assert agent.sync.version == "2"


async def test_a_removed_device_stops_and_what_is_pending_of_it_is_delivered(tmp_path: Path):
    """The API takes no metrics while the device is removed; they arrive when it does, and nothing newer."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        outage = sandbox.faults.answer(503, path=METRICS_PATH)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await outage.met()
            await polls_of(agent, "d1", 1)
            pending = agent.counters.get(Count.READINGS)
            sandbox.store.set_config(config | {"equipment": config["equipment"][:1]})
            assert isinstance(await agent.sync.fetch_once(), ConfigFetched)
            assert list(agent.fleet.devices) == ["d0"]
            last_us = asyncio.get_running_loop().time()
            await polls_of(agent, "d0", 2)
            assert asyncio.get_running_loop().time() - last_us >= 1, "an interval has passed"
            outage.clear()
            await sandbox.store.wait_until(
                lambda store: store.metric_count > 0
            )  # a stop tries once: not beside an attempt that fails
        assert sandbox.store.metric_count == agent.counters.get(Count.READINGS) >= pending
        gone, there = sandbox.store.readings("d1-s0"), sandbox.store.readings("d0-s0")
        assert gone
        assert max(reading.timestamp for reading in gone) < max(reading.timestamp for reading in there)
        assert len(there) >= len(gone) + 1
        assert sandbox.store.metric_count % METRICS_A_POLL == 0
