"""What the doctor says of the real snmpd: with views, with a wrong community, with SNMPv3 users of all sorts."""

import pytest

from support.snmpd import run_snmpd
from towerops_agent.counters import Counters
from towerops_agent.doctor.device import Waits, check_device
from towerops_agent.doctor.findings.check import Result
from towerops_agent.model import (
    AuthProtocol,
    Credentials,
    Equipment,
    Interface,
    PrivProtocol,
    Secret,
    Sensor,
    SnmpVersion,
    UsmUser,
)
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.ber import parse_oid

CONFIG = """\
view system included .1.3.6.1.2.1.1
view nothing included .1.3.6.1.9
rocommunity narrow 127.0.0.1 -V system
rocommunity blind 127.0.0.1 -V nothing
createUser noc SHA "auth-password-1" AES "priv-password-1"
rouser noc priv
createUser plain
rouser plain noauth -V system
createUser nobody-lets-in SHA "auth-password-1"
"""

WAITS = Waits((0.5, 0.5))
IF_MTU = "1.3.6.1.2.1.2.2.1.4.1"
UPTIME = "1.3.6.1.2.1.1.3.0"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with run_snmpd(tmp_path_factory.mktemp("snmpd"), CONFIG) as running:
        yield running.port


def community(name, version=SnmpVersion.V2C):
    return Credentials(version, Secret(name))


def user(
    name="noc", auth=AuthProtocol.SHA, auth_password="auth-password-1", priv=PrivProtocol.AES_128, priv_password="priv-password-1"
):
    return Credentials(
        SnmpVersion.V3,
        user=UsmUser(
            name,
            None if auth is None else (auth, Secret(auth_password)),
            None if auth is None or priv is None else (priv, Secret(priv_password)),
        ),
    )


async def examined(port, credentials, *oids, interfaces=()):
    device = Equipment(
        "1",
        "North Tower",
        "127.0.0.1",
        port,
        credentials=credentials,
        sensors=tuple(Sensor(f"s{i}", parse_oid(oid)) for i, oid in enumerate(oids or (IF_MTU,))),
        interfaces=tuple(Interface(f"i{n}", n, name) for n, name in interfaces),
    )
    async with SnmpClient(Counters()) as client:
        check = await check_device(client, device, WAITS)
    for secret in ("password-1", "wrong-password", "hush", "narrow", "blind"):
        assert secret not in check.found + check.hint
    return check


@pytest.mark.parametrize("credentials", [community("public"), community("public", SnmpVersion.V1), user()], ids=["2c", "1", "3"])
async def test_a_device_that_answers_is_healthy(port, credentials):
    check = await examined(port, credentials, IF_MTU, UPTIME, interfaces=[(1, "lo")])
    assert check.result is Result.OK
    assert f"over SNMPv{credentials.version}; all 3 can be read" in check.found


async def test_a_sensor_that_does_not_exist_is_named(port):
    check = await examined(port, community("public"), IF_MTU, "1.3.6.1.4.1.14988.1.1.3.10.0")
    assert check.result is Result.WARNING
    assert "not there (noSuchObject): sensor s1 (1.3.6.1.4.1.14988.1.1.3.10.0)" in check.found


@pytest.mark.parametrize("version", [SnmpVersion.V1, SnmpVersion.V2C])
async def test_a_view_that_hides_the_oids_is_reported(port, version):
    """The system group is seen, and nothing else."""
    check = await examined(port, community("narrow", version), IF_MTU, "1.3.6.1.2.1.2.2.1.10.1")
    assert check.result is Result.FAILED
    assert (
        "lacks all 2 configured sensors and interfaces, and all else outside the system group: a view hides them" in check.found
    )


async def test_a_view_of_nothing_is_reported(port):
    check = await examined(port, community("blind"))
    assert check.result is Result.FAILED
    assert "view" in check.found


async def test_a_wrong_community_is_distinguished_from_a_wrong_address_where_snmpv3_answers(port):
    check = await examined(port, community("hush-wrong"))
    assert check.result is Result.FAILED
    assert "but its SNMPv3 engine answers" in check.found
    assert "the address and the way are right: the community is wrong" in check.hint


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        (user("stranger"), "does not know this SNMPv3 user (user 'stranger'"),
        (user(auth_password="wrong-password"), "wrong authentication password or protocol (user 'noc', SHA"),
        (user(auth=AuthProtocol.MD5), "wrong authentication password or protocol (user 'noc', MD5"),
        (
            user(priv_password="wrong-password"),
            "protocol; the authentication is right (user 'noc', SHA, AES-128)",
        ),
        (
            user(priv=PrivProtocol.DES),
            "protocol; the authentication is right (user 'noc', SHA, DES)",
        ),
        (user("plain"), "this SNMPv3 user has no such security level at the device (user 'plain'"),
        (user(priv=None), "authorizationError: it has no view"),
        (user("plain", auth=None), "and all else outside the system group: a view hides them"),
    ],
    ids=["user", "auth", "auth-protocol", "priv", "priv-protocol", "level", "level-too-low", "view"],
)
async def test_what_is_wrong_over_snmpv3_is_told_apart(port, credentials, text):
    check = await examined(port, credentials)
    assert check.result is Result.FAILED
    assert text in check.found
    assert check.hint
