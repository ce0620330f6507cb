"""The demo's agent has the demo's settings, whatever the caller's shell exports."""

from pathlib import Path

import pytest

from towerops_agent.given import read_settings
from towerops_agent.settings import SETTINGS
from towerops_lab.demo.site import TOKEN, agent_environment

URL = "http://127.0.0.1:8700"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_no_setting_of_the_callers_shell_reaches_the_demos_agent(setting, tmp_path):
    """README has people export some of them; a bad value, too, must not end the demo."""
    environ = {"PATH": "/usr/bin", "LANG": "C.UTF-8", setting.variable: "no good"}
    env = agent_environment(URL, tmp_path, environ)
    assert env["PATH"] == "/usr/bin"
    settings = read_settings(env, {})
    assert settings == read_settings(agent_environment(URL, tmp_path, {}), {})
    assert (settings.api_url, settings.token_file, settings.database_path) == (URL, None, tmp_path / "agent.db")
    assert settings.token is not None
    assert settings.token.reveal() == TOKEN


def test_the_watchdog_of_the_caller_is_not_the_demos(tmp_path: Path):
    assert "NOTIFY_SOCKET" not in agent_environment(URL, tmp_path, {"NOTIFY_SOCKET": "/run/notify"})
