"""Why a device is silent: each cause that can be told apart is, by experiment; and the others are all named."""

import socket

import pytest

from support.site import COMMUNITY, simulated_device
from towerops_agent.counters import Counters
from towerops_agent.doctor.device import Waits, check_device
from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.silence import explain_silence
from towerops_agent.model import Credentials, Equipment, Secret, Sensor, SnmpVersion, Transport, UsmUser
from towerops_agent.reasons import Reason
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import Version
from towerops_lab.simulator.server import serve

QUICK = Waits((0.05, 0.05), reading_s=(0.05, 0.05))
PATIENT = Waits((5.0,), reading_s=(5.0,))


def equipment(port, version="2c", community=COMMUNITY, transport=Transport.UDP):
    credentials = Credentials(SnmpVersion(version), Secret(community))
    sensors = (Sensor("s0", parse_oid("1.3.6.1.4.1.99999.1.0.0")),)
    return Equipment("eq-1", "North Tower", "127.0.0.1", port, transport, credentials, sensors=sensors)


async def examined(device, waits=PATIENT, **wanted):
    """The check of a device that is served; `wanted`: how it is configured."""
    async with serve(device) as port, SnmpClient(Counters()) as client:
        return await check_device(client, equipment(port, **wanted), waits)


async def test_silence_names_all_that_it_may_be():
    check = await examined(lambda *_: None, QUICK)
    assert check.result is Result.FAILED
    assert "no answer over SNMPv2c nor v1 (waited 0.1 s); no ICMP error" in check.found
    for cause in ("address", "firewall", "community"):
        assert cause in check.hint


async def test_a_wrong_community_is_not_distinguished_from_silence():
    """Nor is either community in what is said."""
    check = await examined(simulated_device(), QUICK, community="hush-wrong")
    assert check.result is Result.FAILED
    assert "community" in check.hint
    assert "hush" not in str(check)
    assert COMMUNITY not in str(check)


async def test_a_closed_port_is_reported():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with SnmpClient(Counters()) as client:
        check = await check_device(client, equipment(port), Waits((0.05,), reading_s=(0.05,)))
    assert check.result is Result.FAILED
    assert "nothing listens on this port of the device: ICMP: port unreachable" in check.found


@pytest.mark.parametrize(("speaks", "asked"), [(Version.V1, "2c"), (Version.V2C, "1")])
async def test_a_device_that_answers_only_another_version_is_reported(speaks, asked):
    device = simulated_device()

    def one_version(datagram, uptime_s):
        try:
            message = decode_message(datagram)
        except ValueError:  # SNMPv3
            return None
        return device.answer(datagram, uptime_s) if message.version == speaks else None

    other = {Version.V1: "1", Version.V2C: "2c"}[speaks]
    check = await examined(one_version, Waits((2.0,), reading_s=(0.05,)), version=asked)
    assert check.result is Result.FAILED
    assert f"silent over SNMPv{asked}, but answers over SNMPv{other} with the same community" in check.found
    assert f"set its version to {other}" in check.hint


async def test_a_name_that_does_not_exist_is_reported():
    async with SnmpClient(Counters()) as client:
        device = Equipment("1", "North", "nowhere.invalid")
        check = await check_device(client, device, QUICK)
    assert check.result is Result.FAILED
    assert "nowhere.invalid:161 was not found" in check.found


async def test_a_refused_tcp_connection_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with SnmpClient(Counters()) as client:
        check = await check_device(client, equipment(port, transport=Transport.TCP), PATIENT)
    assert check.result is Result.FAILED
    assert "nothing listens on this port of the device" in check.found


async def test_silence_over_tcp_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with SnmpClient(Counters()) as client:
            check = await check_device(client, equipment(listener.getsockname()[1], transport=Transport.TCP), QUICK)
    assert "no answer over TCP" in check.found


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.UNREACHABLE, "can't be reached: No route to host"),
        (Reason.UNKNOWN_USER, "does not know this SNMPv3 user (user 'noc')"),
        (Reason.WRONG_AUTH_PASSWORD, "wrong authentication password"),
        (Reason.WRONG_PRIV, "the authentication is right"),
        (Reason.UNSUPPORTED_SECURITY_LEVEL, "no such security level"),
        (Reason.NOT_IN_TIME_WINDOW, "timely"),
        (Reason.UNKNOWN_ENGINE_ID, "engine ID"),
    ],
)
async def test_what_a_device_says_itself_is_believed(reason, text):
    user = Credentials(SnmpVersion.V3, user=UsmUser("noc"))
    device = Equipment("1", "North", "127.0.0.1", credentials=user)
    async with SnmpClient(Counters()) as client:
        silence = NoReply(reason, 1, "No route to host" if reason is Reason.UNREACHABLE else "")
        cause = await explain_silence(client, device, ("127.0.0.1", 9), silence, (0.05,))
    assert text in cause.found
    assert cause.hint
