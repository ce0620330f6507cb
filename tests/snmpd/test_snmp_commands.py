"""`towerops-agent snmp` prints what net-snmp's commands print, of the real snmpd and of a device of odd values."""

import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support import net_snmp
from support.hang import HANG_S
from support.skips import NO_IPV6
from towerops_agent.cli.snmp import snmp
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import ErrorStatus
from towerops_agent.snmp.wire.message import Message as SnmpMessage
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

BASE = "1.3.6.1.4.1.8072.9999"
SYSTEM = "1.3.6.1.2.1.1"
IF_TABLE = "1.3.6.1.2.1.2.2"
IF_X_TABLE = "1.3.6.1.2.1.31.1.1"
UCD_LOAD = "1.3.6.1.4.1.2021.10"
UCD_MEMORY = "1.3.6.1.4.1.2021.4"

ODD = parse_oid("1.3.6.1.4.1.9999")
ODD_VALUES = [
    (ber.INTEGER, -5),
    (ber.INTEGER, -(2**31)),
    (ber.OCTET_STRING, b""),
    (ber.OCTET_STRING, b'a "quote", a \\ and\n\ttabs\r\x0b\x0c'),
    (ber.OCTET_STRING, b"\x00"),
    (ber.OCTET_STRING, b"\x00" * 15),
    (ber.OCTET_STRING, b"\xff" * 16),
    (ber.OCTET_STRING, b"\xff" * 17),
    (ber.OCTET_STRING, bytes(range(256))),
    (ber.OCTET_STRING, b"x" * 600),
    (ber.OCTET_STRING, "Füllstand".encode()),
    (ber.OCTET_STRING, b"\x1b[31m"),
    (ber.OCTET_STRING, b"del \x7f"),
    (ber.OBJECT_IDENTIFIER, b""),
    (ber.OBJECT_IDENTIFIER, b"\x00"),
    (ber.OBJECT_IDENTIFIER, parse_oid("2.100.3")),
    (ber.OBJECT_IDENTIFIER, parse_oid("1.3.6.1.4.1.4294967295")),
    (ber.IP_ADDRESS, b"\x0a\x00\x13\xfe"),
    (ber.COUNTER32, 2**32 - 1),
    (ber.GAUGE32, 2**32 - 1),
    (ber.UINTEGER32, 7),
    (ber.TIME_TICKS, 0),
    (ber.TIME_TICKS, 123),
    (ber.TIME_TICKS, 8_639_999),
    (ber.TIME_TICKS, 8_640_000),
    (ber.TIME_TICKS, 17_280_000),
    (ber.TIME_TICKS, 2**32 - 1),
    (ber.COUNTER64, 2**64 - 1),
    (ber.NSAP_ADDRESS, bytes(20)),
    (ber.NULL, None),
    (ber.OPAQUE, b""),
    (ber.OPAQUE, b"hello"),
    (ber.OPAQUE, bytes(40)),
    (ber.OPAQUE, bytes.fromhex("9f780441458 51f".replace(" ", ""))),
    (ber.OPAQUE, bytes.fromhex("9f78047fc00000")),
    (ber.OPAQUE, bytes.fromhex("9f7804ffc00000")),
    (ber.OPAQUE, bytes.fromhex("9f7804ff800000")),
    (ber.OPAQUE, bytes.fromhex("9f79084028000000000000")),
    (ber.OPAQUE, bytes.fromhex("9f76020100")),
    (ber.OPAQUE, bytes.fromhex("9f7a01ff")),
    (ber.OPAQUE, bytes.fromhex("9f7b017f")),
    (ber.OPAQUE, bytes.fromhex("9f500100")),
    (ber.OPAQUE, b"\x9f"),
]


def ours(*args: str, **environ: str) -> Result:
    """What our command prints, with the community "public"."""
    return CliRunner().invoke(snmp, [*args], env={"SNMP_COMMUNITY": "public", **environ})


