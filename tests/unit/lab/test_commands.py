"""The commands say what they offer, and what is missing."""

import asyncio
import os
import sys

import click
import pytest
from click.testing import CliRunner

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.outcomes import Accepted
from towerops_agent.cli.main import cli
from towerops_agent.model import Secret
from towerops_lab.commands import demo, sandbox, simulate


@pytest.mark.parametrize("command", [demo, sandbox, simulate], ids=lambda command: command.name)
def test_each_command_explains_itself(command):
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert "--port" in result.output


def test_simulate_lists_its_kinds():
    result = CliRunner().invoke(simulate, ["--list"])
    assert result.exit_code == 0
    assert "mikrotik-48  MikroTik switch, 48 ports: 20 sensors, 48 interfaces" in result.output


def test_an_unknown_kind_is_bad_usage():
    result = CliRunner().invoke(simulate, ["--profile", "cisco"])
    assert result.exit_code == 2
    assert "--profile is 'cisco': expected one of mikrotik, mimosa," in result.output


def test_each_of_the_labs_commands_is_one_of_the_agents_command_line():
    assert {"demo", "sandbox", "simulate"} <= set(cli.list_commands(click.Context(cli)))
    assert cli.get_command(click.Context(cli), "demo") is demo


def test_a_file_that_can_not_be_used_is_said_by_its_option(tmp_path):
    """Before, each ended in a traceback, and a bad certificate in words about the host."""
    (tmp_path / "text").write_text("not what is expected\n")
    text, nowhere = str(tmp_path / "text"), str(tmp_path / "nowhere" / "file")
    cases = [
        (sandbox, ["--port", "0", "--database", nowhere], f"--database is {nowhere}: "),
        (sandbox, ["--port", "0", "--database", text], f"--database is {text}: file is not a database"),
        (
            sandbox,
            ["--port", "0", "--certificate", text, "--key", text],
            "--certificate and --key can't be used together: expected",
        ),
        (simulate, ["--port", "0", "--write-config", nowhere], f"--write-config is {nowhere}: No such file or directory"),
    ]
    for command, words, said in cases:
        result = CliRunner().invoke(command, words)
        assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.output
        assert f"Error: {said}" in result.output


async def test_a_sandbox_whose_output_nobody_reads_accepts_all_the_same():
    """As behind `| head -1`, for its URL: what it would print of a batch can't be printed."""
    reading, writing = os.pipe()
    sandbox = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", "sandbox", "--port", "0"), stdout=writing
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            url = (await asyncio.to_thread(lines.readline)).split()[-1]
        async with ApiClient(url, TokenSource(Secret("sandbox-token"))) as client:
            assert await client.post_metrics(b'{"metrics": []}', "key-1") == Accepted(received=0)
    finally:
        sandbox.terminate()
        assert await sandbox.wait() == 0
