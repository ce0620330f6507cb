"""SNMPv3 against the real thing: each security level and protocol, restarts, and what it has against a user."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from itertools import product

import pytest
from structlog.testing import capture_logs

from support import asking, net_snmp
from support.snmpd import Snmpd, run_snmpd
from support.usm_agent import USM_STATS
from towerops_agent import model
from towerops_agent.counters import Count
from towerops_agent.polling.course.device import make_device, make_security
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.session import Session, walk
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.codec import encode_pdu
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import Pdu, PduType
from towerops_agent.snmp.wire.v3message import AUTHENTICATED, decode_v3, encode_parameters, encode_scoped_pdu, encode_v3

SYS_NAME = "1.3.6.1.2.1.1.5.0"
BASE = "1.3.6.1.4.1.8072.9999"
AUTH_PASSWORD, PRIV_PASSWORD = "auth-pass-1", "priv-pass-1"
ENGINE_ID = "0x80001f8880e9630000d61ff449"
READINGS = f'override {BASE}.2.0 integer -61\noverride {BASE}.1.0 octet_str "12.4 V"\n'

COMBINATIONS = [(None, None), *product(model.AuthProtocol, (None, *model.PrivProtocol))]
"""All that snmpd 5.9 knows: 6 x (none, DES, AES) and noAuthNoPriv; as Debian has it, AES-192 and -256 in both extensions, too."""


def name_of(auth, priv):
    return f"{auth or 'none'}_{priv or 'none'}"


def account(auth, priv):
    """What makes a user known to snmpd."""
    name = name_of(auth, priv)
    protocols = f" {auth} {AUTH_PASSWORD}" if auth else ""
    protocols += f" {priv} {PRIV_PASSWORD}" if priv else ""
    return f"createUser {name}{protocols}\nrouser {name} {'priv' if priv else 'auth' if auth else 'noauth'}\n"


def credentials(auth="SHA-256", priv="AES-128", *, name=None, auth_password=AUTH_PASSWORD, priv_password=PRIV_PASSWORD):
    user = model.UsmUser(
        name or name_of(auth, priv),
        (model.AuthProtocol(auth), model.Secret(auth_password)) if auth else None,
        (model.PrivProtocol(priv), model.Secret(priv_password)) if priv else None,
    )
    return model.Credentials(model.SnmpVersion.V3, user=user)


@pytest.fixture(scope="module")
def v3_snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """With one user per combination."""
    users = "".join(account(auth, priv) for auth, priv in COMBINATIONS)
    with run_snmpd(tmp_path_factory.mktemp("v3"), users + READINGS) as running:
        yield running


async def ask(client, snmpd, wanted, *, over_tcp=False, timeouts_s=asking.PATIENT_S):
    (peer,) = await client.resolve("127.0.0.1", snmpd.port)
    return await client.ask(peer, make_security(wanted), asking.request(SYS_NAME), timeouts_s, over_tcp=over_tcp)


@pytest.mark.parametrize("over_tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(("auth", "priv"), COMBINATIONS, ids=[name_of(*combination) for combination in COMBINATIONS])
async def test_each_combination_of_authentication_and_privacy_is_read(v3_snmpd, auth, priv, over_tcp):
    async with asking.open_client() as (client, counters):
        reply = await ask(client, v3_snmpd, credentials(auth, priv), over_tcp=over_tcp)
        assert reply.pdu.values == [b"tower-7"]
        assert counters.total(Count.SNMP_DISCARDED) == 0
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 1, "repeated": 1}


async def test_a_walk_with_privacy_agrees_with_net_snmp(v3_snmpd):
    oid = "1.3.6.1.2.1.2.2.1"
    as_whom = ("-u", name_of("SHA-256", "AES-128"), "-l", "authPriv")
    options = (*as_whom, "-a", "SHA-256", "-A", AUTH_PASSWORD, "-x", "AES", "-X", PRIV_PASSWORD)

    def theirs():
        return net_snmp.ask("snmpbulkwalk", v3_snmpd.port, oid, version="3", more=options)

    async with asking.open_client() as (client, _):
        (peer,) = await client.resolve("127.0.0.1", v3_snmpd.port)
        before = theirs()
        session = Session(client, peer, make_security(credentials()), timeouts_s=asking.PATIENT_S)
        ours = [varbind async for varbind in walk(session, parse_oid(oid))]
        assert net_snmp.agrees(before, [(format_oid(v.name), net_snmp.shown(v.tag, v.value)) for v in ours], theirs())
        assert ours


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("unknown_user", credentials(name="nobody")),
        ("wrong_auth_password", credentials(auth_password="another-one")),
        ("wrong_auth_password", credentials("SHA-512", name=name_of("SHA-256", "AES-128"))),
        ("unsupported_security_level", credentials(name=name_of("SHA-256", None))),
        ("unsupported_security_level", credentials("MD5", None, name=name_of(None, None))),
    ],
)
async def test_what_snmpd_has_against_a_user_is_reported_at_the_first_attempt(v3_snmpd, reason, wanted):
    async with asking.open_client() as (client, _):
        assert await ask(client, v3_snmpd, wanted) == NoReply(reason, 1)


class Forger(asyncio.DatagramProtocol):
    """Between the client and a device: `reports` go to the client before each answer of the device's own."""

    def __init__(self, device, reports):
        self.device, self.reports = device, reports
        self.sent = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, source):
        if source == self.device:
            message = decode_v3(octets)
            for number in self.reports if message.engine_id and message.flags & AUTHENTICATED else ():
                pdu = Pdu(PduType.REPORT, 0, names=[USM_STATS + bytes((number, 0))], tags=bytes([ber.COUNTER32]), values=[1])
                head = ber.encode(4, message.engine_id) + ber.encode_integer(message.boots) + ber.encode_integer(message.time_s)
                scoped = encode_scoped_pdu(message.engine_id, encode_pdu(pdu))
                parameters = encode_parameters(head, ber.encode(4, message.user))
                self.transport.sendto(encode_v3(message.message_id, 0, parameters, scoped), self.client)
                self.sent += 1
            self.transport.sendto(octets, self.client)
        else:
            self.client = source
            self.transport.sendto(octets, self.device)


