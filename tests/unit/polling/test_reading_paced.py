"""A device that answers one request in some seconds and drops the others, in virtual time: how much of it arrives."""

import asyncio
import math
import random
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from support import devices, virtual_time
from support.fake_client import REQUEST_ID, FakeClient
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.device import PACED_SHARE, SHARE_OF_INTERVAL
from towerops_agent.polling.course.memory import decode_memory, encode_memory
from towerops_agent.polling.course.news import Paced
from towerops_agent.polling.course.plan import SYS_UP_TIME, Planner
from towerops_agent.polling.course.traits import CLEAN_POLLS, LARGEST_VARBINDS, STARTING_VARBINDS, BootClock
from towerops_agent.polling.reading import Poller, Reader
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_lab.simulator.device import SimulatedDevice

HOST = "192.0.2.1"
INTERVAL_S = 60
RTT_S = 0.02


class Limited(FakeClient):
    """A device that answers a request `gap_s` after the last one at the earliest. `loss`: the share of attempts that are lost,
    those that `seed` makes."""

    def __init__(self, sensors, gap_s, loss=0.0, seed=7):
        values = {SYS_UP_TIME: (ber.TIME_TICKS, 100)} | {parse_oid(oid): (ber.INTEGER, 1) for oid in sensors}
        super().__init__({HOST: SimulatedDevice(values)})
        self.gap_s, self.loss, self.rng = gap_s, loss, random.Random(seed)
        self.answered = []  # when, and how many OIDs
        self.dropped = 0

    async def reply(self, host, security, request, timeouts_s):
        loop = asyncio.get_running_loop()
        for timeout_s in timeouts_s:
            now = loop.time()
            if (not self.answered or now - self.answered[-1][0] >= self.gap_s) and self.rng.random() >= self.loss:
                self.answered.append((now, len(request.names)))
                octets = self.devices[host].answer(security.wrap(request.pdu(REQUEST_ID)), 100.0)
                await asyncio.sleep(RTT_S)
                return Reply(decode_message(octets).pdu, RTT_S, self.wall_us)
            self.dropped += 1
            await asyncio.sleep(timeout_s)
        return NoReply("timeout", len(timeouts_s))


def names(count):
    return [f"1.3.6.1.4.1.99999.1.{n}" for n in range(1, count + 1)]


def poll(client, device, times, *, skips=False):
    """The results of so many polls at the device's interval; `skips`: of fewer, if one goes on beyond the next one's time."""

    async def main():
        loop, poller, results, n = asyncio.get_running_loop(), Poller(client, Planner()), [], 0
        while n < times:
            results.append(await poller.poll(device, INTERVAL_S * device.share))
            following = math.floor((loop.time() - 1000) / INTERVAL_S) + 1
            assert skips or following == n + 1  # the next one starts in time
            n = following
            await asyncio.sleep(1000 + n * INTERVAL_S - loop.time())
        return results

    return virtual_time.run(main())


def test_the_pace_of_a_device_that_begins_to_drop_requests_of_three_is_not_taken_for_a_faster_one():
    """It answers two at once, and then one in two seconds: the time that was waited for the others is not part of the gap."""

    class Bursty(Limited):
        async def reply(self, host, security, request, timeouts_s):
            self.gap_s = 0.0 if len(self.answered) < 2 else 2.0
            return await super().reply(host, security, request, timeouts_s)

    sensors = names(300)
    client, device = Bursty(sensors, 2.0), devices.device(sensors=sensors, host=HOST)
    device.traits.clean_polls, device.traits.srtt_s = CLEAN_POLLS, RTT_S
    poll(client, device, 1)
    assert device.traits.together == 1
    assert device.traits.spacing is not None
    assert device.traits.spacing.gap_s >= 2.0


def test_an_agent_that_reads_an_answer_late_does_not_take_the_device_for_one_that_drops_requests():
    """The answer's own time counts, and not that of its turn at a busy agent."""

    class ReadLate(Limited):
        async def reply(self, host, security, request, timeouts_s):
            reply = await super().reply(host, security, request, timeouts_s)
            arrived_s = asyncio.get_running_loop().time()
            await asyncio.sleep(max(timeouts_s))
            return replace(reply, arrived_s=arrived_s)

    client, device = ReadLate(names(100), 0.0), devices.device(sensors=names(100), host=HOST)
    (result,) = poll(client, device, 1)
    assert not result.missing
    assert device.traits.spacing is None


@pytest.mark.parametrize("gap_s", [1.0, 2.0, 5.0])
def test_three_intervals_bring_nine_tenths_of_what_the_rate_allows(gap_s):
    """From the first poll on: of all that the device would answer in that time, at the size of a first request."""
    sensors = names(2000)
    client, device = Limited(sensors, gap_s), devices.device(sensors=sensors, host=HOST)
    results = poll(client, device, 3)
    delivered = sum(value is not None for result in results for value in result.poll.values)
    assert delivered >= 0.9 * STARTING_VARBINDS * (3 * INTERVAL_S / gap_s)
    assert {reason for result in results for reason in result.missing} == {Reason.DEADLINE}


