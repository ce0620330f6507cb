"""A running agent answers `health` and `status` over a Unix socket of its own, whatever its disk does."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from support.squatter import squatter
from towerops_agent.cli.reports import read_snapshot
from towerops_agent.errors import AgentError, BufferFailure
from towerops_agent.telemetry import live_client
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.telemetry.live_client import ForeignAnswer, live_address


async def said() -> bytes:
    return b"0\nhealthy\n"


async def ask(database: Path, question: bytes = b"health", within_s: float = 60.0) -> bytes | None:
    return await asyncio.to_thread(live_client.ask, str(database), question, within_s)


async def test_a_question_is_answered_while_the_agent_runs_and_not_afterwards(tmp_path):
    database = tmp_path / "agent.db"
    assert await ask(database) is None
    async with LiveSocket(database, {b"health": said}):
        assert await ask(database) == b"0\nhealthy\n"
        assert await ask(database, b"nonsense") is None
        assert await ask(database, b"x" * 1000) is None
    assert await ask(database) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BufferFailure("disk I/O error"), "disk I/O error"),
        (MemoryError(), "it has no memory for that"),
        (ZeroDivisionError(), "a bug in the agent, see its log"),
    ],
)
async def test_an_agent_that_runs_and_cannot_answer_is_not_taken_for_one_that_was_stopped(tmp_path, error, reason):
    """Else `status` would show what it wrote ten minutes ago, and that it was killed since."""
    database = tmp_path / "agent.db"

    async def fail() -> bytes:
        raise error

    async with LiveSocket(database, {b"status": fail, b"health": fail}):
        with (
            structlog.testing.capture_logs() as lines,
            pytest.raises(AgentError, match=f"the agent runs, and can't answer: {reason}"),
        ):
            await asyncio.to_thread(read_snapshot, database)
        assert [line["event"] for line in lines] == [BUG] * isinstance(error, ZeroDivisionError)
        status, text = await asyncio.to_thread(live_client.health, str(database)) or (None, b"")
        assert (status, text.decode()) == (1, f"the agent runs, and can't answer: {reason}\n")


BUG = "question could not be answered because of a bug; please report it"


async def test_each_database_has_an_address_of_its_own_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    same = {live_address(path) for path in ("one/a.db", f"{tmp_path}/one/a.db", "link/a.db", "two/../one/a.db")}
    assert len(same) == 1
    others = {live_address(path) for path in ("one/b.db", "two/a.db", "gone/a.db")}
    assert len(others) == 3
    assert not same & others


async def test_a_second_agent_on_the_same_name_goes_on_without(tmp_path):
    with structlog.testing.capture_logs() as lines:
        async with LiveSocket(tmp_path / "a.db", {b"health": said}), LiveSocket(tmp_path / "a.db", {}):
            assert await ask(tmp_path / "a.db") == b"0\nhealthy\n"
    assert [line["event"] for line in lines] == ["status cannot be asked for, it is read from the database"]


async def test_an_agent_that_hangs_is_not_healthy(tmp_path, monkeypatch):
    monkeypatch.setattr(live_client, "ANSWER_WITHIN_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(live_address(str(tmp_path / "a.db")))
        hung.listen()
        with pytest.raises(TimeoutError):
            await ask(tmp_path / "a.db", within_s=0.05)
        assert await asyncio.to_thread(live_client.health, str(tmp_path / "a.db")) == (
            1,
            b"the agent runs, and has not answered for 0.05 s\n",
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
async def test_another_user_is_not_answered(tmp_path):
    tmp_path.chmod(0o755)
    code = f"""
import os, sys
from towerops_agent.telemetry.live_client import ask
os.setresuid(65534, 65534, 65534)
sys.exit(0 if ask({str(tmp_path / "a.db")!r}, b"health") is None else 1)
"""
    async with LiveSocket(tmp_path / "a.db", {b"health": said}):
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("exists", [True, False])
async def test_a_process_of_another_user_is_not_believed_to_be_the_agent(tmp_path, exists):
    """Whoever takes the address first has it: neither `health` nor `status` says what he wants root to read."""
    database = tmp_path / "a.db"
    tmp_path.chmod(0o755)
    if exists:
        database.touch()
    async with squatter(database, b"0\nhealthy\x1b[2J\n") as pid:
        with pytest.raises(ForeignAnswer, match=f"process {pid} of user 65534 answers in the agent's place"):
            await ask(database)
        status, text = await asyncio.to_thread(live_client.health, str(database)) or (0, b"")
        assert (status, b"is not believed" in text, b"\x1b" in text) == (1, True, False)
        os.chown(database if exists else tmp_path, 65534, 65534)  # then it may be the agent
        assert await ask(database) == b"0\nhealthy\x1b[2J\n"
