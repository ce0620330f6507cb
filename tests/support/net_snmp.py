"""net-snmp's commands, as the measure that ours are held against.

`ask` runs one and returns what it printed as (OID, "Type: value"); `shown` writes a varbind of ours in the same words.
"""

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence

from support.hang import HANG_S
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid
from towerops_agent.snmp.wire.message import Value

SEARCHED = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""snmpd is not on everybody's PATH."""

COMMANDS = ("snmpd", "snmpget", "snmpgetnext", "snmpwalk", "snmpbulkwalk")

PATIENT = (f"-t{HANG_S:.0f}", "-r0")
"""For a device that answers: no command waits that long."""

Row = tuple[str, str]


def missing() -> list[str]:
    """Which of net-snmp's commands this machine lacks."""
    return [command for command in COMMANDS if shutil.which(command, path=SEARCHED) is None]


def environment(state: str) -> dict[str, str]:
    """Neither the user's configuration nor MIB files: OIDs and values as they are on the wire. `state`: a directory."""
    return {"PATH": SEARCHED, "MIBS": "", "MIBDIRS": state, "SNMPCONFPATH": state, "SNMP_PERSISTENT_DIR": state, "LC_ALL": "C"}


def run(command: str, *args: str) -> subprocess.CompletedProcess[str]:
    """What `command` printed, whatever its exit status."""
    path = shutil.which(command, path=SEARCHED)
    assert path is not None, f"{command} is not installed"
    with tempfile.TemporaryDirectory() as state:
        return subprocess.run(  # noqa: PLW1510 - the status is the caller's
            [path, *args], env=environment(state), capture_output=True, text=True, encoding="latin-1", timeout=HANG_S
        )


def address(host: str, port: int) -> str:
    """Where to ask, as net-snmp's commands want it."""
    return f"udp6:[{host}]:{port}" if ":" in host else f"udp:{host}:{port}"


def ask(
    command: str,
    port: int,
    *oids: str,
    version: str = "2c",
    host: str = "127.0.0.1",
    community: str = "public",
    more: Sequence[str] = (),
) -> list[Row]:
    """What snmpget, snmpgetnext, snmpwalk or snmpbulkwalk print: OIDs without a leading dot, and "Type: value"."""
    options = [f"-v{version}", "-c", community, *PATIENT, "-Onetx", *more]
    return rows(run(command, *options, address(host, port), *(f".{oid}" for oid in oids)).stdout)


def rows(printed: str) -> list[Row]:
    """The rows of what a command printed with -Onetx; a value in hexadecimal may go over several lines."""
    joined = re.sub(r"\n(?!\.[0-9])", " ", printed.removesuffix("End of MIB\n"))
    found = []
    for line in joined.splitlines():
        if " = " in line:
            name, value = line.split(" = ", 1)
            found.append((name.removeprefix("."), " ".join(value.split())))
    return found


def shown(tag: int, value: Value) -> str:
    """A value in net-snmp's words."""
    return _SHOWN[tag](value)


def _hex(value: Value) -> str:
    assert isinstance(value, bytes)
    return f"Hex-STRING: {value.hex(' ').upper()}" if value else '""'


def _opaque(value: Value) -> str:
    assert isinstance(value, bytes)
    if value[:3] == b"\x9f\x78\x04":
        return f"Opaque: Float: {struct.unpack('>f', value[3:])[0]:f}"
    return f"OPAQUE: {value.hex(' ').upper()}"


_SHOWN: dict[int, Callable[[Value], str]] = {
    ber.INTEGER: lambda value: f"INTEGER: {value}",
    ber.COUNTER32: lambda value: f"Counter32: {value}",
    ber.GAUGE32: lambda value: f"Gauge32: {value}",
    ber.COUNTER64: lambda value: f"Counter64: {value}",
    ber.TIME_TICKS: lambda value: f"{value}",
    ber.OCTET_STRING: _hex,
    ber.OPAQUE: _opaque,
    ber.IP_ADDRESS: lambda value: "IpAddress: " + ".".join(map(str, value)),  # type: ignore[arg-type]
    ber.OBJECT_IDENTIFIER: lambda value: f"OID: .{format_oid(value)}",  # type: ignore[arg-type]
    ber.NULL: lambda _: "NULL",
    ber.NO_SUCH_OBJECT: lambda _: "No Such Object available on this agent at this OID",
    ber.NO_SUCH_INSTANCE: lambda _: "No Such Instance currently exists at this OID",
    ber.END_OF_MIB_VIEW: lambda _: "No more variables left in this MIB View (It is past the end of the MIB tree)",
}


def rising(text: str) -> int | None:
    """The number of a counter or of time ticks as net-snmp shows them; None for what does not rise by itself."""
    match = re.fullmatch(r"(?:Counter(?:32|64): )?([0-9]+)", text)
    return int(match[1]) if match else None


def agrees(before: Sequence[Row], ours: Sequence[Row], after: Sequence[Row]) -> bool:
    """Whether our rows are those that net-snmp read before and after: the same, or of counters and times something between."""
    assert [name for name, _ in ours] == [name for name, _ in before] == [name for name, _ in after]
    for (name, low), (_, got), (_, high) in zip(before, ours, after, strict=True):
        numbers = rising(low), rising(got), rising(high)
        if None in numbers:
            assert got in (low, high), name
        else:
            assert numbers[0] <= numbers[1] <= numbers[2], name  # type: ignore[operator]
    return True
