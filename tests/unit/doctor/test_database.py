"""The doctor's look at the database: beside an agent and without, good and bad, and nothing is touched."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.skips import AS_ROOT
from support.squatter import squatter
from towerops_agent.buffer import schema
from towerops_agent.buffer.database import Database
from towerops_agent.doctor.database import check_database
from towerops_agent.doctor.findings.check import Result
from towerops_agent.errors import BufferFailure
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.text import size

MB = 1 << 20


def disk(free_mb, whole_mb=100_000, inodes_free=1000):
    """A file system, as os.statvfs reports it."""
    told = SimpleNamespace(f_bavail=free_mb, f_blocks=whole_mb, f_frsize=MB, f_files=100_000, f_favail=inodes_free)
    return lambda _: told


def checked(path, max_mb=1024, statvfs=None):
    """The checks of the database at `path`: of the file, of the agent on it, of the disk."""
    file, agent, space = check_database(path, max_mb * MB, statvfs or disk(50_000))
    return file, agent, space


def test_a_place_for_a_new_database_is_good_and_nothing_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "agent.db"
    file, agent, space = checked(path)
    assert (file.result, agent.result, space.result) == (Result.OK, Result.SKIPPED, Result.OK)
    assert "does not exist yet" in file.found
    assert list(tmp_path.iterdir()) == []


def test_a_database_at_rest_is_read_without_a_trace(tmp_path):
    path = tmp_path / "here & there?" / "agent.db"
    Database.open(path, 0).close()
    before = {entry.name: entry.stat().st_mtime_ns for entry in path.parent.iterdir()}
    file, agent, _ = checked(path)
    assert (file.result, agent.result) == (Result.OK, Result.SKIPPED)
    assert f"version {schema.VERSION}" in file.found
    assert {entry.name: entry.stat().st_mtime_ns for entry in path.parent.iterdir()} == before


def test_an_agent_on_the_database_is_reported_and_is_not_a_failure(tmp_path):
    path = tmp_path / "agent.db"
    with closing(Database.open(path, 0)):
        file, agent, _ = checked(path)
        assert checked(path)[1] == agent
    assert (file.result, agent.result) == (Result.OK, Result.OK)
    assert f"an agent runs on this database (process {os.getpid()})" in agent.found


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"0\nhealthy\n", []),
        (
            b"0\ndegraded: metrics fails: 503\ngroup: engine is away\n",
            [(Result.WARNING, "degraded: metrics fails: 503"), (Result.WARNING, "group: engine is away")],
        ),
        (
            b"1\nthe polling loop is stuck, 2 min past its time\ndegraded: metrics fails: 503\n",
            [
                (Result.FAILED, "the polling loop is stuck, 2 min past its time"),
                (Result.WARNING, "degraded: metrics fails: 503"),
            ],
        ),
    ],
)
async def test_an_agent_that_runs_and_does_not_work_is_not_said_to_be_all_right(tmp_path, answer, shown):
    path = tmp_path / "agent.db"

    async def health() -> bytes:
        return answer

    with closing(Database.open(path, 0)):
        async with LiveSocket(path, {b"health": health}):
            _, agent, *more, _ = await asyncio.to_thread(check_database, path, 1)
    assert agent.result is Result.OK
    assert [(check.name, check.result, check.found) for check in more] == [("agent", *line) for line in shown]


async def test_an_agent_that_hangs_is_a_failure(tmp_path, monkeypatch):
    """As one that was stopped by a signal, and never goes on."""
    monkeypatch.setattr("towerops_agent.telemetry.live_client.ANSWER_WITHIN_S", 0.05)
    path, ends = tmp_path / "agent.db", asyncio.Event()

    async def health() -> bytes:
        await ends.wait()
        return b"0\nhealthy\n"

    with closing(Database.open(path, 0)):
        async with LiveSocket(path, {b"health": health}):
            _, _, hangs, _ = await asyncio.to_thread(check_database, path, 1)
            ends.set()
    assert (hangs.result, hangs.found) == (Result.FAILED, "the agent runs, and has not answered for 0.05 s")


def test_the_size_of_a_database_includes_its_journal(tmp_path):
    """As in `status`; most of a young database is in the journal."""
    path = tmp_path / "agent.db"
    with closing(Database.open(path, 0)):
        whole = size(path.stat().st_size + path.with_name("agent.db-wal").stat().st_size)
        assert f", {whole}, version " in checked(path)[0].found
        assert whole != size(path.stat().st_size)


@pytest.mark.parametrize("has_run", [False, True], ids=["first run", "after others"])
async def test_an_agent_that_can_not_use_its_database_is_not_said_to_be_away(tmp_path, has_run):
    """As on a volume that is read-only, or full by now: it has locked nothing, and answers from memory."""
    database = tmp_path / "agent.db"
    if has_run:
        Database.open(database, 0).close()

    async def healthy() -> bytes:
        return b"0\n"

    async with LiveSocket(database, {b"health": healthy}):
        _, agent, _ = await asyncio.to_thread(check_database, database, 1)
    assert (agent.result, agent.hint) == (Result.WARNING, "`towerops-agent status` says why")
    assert agent.found == "an agent runs, and keeps its polls in memory: it can't use this database"
    _, agent, _ = check_database(database, 1)
    assert agent.found == ("no agent runs on this database now" if has_run else "no agent has used this database yet")


async def test_an_agent_that_can_not_even_say_how_it_is_runs(tmp_path):
    async def fails() -> bytes:
        raise BufferFailure("disk I/O error")

    database = tmp_path / "agent.db"
    async with LiveSocket(database, {b"health": fails}):
        _, agent, _ = await asyncio.to_thread(check_database, database, 1)
    assert agent.found == "an agent runs, and keeps its polls in memory: it can't use this database"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
async def test_who_answers_in_the_agents_place_is_named(tmp_path):
    """As the agent of systemd's dynamic user, which may not write where the database is to be, when root asks."""
    database = tmp_path / "agent.db"
    tmp_path.chmod(0o755)
    async with squatter(database, b"0\nhealthy\n") as pid:
        _, agent, _ = await asyncio.to_thread(check_database, database, 1)
    assert agent.result is Result.WARNING
    assert agent.found.startswith(f"process {pid} of user 65534 answers in the agent's place, and is not believed")


