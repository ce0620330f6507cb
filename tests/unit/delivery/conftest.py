import pytest

from unit.delivery.bench import Bench


@pytest.fixture
async def bench(tmp_path):
    made = Bench(tmp_path / "agent.db")
    async with made.buffer:
        yield made