def theirs(
    command: str, port: int, *oids: str, version: str = "2c", host: str = "127.0.0.1"
) -> subprocess.CompletedProcess[bytes]:
    """What net-snmp's command prints with -On and no MIBs."""
    path = shutil.which(command, path=net_snmp.SEARCHED)
    assert path is not None, f"{command} is not installed"
    options = [f"-v{version}", "-cpublic", *net_snmp.PATIENT, "-On", "-m", ""]
    with tempfile.TemporaryDirectory() as state:
        (Path(state) / "cert_indexes").mkdir()  # else each command says that it made it
        return subprocess.run(
            [path, *options, net_snmp.address(host, port), *(f".{oid}" for oid in oids)],
            env=net_snmp.environment(state),
            capture_output=True,
            timeout=HANG_S,
            check=False,
        )


def walk_command(version: str) -> str:
    return "snmpwalk" if version == "1" else "snmpbulkwalk"


def shape(line: bytes) -> bytes:
    """A line whose value may have moved between two walks: numbers as such, a number of days or not."""
    name, _, value = line.partition(b" = ")
    return name + b" = " + re.sub(rb"[0-9]+", b"0", re.sub(rb"[0-9]+ days?, ", b"", value))


def same_but_for_time(before: bytes, got: bytes, after: bytes) -> bool:
    """Whether `got` is line for line as one of the others, or between them in a value that moves."""
    lines = before.split(b"\n"), got.split(b"\n"), after.split(b"\n")
    assert len(lines[0]) == len(lines[1]) == len(lines[2])
    for low, line, high in zip(*lines, strict=True):
        assert line in (low, high) or (low != high and shape(line) == shape(low)), (low, line, high)
    return True


@pytest.fixture(scope="module")
def odd_device() -> SimulatedDevice:
    """The odd values, then as many strings at random."""
    rng = random.Random(7)
    strings = [
        (ber.OCTET_STRING, rng.choice([rng.randbytes, lambda n: bytes(rng.choices(range(0x20, 0x7F), k=n))])(rng.randrange(60)))
        for _ in range(200)
    ]
    return SimulatedDevice({child(ODD, i, 0): value for i, value in enumerate([*ODD_VALUES, *strings], 1)})


@pytest.mark.parametrize("version", ["1", "2c"])
@pytest.mark.parametrize("root", [SYSTEM, IF_TABLE, IF_X_TABLE, UCD_LOAD, UCD_MEMORY, BASE])
def test_a_walk_prints_what_net_snmp_prints(snmpd, root, version):
    """system, the interfaces' tables, UCD's, and `override` lines: the same lines in the same order, but for what has moved."""
    host = f"127.0.0.1:{snmpd.port}"
    before = theirs(walk_command(version), snmpd.port, root, version=version)
    got = ours("walk", host, root, "--version", version)
    after = theirs(walk_command(version), snmpd.port, root, version=version)
    assert got.exit_code == 0, got.stderr
    assert before.stdout.count(b"\n") > 3
    assert same_but_for_time(before.stdout, got.stdout_bytes, after.stdout)


def test_a_walk_of_constant_values_is_the_same_octet_for_octet(snmpd):
    """Only the `override` lines: nothing moves there."""
    got = ours("walk", f"127.0.0.1:{snmpd.port}", BASE)
    assert got.stdout_bytes == theirs("snmpwalk", snmpd.port, BASE).stdout


def test_a_walk_over_ipv6_is_the_same(snmpd):
    if not snmpd.has_ipv6:
        pytest.skip(NO_IPV6)
    got = ours("walk", f"[::1]:{snmpd.port}", BASE)
    assert got.stdout_bytes == theirs("snmpbulkwalk", snmpd.port, BASE, host="::1").stdout
    assert got.stdout_bytes


def test_a_walk_without_an_oid_is_of_mib_2(snmpd):
    got = ours("walk", f"127.0.0.1:{snmpd.port}")
    assert got.stdout.startswith('.1.3.6.1.2.1.1.1.0 = STRING: "a radio"\n')
    names = [line.split(" = ")[0] for line in got.stdout.splitlines() if line.startswith(".1.")]
    assert all(name.startswith(".1.3.6.1.2.1.") for name in names)


