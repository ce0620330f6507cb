"""The kept configuration, read while the agent that keeps it runs."""

import json
import stat

import pytest

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import NoKeptDevices, is_called, read_devices, seal
from towerops_agent.counters import Counters
from towerops_agent.errors import InvalidConfig, SettingsError
from towerops_agent.model import Secret

TOKEN = Secret("agent-token")
CONFIG = {
    "equipment": [
        {"id": "1", "name": "North Tower", "ip_address": "10.0.0.1", "snmp": {"community": "s3cret", "port": 1161}},
        {"id": "2", "ip_address": "10.0.0.2"},
        {"id": "3", "name": "bad", "ip_address": "10.0.0"},
        {"id": "4", "name": "off", "ip_address": "10.0.0.4", "snmp": {"enabled": False}},
    ]
}


def token():
    return TOKEN


def everything(_):
    return True


def buffer_at(path):
    return Buffer(path, Counters(), clock_us=lambda: 0)


async def keep(path, config=CONFIG):
    async with buffer_at(path) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(json.dumps(config).encode())))


async def test_devices_are_read_while_the_agent_holds_its_lock(tmp_path):
    """The buffer is open: the lock is held, and the row may be only in the -wal file."""
    path = tmp_path / "agent.db"
    async with buffer_at(path) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(json.dumps(CONFIG).encode())))
        found = read_devices(path, token, everything)
    assert [device.name for device in found] == ["North Tower", "2"]
    assert found[0].credentials.community.reveal() == "s3cret"
    assert found[0].port == 1161


async def test_devices_are_read_of_a_stopped_agent_without_a_trace(tmp_path):
    """No file is laid beside the database, and neither it nor its directory need be writable."""
    path = tmp_path / "here & there?" / "agent.db"
    await keep(path)
    before = sorted(entry.name for entry in path.parent.iterdir())
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        found = read_devices(path, token, is_called("north tower"))
    finally:
        path.parent.chmod(stat.S_IRWXU)
    assert [device.id for device in found] == ["1"]
    assert sorted(entry.name for entry in path.parent.iterdir()) == before


def test_a_missing_database_is_not_created(tmp_path):
    path = tmp_path / "agent.db"
    with pytest.raises(NoKeptDevices, match=r"there is no database .*--database-path"):
        read_devices(path, token, everything)
    assert not path.exists()


async def test_a_database_without_a_configuration_says_so_before_a_token_is_asked_for(tmp_path):
    path = tmp_path / "agent.db"
    async with buffer_at(path):
        pass

    def no_token():
        raise SettingsError("no token")

    with pytest.raises(NoKeptDevices, match="no configuration yet"):
        read_devices(path, no_token, everything)


async def test_another_token_is_reported(tmp_path):
    path = tmp_path / "agent.db"
    await keep(path)
    with pytest.raises(InvalidConfig, match="sealed with another token"):
        read_devices(path, lambda: Secret("other"), everything)


def test_a_file_that_is_not_a_database_is_reported(tmp_path):
    path = tmp_path / "agent.db"
    path.write_bytes(b"no database, but long enough to look like a file" * 100)
    with pytest.raises(NoKeptDevices, match="is not a database"):
        read_devices(path, token, everything)
