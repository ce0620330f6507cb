"""The commands say what they offer, and what is missing."""

import click
import pytest
from click.testing import CliRunner

from towerops_agent.cli.main import cli
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
