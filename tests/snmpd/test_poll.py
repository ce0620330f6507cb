"""A poll of the real thing: what a Poller reads of it is what snmpget prints."""

import time

import pytest

from support import asking, devices
from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import NARROW, WIDE
from towerops_agent.polling.reading import Poller

BASE = "1.3.6.1.4.1.8072.9999"
UP_TIME = "1.3.6.1.2.1.1.3.0"
ABSENT = f"{BASE}.77.0"
WIDE_IN = "1.3.6.1.2.1.31.1.1.1.6"
NARROW_IN = "1.3.6.1.2.1.2.2.1.10"


@pytest.fixture
async def poller():
    planner = Planner()
    async with asking.open_client() as (client, _):
        yield Poller(client, planner)


def loopback(snmpd):
    """The ifIndex of lo."""
    return next(int(name.rsplit(".", 1)[1]) for name, text in snmpd.walk("1.3.6.1.2.1.2.2.1.2") if text == "Hex-STRING: 6C 6F")


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_the_readings_are_those_that_snmpget_prints(snmpd, poller, version):
    """Texts with a unit, negative numbers, an Opaque float; what is not a number, or absent, is missing with its reason. So is a
    gauge of 4294967295, as net-snmp also prints it for a subagent's -1."""
    sensors = [f"{BASE}.1.0", f"{BASE}.2.0", f"{BASE}.3.0", ABSENT, f"{BASE}.11.0", f"{BASE}.9.3.0", f"{BASE}.9.4.0", UP_TIME]
    device = devices.device(port=snmpd.port, version=version, sensors=sensors)
    before = int(snmpd.get(UP_TIME))
    result = await poller.poll(device, 30)
    after = int(snmpd.get(UP_TIME))
    *values, up_time = result.poll.values
    assert values == [12.4, -61, 4_000_000_000, None, None, None, 12.5]
    assert before <= up_time <= after
    assert result.missing == {"noSuchName" if version == "1" else "noSuchObject": 1, "not_a_number": 1, "ambiguous": 1}
    assert result.poll.metric_count == 5


@pytest.mark.parametrize(("version", "column", "width"), [("1", NARROW_IN, NARROW), ("2c", WIDE_IN, WIDE)])
async def test_an_interface_s_counters_lie_between_two_of_net_snmp(snmpd, poller, version, column, width):
    """64-bit ones by v2c, 32-bit ones by v1; and no counter falls from one poll to the next."""
    lo = loopback(snmpd)
    device = devices.device(port=snmpd.port, version=version, interfaces=[lo])
    low = int(snmpd.get(f"{column}.{lo}", version="2c"))
    first, second = [(await poller.poll(device, 30)).poll for _ in range(2)]
    high = int(snmpd.get(f"{column}.{lo}", version="2c"))
    assert len(first.values) == len(INTERFACE_COLUMNS)
    assert all(a <= b for a, b in zip(first.values, second.values, strict=True))
    assert low <= first.values[0] <= second.values[0] <= high
    assert device.traits.widths == bytes([width, width])


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_an_interface_that_is_not_there_costs_only_itself(snmpd, poller, version):
    lo = loopback(snmpd)
    device = devices.device(port=snmpd.port, version=version, sensors=[f"{BASE}.2.0"], interfaces=[9_999_999, lo])
    result = await poller.poll(device, 30)
    assert result.poll.values[0] == -61
    assert result.poll.values[1:7] == (None,) * 6
    assert None not in result.poll.values[7:]
    assert result.missing.total() == 6
    assert result.poll.metric_count == 2


async def test_readings_bear_the_time_of_their_reply(snmpd, poller):
    device = devices.device(port=snmpd.port, sensors=[f"{BASE}.2.0"], interfaces=[loopback(snmpd)])
    before_us = time.time_ns() // 1000
    poll = (await poller.poll(device, 30)).poll
    after_us = time.time_ns() // 1000
    times = list(poll.item_times_us())
    assert len(times) == 2
    assert all(before_us <= poll.started_at_us <= at_us <= after_us for at_us in times)


async def test_large_answers_are_read_in_parts_and_the_size_is_remembered(snmpd, poller):
    """24 texts of 200 octets: snmpd says tooBig until fewer are asked, and the next poll asks for no more than it accepted."""
    sensors = [f"{BASE}.20.{i}.0" for i in range(1, 25)]
    device = devices.device(port=snmpd.port, sensors=[*sensors, f"{BASE}.2.0"])
    result = await poller.poll(device, 30)
    assert result.poll.values[-1] == -61
    assert result.missing == {"not_a_number": 24}
    assert 1 < device.traits.max_varbinds < 24
    assert len(device.plan.asks) > 1
    assert all(len(ask.columns) <= device.traits.max_varbinds for ask in device.plan.asks)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_one_value_that_fits_no_answer_costs_only_itself(snmpd, poller, version):
    device = devices.device(port=snmpd.port, version=version, sensors=[f"{BASE}.2.0", f"{BASE}.9.5.0", f"{BASE}.1.0"])
    result = await poller.poll(device, 30)
    assert result.poll.values == (-61, None, 12.4)
    assert result.missing == {"tooBig": 1}