def test_a_get_prints_what_snmpget_prints(snmpd):
    """Values, and what there is none of: no such instance, no such object."""
    oids = [f"{BASE}.{i}.0" for i in (1, 2, 3, 4, 6, 7, 8, 10, 11, 12)]
    oids += [f"{BASE}.9.{i}.0" for i in (1, 2, 3, 4)] + [f"{SYSTEM}.1.7", f"{SYSTEM}.77.0", "1.3.6.1.9.1"]
    got = ours("get", f"127.0.0.1:{snmpd.port}", *oids)
    assert got.stdout_bytes == theirs("snmpget", snmpd.port, *oids).stdout
    assert (got.exit_code, got.stderr) == (0, "")
    assert "No Such Instance currently exists at this OID" in got.stdout
    assert "No Such Object available on this agent at this OID" in got.stdout


def test_an_error_of_snmpv1_is_reported_as_snmpget_does(snmpd):
    """noSuchName: the failed object on standard error, the others' values on standard output, and status 1."""
    oids = [f"{BASE}.1.0", f"{SYSTEM}.77.0", f"{BASE}.2.0", "1.3.6.1.9.1"]
    got = ours("get", f"127.0.0.1:{snmpd.port}", *oids, "--version", "1")
    wanted = theirs("snmpget", snmpd.port, *oids, version="1")
    assert (got.stdout_bytes, got.stderr_bytes) == (wanted.stdout, wanted.stderr)
    assert b"noSuchName" in wanted.stderr
    assert got.exit_code == 1


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_odd_values_are_the_same_octet_for_octet(odd_device, version):
    """Every type, strings with every octet, floats that are not numbers, and 200 strings at random, to the end of the MIB."""
    async with serve(odd_device) as port:
        wanted = await asyncio.to_thread(theirs, walk_command(version), port, "1.3.6.1.4.1.9999", version=version)
        got = await asyncio.to_thread(ours, "walk", f"127.0.0.1:{port}", "1.3.6.1.4.1.9999", "--version", version)
    assert got.stdout_bytes == wanted.stdout
    assert wanted.stdout.count(b"\n") > 200
    assert wanted.stdout.splitlines()[-1].startswith(b"End of MIB") is (version == "1")


@pytest.mark.parametrize("version", ["1", "2c"])
@pytest.mark.parametrize("root", ["1.3.6.1.5", "1.3.6.1.4.1.8", "1.3.6.1.4.1.9999.3", "1.3.6.1.4.1.9999.3.0"])
async def test_a_walk_of_nothing_ends_as_net_snmps_does(odd_device, root, version):
    """Behind the end of the MIB, at a single instance, and above one."""
    async with serve(odd_device) as port:
        wanted = await asyncio.to_thread(theirs, walk_command(version), port, root, version=version)
        got = await asyncio.to_thread(ours, "walk", f"127.0.0.1:{port}", root, "--version", version)
    assert got.stdout_bytes == wanted.stdout
    assert got.exit_code == wanted.returncode == 0


@pytest.mark.parametrize("status", [ErrorStatus.tooBig, ErrorStatus.genErr, ErrorStatus.noAccess, ErrorStatus.authorizationError])
@pytest.mark.parametrize("index", [0, 1])
async def test_a_refusal_is_reported_as_snmpget_does(status, index):
    """The words of each error-status that a GET may meet, with and without an error-index."""

    def refuse(datagram, _):
        message = decode_message(datagram)
        names = message.pdu.names
        refusal = response(message.pdu, names, bytes([ber.NULL]) * len(names), [None] * len(names), status, index)
        return encode_message(SnmpMessage(message.version, message.community, refusal))

    async with serve(refuse) as port:
        wanted = await asyncio.to_thread(theirs, "snmpget", port, f"{SYSTEM}.3.0")
        got = await asyncio.to_thread(ours, "get", f"127.0.0.1:{port}", f"{SYSTEM}.3.0")
    assert (got.stdout_bytes, got.stderr_bytes) == (wanted.stdout, wanted.stderr)
    assert got.exit_code == 1


