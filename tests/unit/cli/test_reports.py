"""What the commands say if the running agent's answer is not whole, or not of this version."""

import asyncio

import pytest
from click.testing import CliRunner

from support.snapshots import report, snapshot
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.main import cli
from towerops_agent.counters import Counters
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.telemetry.views.snapshot import DEVICES_KEY, encode_devices, encode_snapshot

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


@pytest.mark.parametrize("command", [["devices"], ["devices", "--json"], ["status", "--device", "North"]])
async def test_devices_of_an_agent_that_does_not_run_are_not_shown_as_if_it_did(tmp_path, command):
    """Their states are those of its stop, whatever has become of them. Standard output is the same, for programs."""

    async def devices() -> bytes:
        return ANSWERS[b"devices"]

    database = tmp_path / "a.db"
    async with Buffer(database, Counters(), clock_us=lambda: 0) as buffer:
        await buffer.put_meta(DEVICES_KEY, ANSWERS[b"devices"])
    words = [*command, "--database-path", str(database)]
    stopped = await asyncio.to_thread(CliRunner().invoke, cli, words)
    async with LiveSocket(database, {b"devices": devices}):
        running = await asyncio.to_thread(CliRunner().invoke, cli, words)
    said = "towerops-agent: the agent does not run: this is what it knew of its devices when it was stopped\n"
    assert (stopped.exit_code, stopped.stderr, running.exit_code, running.stderr) == (0, said, 0, "")
    assert "North" in stopped.stdout
