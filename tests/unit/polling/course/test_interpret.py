"""What a device's integers mean at the bounds of their types."""

import pytest

from support import devices, virtual_time
from support.fake_client import FakeClient
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import Poller, PollResult
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.simulator.device import SimulatedDevice, table

SENSOR, OTHER = "1.3.6.1.4.1.99999.1.0", "1.3.6.1.4.1.99999.2.0"


def reading(tag: int, value: int, other: int, sensor: str = SENSOR) -> PollResult:
    """What comes of a device that says this, beside an INTEGER."""
    device = devices.device(host="192.0.2.1", sensors=[sensor, OTHER])

    async def main() -> PollResult:
        client = FakeClient()
        rows = [(parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, 1), (parse_oid(sensor), tag, value)]
        client.devices = {"192.0.2.1": SimulatedDevice(table([*rows, (parse_oid(OTHER), ber.INTEGER, other)]))}
        return await Poller(client, Planner()).poll(device, 60.0)

    return virtual_time.run(main())


@pytest.mark.parametrize(
    ("tag", "value", "read"),
    [
        (ber.INTEGER, (1 << 31) - 1, (1 << 31) - 1),
        (ber.INTEGER, 1 << 31, None),
        (ber.INTEGER, (1 << 32) - 1, None),
        (ber.INTEGER, 1 << 32, 1 << 32),
        (ber.INTEGER, -(1 << 31), -(1 << 31)),
        (ber.GAUGE32, (1 << 32) - 1, (1 << 32) - 1),
    ],
)
@pytest.mark.parametrize("other", [5, -5, (1 << 31) - 1])
def test_an_integer_that_may_have_lost_its_sign_is_missing_whatever_is_beside_it(
    tag: int, value: int, read: int | None, other: int
):
    result = reading(tag, value, other)
    assert result.poll is not None
    assert list(result.poll.values) == [read, other]
    assert result.missing == ({} if read is not None else {"ambiguous": 1})


@pytest.mark.parametrize("column", ["1.3.6.1.2.1.99.1.1.1.4", "1.3.6.1.4.1.9.9.91.1.1.1.1.4"])
@pytest.mark.parametrize("other", [5, 1 << 30])
def test_an_entity_sensor_that_is_beyond_its_range_is_missing(column: str, other: int):
    """RFC 3433 and Cisco: -1000000000 is underflow, 1000000000 is overflow. Of millidegrees they would be a million degrees."""
    for value in (-1_000_000_000, 1_000_000_000):
        result = reading(ber.INTEGER, value, other, f"{column}.1007")
        assert result.poll is not None
        assert list(result.poll.values) == [None, other]
        assert result.missing == {"out_of_range": 1}
    for value, oid in ((999_999_999, f"{column}.1007"), (-999_999_999, f"{column}.1007"), (1_000_000_000, SENSOR)):
        result = reading(ber.INTEGER, value, other, oid)
        assert result.poll is not None
        assert list(result.poll.values) == [value, other]
