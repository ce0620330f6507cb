"""net-snmp's own commands read a simulated device over UDP, as they read a real one."""

import asyncio

import pytest

from support import net_snmp
from support.skips import NO_IPV6
from support.snmpd import require_snmpd
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

VALUES = {
    "1.3.6.1.2.1.1.1.0": (ber.OCTET_STRING, b"a radio"),
    "1.3.6.1.2.1.1.2.0": (ber.OBJECT_IDENTIFIER, parse_oid("1.3.6.1.4.1.14988.4294967295")),
    "1.3.6.1.2.1.1.3.0": (ber.TIME_TICKS, 2**32 - 1),
    "1.3.6.1.2.1.2.2.1.10.1": (ber.COUNTER32, 2**32 - 1),
    "1.3.6.1.2.1.2.2.1.10.2": (ber.COUNTER32, 0),
    "1.3.6.1.2.1.2.2.1.10.300": (ber.COUNTER32, 127),
    "1.3.6.1.2.1.4.20.1.1": (ber.IP_ADDRESS, b"\x0a\x00\x13\xfe"),
    "1.3.6.1.2.1.31.1.1.1.6.1": (ber.COUNTER64, 2**64 - 1),
    "1.3.6.1.4.1.14988.1.0": (ber.INTEGER, -(2**31)),
    "1.3.6.1.4.1.14988.2.0": (ber.GAUGE32, 128),
    "1.3.6.1.4.1.14988.3.0": (ber.OPAQUE, b"\x9f\x78\x04\x41\x48\x00\x00"),
    "1.3.6.1.4.1.14988.4.0": (ber.OCTET_STRING, b""),
}
DEVICE = SimulatedDevice({parse_oid(oid): value for oid, value in VALUES.items()})
SHOWN = {oid: net_snmp.shown(tag, value) for oid, (tag, value) in VALUES.items()}


def by_version(version):
    """What a version can say: SNMPv1 has no Counter64."""
    return [(oid, text) for oid, text in SHOWN.items() if version == "2c" or not text.startswith("Counter64")]


@pytest.fixture(autouse=True)
def _needs_net_snmp():
    require_snmpd()


async def run(command, *oids, version="2c", more=(), host="127.0.0.1", device=DEVICE):
    async with serve(device, host) as port:
        return await asyncio.to_thread(net_snmp.ask, command, port, *oids, version=version, more=more, host=host)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_snmpget_reads_each_type(version):
    wanted = by_version(version)
    assert await run("snmpget", *(oid for oid, _ in wanted), version=version) == wanted


@pytest.mark.parametrize(("command", "version"), [("snmpwalk", "1"), ("snmpwalk", "2c"), ("snmpbulkwalk", "2c")])
async def test_a_walk_reads_all_in_order(command, version):
    """net-snmp itself checks that the names grow, and says so where the MIB ends."""
    walked = await run(command, "1.3", version=version)
    assert [row for row in walked if not row[1].startswith("No more")] == by_version(version)


@pytest.mark.parametrize("repetitions", [1, 3, 50])
async def test_getbulk_reads_the_same_whatever_its_repetitions(repetitions):
    walked = await run("snmpbulkwalk", "1.3.6.1.2.1", more=[f"-Cr{repetitions}"])
    assert walked == [(oid, text) for oid, text in SHOWN.items() if oid.startswith("1.3.6.1.2.1.")]


async def test_snmpgetnext_begins_at_the_root():
    assert await run("snmpgetnext", "0.0") == [("1.3.6.1.2.1.1.1.0", SHOWN["1.3.6.1.2.1.1.1.0"])]


async def test_absences_are_shown_as_a_real_agent_s():
    oids = ["1.3.6.1.2.1.1.1.7", "1.3.6.1.2.1.177.0"]
    shown = [net_snmp.shown(tag, None) for tag in (ber.NO_SUCH_INSTANCE, ber.NO_SUCH_OBJECT)]
    assert await run("snmpget", *oids) == list(zip(oids, shown, strict=True))


async def test_snmpget_of_v1_leaves_out_what_is_missing():
    """It asks again without the varbind that error-index names."""
    wanted = "1.3.6.1.2.1.1.1.0"
    assert await run("snmpget", "1.3.6.1.2.1.1.1.7", wanted, version="1") == [(wanted, SHOWN[wanted])]


async def test_a_device_is_served_over_ipv6(request):
    try:
        read = await run("snmpget", "1.3.6.1.2.1.1.1.0", host="::1")
    except OSError:
        pytest.skip(NO_IPV6)
    assert read == [("1.3.6.1.2.1.1.1.0", SHOWN["1.3.6.1.2.1.1.1.0"])]


async def test_the_time_of_a_live_value_begins_with_the_server():
    seen = []
    device = SimulatedDevice({parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, lambda uptime_s: seen.append(uptime_s) or 1)})
    await run("snmpget", "1.3.6.1.2.1.1.3.0", device=device)
    assert 0 <= seen[0] < 60
