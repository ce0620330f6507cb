"""What the doctor takes from the agent's database."""

from pathlib import Path

from support import devices
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters
from towerops_agent.doctor.examination import with_units
from towerops_agent.doctor.findings.fetch import Configured
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.memory import MEMORY_KEY, encode_memory
from towerops_agent.polling.course.traits import BootClock


async def test_the_units_that_the_agent_remembers_are_the_doctors_too(tmp_path: Path):
    """As long as the device's configuration is the one under which they were learned; and none without a database."""
    device = devices.device(sensors=["1.3.6.1.4.1.99999.1.0"])
    device.traits.units, device.state = ("V",), DeviceState(State.UP, "", 0)
    database = tmp_path / "agent.db"
    async with Buffer(database, Counters(), clock_us=lambda: 1) as buffer:
        await buffer.put_meta(MEMORY_KEY, encode_memory([device], BootClock()))
        assert with_units(Configured([], digests={device.id: device.digest}), database).units == {device.id: ("V",)}
    assert with_units(Configured([], digests={device.id: b"another"}), database).units == {}
    assert with_units(Configured([], digests={device.id: device.digest}), tmp_path / "none.db").units == {}
