"""The simulated devices, read by net-snmp: each kind, by each version; a codec of another hand than the agent's."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from support import net_snmp
from support.snmpd import require_snmpd
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, make_fleet
from towerops_lab.simulator.profiles import PROFILES

KINDS = list(PROFILES.values())
V3 = ("-v3", "-utowerops", "-lauthPriv", "-aSHA-256", "-Atowerops-auth", "-xAES", "-Xtowerops-priv")
SYS_NAME, IF_NAME = ".1.3.6.1.2.1.1.5.0", ".1.3.6.1.2.1.31.1.1.1.1.1"
"""Waits on a machine that has other things to do; a device that does not answer is a failure all the same."""


@asynccontextmanager
async def fleet(count: int):
    """Devices of all kinds in turn, served; gives the port."""
    require_snmpd()
    async with FleetServer(make_fleet(KINDS, count, "public", time.time())).serve() as port:
        yield port


async def said(command: str, *words: str) -> tuple[list[net_snmp.Row], list[str]]:
    """What a command printed: rows, and complaints, but for its making directories of its own."""
    done = await asyncio.to_thread(net_snmp.run, command, *words)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Created directory")]
    return [row for row in net_snmp.rows(done.stdout) if "No more variables" not in row[1]], complaints


@pytest.mark.parametrize("index", range(len(KINDS)), ids=[profile.name for profile in KINDS])
async def test_net_snmp_walks_a_device_without_complaint(index):
    """All of it, by v1, v2c and v3; v1 lacks the 64-bit counters only."""
    async with fleet(len(KINDS)) as port:
        where = net_snmp.address(str(FIRST_ADDRESS + index), port)
        bulk, bulk_says = await said("snmpbulkwalk", "-v2c", "-cpublic", *net_snmp.PATIENT, "-Onet", "-Cr40", where, ".1")
        secure, secure_says = await said("snmpbulkwalk", *V3, *net_snmp.PATIENT, "-Onet", "-Cr30", where, ".1")
        narrow, narrow_says = await said("snmpwalk", "-v1", "-cpublic", *net_snmp.PATIENT, "-Onet", where, ".1")
    assert (bulk_says, secure_says, narrow_says) == ([], [], [])
    names = [name for name, _ in bulk]
    assert len(names) == len(KINDS[index].mib)
    assert [name for name, _ in secure] == names
    assert [name for name, _ in narrow] == [name for name, value in bulk if not value.startswith("Counter64")]


@pytest.mark.parametrize("index", range(len(KINDS)), ids=[profile.name for profile in KINDS])
async def test_net_snmp_gets_each_sensor_and_a_reason_for_what_is_not_there(index):
    profile = KINDS[index]
    oids = [f".{sensor.oid}" for sensor in profile.sensors[:20]]
    async with fleet(len(KINDS)) as port:
        where = net_snmp.address(str(FIRST_ADDRESS + index), port)
        plain, plain_says = await said("snmpget", "-v2c", "-cpublic", *net_snmp.PATIENT, "-On", where, *oids, ".1.3.6.1.9.9.0")
        old, old_says = await said("snmpget", "-v1", "-cpublic", *net_snmp.PATIENT, "-On", where, *oids)
        _, refused = await said("snmpget", "-v1", "-cpublic", *net_snmp.PATIENT, "-On", "-Cf", where, ".1.3.6.1.9.9.0")
    assert (plain_says, old_says) == ([], [])
    assert [name for name, _ in plain[:-1]] == [name for name, _ in old] == [oid.removeprefix(".") for oid in oids]
    assert not any("No Such" in value for _, value in plain[:-1])
    assert plain[-1][1] == "No Such Object available on this agent at this OID"
    assert any("noSuchName" in line for line in refused)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("-v3", "-unobody", "-lnoAuthNoPriv"), "Unknown user name"),
        ((*V3[:4], "-Awrong-password", *V3[5:]), "Authentication failure"),
        ((*V3[:6], "-Xwrong-password"), "Decryption error"),
        (("-v3", "-utowerops", "-lauthNoPriv", "-aSHA-256", "-Atowerops-auth"), "authorizationError"),
        ((*V3, "-nbridge1"), "Bad context"),
    ],
)
async def test_net_snmp_is_answered_what_is_wrong_with_its_user_or_context(options, complaint):
    async with fleet(1) as port:
        where = net_snmp.address(str(FIRST_ADDRESS), port)
        get = await asyncio.to_thread(net_snmp.run, "snmpget", *options, "-t3", "-r0", where, SYS_NAME)
    assert complaint.lower() in get.stderr.lower()