@pytest.mark.parametrize("reports", [(1,), (3,), (5,), (6,), (2, 5), (4, 3), (2,) * 5], ids=str)
async def test_forged_reports_do_not_beat_the_answer_right_behind_them(v3_snmpd, reports):
    """Each request gets its value at the first attempt, though what came first says that the user or the time is wrong."""
    loop = asyncio.get_running_loop()
    transport, forger = await loop.create_datagram_endpoint(
        lambda: Forger(("127.0.0.1", v3_snmpd.port), reports), local_addr=("127.0.0.1", 0)
    )
    security = make_security(credentials())
    with contextlib.closing(transport):
        async with asking.open_client() as (client, counters):
            for _ in range(3):
                here = transport.get_extra_info("sockname")
                reply = await client.ask(here, security, asking.request(SYS_NAME), asking.PATIENT_S)
                assert reply.pdu.values == [b"tower-7"]
            assert "retried" not in counters.by_reason(Count.SNMP_REQUESTS)
    assert forger.sent >= 3 * len(reports)


@pytest.mark.parametrize(
    "wanted",
    [
        credentials(priv_password="another-one"),
        credentials(priv="AES-256", name=name_of("SHA-256", "AES-128")),
        credentials(priv="DES", name=name_of("SHA-256", "AES-128")),
        credentials("SHA", "AES-256", name=name_of("SHA", "AES-256-C")),
        credentials("MD5", "AES-128", name=name_of("MD5", "DES")),
        credentials("MD5", "DES", priv_password="another-one"),
    ],
    ids=["password", "key length", "DES for AES", "key extension", "AES for DES", "password of DES"],
)
async def test_a_wrong_privacy_password_or_protocol_is_reported_though_snmpd_is_mostly_silent(v3_snmpd, wanted):
    async with asking.open_client() as (client, _):
        assert (await ask(client, v3_snmpd, wanted, timeouts_s=(2.0,))).reason == "wrong_priv"


async def test_no_answer_is_a_timeout():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        async with asking.open_client() as (client, _):
            silent = Snmpd(mute.getsockname()[1], False)
            assert await ask(client, silent, credentials(), timeouts_s=(0.01, 0.01)) == NoReply("timeout", 2)


# Polls


def device_at(port, wanted=None, transport=model.Transport.UDP):
    sensors = (model.Sensor("s1", parse_oid(f"{BASE}.2.0")), model.Sensor("s2", parse_oid(f"{BASE}.1.0")))
    equipment = model.Equipment("e1", "tower", "127.0.0.1", port, transport, wanted or credentials(), sensors=sensors)
    return make_device(equipment, 7, b"", Planner())


