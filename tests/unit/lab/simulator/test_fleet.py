"""A fleet is devices at addresses of their own, served on loopback only. tests/snmpd reads it with net-snmp."""

import asyncio
import socket
import sys
import time
from contextlib import asynccontextmanager

import pytest

from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, Request, Version
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, fleet_config, make_fleet
from towerops_lab.simulator.profiles import PROFILES

SYS_DESCR = parse_oid("1.3.6.1.2.1.1.1.0")
KINDS = list(PROFILES.values())


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
    """The kernel shows it: what it lists as listening has the interface's name."""
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
    assert output.decode() == "stopped; 1 request answered\n"
    assert process.returncode == 0
