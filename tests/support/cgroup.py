"""A memory cgroup of this machine's: what runs in it is killed by the kernel when it needs more than its limit."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.skips import NO_CGROUP

ROOTS = [(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")]
"""Of version 1 and of version 2, and the file of the limit."""


class MemoryGroup:
    """A group of processes and the memory that they have together."""

    def __init__(self, path: Path, limit: str) -> None:
        self._path = path
        self._limit = limit

    @property
    def entrance(self) -> Path:
        """A process that writes 0 to this file is in the group from then on, with all that it starts."""
        return self._path / "cgroup.procs"

    def set_limit(self, octets: int) -> None:
        (self._path / self._limit).write_text(str(octets))

    def peak(self) -> int:
        """How much memory it has had at most, in octets."""
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (self._path / name).exists():
                return int((self._path / name).read_text())
        raise AssertionError("the kernel does not measure")

    def kills(self) -> int:
        """How many processes of it the kernel has killed."""
        for name in ("memory.oom_control", "memory.events"):
            if (self._path / name).exists():
                counts = dict(line.split() for line in (self._path / name).read_text().splitlines())
                return int(counts["oom_kill"])
        raise AssertionError("the kernel does not count")


@asynccontextmanager
async def memory_group() -> AsyncIterator[MemoryGroup]:
    """A group without a limit; it is removed at the end, when nothing may run in it any more. Skips without the right to one."""
    root, limit = next((each for each in ROOTS if (each[0] / "cgroup.procs").exists()), ROOTS[-1])
    path = root / f"towerops-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError:
        pytest.skip(NO_CGROUP)
    try:
        if not (path / limit).exists():
            pytest.skip(NO_CGROUP)
        yield MemoryGroup(path, limit)
    finally:
        for _ in range(1000):
            try:
                path.rmdir()
                break
            except OSError:  # its last process has been waited for, and is still on its way out
                await asyncio.sleep(0.01)