def test_the_doctor_keeps_no_agent_from_its_database(tmp_path):
    path = tmp_path / "agent.db"
    Database.open(path, 0).close()
    checked(path)
    Database.open(path, 0).close()


def test_a_later_version_is_reported(tmp_path):
    path = tmp_path / "agent.db"
    with closing(Database.open(path, 0)) as database:
        database.connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    file, _, _ = checked(path)
    assert file.result is Result.FAILED
    assert f"has version {schema.VERSION + 1}, written by a later agent" in file.found
    assert "update this agent" in file.hint


def test_an_earlier_version_is_brought_up(tmp_path):
    path = tmp_path / "agent.db"
    with closing(Database.open(path, 0)) as database:
        database.connection.execute("PRAGMA user_version = 1")
    file, _, _ = checked(path)
    assert file.result is Result.OK
    assert f"version 1, upgraded to {schema.VERSION} at the agent's next start" in file.found


def test_a_file_that_is_not_a_database_is_reported(tmp_path):
    path = tmp_path / "agent.db"
    path.write_bytes(b"no database, but long enough to look like a file" * 100)
    file, _, _ = checked(path)
    assert file.result is Result.FAILED
    assert file.found == f"{path} is not a database"
    assert file.hint == "the agent leaves it as it is, and its polls in memory only: choose another DATABASE_PATH"


def test_a_database_whose_beginning_is_damaged_is_corrupt(tmp_path):
    path = tmp_path / "agent.db"
    Database.open(path, 0).close()
    with path.open("r+b") as file:
        file.write(b"\x5a" * 100)
    file, _, _ = checked(path)
    assert file.result is Result.FAILED
    assert file.found.startswith(f"{path} is corrupt: ")
    assert "quarantines it" in file.hint


def test_another_programs_database_is_reported(tmp_path):
    path = tmp_path / "agent.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert "another program" in checked(path)[0].found


def test_an_empty_file_is_a_database_to_be(tmp_path):
    path = tmp_path / "agent.db"
    path.touch()
    assert checked(path)[0].result is Result.OK


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "data").touch()
    file, _, _ = checked(tmp_path / "data" / "agent.db")
    assert file.result is Result.FAILED


def test_a_directory_that_was_removed_while_the_operator_is_in_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    file, _, disk = checked(Path("agent.db"))
    assert (file.result, file.found) == (Result.FAILED, "there is no agent.db: the current directory was removed")
    assert disk.result is Result.SKIPPED


def test_a_directory_is_not_a_database(tmp_path):
    assert "is not a file" in checked(tmp_path)[0].found


@pytest.mark.skipif(os.geteuid() == 0, reason=AS_ROOT)
def test_what_cant_be_written_is_reported_with_whose_it_is(tmp_path):
    path = tmp_path / "data" / "agent.db"
    Database.open(path, 0).close()
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        file, _, _ = checked(path)
        new, _, _ = checked(path.with_name("other.db"))
    finally:
        path.parent.chmod(stat.S_IRWXU)
    assert (file.result, new.result) == (Result.FAILED, Result.FAILED)
    assert f"{path.parent} can't be written" in file.found
    assert path.owner() in file.hint
    assert "can't be made" in new.found


def test_what_cant_be_written_by_access_is_reported(tmp_path, monkeypatch):
    """As on a read-only file system, where root may write as little."""
    path = tmp_path / "agent.db"
    Database.open(path, 0).close()
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    file, _, _ = checked(path)
    assert file.found == f"{path} can't be written"
    new, _, _ = checked(tmp_path / "other.db")
    assert new.result is Result.FAILED
    assert "mount a volume" in new.hint


def test_a_file_system_that_is_read_only_is_named_as_such(tmp_path, monkeypatch):
    path = tmp_path / "agent.db"
    Database.open(path, 0).close()
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    file, _, _ = checked(path)
    assert file.found == f"{path} can't be written"
    assert "read-only" in file.hint
    assert "a service may write only to its own directory" in file.hint


@pytest.mark.parametrize(
    ("statvfs", "mark", "text"),
    [
        (disk(50_000), Result.OK, f"{size(50_000 * MB)} free"),
        (disk(500), Result.WARNING, "BUFFER_MAX_MB 1024"),
        (disk(20), Result.FAILED, "make room"),
        (disk(50_000, inodes_free=0), Result.FAILED, "no inodes"),
    ],
)
def test_the_disks_space_is_held_against_what_the_agent_needs(tmp_path, statvfs, mark, text):
    _, _, space = checked(tmp_path / "agent.db", statvfs=statvfs)
    assert space.result is mark
    assert text in space.found + space.hint
