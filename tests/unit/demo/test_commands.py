"""The commands say what they offer, and what is missing."""

import sys

import pytest
from click.testing import CliRunner

from towerops_agent.demo.commands import demo, sandbox, simulate


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


@pytest.mark.parametrize(
    ("command", "module"), [(demo, "towerops_agent.demo.site"), (sandbox, "towerops_agent.sandbox.__main__")]
)
def test_without_the_extra_a_command_says_what_to_install(command, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 1
    assert "install towerops-agent[sandbox]" in result.output
