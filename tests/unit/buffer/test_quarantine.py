"""A corrupt file while it is read: as it was afterwards, if the disk allows it."""

import errno
import os

from structlog.testing import capture_logs

from towerops_agent.buffer import quarantine
from towerops_agent.buffer.place import MAGIC


def test_a_disk_that_is_read_only_by_now_keeps_the_pages_with_which_a_corrupt_file_was_read(tmp_path, monkeypatch):
    """And that the agent can't put back those that were there ends nothing."""
    path = tmp_path / "agent.db"
    path.write_bytes(b"damaged" * 10_000)
    with capture_logs() as lines, quarantine.another_schema(path):
        monkeypatch.setattr(os, "pwrite", refuse)
    assert [line["event"] for line in lines] == ["corrupt database keeps the pages with which it was read"]
    assert path.read_bytes()[: len(MAGIC)] == MAGIC


def test_a_disk_that_is_gone_by_now_ends_no_reading_of_a_corrupt_file(tmp_path, monkeypatch):
    """A file system in user space reports it as the file is closed."""
    path = tmp_path / "agent.db"
    path.write_bytes(b"damaged" * 10_000)
    close, closed = os.close, []

    def close_and_refuse(place: int) -> None:
        close(place)
        closed.append(place)
        refuse()

    with quarantine.another_schema(path), quarantine.other_roots(path, {}):
        monkeypatch.setattr(os, "close", close_and_refuse)
    monkeypatch.undo()
    assert len(closed) == 2


def refuse(*_):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
