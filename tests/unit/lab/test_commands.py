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
