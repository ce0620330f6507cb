"""What the commands say if the running agent's answer is not whole, or not of this version."""

import asyncio

import pytest
from click.testing import CliRunner

from support.snapshots import report, snapshot
from towerops_agent.cli.main import cli
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.telemetry.views.snapshot import encode_devices, encode_snapshot

ANSWERS = {
    b"status": encode_snapshot(snapshot()),
    b"devices": encode_devices([report("e1", "North", "10.0.0.1:161")]),
}


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["devices"], ["status", "--device", "North"]])
@pytest.mark.parametrize("cut", [1, 40])
async def test_an_agent_that_is_killed_while_it_answers_is_not_one_that_never_ran(tmp_path, command, cut):
    async def status() -> bytes:
        return ANSWERS[b"status"][:-cut]

    async def devices() -> bytes:
        return ANSWERS[b"devices"][:-cut]

    database = tmp_path / "a.db"
    async with LiveSocket(database, {b"status": status, b"devices": devices}):
        done = await asyncio.to_thread(CliRunner().invoke, cli, [*command, "--database-path", str(database)])
    assert done.exit_code == 1
    assert "the answer of the running agent can't be read" in done.stderr
    assert "ask again" in done.stderr
