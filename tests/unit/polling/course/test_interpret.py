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
        (ber.INTEGER, (1 << 31) - 2, (1 << 31) - 2),
        (ber.INTEGER, (1 << 31) - 1, None),
        (ber.INTEGER, 1 << 31, None),
        (ber.INTEGER, (1 << 32) - 1, None),
        (ber.INTEGER, 1 << 32, 1 << 32),
        (ber.INTEGER, -(1 << 31), -(1 << 31)),
        (ber.GAUGE32, (1 << 31) - 1, (1 << 31) - 1),
        (ber.COUNTER32, (1 << 31) - 1, (1 << 31) - 1),
        (ber.TIME_TICKS, (1 << 31) - 1, (1 << 31) - 1),
        (ber.GAUGE32, 1 << 31, 1 << 31),
        (ber.GAUGE32, 3_108_320_294, 3_108_320_294),
        (ber.GAUGE32, (1 << 32) - 1_000_001, (1 << 32) - 1_000_001),
        (ber.GAUGE32, (1 << 32) - 1_000_000, None),
        (ber.GAUGE32, (1 << 32) - 3, None),
        (ber.GAUGE32, (1 << 32) - 1, None),
        (ber.UINTEGER32, (1 << 32) - 40_000, None),
        (ber.COUNTER32, (1 << 32) - 3, (1 << 32) - 3),
        (ber.COUNTER64, 1 << 63, 1 << 63),
        (ber.COUNTER64, (1 << 64) - (1 << 44) - 1, (1 << 64) - (1 << 44) - 1),
        (ber.COUNTER64, (1 << 64) - (1 << 44), None),
        (ber.COUNTER64, (1 << 64) - 1_242_228, None),
        (ber.TIME_TICKS, (1 << 32) - 3, (1 << 32) - 3),
        (ber.INTEGER, (1 << 63) - 2, (1 << 63) - 2),
        (ber.INTEGER, (1 << 63) - 1, None),
        (ber.COUNTER64, (1 << 63) - 1, None),
        (ber.COUNTER64, (1 << 63) + 1, (1 << 63) + 1),
    ],
)
@pytest.mark.parametrize("other", [5, -5, (1 << 31) - 2])
def test_a_number_that_may_have_lost_its_sign_or_is_the_last_of_its_type_is_missing_whatever_is_beside_it(
    tag: int, value: int, read: int | None, other: int
):
    """2147483647 tenths of a degree are what firmware says of a probe that is not there."""
    result = reading(tag, value, other)
    assert result.poll is not None
    assert list(result.poll.values) == [read, other]
    assert result.missing == ({} if read is not None else {"ambiguous": 1})


@pytest.mark.parametrize(
    "column", ["1.3.6.1.4.1.14988.1.1.3.100.1.3", "1.3.6.1.4.1.14988.1.1.19.1.1.6", "1.3.6.1.4.1.2021.13.16.2.1.3"]
)
@pytest.mark.parametrize("other", [5, -5, 1 << 31])
def test_a_temperature_below_0_in_a_type_without_a_sign_is_what_the_mib_s_column_measures(column: str, other: int):
    """A MikroTik at -3 degrees says 4294967293, and net-snmp's lm-sensors at -5 say 4294962296 thousandths."""
    beside = None if other == 1 << 31 else other
    for degrees in (-1, -3, -5000, -(1 << 31), 0, 45, (1 << 31) - 1):
        result = reading(ber.GAUGE32, degrees % (1 << 32), other, f"{column}.14")
        assert result.poll is not None
        assert list(result.poll.values) == [degrees, beside]


@pytest.mark.parametrize("column", ["1.3.6.1.2.1.25.2.3.1.5", "1.3.6.1.2.1.25.2.3.1.6"])
def test_a_storage_whose_size_has_overflowed_is_missing_and_not_negative(column: str):
    for blocks, read in ((-1_610_629_377, None), (-(1 << 31), None), ((1 << 31) - 1, None), (5, 5), (-1, -1), (0, 0)):
        result = reading(ber.INTEGER, blocks, 5, f"{column}.2")
        assert result.poll is not None
        assert list(result.poll.values) == [read, 5]
        assert result.missing == ({} if read is not None else {"ambiguous": 1})
    result = reading(ber.INTEGER, -1_610_629_377, 5)
    assert result.poll is not None
    assert list(result.poll.values) == [-1_610_629_377, 5], "elsewhere it is a number like any other"


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


AIROS_TEMPERATURE = "1.3.6.1.4.1.41112.1.4.8.4.0"


@pytest.mark.parametrize("other", [5, -5, 1 << 24])
def test_a_temperature_of_airos_whose_octets_are_turned_around_is_missing(other: int):
    """Of airOS 8.7.4 to 8.7.6: 335544320 for some degrees, which are 20 or 33.55. At -5 degrees the other octets are all ones."""
    below_0 = [int.from_bytes((-n).to_bytes(4, "little", signed=True), "big", signed=True) for n in (2, 5, 40)]
    for value in (335544320, 385875968, *below_0, -(5 << 24)):
        result = reading(ber.INTEGER, value, other, AIROS_TEMPERATURE)
        assert result.poll is not None
        assert list(result.poll.values) == [None, other]
        assert result.missing == {"ambiguous": 1}
    for value, oid in (*((value, AIROS_TEMPERATURE) for value in (66, 0, -1, -5)), (1 << 28, SENSOR)):
        result = reading(ber.INTEGER, value, other, oid)
        assert result.poll is not None
        assert list(result.poll.values) == [value, other]
