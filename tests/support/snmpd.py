"""net-snmp's agent, the real one: on a free port of the loopback, UDP and TCP, with a configuration and a state of its own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import net_snmp
from support.hang import HANG_S

CONFIG = """\
rocommunity public 127.0.0.1
rocommunity6 public ::1
sysName tower-7
sysLocation "mast, 12 m"
sysContact noc@example.net
sysDescr a radio
sysObjectID 1.3.6.1.4.1.8072.9999
sysServices 72
"""

_STARTS = 3
"""A free port may be taken by somebody else before snmpd binds it: then another one is tried."""


@dataclass(frozen=True)
class Snmpd:
    """A running snmpd. `has_ipv6`: whether it answers on ::1 too, at the same port."""

    port: int
    has_ipv6: bool

    def get(self, oid: str, version: str = "2c") -> str:
        """Only the value that snmpget prints: `17`, `12.4 V`, `.1.3.6.1.4.1.8072.9999`."""
        where = net_snmp.address("127.0.0.1", self.port)
        printed = net_snmp.run("snmpget", f"-v{version}", "-cpublic", *net_snmp.PATIENT, "-On", "-Oqvte", where, f".{oid}")
        assert printed.returncode == 0, printed.stderr
        return printed.stdout.strip().strip('"')

    def ask(self, command: str, *oids: str, version: str = "2c", host: str = "127.0.0.1") -> list[net_snmp.Row]:
        """What one of net-snmp's commands prints: (OID, "Type: value")."""
        return net_snmp.ask(command, self.port, *oids, version=version, host=host)

    def walk(self, oid: str, version: str = "2c") -> list[net_snmp.Row]:
        """What snmpbulkwalk (v1: snmpwalk) prints: (OID, "Type: value")."""
        return self.ask("snmpwalk" if version == "1" else "snmpbulkwalk", oid, version=version)


def require_snmpd() -> None:
    """Skip the test if net-snmp is missing."""
    absent = net_snmp.missing()
    if not absent:
        return
    reason = f"net-snmp is needed, and {', '.join(absent)} not found: install Debian's packages snmpd and snmp"
    pytest.skip(reason)


@contextmanager
def run_snmpd(directory: Path, extra_config: str = "") -> Iterator[Snmpd]:
    """snmpd, until the block ends, with `extra_config` behind CONFIG. `directory`: the place of its files."""
    require_snmpd()
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "snmpd.conf"
    config.write_text(CONFIG + extra_config)
    log = directory / "snmpd.log"
    for _ in range(_STARTS):
        port, has_ipv6 = _free_port()
        process = _start(config, log, port, has_ipv6)
        try:
            if _answers(process, port):
                yield Snmpd(port, has_ipv6)
                return
        finally:
            process.terminate()
            process.wait(timeout=HANG_S)
    pytest.fail(f"snmpd does not start:\n{log.read_text(errors='replace')}")


def _start(config: Path, log: Path, port: int, has_ipv6: bool) -> subprocess.Popen[bytes]:
    path = shutil.which("snmpd", path=net_snmp.SEARCHED)
    assert path is not None
    four = net_snmp.address("127.0.0.1", port)
    addresses = [four, four.replace("udp", "tcp"), *([net_snmp.address("::1", port)] if has_ipv6 else [])]
    command = [path, "-f", "-r", "-c", str(config), "-Lf", str(log), *addresses]
    return subprocess.Popen(command, env=net_snmp.environment(str(config.parent / "state")), stdout=subprocess.DEVNULL)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it answers; False if it has ended instead. snmpget itself waits, so nothing here sleeps."""
    where = net_snmp.address("127.0.0.1", port)
    while process.poll() is None:
        if net_snmp.run("snmpget", "-v2c", "-cpublic", "-t0.25", "-r1", "-Oqv", where, ".1.3.6.1.2.1.1.3.0").returncode == 0:
            return process.poll() is None  # else it was another one that has the port
    return False


def _free_port() -> tuple[int, bool]:
    """A port that is free on 127.0.0.1, UDP and TCP, and, if there is IPv6, on ::1; and whether there is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four:
        four.bind(("127.0.0.1", 0))
        port: int = four.getsockname()[1]
        with socket.socket() as stream:
            try:
                stream.bind(("127.0.0.1", port))
            except OSError:
                return _free_port()
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
                six.bind(("::1", port))
        except OSError:
            return port, False
        return port, True
