"""A variable that was meant for the agent and is not a setting is found; another program's is left alone."""

import pytest

from towerops_agent.misnamed import UnknownVariable, unknown_variables
from towerops_agent.settings import SETTINGS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOG_LVL", "LOG_LEVEL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("log_level", "LOG_LEVEL"),
        ("BUFFER_MAX", "BUFFER_MAX_MB"),
        ("CONFIG_REFRESH_SECS", "CONFIG_REFRESH_SECONDS"),
        ("TOWEROPS_TOKEN", "TOWEROPS_AGENT_TOKEN"),
        ("TOWEROPS_URL", "TOWEROPS_API_URL"),
        ("TOWEROPS_CA_FIEL", "TOWEROPS_CA_FILE"),
        ("TOWEROPS_LOG_LEVEL", "LOG_LEVEL"),
        ("TOWEROPS_XYZZY", ""),
    ],
)
def test_a_slip_is_found_with_the_setting_that_it_resembles(name, meant):
    assert unknown_variables([name]) == [UnknownVariable(name, meant)]


def test_settings_are_not_among_them():
    assert unknown_variables(setting.variable for setting in SETTINGS) == []


@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_URL", "API_URL", "CA_FILE", "LOG_FILE", "LOGNAME", "PATH", "HOME", "TERM", "LOGIN_SHELL",
        "METRICS_PORT", "SNMP_COMMUNITY",
        "_TOWEROPS_AGENT_COMPLETE", "TOWEROPS_AGENT_SERVICE_HOST", "TOWEROPS_AGENT_SERVICE_PORT_METRICS", "TOWEROPS_AGENT_PORT",
        "TOWEROPS_AGENT_PORT_9464_TCP", "TOWEROPS_AGENT_PORT_9464_TCP_ADDR",
    ],
)  # fmt: skip
def test_variables_of_other_programs_and_of_kubernetes_services_are_left_alone(name):
    assert unknown_variables([name]) == []
