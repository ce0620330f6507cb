"""`towerops-agent snmp` over SNMPv3 and over TCP, held against net-snmp's commands on the real snmpd."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from support import net_snmp
from support.snmpd import run_snmpd
from towerops_agent.cli.main import cli

AUTH, PRIV = "auth-password-1", "priv-password-1"
OID = "1.3.6.1.2.1.1.5.0"


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory):
    users = f"createUser monitor SHA-256 {AUTH} AES {PRIV}\nrouser monitor priv\n"
    with run_snmpd(tmp_path_factory.mktemp("snmpd"), users) as running:
        yield running


def run(snmpd, *arguments: str, auth: str = AUTH, priv: str = PRIV, user: str = "monitor"):
    command, *rest = arguments
    options = ["--version", "3", "--user", user, "--auth-protocol", "SHA-256", "--priv-protocol", "AES", "--retries", "0"]
    return CliRunner().invoke(
        cli,
        ["snmp", command, f"127.0.0.1:{snmpd.port}", *rest, *options],
        env={"SNMP_AUTH_PASSWORD": auth, "SNMP_PRIV_PASSWORD": priv, "DATABASE_PATH": str(Path("/nonexistent/agent.db"))},
    )


def test_get_and_walk_print_over_snmpv3_what_snmpwalk_prints_over_v2c(snmpd):
    where = net_snmp.address("127.0.0.1", snmpd.port)
    printed = net_snmp.run("snmpwalk", "-v2c", "-cpublic", "-On", where, ".1.3.6.1.2.1.1.9.1.3")
    walked = run(snmpd, "walk", "1.3.6.1.2.1.1.9.1.3")
    assert walked.exit_code == 0, walked.output
    assert walked.stdout == printed.stdout
    assert run(snmpd, "get", OID).stdout == net_snmp.run("snmpget", "-v2c", "-cpublic", "-On", where, f".{OID}").stdout


@pytest.mark.parametrize(
    ("wrong", "reported"),
    [
        ({"user": "nobody"}, "does not know this SNMPv3 user; check --user"),
        ({"auth": "wrong-password"}, "wrong authentication password or protocol"),
        ({"priv": "wrong-password"}, "wrong privacy password or protocol"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_reported_and_none_of_them_is_shown(snmpd, wrong, reported):
    result = run(snmpd, "get", OID, **wrong)
    assert result.exit_code == 1
    assert reported in result.output
    assert not any(secret in result.output for secret in (AUTH, PRIV, "wrong-password"))


def test_probe_works_over_snmpv3(snmpd):
    result = run(snmpd, "probe")
    assert result.exit_code == 0, result.output
    assert "tower-7" in result.output


def test_a_device_is_asked_over_tcp_where_that_is_wanted(snmpd):
    arguments = ["snmp", "get", f"127.0.0.1:{snmpd.port}", OID, "--transport", "tcp"]
    result = CliRunner().invoke(cli, arguments, env={"SNMP_COMMUNITY": "public"})
    assert result.exit_code == 0, result.output
    assert "tower-7" in result.output