@pytest.mark.parametrize("gap_s", [1.0, 2.0, 5.0])
def test_requests_are_as_large_as_can_be_once_the_pace_is_known(gap_s):
    """Never down to a few OIDs each."""
    sensors = names(4000)
    client, device = Limited(sensors, gap_s), devices.device(sensors=sensors, host=HOST)
    poll(client, device, 4)
    assert device.traits.max_varbinds == LARGEST_VARBINDS
    last = [size for at, size in client.answered if at >= 1000 + 3 * INTERVAL_S]
    assert len(last) >= 0.9 * INTERVAL_S / gap_s
    fitting = min(LARGEST_VARBINDS, max(len(ask.columns) for ask in device.plan.asks))  # into a datagram
    assert fitting > 40
    assert sum(last) / len(last) > 0.9 * fitting
    assert sorted(size for _, size in client.answered[:20])[2] >= STARTING_VARBINDS // 2


@pytest.mark.parametrize("gap_s", [1.0, 2.0, 5.0])
def test_a_poll_that_fits_its_interval_lacks_nothing(gap_s):
    sensors = names(120)
    client, device = Limited(sensors, gap_s), devices.device(sensors=sensors, host=HOST)
    assert [result.missing for result in poll(client, device, 4)] == [{}] * 4


def test_what_there_was_no_time_for_goes_first_the_next_time():
    """So that in some polls all is read, however long the list: in the four after the first of them."""
    sensors = names(1500)
    client, device = Limited(sensors, 5.0), devices.device(sensors=sensors, host=HOST)
    results = poll(client, device, 5)
    read = [sum(result.poll.values[i] is not None for result in results[1:]) for i in range(len(sensors))]
    assert min(read) >= 1
    assert max(read[LARGEST_VARBINDS:]) <= 2


def test_the_pace_is_logged_once_kept_over_a_restart_and_forgotten_when_the_device_is_faster():
    sensors = names(200)
    client, device = Limited(sensors, 2.0), devices.device(sensors=sensors, host=HOST)
    with capture_logs() as logs:
        poll(client, device, 4)
    (line,) = [line for line in logs if "too soon" in line["event"]]
    assert (line["log_level"], line["device"]) == ("warning", device.name)
    assert line["gap_s"] == pytest.approx(2.0, abs=0.2)
    device.state = DeviceState(State.UP, "", 0)
    again = devices.device(sensors=sensors, host=HOST)
    decode_memory(encode_memory([device], BootClock())).recall(again, Planner(), BootClock())
    assert again.traits.gap_s == pytest.approx(2.0, abs=0.2)
    client.answered.clear()
    client.dropped = 0
    poll(client, again, 3)
    assert client.dropped <= len(client.answered) / 4
    client.gap_s = 0.0
    client.answered.clear()
    with capture_logs() as logs:
        poll(client, again, 8)
    assert again.traits.spacing is None
    assert [line["event"] for line in logs] == ["device no longer drops requests that come soon"]


@pytest.mark.parametrize(("loss", "seed"), [(0.05, 7), (0.3, 7), (0.3, 2)])
def test_a_lossy_device_is_not_taken_for_a_slow_one(loss, seed):
    """A day of polls; and what is lost once is asked again in full, so that nearly nothing is missing in the end.

    A poll that loses so much that it goes on beyond its interval, as with the last seed, costs the next one.
    """
    sensors = names(300)
    client, device = Limited(sensors, 0.0, loss, seed), devices.device(sensors=sensors, host=HOST)
    with capture_logs() as logs:
        results = poll(client, device, 1440, skips=True)
    assert logs == []
    assert device.traits.gap_s == 0.0
    missing = sum(result.missing.total() if result.poll else len(sensors) for result in results)
    missing += (1440 - len(results)) * len(sensors)
    assert missing <= 0.02 * len(sensors) * 1440


def test_what_the_doctor_reads_says_so():
    sensors = names(500)
    client, device = Limited(sensors, 1.0), devices.device(sensors=sensors, host=HOST)

    async def main():
        return await Reader(client, Planner()).read(device, 60)

    reading = virtual_time.run(main())
    assert [type(item) for item in reading.news] == [Paced]
    assert reading.missing == {}


def test_a_paced_device_may_use_nearly_all_of_its_interval():
    device = devices.device(sensors=names(1))
    assert device.share == SHARE_OF_INTERVAL
    poll(Limited(names(200), 2.0), device := devices.device(sensors=names(200), host=HOST), 2)
    assert device.share == PACED_SHARE
