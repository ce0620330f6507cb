"""Labels if something is wrong with the database: it can't be opened, its disk is full, or it is corrupt."""

import sqlite3

import pytest

from support.remote import SENSORS, Remote
from support.strict import Receiver
from towerops_agent.buffer import opening
from towerops_agent.buffer.room import Room
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import corrupt_error

NOW_S = 1_767_986_535.0


@pytest.fixture
def receiver():
    return Receiver()


async def until_in_file(remote: Remote) -> None:
    while remote.buffer.in_memory_because:
        await remote.buffer.pending()


def add_polls(remote: Remote, nth: int) -> None:
    for device in range(3):
        remote.add(device, NOW_S + nth, float(nth))


async def delivered(remote: Remote) -> int:
    assert await remote.deliver(attempts=100)
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    return remote.counters.get(Count.METRICS_DELIVERED, "test")


async def test_a_file_that_is_opened_late_and_has_the_same_layouts_costs_none(tmp_path, monkeypatch, receiver):
    """The layouts have an id of the file and one of memory then, and polls have either."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    path, aside = tmp_path / "agent.db", tmp_path / "aside.db"
    async with Remote(path, "http://127.0.0.1:9/") as remote:
        add_polls(remote, 0)
    path.rename(aside)
    path.mkdir()
    async with Remote(path, "http://127.0.0.1:9/") as remote:
        remote.client = receiver
        add_polls(remote, 1)
        await remote.buffer.flush()
        path.rmdir()
        aside.rename(path)
        await until_in_file(remote)
        add_polls(remote, 2)
        assert await delivered(remote) == 3 * 3 * SENSORS
        await remote.heads.learn(remote.config, remote.destinations, {})
        add_polls(remote, 3)
        assert await delivered(remote) == 4 * 3 * SENSORS


async def test_a_disk_that_is_full_costs_none(tmp_path, monkeypatch, receiver):
    def full(store):
        if store.database.path is not None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        remote.client = receiver
        monkeypatch.setattr(Room, "is_out", lambda self, path: True)
        monkeypatch.setattr(Room, "fits", lambda self, memory, path: False)
        await remote.buffer.ask(full)
        assert remote.buffer.in_memory_because
        add_polls(remote, 0)
        assert await delivered(remote) == 3 * SENSORS


async def test_labels_that_are_lost_with_a_corrupt_database_are_to_be_learned_again(tmp_path):
    """All layouts are whole, so that nothing else would show it."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        damage = "UPDATE meta SET value = zeroblob(9) WHERE key = (SELECT min(key) FROM meta WHERE key >= 'series ')"
        await remote.buffer.ask(lambda store: store.connection.execute(damage).rowcount)
        with pytest.raises(BufferFailure):
            await remote.buffer.ask(corrupt_error)
        await remote.buffer.layouts_lost.wait()
