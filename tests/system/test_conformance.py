"""The agent against recordings of 120 real devices: each value that it submits is the right one, under each fault.

The recordings are not part of the project: a checkout without the folder `shared` beside it skips these tests.
"""

import asyncio
import re
import socket
import sys
from pathlib import Path

import pytest

from support import known_agent, patient_agent
from support.skips import NO_RECORDINGS, RECORDINGS
from support.v1_cases import write_v1_cases

TOOL = RECORDINGS.parent / "tools" / "conformance.py"
RUN = "run --once --log-level error"
AGENT = f"{sys.executable} -m towerops_agent {RUN}"
PATIENT_AGENT = f"{sys.executable} {patient_agent.__file__} {RUN}"
"""If each request is answered, nothing but the machine's speed decides whether a timeout passes."""

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=NO_RECORDINGS)


async def conformance(suffix: str, cases: Path = RECORDINGS, agent: str = PATIENT_AGENT) -> tuple[int, str]:
    """Run the tool with a fault on each device; its exit status and its last line."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tool = await asyncio.create_subprocess_exec(
        *(sys.executable, str(TOOL), "--agent", agent, "--cases", str(cases), "--suffix", suffix, "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await tool.communicate()
    return tool.returncode or 0, output.decode().strip().splitlines()[-1]


@pytest.mark.parametrize("fault", ["", "@max=10", "@shuffle", "@dup", "@late", "@toobig-empty@max=7", "@cut"])
async def test_all_values_of_the_recorded_devices_agree(fault: str):
    """All values, none unasked, none twice, exit status 0: also if all devices have this fault."""
    status, summary = await conformance(fault)
    assert status == 0, summary
    agree, expected = re.match(r"(\d+) of (\d+) values agree", summary).groups()
    assert agree == expected


@pytest.mark.parametrize(("fault", "known"), [("", 110), ("@shuffle", 0), ("@cut", 0)])
async def test_all_values_agree_of_devices_that_are_known_by_then(fault: str, known: int):
    """Several requests are under way to nearly all of them, unless they stumble over that."""
    environment = f"env KNOWN_AT_LEAST={known} PYTHONPATH={Path(known_agent.__file__).parent.parent}"
    _, summary = await conformance(fault, agent=f"{environment} {sys.executable} {known_agent.__file__} {RUN}")
    assert "exit 0" in summary
    agree, expected = re.match(r"(\d+) of (\d+) values agree", summary).groups()
    assert agree == expected


async def test_all_values_agree_over_snmpv1_too(tmp_path: Path):
    """Of the devices that have no Counter64, which SNMPv1 can't carry."""
    assert write_v1_cases(RECORDINGS, tmp_path) > 20
    status, summary = await conformance("", tmp_path)
    assert status == 0, summary


async def test_nearly_all_values_arrive_though_every_fifth_request_is_lost():
    """97 % at least; what is missing is missing, and never wrong."""
    _, summary = await conformance("@drop=0.2", agent=AGENT)
    agree, expected = map(int, re.match(r"(\d+) of (\d+) values agree", summary).groups())
    assert agree >= 0.97 * expected
    assert "0 unasked, 0 submitted twice" in summary