@pytest.mark.parametrize("transport", model.Transport)
async def test_a_device_is_polled_with_privacy(v3_snmpd, transport):
    device = device_at(v3_snmpd.port, transport=transport)
    async with asking.open_client() as (client, _):
        result = await Poller(client, Planner()).poll(device, 30)
        assert result.poll.values == (-61, 12.4)
        assert result.missing == {}


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("unknown_user", credentials(name="nobody")),
        ("wrong_auth_password", credentials(auth_password="another-one")),
        ("wrong_priv", credentials(priv_password="another-one")),
    ],
)
async def test_a_poll_that_gives_nothing_says_what_is_wrong_with_the_user(v3_snmpd, reason, wanted):
    async with asking.open_client() as (client, _):
        device = device_at(v3_snmpd.port, wanted)
        device.traits.answers = False  # so that it is probed once, and a silent snmpd need not be waited for longer
        device.traits.observe_rtt(0.001)
        result = await Poller(client, Planner()).poll(device, 30)
        assert (result.poll, result.silence) == (None, reason)


VALUES = READINGS + account("SHA-256", "AES-128")


@pytest.mark.parametrize(
    ("what", "kind"),
    [("restarted", "restarted"), ("restarted thrice", "restarted"), ("replaced", "replaced"), ("boots reset", "boots_reset")],
)
async def test_a_device_that_changed_between_two_polls_is_read_by_the_second(tmp_path, what, kind):
    """By the poll's first request; a warning reports what should not happen."""
    engine = f"exactEngineID {ENGINE_ID}\n"
    with run_snmpd(tmp_path, engine + VALUES) as snmpd:
        device = device_at(snmpd.port)
    for _ in range(2):
        with run_snmpd(tmp_path, engine + VALUES) as snmpd:
            await read_at(snmpd, device)
    if what in ("replaced", "boots reset"):
        (tmp_path / "state" / "snmpd.conf").unlink()
    if what == "replaced":
        engine = f"exactEngineID {ENGINE_ID[:-2]}50\n"
    for _ in range(2 if what == "restarted thrice" else 0):
        with run_snmpd(tmp_path, engine + VALUES):
            pass
    with run_snmpd(tmp_path, engine + VALUES) as snmpd, capture_logs() as logs:
        counters = await read_at(snmpd, device)
    assert counters.by_reason(Count.SNMP_ENGINES) == {kind: 1}
    assert "retried" not in counters.by_reason(Count.SNMP_REQUESTS)
    told = [line["log_level"] for line in logs if line["event"].startswith("SNMP engine")]
    assert told == ["debug" if what.startswith("restarted") else "warning"]


async def read_at(snmpd, device):
    """Poll `device`, which is now at another port, in full; what was counted."""
    device.port, device.peer = snmpd.port, ("127.0.0.1", snmpd.port)
    async with asking.open_client() as (client, counters):
        result = await Poller(client, Planner()).poll(device, 30)
        assert (result.poll.values, result.missing) == ((-61, 12.4), {})
        return counters


async def test_two_devices_with_the_same_engine_id_are_both_read(tmp_path):
    """The same user, other passwords, other boots: as devices cloned from one image are."""
    engine = f"exactEngineID {ENGINE_ID}\n"
    with run_snmpd(tmp_path / "one", engine + VALUES):
        pass
    with (
        run_snmpd(tmp_path / "one", engine + VALUES) as one,
        run_snmpd(tmp_path / "other", engine + VALUES.replace(AUTH_PASSWORD, "another-one")) as other,
    ):
        devices = [device_at(one.port), device_at(other.port, credentials(auth_password="another-one"))]
        async with asking.open_client() as (client, counters):
            poller = Poller(client, Planner())
            for _ in range(3):
                for device in devices:
                    assert (await poller.poll(device, 30)).poll.values == (-61, 12.4)
            assert counters.by_reason(Count.SNMP_ENGINES) == {"discovered": 2}
            assert counters.by_reason(Count.SNMP_REQUESTS)["repeated"] == 2


async def test_a_context_is_read_and_not_the_default_one(snmpd, tmp_path):
    """An snmpd with a context that it asks another snmpd about, as a device does for what is behind it."""
    front_only = (
        f"createUser poller\nrouser -s usm poller noauth .1 vlan-1030\nrouser poller noauth\noverride {BASE}.9.0 integer 7\n"
    )
    behind = f"proxy -Cn vlan-1030 -v 2c -c public 127.0.0.1:{snmpd.port} .1.3.6.1.2.1.1\n"
    user = model.UsmUser("poller")
    with run_snmpd(tmp_path, front_only + behind) as front:
        async with asking.open_client() as (client, _):
            (peer,) = await client.resolve("127.0.0.1", front.port)
            for context, tag in (("", ber.INTEGER), ("vlan-1030", ber.NO_SUCH_OBJECT)):
                security = make_security(model.Credentials(model.SnmpVersion.V3, user=user, context_name=context))
                reply = await client.ask(peer, security, asking.request(SYS_NAME, f"{BASE}.9.0"), asking.PATIENT_S)
                assert reply.pdu.values[0] == b"tower-7"
                assert reply.pdu.tags[1] == tag
