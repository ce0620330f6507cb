"""The bench that each test of the buffer gets."""

import pytest

from unit.buffer.samples import Bench


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path / "agent.db")
