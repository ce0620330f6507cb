"""A reading is to be followed by somebody who is new to the code: it passes through few modules."""

import importlib.util
from types import ModuleType

from support.markdown import ROOT

MOST = 40


def reading_path() -> ModuleType:
    """tools/reading_path.py, which is a script of no package."""
    spec = importlib.util.spec_from_file_location("reading_path", ROOT / "tools" / "reading_path.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_reading_passes_through_at_most_forty_modules():
    """From the moment when polling begins to the acknowledged batch, in a run of the agent as a process."""
    run, reading, stop = await reading_path().measure()
    assert {"towerops_agent.polling.reading", "towerops_agent.buffer.store", "towerops_agent.delivery.courier"} <= set(reading)
    assert len(reading) <= MOST, f"these {len(reading)}: {reading}"
    assert {*reading, *stop} < set(run)
