"""`config init` writes a site file of a real device that is right as it stands, and keeps the community out of it."""

import asyncio
import sys
from pathlib import Path

import pytest

from support.snmpd import Snmpd
from towerops_agent.site.files import SiteFiles


async def init(*words: str, **env: str) -> tuple[int, str, str]:
    """Its exit status, and both streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", "config", "init", *words),
        env={"PATH": "/usr/bin", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_the_file_is_right_as_it_stands(snmpd: Snmpd, tmp_path: Path, version: str):
    url = "http://127.0.0.1:9090/api/v1/write"
    status, text, said = await init(f"127.0.0.1:{snmpd.port}", "--remote-write", url, "--version", version)
    assert (status, said) == (0, "")
    path = tmp_path / "site.yaml"
    path.write_text(text)
    compiled = SiteFiles(path).read()
    names = [bytes.fromhex(value.partition(": ")[2]).decode() for _, value in snmpd.walk("1.3.6.1.2.1.31.1.1.1.1")]
    assert (compiled.problems, compiled.warnings) == ([], [])
    assert (compiled.devices, compiled.sensors, compiled.interfaces) == (1, 1, len(names))
    assert [destination.url for destination in compiled.destinations] == [url]
    assert [name for name in names if f'- "{name}"\n' not in text] == []
    assert '    name: "tower-7"\n' in text


async def test_the_community_is_named_by_its_place(snmpd: Snmpd, tmp_path: Path):
    secret = tmp_path / "community"
    secret.write_text("public\n")
    _, text, _ = await init(f"127.0.0.1:{snmpd.port}", "-C", str(secret))
    assert f'{{version: 2c, community_file: "{secret}"}}' in text
    _, text, said = await init(f"127.0.0.1:{snmpd.port}", SNMP_COMMUNITY="public")
    assert said == "the file names the variable SNMP_COMMUNITY: set it for the agent too\n"
    assert '{version: 2c, community_env: "SNMP_COMMUNITY"}' in text


async def test_a_file_of_the_community_is_read_as_the_agent_reads_it(snmpd: Snmpd, tmp_path: Path):
    """Editors of Windows write a mark before the text, and another line end. What is not one secret is a mistake, not sent."""
    secret = tmp_path / "community"
    secret.write_bytes(b"\xef\xbb\xbfpublic\r\n")
    status, text, said = await init(f"127.0.0.1:{snmpd.port}", "-C", str(secret))
    assert (status, f'community_file: "{secret}"' in text, said) == (0, True, "")
    secret.write_bytes(b"public\nprivate\n")
    status, text, said = await init(f"127.0.0.1:{snmpd.port}", "-C", str(secret))
    assert (status, text) == (2, "")
    assert said == f"towerops-agent: --community-file is '{secret}': expected a file that holds only the secret, in one line\n"


async def test_a_device_that_does_not_answer_gives_no_file(snmpd: Snmpd):
    status, text, said = await init(f"127.0.0.1:{snmpd.port}", SNMP_COMMUNITY="wrong-5d1f")
    assert (status, text) == (1, "")
    assert f"no answer from 127.0.0.1:{snmpd.port} over SNMPv2c" in said
    assert "wrong-5d1f" not in said
