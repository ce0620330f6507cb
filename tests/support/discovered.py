"""What our profiles find at a device made of a few values."""

from collections.abc import Mapping

from support.mib import FewValues
from support.recordings import explore
from towerops_agent.discovery.course.findings import Discovery, FoundSensor
from towerops_agent.discovery.library import load_profiles
from towerops_agent.snmp.wire.message import Value, Version

PROFILES = list(load_profiles().profiles.values())
ENTERPRISES = "1.3.6.1.4.1"


def discovered(object_id: str, values: Mapping[str, int | str | tuple[int, Value]]) -> Discovery:
    """`object_id`: below the enterprises'."""
    device = FewValues(values, f"{ENTERPRISES}.{object_id}")
    discovery = explore(lambda request: device.answer(request, Version.V2C), PROFILES, Version.V2C)
    assert discovery.broken == ""
    return discovery


def found(object_id: str, values: Mapping[str, int | str | tuple[int, Value]]) -> dict[str, FoundSensor]:
    """The sensors of a device with these values, by name."""
    return {sensor.name: sensor for sensor in discovered(object_id, values).sensors}


def readings(sensors: Mapping[str, FoundSensor], kind: str) -> dict[str, tuple[float, str]]:
    """Their readings and units, of those that have this in their name."""
    return {name: (sensor.value / sensor.divisor, sensor.unit) for name, sensor in sensors.items() if kind in name}
