"""What a health check imports: nearly all of its CPU, once a minute for years. By the names of modules, not by a clock."""

import asyncio
import os
import re
import subprocess
import sys

import pytest

from support.markdown import ROOT, read
from support.skips import NOT_READABLE
from towerops_agent.telemetry.live_client import live_address

WITH_OS = {"_abc", "_collections_abc", "_stat", "abc", "genericpath", "os", "os.path", "posixpath", "stat"}
"""All of them are in the interpreter's own file; _abc is shown from 3.14 on."""

OURS = {
    *("towerops_agent", "towerops_agent.__main__", "towerops_agent.telemetry", "towerops_agent.telemetry.live_client"),
    *("towerops_agent.errors", "errno"),  # what to do without memory can't be imported then
}


def image_command() -> str:
    """The file `towerops-agent` of the image, which finds the agent in this checkout."""
    (text,) = re.findall(r'^COMMAND = """\\\n(.*?)"""$', read("packaging/image_root.py"), re.MULTILINE | re.DOTALL)
    return text.format(venv="/opt/towerops-agent", packages=ROOT / "src")


def debian_command() -> str:
    """The file `towerops-agent` of the Debian package, which finds the agent in this checkout."""
    text = read("packaging/debian/towerops-agent")
    assert '"/usr/lib/towerops-agent"' in text
    return text.replace("/usr/lib/towerops-agent", str(ROOT / "src"))


def imported(report: str) -> set[str]:
    """The modules in what `-X importtime` reports."""
    return set(re.findall(r"^import time: .*\|\s+(\S+)$", report, re.MULTILINE))


@pytest.mark.parametrize("answer", [b"0\nhealthy\n", b"1\nthe polling loop is stuck, 2 min past its time\n"])
@pytest.mark.parametrize(
    ("command", "more"), [(image_command(), {"towerops_agent.container"}), (debian_command(), set())], ids=["image", "Debian"]
)
async def test_health_says_what_the_agent_answers_and_imports_next_to_nothing(tmp_path, command, more, answer):
    """Neither the module site nor click, SQLite or asyncio; with the flags of the command that is installed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"health\n"
        writer.write(answer)
        writer.close()

    for part in (tmp_path, *tmp_path.parents[:3]):  # the image's command becomes user 10001, if root starts it
        part.chmod(part.stat().st_mode | 0o111)
    (flags,) = re.findall(r"^#!\S+ (-\w+)\n", command)
    path = tmp_path / "towerops-agent"
    path.write_text(command)
    environment = {"DATABASE_PATH": str(tmp_path / "a.db")}

    async def report(*rest: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, flags, "-X", "importtime", *rest]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, env=environment)

    bare = await report("-c", "pass")
    async with await asyncio.start_unix_server(serve, live_address(str(tmp_path / "a.db"))):
        done = await report(str(path), "health")
    if os.geteuid() == 0 and any(sign in done.stderr for sign in ("Permission denied", "No module")):
        pytest.skip(NOT_READABLE)
    assert f"{done.returncode}\n{done.stdout}".encode() == answer, done.stderr
    assert imported(done.stderr) - imported(bare.stderr) - WITH_OS == OURS | more | {"_socket"}
