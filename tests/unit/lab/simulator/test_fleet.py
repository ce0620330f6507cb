"""A fleet is devices at addresses of their own, read by net-snmp, and served on loopback alone."""

import asyncio
import socket
import sys
import time
from contextlib import asynccontextmanager

import pytest

from support import net_snmp
from support.snmpd import require_snmpd
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import Community, Request, Version, decode_message
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, fleet_config, make_fleet
from towerops_lab.simulator.profiles import PROFILES

SYS_DESCR = parse_oid("1.3.6.1.2.1.1.1.0")
KINDS = [profile for profile in PROFILES.values() if profile.name != "mikrotik-48"]


@asynccontextmanager
async def fleet(count: int):
    """Served; gives the port."""
    server = FleetServer(make_fleet(KINDS, count, "public", time.time()))
    async with server.serve() as port:
        yield port


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.arrived.put_nowait((data, addr))


async def ask(address: str, port: int) -> tuple[bytes, str]:
    """The description of the device there, and which address the answer came from."""
    transport, answers = await asyncio.get_running_loop().create_datagram_endpoint(_Answers, local_addr=("127.0.0.1", 0))
    try:
        transport.sendto(Community(Version.V2C, b"public").wrap(Request((SYS_DESCR,)).pdu(0x01000001)), (address, port))
        datagram, (host, _) = await answers.arrived.get()
        return decode_message(datagram).pdu.values[0], host
    finally:
        transport.close()


async def test_each_device_answers_from_its_own_address():
    async with fleet(10_000) as port:
        for i in (0, 1, 255, 9_999):
            address = str(FIRST_ADDRESS + i)
            assert await ask(address, port) == (KINDS[i % len(KINDS)].description.encode(), address)


async def test_the_socket_is_bound_to_the_loopback_interface():
    """The kernel tells: what it lists as listening has the interface's name."""
    server = FleetServer({})
    async with server.serve() as port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
            with pytest.raises(OSError, match="in use"):
                other.bind(("0.0.0.0", port))


def test_the_configuration_lists_each_device():
    document = fleet_config(KINDS, 9, "public", 16161, 60)
    assert [each["ip_address"] for each in document["equipment"]] == [str(FIRST_ADDRESS + i) for i in range(9)]
    assert len({each["id"] for each in document["equipment"]}) == 9


def complaints(printed: str) -> list[str]:
    """What a command said on standard error, but for its making directories of its own."""
    return [line for line in printed.splitlines() if not line.startswith("Created directory")]


@pytest.mark.parametrize("index", range(len(KINDS)), ids=[profile.name for profile in KINDS])
async def test_net_snmp_walks_a_device_without_complaint(index):
    """All of it, by v1 and v2c; v1 lacks the 64-bit counters alone."""
    require_snmpd()
    async with fleet(len(KINDS)) as port:
        host = str(FIRST_ADDRESS + index)
        where = net_snmp.address(host, port)
        bulk = await asyncio.to_thread(net_snmp.run, "snmpbulkwalk", "-v2c", "-cpublic", "-Onet", "-Cr40", where, ".1.3.6")
        walk = await asyncio.to_thread(net_snmp.run, "snmpwalk", "-v1", "-cpublic", "-Onet", where, ".1.3.6")
    assert [(each.returncode, complaints(each.stderr)) for each in (bulk, walk)] == [(0, []), (0, [])]
    rows, narrow = net_snmp.rows(bulk.stdout), net_snmp.rows(walk.stdout)
    mib = KINDS[index].mib
    assert len([row for row in rows if "No more variables" not in row[1]]) == len(mib)
    wide = [name for name, value in rows if value.startswith("Counter64")]
    assert [name for name, _ in narrow] == [name for name, value in rows if name not in wide and "No more variables" not in value]


async def test_net_snmp_gets_what_is_there_and_is_told_what_is_not():
    require_snmpd()
    async with fleet(1) as port:
        where = net_snmp.address(str(FIRST_ADDRESS), port)
        oids = (".1.3.6.1.2.1.1.5.0", ".1.3.6.1.2.1.31.1.1.1.1.1", ".1.3.6.1.9.9.0")
        v2 = await asyncio.to_thread(net_snmp.run, "snmpget", "-v2c", "-cpublic", "-On", where, *oids)
        v1 = await asyncio.to_thread(net_snmp.run, "snmpget", "-v1", "-cpublic", "-On", "-Cf", where, *oids)
    assert [value for _, value in net_snmp.rows(v2.stdout)] == [
        'STRING: "mikrotik-router"',
        'STRING: "sfp-sfpplus1"',
        "No Such Object available on this agent at this OID",
    ]
    assert "noSuchName" in v1.stderr


async def test_it_runs_on_its_own_until_sigterm(tmp_path):
    config = tmp_path / "config.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from towerops_lab.commands import simulate; simulate()"),
        *("--devices", "3", "--profile", "apc", "--port", "0", "--write-config", str(config)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("serving 3 devices at 127.1.0.1 to 127.1.0.3, port ")
    port = int(line.rsplit(" ", 1)[1])
    assert f'"port": {port}' in config.read_text()
    assert (await ask("127.1.0.3", port))[1] == "127.1.0.3"
    process.terminate()
    output, _ = await process.communicate()
    assert output.decode() == "stopped; 1 requests answered\n"
    assert process.returncode == 0


V3 = ("-v3", "-utowerops", "-lauthPriv", "-aSHA-256", "-Atowerops-auth", "-xAES", "-Xtowerops-priv")


async def test_net_snmp_reads_a_device_by_v3_without_complaint():
    require_snmpd()
    async with fleet(1) as port:
        where = net_snmp.address(str(FIRST_ADDRESS), port)
        get = await asyncio.to_thread(
            net_snmp.run, "snmpget", *V3, "-On", where, ".1.3.6.1.2.1.1.5.0", ".1.3.6.1.2.1.31.1.1.1.6.1"
        )
        walk = await asyncio.to_thread(net_snmp.run, "snmpbulkwalk", *V3, "-On", "-Cr30", where, ".1.3.6")
    assert [(each.returncode, complaints(each.stderr)) for each in (get, walk)] == [(0, []), (0, [])]
    assert net_snmp.rows(get.stdout)[0][1] == 'STRING: "mikrotik-router"'
    assert len([row for row in net_snmp.rows(walk.stdout) if "No more variables" not in row[1]]) == len(KINDS[0].mib)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("-v3", "-unobody", "-lnoAuthNoPriv"), "Unknown user name"),
        ((*V3[:4], "-Awrong-password", *V3[5:]), "Authentication failure"),
        ((*V3[:6], "-Xwrong-password"), "Decryption error"),
        (("-v3", "-utowerops", "-lauthNoPriv", "-aSHA-256", "-Atowerops-auth"), "authorizationError"),
    ],
)
async def test_net_snmp_is_told_what_is_wrong_with_its_user(options, complaint):
    require_snmpd()
    async with fleet(1) as port:
        where = net_snmp.address(str(FIRST_ADDRESS), port)
        get = await asyncio.to_thread(net_snmp.run, "snmpget", *options, "-t0.3", "-r0", where, ".1.3.6.1.2.1.1.5.0")
    assert complaint in get.stderr
