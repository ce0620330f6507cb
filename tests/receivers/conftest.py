"""A remote courier between a real buffer and a real Prometheus."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import prometheus
from support.remote import Remote


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[prometheus.Prometheus]:
    with prometheus.running(tmp_path / "prometheus") as one:
        yield one


@pytest.fixture
async def remote(tmp_path: Path, receiver: prometheus.Prometheus) -> AsyncIterator[Remote]:
    async with Remote(tmp_path / "agent.db", receiver.write_url) as one:
        yield one