def test_json_has_the_values_of_the_text(snmpd):
    """A walk as JSON: one array, as many objects as lines, octets that are not text in hexadecimal."""
    host = f"127.0.0.1:{snmpd.port}"
    rows = json.loads(ours("walk", host, BASE, "--json").stdout)
    assert len(rows) == len(snmpd.walk(BASE))
    rows += json.loads(ours("get", host, *(f"{BASE}.9.{i}.0" for i in (1, 2, 4)), "--json").stdout)
    by_oid = {row["oid"]: (row["type"], row["value"]) for row in rows}
    assert by_oid[f"{BASE}.1.0"] == ("OCTET STRING", "12.4 V")
    assert by_oid[f"{BASE}.2.0"] == ("INTEGER", -61)
    assert by_oid[f"{BASE}.8.0"] == ("OCTET STRING", {"hex": "ff00807f"})
    assert by_oid[f"{BASE}.9.1.0"] == ("Counter64", 2**64 - 1)
    assert by_oid[f"{BASE}.9.2.0"] == ("IpAddress", "10.0.19.254")
    assert by_oid[f"{BASE}.9.4.0"] == ("Opaque Float", 12.5)


def test_a_process_of_its_own_prints_the_same(snmpd):
    """From the shell: what is piped is what net-snmp pipes, and standard error is empty."""
    program = "from towerops_agent.cli.snmp import snmp; snmp(prog_name='towerops-agent snmp')"
    got = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "walk", f"127.0.0.1:{snmpd.port}", BASE],
        env={"SNMP_COMMUNITY": "public", "LC_ALL": "C"},
        capture_output=True,
        timeout=HANG_S,
        check=False,
    )
    assert got.stdout == theirs("snmpwalk", snmpd.port, BASE).stdout
    assert (got.returncode, got.stderr) == (0, b"")


def test_a_probe_of_snmpd_finds_out_what_it_is(snmpd):
    """Its names, both versions, 64 varbinds, GETBULK, and its interfaces as snmpwalk counts them."""
    got = ours("probe", f"127.0.0.1:{snmpd.port}", "--json")
    assert got.exit_code == 0, got.stderr
    report = json.loads(got.stdout)
    assert report["versions"] == {"2c": "answers", "1": "answers"}
    assert report["version"] == "2c"
    assert report["system"]["sysDescr"] == "a radio"
    assert report["system"]["sysName"] == "tower-7"
    assert report["system"]["sysObjectID"] == ".1.3.6.1.4.1.8072.9999"
    assert report["rtt"]["answered"] == report["rtt"]["asked"] == 5
    assert 0 < report["rtt"]["min_s"] <= report["rtt"]["median_s"]
    assert report["get"]["accepted"] >= 32
    assert report["bulk"][0]["answered"] == 10
    assert report["largest_answer_octets"] > 400
    rows = len(snmpd.walk(f"{IF_TABLE}.1.1"))
    assert (report["if_number"], report["interfaces"], report["wide_counters"]) == (rows, rows, rows)


def test_a_probe_is_reported_in_aligned_lines(snmpd):
    text = ours("probe", f"127.0.0.1:{snmpd.port}", "--version", "1").stdout
    heading, *lines = text.splitlines()
    assert heading == f"127.0.0.1:{snmpd.port}"
    assert lines[0] == "  versions         1 answers"
    assert {line[:19].rstrip() for line in lines} >= {"  sysDescr", "  round trip", "  varbinds", "  64-bit counters"}
    assert all(line[17:19] == "  " and line[19] != " " for line in lines)
    assert lines[-1] == "  64-bit counters  none: SNMPv1 has no Counter64"
