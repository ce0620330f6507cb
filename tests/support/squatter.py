"""A process of another user that has taken the address of the agent on a database, and answers in its place. Needs root."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from towerops_agent.telemetry.live_client import live_address

USER = 65534

CODE = """
import os, socket
sock = socket.socket(socket.AF_UNIX)
os.setresuid({user}, {user}, {user})
sock.bind({address!r})
sock.listen()
print("listens", flush=True)
while True:
    asker, _ = sock.accept()
    if asker.recv(100):
        asker.sendall({answer!r})
    asker.close()
"""


@asynccontextmanager
async def squatter(database: Path, answer: bytes) -> AsyncIterator[int]:
    """Its process id; it answers every question so, until the end."""
    code = CODE.format(user=USER, address=live_address(str(database)), answer=answer)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"listens\n"
        yield process.pid
    finally:
        process.kill()
        await process.wait()
