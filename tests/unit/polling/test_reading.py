"""One poll of one device, in virtual time: silence, return, names, deadlines, and learned traits."""

import asyncio
import socket
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import structlog

from support import asking, devices, virtual_time
from support.fake_client import FakeClient
from towerops_agent.model import DeviceState, Interface, State
from towerops_agent.polling import interfaces
from towerops_agent.polling.course.apart import SINGLE_A_POLL
from towerops_agent.polling.course.device import make_device
from towerops_agent.polling.course.fewer import MOST_IN_VAIN
from towerops_agent.polling.course.memory import decode_memory, encode_memory
from towerops_agent.polling.course.news import OddReplies
from towerops_agent.polling.course.plan import IF_NAME, IF_TABLE_LAST_CHANGE, SYS_UP_TIME, Planner, interface_columns
from towerops_agent.polling.course.traits import LARGEST_VARBINDS, NARROW, UNKNOWN, WIDE, BootClock
from towerops_agent.polling.reading import Poller, Reader
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import ErrorStatus, Message, PduType
from towerops_agent.snmp.wire.oddities import Oddity
from towerops_lab.simulator.device import SimulatedDevice, table
from towerops_lab.simulator.server import serve

HOST = "127.0.0.1"
SENSOR = "1.3.6.1.4.1.99999.1.0"
SENSORS = [f"1.3.6.1.4.1.99999.1.{n}" for n in range(100)]
INTERVAL_S = 60
INTEGER_280, TEXT_28 = (ber.INTEGER, 280), (ber.OCTET_STRING, b"28.0 centigrade")


def simulated(sensors=(), wide=(), narrow=()):
    """A device with these sensors, and counters of these interfaces: each value is one more than the one before."""
    values = {SYS_UP_TIME: (ber.TIME_TICKS, 100)}
    for oid in sensors:
        values[parse_oid(oid)] = (ber.INTEGER, len(values))
    for indexes, tag, width in ((wide, ber.COUNTER64, WIDE), (narrow, ber.COUNTER32, NARROW)):
        for if_index in indexes:
            columns = interface_columns(if_index, width, width)
            values |= {name: (tag if i < 2 else ber.COUNTER32, 10 * if_index + i) for i, name in enumerate(columns)}
    return SimulatedDevice(values)


def poll(client, device, times=1, between=lambda n: None, within_s=54.0):
    """The results of polls at the device's interval, and how long each took, in virtual seconds."""

    async def main():
        loop, poller, results = asyncio.get_running_loop(), Poller(client, Planner()), []
        for n in range(times):
            between(n)
            began = loop.time()
            results.append((await poller.poll(device, within_s), loop.time() - began))
            await asyncio.sleep(INTERVAL_S)
        return results

    return virtual_time.run(main())


def test_a_silent_device_is_asked_three_times_and_from_then_on_probed_by_one_small_request():
    """Three times in full, then by its sysUpTime, then by another OID; after that one datagram an interval, the two by turns."""
    client = FakeClient()
    device = devices.device(sensors=SENSORS)
    (first, first_s), (second, second_s), _ = poll(client, device, times=3)
    assert first.poll is None
    assert (first.silence, first.missing) == ("timeout", {"timeout": 100})
    assert (first_s, second_s) == (1 + 2 + 4 + 1 + 2 + 1, 1)
    assert second.silence == "timeout"
    probes = client.requests[-2:]
    first_sensor = parse_oid(SENSORS[0])
    assert [(request.names, timeouts_s) for _, request, timeouts_s in probes] == [
        ((SYS_UP_TIME,), (1.0,)),
        ((first_sensor,), (1.0,)),
    ]


def test_a_device_that_comes_back_is_read_in_full_by_the_poll_that_found_it():
    client = FakeClient()
    device = devices.device(sensors=SENSORS)

    def plug_in(n):
        if n == 2:
            client.devices[HOST] = simulated(SENSORS)

    *_, (result, _) = poll(client, device, times=3, between=plug_in)
    assert result.missing == {}
    assert result.poll.values == tuple(range(1, 101))


class NeverAnswered(FakeClient):
    """Its device does not answer a request that has any of these OIDs, however it is asked."""

    never = frozenset()
    discarded = None

    def __init__(self, simulated_devices):
        super().__init__(simulated_devices)
        self.unanswered = []

    async def reply(self, host, security, request, timeouts_s):
        names = {*request.names} if request.type is PduType.GET else {child(name, 0) for name in request.names}
        if self.never.isdisjoint(names):
            return await super().reply(host, security, request, timeouts_s)
        self.asked[host] += len(timeouts_s)
        self.unanswered += self.never & names
        await asyncio.sleep(sum(timeouts_s))
        return NoReply("timeout", len(timeouts_s), discarded=self.discarded)


@pytest.mark.parametrize("count", [3, 12])
def test_what_a_device_answers_with_octets_that_are_not_a_message_is_unreadable_and_not_met_with_silence(count):
    """Some OLT answers so to what it lacks. It was missing as `timeout`, as if the link were slow."""
    sensors = [f"{oid}.0" for oid in SENSORS[: 2 * count]]
    client, device = NeverAnswered({HOST: simulated(sensors)}), devices.device(sensors=sensors)
    client.never, client.discarded = frozenset(map(parse_oid, sensors[::2])), Discard.MALFORMED
    results = poll(client, device, 120)
    assert all(result.missing == {Reason.UNREADABLE: count} for result, _ in results[5:])
    client.discarded = None
    assert poll(client, device, 3)[-1][0].missing == {Reason.TIMEOUT: count}
    client.never = frozenset()
    assert poll(client, device, 3)[-1][0].missing == {}
    assert device.traits.mute == device.traits.unreadable == frozenset()


@pytest.mark.parametrize(("count", "known_after", "requests"), [(1, 1, 4), (5, 2, 8), (20, 8, 11)])
def test_oids_that_are_never_answered_cost_a_request_each_and_all_others_are_asked_in_large_ones_again(
    count, known_after, requests
):
    """Silence to a request that has one of them is not a question of size.

    Before, requests grew by an OID a poll from one on, and with 20 of them for good none had more than one OID.
    """
    sensors = [f"{oid}.0" for oid in SENSORS[:60]]
    client, device = NeverAnswered({HOST: simulated(sensors)}), devices.device(sensors=sensors)
    client.never = frozenset(map(parse_oid, sensors[: 2 * count : 2]))
    asked = []
    results = poll(client, device, known_after + 2, lambda _: asked.append(client.asked[HOST]))
    asked.append(client.asked[HOST])
    (known, _), (after, after_s) = results[-2:]
    assert known.missing == after.missing == {Reason.TIMEOUT: count}
    assert max(b - a for a, b in pairwise(asked[known_after:])) <= requests
    assert after_s < min(count, SINGLE_A_POLL) * 0.5 + 1
    assert device.traits.refused_at is None


@pytest.mark.parametrize("count", [20, 30, 40])
def test_a_device_that_never_answers_every_second_oid_gives_all_others_before_long_in_large_requests(count):
    """The search for them takes several polls, each of which begins with what is known from the one before.

    Before, of 60 OIDs 14 were read in each poll, for good, as the search began again each time; of 40 each was asked by itself.
    """
    sensors = [f"{oid}.0" for oid in SENSORS[: 2 * count]]
    client, device = NeverAnswered({HOST: simulated(sensors)}), devices.device(sensors=sensors)
    client.never = frozenset(map(parse_oid, sensors[::2]))
    poll(client, device, 14)
    began = len(client.requests)
    (last, last_s), _ = poll(client, device, 2)
    assert last.missing == {Reason.TIMEOUT: count}
    assert device.traits.mute == client.never
    assert last_s < SINGLE_A_POLL * 0.5 + 1
    assert len(client.requests) - began <= 2 * (SINGLE_A_POLL + 4)
    assert device.traits.refused_at is None


def absent_in_version_1(count):
    """A client, a device of twice as many sensors of which it refuses every second one, these, and the values of all."""
    sensors = [f"{oid}.0" for oid in SENSORS[: 2 * count]]
    there = simulated(sensors)
    client = FakeClient(
        {HOST: SimulatedDevice({name: there.values[name] for name in [SYS_UP_TIME, *map(parse_oid, sensors[::2])]})}
    )
    return client, devices.device(sensors=sensors, version="1"), list(map(parse_oid, sensors[1::2])), there.values


def test_of_many_oids_that_a_device_refuses_some_are_asked_in_a_poll_each_in_its_turn():
    """A UPS over SNMPv1 that lacks half of its MIB was asked for each of these in each poll: 50 requests in place of 11."""
    client, device, absent, _ = absent_in_version_1(45)
    asked = []
    results = poll(client, device, 20, lambda _: asked.append(len(client.requests)))
    asked.append(len(client.requests))
    assert all(result.missing == {Reason.NO_SUCH_NAME: 45} for result, _ in results)
    assert [b - a for a, b in pairwise(asked)][5:] == [SINGLE_A_POLL + 2] * 15
    names = [name for _, request, _ in client.requests[asked[10] :] for name in request.names]
    assert set(absent) < set(names)


def test_once_one_of_many_refused_oids_is_there_again_all_are_asked_in_the_same_poll():
    """As when a module is plugged in."""
    client, device, absent, values = absent_in_version_1(45)
    poll(client, device, 12)
    client.devices[HOST] = SimulatedDevice(values)
    (found, _), (after, _) = poll(client, device, 2)
    assert found.missing == after.missing == {}
    assert device.traits.refused_names == frozenset()
    assert set(absent) < set(client.requests[-1][1].names) | set(client.requests[-2][1].names) | set(client.requests[-3][1].names)


def test_a_device_that_is_down_lacks_all_for_that_also_what_it_refuses():
    client, device, _, _ = absent_in_version_1(45)
    poll(client, device, 12)
    client.devices.clear()
    ((down, _),) = poll(client, device)
    assert down.missing == {Reason.TIMEOUT: 90}


@pytest.mark.parametrize("count", [SINGLE_A_POLL, SINGLE_A_POLL + 1])
def test_few_refused_oids_are_asked_in_each_poll(count):
    client, device, absent, _ = absent_in_version_1(count)
    poll(client, device, 12)
    began = len(client.requests)
    poll(client, device)
    names = [name for _, request, _ in client.requests[began:] for name in request.names]
    assert len(set(absent).intersection(names)) == SINGLE_A_POLL


@pytest.mark.parametrize(("count", "within_s"), [(16, 2.7), (16, 4.0), (13, 1.6), (40, 1.0)])
def test_of_many_silent_oids_each_has_its_turn_though_there_is_no_time_for_all_that_are_due(count, within_s):
    """With intervals of a few seconds the last of each eight were never asked again."""
    sensors = [f"{oid}.0" for oid in SENSORS[: 2 * count]]
    client, device = NeverAnswered({HOST: simulated(sensors)}), devices.device(sensors=sensors)
    client.never = frozenset(map(parse_oid, sensors[::2]))
    poll(client, device, count + 4)
    assert len(device.traits.not_by_next) == count
    began = len(client.unanswered)
    poll(client, device, 2 * count, within_s=within_s)
    asked = Counter(client.unanswered[began:])
    assert asked.keys() == client.never
    assert max(asked.values()) - min(asked.values()) <= 1


class Mute(FakeClient):
    """Its device does not answer a GET of one OID, whose value it gives by GETNEXT."""

    async def reply(self, host, security, request, timeouts_s):
        if request.type is PduType.GET and parse_oid(SENSORS[7]) in request.names:
            await asyncio.sleep(sum(timeouts_s))
            return NoReply("timeout", len(timeouts_s))
        return await super().reply(host, security, request, timeouts_s)


@pytest.mark.parametrize(
    ("interval_s", "rtt_s", "isolated", "found"),
    [(60, 0.01, 1, 4), (5, 0.01, 4, 8), (3, 0.01, 5, 9), (2, 0.01, 5, 12), (20, 2.0, 3, 8), (10, 0.5, 3, 7)],
)
def test_what_only_getnext_gives_is_found_in_few_polls_and_none_goes_on_beyond_its_time_for_that(
    interval_s, rtt_s, isolated, found
):
    """In intervals of few seconds, or from a slow device.

    `isolated`: after how many polls it is known which OID is not answered; from then on its value is there.
    """
    client, device = Mute({HOST: simulated(SENSORS[:10])}), devices.device(sensors=SENSORS[:10])
    client.rtt_s[HOST] = rtt_s
    known = []
    results = poll(client, device, found + 1, lambda _: known.append(bool(device.traits.by_next)), 0.9 * interval_s)
    assert known == [False] * found + [True]
    assert [result.missing for result, _ in results[isolated:]] == [{}] * (found + 1 - isolated)
    assert max(took_s for _, took_s in results[isolated:]) <= 0.9 * interval_s
    assert results[-1][1] < 3 * rtt_s + 0.1


def test_a_device_that_dies_within_a_poll_keeps_what_was_read():
    client = FakeClient({HOST: simulated(SENSORS)})
    device = devices.device(sensors=SENSORS)
    real = client.ask

    async def die_after_two(*args, **options):
        if len(client.requests) == 2:
            client.devices.clear()
        return await real(*args, **options)

    client.ask = die_after_two
    ((result, _),) = poll(client, device)
    read = [value for value in result.poll.values if value is not None]
    assert read == list(range(1, len(read) + 1))
    assert 40 <= len(read) < 60
    assert result.missing == {"timeout": 100 - len(read)}


def test_a_name_is_resolved_once_and_again_after_five_minutes():
    client = FakeClient({"192.0.2.1": simulated([SENSOR]), "192.0.2.2": simulated([SENSOR])})
    device = devices.device(host="radio.example.net", sensors=[SENSOR])
    addresses = ["192.0.2.1", "192.0.2.2"]
    client.resolver = lambda _: addresses[len(client.resolved) - 1]
    results = poll(client, device, times=8)
    assert all(result.missing == {} for result, _ in results)
    assert client.resolved == ["radio.example.net"] * 2
    assert [host for host, *_ in client.requests] == ["192.0.2.1"] * 5 + ["192.0.2.2"] * 3


def test_a_silent_device_s_name_is_resolved_at_each_poll():
    """It may have moved."""
    client = FakeClient({"192.0.2.2": simulated([SENSOR])})
    device = devices.device(host="radio.example.net", sensors=[SENSOR])
    client.resolver = lambda _: "192.0.2.1" if len(client.resolved) == 1 else "192.0.2.2"
    (first, _), (second, _) = poll(client, device, times=2)
    assert first.silence == "timeout"
    assert second.missing == {}


def test_of_several_addresses_the_one_that_works_is_found_in_the_first_poll_kept_and_shown():
    """The first poll waits for the dead one; those after it do not, nor is it asked again when the name is resolved again."""
    client = FakeClient({"192.0.2.2": simulated([SENSOR])})
    client.resolver = lambda _: "2001:db8::1 192.0.2.2 192.0.2.3"
    device = devices.device(host="radio.example.net", sensors=[SENSOR])
    with structlog.testing.capture_logs() as lines:
        results = poll(client, device, times=8)
    assert [result.missing for result, _ in results] == [{}] * 8
    assert [host for host, *_ in client.requests] == ["2001:db8::1"] + ["192.0.2.2"] * 8
    assert client.resolved == ["radio.example.net"] * 2
    assert device.address == "radio.example.net:161 at 192.0.2.2"
    assert [line["answers_at"] for line in lines if "answers_at" in line] == ["192.0.2.2"]


def test_an_address_that_ceases_to_work_is_left_for_another_and_one_that_is_no_longer_the_name_s_is_not_asked():
    client = FakeClient({"192.0.2.1": simulated([SENSOR]), "192.0.2.2": simulated([SENSOR])})
    client.resolver = lambda _: "192.0.2.1 192.0.2.2"

    def change(n):
        if n == 1:
            client.devices["192.0.2.1"] = None
        if n == 3:
            client.resolver = lambda _: "192.0.2.9"

    device = devices.device(host="radio.example.net", sensors=[SENSOR])
    results = poll(client, device, times=10, between=change)
    assert [result.silence for result, _ in results[:5]] == [""] * 5
    assert [host for host, *_ in client.requests[:4]] == ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"]
    assert (client.requests[-1][0], results[-1][0].silence) == ("192.0.2.9", "timeout")
    assert device.address == "radio.example.net:161"


def refuse(_host):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_name_without_an_address_is_unresolved_and_each_reading_is_missing_for_it():
    client = FakeClient()
    client.resolver = refuse
    device = devices.device(host="radio.example.net", sensors=SENSORS)
    ((result, _),) = poll(client, device)
    assert result.poll is None
    assert (result.silence, result.detail) == ("unresolved", "Name or service not known")
    assert result.missing == {"unresolved": 100}
    assert client.requests == []


def test_a_resolver_that_fails_later_costs_nothing():
    """The address known is used on."""
    client = FakeClient({HOST: simulated([SENSOR])})
    device = devices.device(sensors=[SENSOR])

    def fail(n):
        if n == 1:
            client.resolver = refuse

    results = poll(client, device, times=8, between=fail)
    assert all(result.missing == {} for result, _ in results)


def test_a_poll_ends_at_its_deadline_with_what_was_read():
    """A request under way is waited for; what was not asked is missing for the deadline."""
    client = FakeClient({HOST: simulated(SENSORS)})
    client.rtt_s[HOST] = 0.9
    ((result, took_s),) = poll(client, devices.device(sensors=SENSORS), within_s=2.0)
    read = [value for value in result.poll.values if value is not None]
    assert took_s == pytest.approx(2.7)
    assert read == list(range(1, len(read) + 1))
    assert result.missing == {"deadline": 100 - len(read)}
    assert len(client.requests) == 3


def test_names_that_ride_because_a_poll_did_not_end_in_time_do_so_until_six_were_answered_whole():
    """Else one bad minute would cost more requests for good."""
    rows = [("1.3.6.1.2.1.1.3.0", ber.TIME_TICKS, 100)]
    for n in range(1, 45):
        rows += [(f"1.3.6.1.2.1.31.1.1.1.{column}.{n}", ber.COUNTER64, n) for column in (6, 10)]
        rows += [(f"1.3.6.1.2.1.2.2.1.{column}.{n}", ber.COUNTER32, n) for column in (13, 14, 19, 20)]
        rows.append((f"1.3.6.1.2.1.31.1.1.1.1.{n}", ber.OCTET_STRING, b"port %d" % n))
    client = FakeClient({HOST: SimulatedDevice(table([(parse_oid(oid), tag, value) for oid, tag, value in rows]))})
    device = devices.device_of(HOST, tuple(Interface(f"i{n}", n, f"port {n}") for n in range(1, 45)))

    def rides():
        return not any(ask.proves for ask in device.plan.asks)

    poll(client, device, times=8)
    assert not rides()
    client.rtt_s[HOST] = 0.3
    ((result, _),) = poll(client, device, within_s=0.2)
    assert result.missing
    assert rides()
    client.rtt_s[HOST] = 0.01
    assert [rides() for _ in range(4) if poll(client, device)[0][0].missing == {}] == [True, True, False, False]


def test_a_device_is_asked_one_request_at_a_time():
    client = FakeClient({HOST: simulated(SENSORS)})
    poll(client, devices.device(sensors=SENSORS), times=2)
    assert client.most_in_flight == 1


def test_sixty_four_bit_counters_are_kept_once_found_and_thirty_two_bit_ones_as_well():
    """Interface 1 has wide ones, 2 narrow ones, 3 is away for now: it teaches nothing, and costs only itself."""
    client = FakeClient({HOST: simulated(wide=[1], narrow=[2])})
    device = devices.device(interfaces=[1, 2, 3])
    (first, _), (second, _) = poll(client, device, times=2)
    expected = (10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25, *[None] * 6)
    assert first.poll.values == second.poll.values == expected
    assert first.missing == {"noSuchInstance": 6}
    assert device.traits.widths == bytes([WIDE, WIDE, NARROW, NARROW, UNKNOWN, UNKNOWN])
    assert first.poll.metric_count == 2


def test_a_wide_counter_that_goes_away_is_missing_and_not_replaced_by_a_narrow_one():
    """A 32-bit number in its place would read as a reset or a spike."""
    client = FakeClient({HOST: simulated(wide=[1])})
    device = devices.device(interfaces=[1])

    def lose_wide(n):
        if n == 1:
            client.devices[HOST] = simulated(narrow=[1])

    (first, _), (second, _) = poll(client, device, times=2, between=lose_wide)
    assert first.poll.values[:2] == (10, 11)
    assert second.poll.values == (None, None, 12, 13, 14, 15)
    assert second.poll.metric_count == 0


def test_learned_traits_outlive_a_change_of_the_configuration_if_the_machine_is_the_same():
    client = FakeClient({HOST: simulated(wide=[1], narrow=[2, 3])})
    before = devices.device(interfaces=[1, 2])
    poll(client, before)
    after = devices.device(interfaces=[3, 2, 1], before=before)
    assert after.traits.widths == bytes([UNKNOWN, UNKNOWN, NARROW, NARROW, WIDE, WIDE])
    assert after.traits.srtt_s == before.traits.srtt_s
    for other in ({"port": 1161}, {"host": "192.0.2.7"}, {"version": "1"}):
        fresh = devices.device(interfaces=[1, 2], before=before, **other)
        assert fresh.traits.srtt_s is None
        assert fresh.traits.widths == bytes([NARROW if other.get("version") == "1" else UNKNOWN] * 4)
        assert fresh.peer is None


def text(client, written):
    """Have the device write this for its sensor."""
    client.devices[HOST].put(parse_oid(SENSOR), ber.OCTET_STRING, written)


def test_a_text_goes_on_in_the_unit_that_it_was_first_read_in():
    client, device = FakeClient({HOST: simulated([SENSOR])}), devices.device(sensors=[SENSOR])
    written = [b"980 Mbps", b"1.2 Gbps", b"N/A", b"3 MB", b"1 Gbps"]
    results = poll(client, device, times=5, between=lambda n: text(client, written[n]))
    assert [result.poll.values[0] for result, _ in results] == [980, 1200.0, None, None, 1000]
    assert [dict(result.missing) for result, _ in results[2:4]] == [{"not_a_number": 1}, {"unit_changed": 1}]


def test_the_first_unit_outlives_a_change_of_the_configuration_and_of_the_address():
    client, device = FakeClient({HOST: simulated([SENSOR])}), devices.device(sensors=[SENSORS[5], SENSOR])
    text(client, b"980 Mbps")
    poll(client, device)
    moved = devices.device(before=device, sensors=[SENSOR], host="::1")
    client.devices["::1"] = client.devices[HOST]
    text(client, b"1.2 Gbps")
    ((result, _),) = poll(client, moved)
    assert result.poll.values == (1200.0,)
    again = devices.device(before=devices.device(before=moved), sensors=[SENSOR])
    ((result, _),) = poll(client, again)
    assert result.poll.values == (1.2,), "once it was out of the configuration, it starts again"


def test_an_address_is_shown_as_people_write_it():
    assert devices.device(host="2001:db8::1").address == "[2001:db8::1]:161"
    assert devices.device(host="192.0.2.1", port=1161).address == "192.0.2.1:1161"


def test_a_device_that_answers_from_another_address_is_heard_once_that_is_known_and_reported():
    """Learned from a poll's first timeout, with a warning; from then on its answers count from anywhere."""

    class Crooked(FakeClient):
        async def ask(self, peer, security, request, timeouts_s, *, over_tcp=False, from_any=False):
            self.from_any.append(from_any)
            if not from_any:
                return NoReply("timeout", len(timeouts_s), answered_from=("192.0.2.99", 161))
            return await super().ask(peer, security, request, timeouts_s)

    client = Crooked({HOST: simulated(SENSORS[:3])})
    client.from_any = []
    device = devices.device(sensors=SENSORS[:3])
    with structlog.testing.capture_logs() as lines:
        results = poll(client, device, times=2)
    assert [result.poll.metric_count for result, _ in results] == [3, 3]
    assert client.from_any == [False, True, True]
    assert [line["answers_from"] for line in lines if line["log_level"] == "warning"] == ["192.0.2.99"]


def odd(device, oddity):
    """How `device` answers if its replies are odd in this way."""

    def answer(datagram, now):
        message = decode_message(device.answer(datagram, now))
        match oddity:
            case Oddity.OTHER_COMMUNITY:
                message.community = b""
            case Oddity.CUT_REQUEST_ID:
                message.pdu.request_id &= 0xFFFF
            case Oddity.EXTRA_ZERO:
                message.pdu.names = [name + b"\x00" for name in message.pdu.names]
        return encode_message(message)

    return answer


@pytest.mark.parametrize("oddity", [Oddity.OTHER_COMMUNITY, Oddity.EXTRA_ZERO])
async def test_that_the_replies_of_a_known_device_become_odd_is_said_too(oddity):
    """As after an update of its firmware: several requests are under way to it by then."""
    usual = simulated(SENSORS)
    answers = [usual.answer]

    def answer(datagram, now):
        return answers[-1](datagram, now)

    async with asking.open_client() as (client, _), serve(answer) as port:
        device, reader = devices.device(port=port, sensors=SENSORS), Reader(client, Planner())
        while device.traits.together == 1:
            await reader.read(device, 60.0)
        answers.append(odd(usual, oddity))
        first, second = await reader.read(device, 60.0), await reader.read(device, 60.0)
        assert [first.poll.values, second.poll.values] == [tuple(range(1, 101))] * 2
        assert [list(first.news), list(second.news)] == [[OddReplies(oddity)], []]


@pytest.mark.parametrize("oddity", Oddity)
async def test_a_device_whose_replies_are_odd_is_read_and_that_is_said_once(oddity):
    """Once it is known, at the first attempt; and it is known after a restart of the agent."""
    async with asking.open_client() as (client, _), serve(odd(simulated(SENSORS[:3]), oddity)) as port:
        device = devices.device(port=port, sensors=SENSORS[:3])
        first = await Reader(client, Planner()).read(device, 60.0, (0.05, 0.05, 60.0))
        second = await Reader(client, Planner()).read(device, 60.0, (60.0,))
        assert [first.poll.values, second.poll.values] == [(1, 2, 3)] * 2
        assert [list(first.news), list(second.news)] == [[OddReplies(oddity)], []]

        device.state = DeviceState(State.UP, "", 0)
        restarted = devices.device(port=port, sensors=SENSORS[:3])
        decode_memory(encode_memory([device], BootClock())).recall(restarted, Planner(), BootClock())
        third = await Reader(client, Planner()).read(restarted, 60.0, (60.0,))
        assert (third.poll.values, list(third.news)) == ((1, 2, 3), [])

        other_sensors = devices.device(before=device, port=port, sensors=SENSORS[:2])
        assert other_sensors.odd_replies == {oddity}
        assert devices.device(before=device, port=port, version="1", sensors=SENSORS[:2]).odd_replies == frozenset()


def without_octets(device, is_bad):
    """How `device` answers if the numbers at some places of an answer have no octets, by `is_bad` of the place and the name."""

    def answer(datagram, now):
        message = decode_message(device.answer(datagram, now))
        bad = [is_bad(place, name) for place, name in enumerate(message.pdu.names)]
        message.pdu.tags = bytes(ber.INTEGER if is_ else tag for is_, tag in zip(bad, message.pdu.tags, strict=True))
        message.pdu.values = [b"" if is_ else value for is_, value in zip(bad, message.pdu.values, strict=True)]
        return encode_message(message)

    return answer


async def sizes_of_polls(device, answer, polls):
    """The readings of so many polls, and how many OIDs each of their requests had."""
    sizes = []

    def counted(datagram, now):
        sizes[-1].append(len(decode_message(datagram).pdu.names))
        return answer(datagram, now)

    readings = []
    async with asking.open_client() as (client, _), serve(counted) as port:
        device.port, device.peer = port, None
        for _ in range(polls):
            sizes.append([])
            readings.append(await Reader(client, Planner()).read(device, 60.0, (60.0,)))
    return readings, sizes


@pytest.mark.parametrize("most", [1, 5, 11, 23])
async def test_a_device_that_fills_a_large_answer_with_empty_values_is_read_whole_and_asked_for_fewer_in_time(most):
    """As PDUs do: `02 00` in place of each number behind the first ones. By itself each of them has its octets."""
    device = devices.device(sensors=SENSORS[:40])
    answer = without_octets(simulated(SENSORS[:40]), lambda place, _name: place >= most)
    readings, sizes = await sizes_of_polls(device, answer, 60)
    assert {reading.poll.values for reading in readings} == {tuple(range(1, 41))}
    assert max(sizes[0]) > most
    assert max(sizes[-1]) == most


async def test_a_value_that_can_not_be_read_by_itself_either_is_asked_for_once_more_and_not_in_each_poll():
    """Nor does it make the requests smaller, in which all else can be read; once it can be read, it is."""
    bad = {parse_oid(SENSORS[7])}
    device = devices.device(sensors=SENSORS[:10])
    readings, sizes = await sizes_of_polls(device, without_octets(simulated(SENSORS[:10]), lambda _, name: name in bad), 4)
    assert [reading.missing for reading in readings] == [{7: "unreadable"}] * 4
    assert sizes == [[11, 1], [11], [11], [11]]
    (healed,), _ = await sizes_of_polls(device, simulated(SENSORS[:10]).answer, 1)
    assert healed.poll.values == tuple(range(1, 11))
    assert device.traits.unreadable == frozenset()


async def test_a_value_that_could_not_be_read_once_costs_a_request_and_no_size_for_long():
    once = [parse_oid(SENSORS[7])]
    device = devices.device(sensors=SENSORS[:20])
    answer = without_octets(simulated(SENSORS[:20]), lambda _, name: name in once and once.remove(name) is None)
    readings, sizes = await sizes_of_polls(device, answer, 20)
    assert {reading.poll.values for reading in readings} == {tuple(range(1, 21))}
    assert sizes[0] == [21, 1]
    assert sizes[-1] == [21]
    assert device.traits.suspect_at is device.traits.refused_at is None


MANY = [f"1.3.6.1.4.1.99999.2.{n}" for n in range(300)]


async def test_hundreds_of_values_that_can_not_be_read_cost_few_requests_more():
    """Some in the first poll, in which it is found out, and then some in each: no value is given up for good."""
    device = devices.device(sensors=MANY)
    readings, sizes = await sizes_of_polls(device, without_octets(simulated(MANY), lambda _, name: name != SYS_UP_TIME), 102)
    assert {tuple(reading.missing.values()) for reading in readings} == {("unreadable",) * 300}
    planned = -(-301 // sizes[0][0])
    assert len(sizes[0]) <= planned + MOST_IN_VAIN + 6
    later = [[size for size in each if size == 1] for each in sizes[1:]]
    assert max(map(len, later)) <= 4
    assert sum(map(len, later[:100])) >= 300
    (healed, again), _ = await sizes_of_polls(device, simulated(MANY).answer, 2)
    assert healed.poll.values == again.poll.values == tuple(range(1, 301))


async def test_what_was_given_up_beside_values_that_can_never_be_read_is_read_in_a_few_polls():
    """Thirty are encoded wrong, also by themselves; of the others each is, behind the fifth of an answer."""
    broken = {parse_oid(name) for name in MANY[:30]}
    device = devices.device(sensors=MANY[:130])
    answer = without_octets(simulated(MANY[:130]), lambda place, name: name in broken or place >= 5)
    readings, _ = await sizes_of_polls(device, answer, 20)
    assert set(readings[-1].missing) == set(range(30))
    assert readings[-1].poll.values[30:] == tuple(range(31, 131))


def test_a_sensor_that_new_firmware_makes_a_text_is_missing_and_not_a_tenth_of_what_it_was():
    """280 was 28.0 degrees by its divisor of 10. That it was a whole number is known after a restart of the agent too."""
    before, now = ({SYS_UP_TIME: (ber.TIME_TICKS, 100), parse_oid(SENSOR): value} for value in (INTEGER_280, TEXT_28))
    device = devices.device(host=HOST, sensors=[SENSOR])
    client = FakeClient({HOST: SimulatedDevice(before)})
    ((result, _),) = poll(client, device)
    assert result.poll.values == (280,)
    device.state = DeviceState(State.UP, "", 0)
    restarted = devices.device(host=HOST, sensors=[SENSOR])
    decode_memory(encode_memory([device], BootClock())).recall(restarted, Planner(), BootClock())
    client.devices[HOST] = SimulatedDevice(now)
    for known in (device, restarted):
        ((result, _),) = poll(client, known)
        assert (result.poll.values, dict(result.missing)) == ((None,), {"unit_changed": 1})
    fresh = devices.device(host=HOST, sensors=[SENSOR])
    ((result, _),) = poll(client, fresh)
    assert result.poll.values == (28.0,), "as the contract has it: the divisor may be meant for the text"


def test_odd_replies_are_logged_with_what_is_odd():
    class Odd(FakeClient):
        async def ask(self, peer, security, request, timeouts_s, *, over_tcp=False, from_any=False):
            for request_id in range(2):
                security.oddities.see(Oddity.EXTRA_ZERO, request_id)
            return await super().ask(peer, security, request, timeouts_s)

    with structlog.testing.capture_logs() as lines:
        poll(Odd({HOST: simulated(SENSORS[:3])}), devices.device(sensors=SENSORS[:3]), times=2)
    assert [(line["log_level"], line["oddity"], line["text"]) for line in lines if "oddity" in line] == [
        ("warning", "extra_zero", "it appends a 0 to OIDs")
    ]


@pytest.mark.parametrize("blocked_s", [9.0, 25.0])
def test_an_oid_that_blocks_the_device_is_found_within_a_few_polls_and_costs_only_itself(blocked_s):
    """Whoever asks for it hears nothing for a while, whatever else is asked. From then on it is asked last and by itself."""
    blocker = parse_oid(SENSORS[12])

    class Blocking(FakeClient):
        free_at = 0.0

        async def reply(self, host, security, request, timeouts_s):
            loop = asyncio.get_running_loop()
            for timeout_s in timeouts_s:
                if loop.time() < self.free_at:
                    await asyncio.sleep(timeout_s)
                elif blocker in request.names:
                    self.free_at = loop.time() + blocked_s
                    await asyncio.sleep(timeout_s)
                else:
                    return await super().reply(host, security, request, (timeout_s,))
            return NoReply(Reason.TIMEOUT, len(timeouts_s))

    device = devices.device(sensors=SENSORS[:31])
    results = poll(Blocking({HOST: simulated(SENSORS[:31])}), device, times=12)
    assert [result.missing for result, _ in results[6:]] == [{"timeout": 1}] * 6
    assert all(result.poll.values.count(None) == 1 for result, _ in results[6:])


def test_an_oid_at_which_the_devices_agent_starts_again_is_not_forgotten_with_each_of_its_starts(monkeypatch):
    """Its sysUpTime begins at 0 in each poll that asks for it; the counters, which are the kernel's, go on."""
    fatal, crashes = parse_oid(SENSORS[12]), []

    class Crashing(FakeClient):
        up_at = -7200.0

        async def reply(self, host, security, request, timeouts_s):
            now, device = asyncio.get_running_loop().time(), self.devices[host]
            if now >= self.up_at and fatal in request.names:
                self.up_at = now + 0.3
                crashes.append(now)
            if now < self.up_at:
                await asyncio.sleep(timeouts_s[0])
                return await self.reply(host, security, request, timeouts_s[1:]) if timeouts_s[1:] else NoReply("timeout", 1)
            device.put(SYS_UP_TIME, ber.TIME_TICKS, round((now - self.up_at) * 100))
            for column in interface_columns(1, WIDE, WIDE)[:2]:
                device.put(column, ber.COUNTER64, 1000 + round(now))
            return await super().reply(host, security, request, timeouts_s)

    device = devices.device(sensors=SENSORS[:31], interfaces=[1])
    monkeypatch.setattr(interfaces, "steady_us", lambda: round(asyncio.get_running_loop().time() * 1e6))
    monkeypatch.setattr(interfaces, "wall_us", lambda: 0)
    results = poll(Crashing({HOST: simulated(SENSORS[:31], wide=[1])}), device, times=20)
    assert [result.restarted for result, _ in results] == [False] * 20
    assert all(result.missing == {} for result, _ in results[6:]), "GETNEXT gives it"
    assert crashes[-1] - crashes[0] < 10 * INTERVAL_S


def test_what_is_missing_for_a_day_is_one_line_a_day():
    """Of what has been missing all day: not of a sensor that comes and goes, nor of an interface that lacks one counter only."""
    known = {parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, 7), parse_oid("1.3.6.1.4.1.99999.1.0"): (ber.GAUGE32, 1)}
    coming = {**known, parse_oid("1.3.6.1.4.1.99999.2.0"): (ber.GAUGE32, 1)}
    octets = {parse_oid(f"1.3.6.1.2.1.31.1.1.1.6.{index}"): (ber.COUNTER64, 1) for index in (1,)}
    device = devices.device(host=HOST, sensors=[f"1.3.6.1.4.1.99999.{n}.0" for n in (1, 2, 3)], interfaces=[1, 2])

    async def main():
        client = FakeClient()
        poller = Poller(client, Planner())
        for hour in range(73):
            client.devices = {HOST: SimulatedDevice({**(known if hour % 5 else coming), **octets})}
            await poller.poll(device, 60.0)
            await asyncio.sleep(3600)

    with structlog.testing.capture_logs() as lines:
        virtual_time.run(main())
    daily = [line for line in lines if line["event"] == "sensors or interfaces have been missing for a day"]
    assert len(daily) == 3
    for line in daily:
        assert (line["sensors"], line["interfaces"], line["first"]) == (1, 1, "sensor 1.3.6.1.4.1.99999.3.0, interface 2")
        assert set(line["reasons"].split(", ")) <= {"noSuchInstance", "noSuchObject"}


def counting(wide, narrow, others=((ber.COUNTER64, 1 << 40), (ber.COUNTER32, 9)), error=0):
    """Interface 1 has these octet counters, 2 healthy ones. `error`: an error-status for each request with a wide one of 1."""
    values = {SYS_UP_TIME: (ber.TIME_TICKS, 100)}
    for index, pair in ((1, (wide, narrow)), (2, others)):
        for width, counter in zip((WIDE, NARROW), pair, strict=True):
            octets = interface_columns(index, width, width)[:2]
            values |= dict.fromkeys(octets, counter) if counter is not None else {}
    device = SimulatedDevice(values)
    bad = set(interface_columns(1, WIDE, WIDE)[:2])

    def answer(datagram, uptime_s):
        message = decode_message(datagram)
        if error and not bad.isdisjoint(message.pdu.names):
            names = list(message.pdu.names)
            reply = response(message.pdu, names, bytes([ber.NULL]) * len(names), [None] * len(names), error)
            reply.error_index = 1 + next(i for i, name in enumerate(names) if name in bad)
            return encode_message(Message(message.version, message.community, reply))
        return device.answer(datagram, uptime_s)

    return SimpleNamespace(answer=answer)


@pytest.mark.parametrize(
    ("wide", "error"),
    [
        (None, 0),
        ((ber.NULL, None), 0),
        ((ber.OCTET_STRING, b"n/a"), 0),
        ((ber.OCTET_STRING, b""), 0),
        ((ber.INTEGER, -1), 0),
        ((ber.COUNTER64, 0), 0),
        ((ber.COUNTER64, (1 << 64) - 1), 0),
        ((ber.COUNTER64, (1 << 64) - 384), 0),
        ((ber.COUNTER64, 7), ErrorStatus.genErr),
        ((ber.COUNTER64, 7), ErrorStatus.noAccess),
        ((ber.COUNTER64, 7), ErrorStatus.authorizationError),
        ((ber.COUNTER64, 7), ErrorStatus.resourceUnavailable),
    ],
)
def test_for_whatever_reason_a_wide_counter_can_not_be_read_the_narrow_one_stands_in(wide, error):
    """In the first poll and in each that follows; and the wide counters of another interface stay."""
    device = devices.device(host=HOST, interfaces=[1, 2])
    standing = counting(wide, (ber.COUNTER32, 4711), error=error)
    for poll in polled(device, standing, standing, standing):
        assert poll.poll.values[:2] == (4711, 4711)
        assert poll.poll.values[6:8] == (1 << 40, 1 << 40)


@pytest.mark.parametrize("counted", [(1 << 64) - 1, (1 << 64) - 384, (1 << 64) - (1 << 31)])
def test_a_wide_counter_that_says_nearly_its_largest_number_now_and_then_is_missing_then_and_no_other_with_it(counted):
    """As of a port that goes down. It is not a spike of 10^19 octets, and not a reason to count with 32 bits from then on."""
    device = devices.device(host=HOST, interfaces=[1, 2])
    well, odd = (counting((ber.COUNTER64, n), (ber.COUNTER32, n)) for n in (4711, counted))
    results = polled(device, well, odd, well)
    assert [result.poll.values[:2] for result in results] == [(4711, 4711), (None, None), (4711, 4711)]
    assert [result.missing["out_of_range"] for result in results] == [0, 2, 0]
    assert {result.poll.values[6:8] for result in results} == {(1 << 40, 1 << 40)}


def test_a_wide_counter_that_stands_at_0_while_the_narrow_one_begins_to_move_is_given_up():
    """An interface that was idle at first: 0 is not what it counts."""
    device = devices.device(host=HOST, interfaces=[1])
    zero = (ber.COUNTER64, 0)
    idle, busy = counting(zero, (ber.COUNTER32, 0)), counting(zero, (ber.COUNTER32, 12))
    octets = [result.poll.values[:2] for result in polled(device, idle, idle, busy, busy)]
    assert octets == [(0, 0), (0, 0), (12, 12), (12, 12)]


class Starting(FakeClient):
    """Interface 1 counts its first octets once its wide counters were read, by both widths alike. `loses`: what is not
    answered."""

    def __init__(self, loses=lambda _request: False):
        super().__init__({HOST: counting((ber.COUNTER64, 0), (ber.COUNTER32, 0))})
        self.loses = loses

    async def reply(self, host, security, request, timeouts_s):
        self.wall_us += 10_000
        answer = await super().reply(host, security, request, timeouts_s)
        if interface_columns(1, WIDE, WIDE)[0] in request.names:
            self.devices[HOST] = counting((ber.COUNTER64, 1500), (ber.COUNTER32, 1500))
        return NoReply("timeout", 3) if self.loses(request) else answer


def test_an_interface_that_begins_to_count_within_a_poll_is_read_by_its_wide_counters():
    device = devices.device(host=HOST, interfaces=[1])
    (result, _), *_ = poll(Starting(), device)
    assert (result.poll.values[:2], device.traits.widths) == ((1500, 1500), bytes([WIDE, WIDE]))


def test_a_wide_counter_at_0_that_is_not_answered_again_is_not_given_up():
    device, wide = devices.device(host=HOST, interfaces=[1]), interface_columns(1, WIDE, WIDE)[0]
    client = Starting(loses=lambda request: wide in request.names and SYS_UP_TIME not in request.names)
    poll(client, device)
    assert device.traits.widths == bytes([UNKNOWN, UNKNOWN])
    client.loses = lambda _request: False
    (result, _), *_ = poll(client, device)
    assert (result.poll.values[:2], device.traits.widths) == ((1500, 1500), bytes([WIDE, WIDE]))


def test_idle_interfaces_of_a_device_whose_wide_counters_count_are_not_asked_for_narrow_ones():
    device = devices.device(host=HOST, interfaces=[1, 2])
    polled(device, *[counting((ber.COUNTER64, 0), (ber.COUNTER32, 0))] * 2)
    assert device.traits.widths == bytes([WIDE] * 4)


def polled(device, *boxes):
    """The result of a poll of each of these, which stand at the device's address one after the other."""

    async def main():
        client = FakeClient()
        poller = Poller(client, Planner())
        results = []
        for box in boxes:
            client.devices = {HOST: box}
            results.append(await poller.poll(device, 60.0))
        return results

    return virtual_time.run(main())


def most_under_way(client, device, polls, between=lambda n: None):
    """How many requests were under way at most in each poll."""
    most = []

    def note(n):
        most.append(client.most_in_flight)
        client.most_in_flight = 0
        between(n)

    results = poll(client, device, polls + 1, note)
    assert all(result.poll is not None and not result.missing for result, _ in results)
    return most[1:]


def test_a_device_that_is_known_has_several_requests_under_way():
    client = FakeClient({HOST: simulated(SENSORS)})
    most = most_under_way(client, devices.device(host=HOST, sensors=SENSORS), 5)
    assert most == [1, 1, 1, 3, 3], "100 sensors are three requests by then"


def test_a_device_that_stumbles_over_requests_at_once_is_asked_one_by_one_again_and_loses_nothing():
    class OneAtATime(FakeClient):
        async def reply(self, host, security, request, timeouts_s):
            if self.in_flight[host] > 1:
                await asyncio.sleep(timeouts_s[0])
                return NoReply(Reason.TIMEOUT, 1)
            return await super().reply(host, security, request, timeouts_s)

    client = OneAtATime({HOST: simulated(SENSORS)})
    device = devices.device(host=HOST, sensors=SENSORS)
    assert most_under_way(client, device, 8) == [1, 1, 1, 3, 1, 1, 1, 1]
    assert device.traits.together == 1
    assert device.traits.spacing is None


@pytest.mark.parametrize("sensors", [1, 2, 5])
def test_a_device_that_gives_the_first_value_for_each_oid_of_a_request_is_asked_for_one_at_a_time(sensors):
    """However few there are: the sysUpTime is not a temperature."""
    device = devices.device(host=HOST, sensors=SENSORS[:sensors])
    standing = simulated(SENSORS[:sensors])

    def answer(datagram, uptime_s):
        message = decode_message(standing.answer(datagram, uptime_s))
        pdu = message.pdu
        pdu.tags, pdu.values = pdu.tags[:1] * len(pdu.tags), pdu.values[:1] * len(pdu.values)
        return encode_message(message)

    for result in polled(device, *[SimpleNamespace(answer=answer)] * 3):
        assert result.poll.values == tuple(range(1, 1 + sensors))


def test_a_device_whose_interfaces_seem_to_change_at_each_moment_is_asked_for_as_much_as_any_other():
    """Its ifTableLastChange is its sysUpTime."""
    standing = simulated(SENSORS[:5], wide=[1])
    standing.put(child(IF_NAME, 1), ber.OCTET_STRING, b"port1")
    client, device = FakeClient({HOST: standing}), devices.device_of(HOST, (Interface("i1", 1, "port1"),))

    def grow_old(n):
        for name in (SYS_UP_TIME, IF_TABLE_LAST_CHANGE):
            standing.put(name, ber.TIME_TICKS, 100 + 6000 * n)

    for result, _ in poll(client, device, times=6, between=grow_old):
        assert result.missing == {}
    assert (device.traits.refused_at, device.traits.max_varbinds) == (None, LARGEST_VARBINDS)


def test_so_is_each_value_of_a_device_that_answers_several_requests_at_once_and_has_no_time_for_more():
    sensors = [f"1.3.6.1.4.1.99999.2.{n}" for n in range(400)]
    client = FakeClient({HOST: simulated(sensors)})
    client.rtt_s[HOST] = 0.9
    device = devices.device(host=HOST, sensors=sensors)
    read = poll(client, device, times=30, within_s=0.9)[10:]
    assert device.traits.together > 1
    for place in range(len(sensors)):
        assert sum(result.poll.values[place] is not None for result, _ in read) >= len(read) // 3


class OneByOne(FakeClient):
    """A device that answers one request after the other, each after a time of its own."""

    def __init__(self, devices, rtt_s):
        super().__init__(devices)
        self.rtt_s[HOST] = rtt_s
        self.turn = asyncio.Lock()

    async def reply(self, host, security, request, timeouts_s):
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self.turn:
            answer = await super().reply(host, security, request, (60.0,))
        self.wall_us = round(loop.time() * 1e6)
        took_s = loop.time() - began
        if took_s > sum(timeouts_s):
            return NoReply("timeout", len(timeouts_s))
        return replace(answer, rtt_s=took_s, received_us=self.wall_us)


@pytest.mark.parametrize("rtt_s", [1.5, 3.0])
@pytest.mark.parametrize(("wide", "narrow"), [(True, False), (False, True), (0, True)])
def test_each_value_of_a_device_that_is_too_slow_for_its_interval_is_read_in_its_turn(rtt_s, wide, narrow):
    """Not only what is asked first; and no counter without its name. Nor do the octets of 32-bit counters, of a device without
    others or with others at 0, wait until all else is answered."""
    names = {index: f"port{index}" for index in range(1, 41)}
    standing = simulated(SENSORS, wide=() if wide is False else names, narrow=names if narrow else ())
    for index, name in names.items():
        standing.put(child(IF_NAME, index), ber.OCTET_STRING, name.encode())
        for column in interface_columns(index, WIDE, WIDE)[:2] if wide == 0 and wide is not False else ():
            standing.put(column, ber.COUNTER64, 0)
    equipment = devices.equipment(host=HOST, sensors=SENSORS)
    interfaces = tuple(Interface(f"i{index}", index, name) for index, name in names.items())
    device = make_device(replace(equipment, interfaces=interfaces), devices.LAYOUT, b"", Planner())
    from_the_first = poll(OneByOne({HOST: standing}, rtt_s), device, times=60, within_s=12.0)
    read = from_the_first[20:]
    for place in range(len(SENSORS) + 6 * len(names)):
        polls = [n for n, (result, _) in enumerate(read) if result.poll.values[place] is not None]
        assert max(later - earlier for earlier, later in pairwise([-1, *polls, len(read)])) <= 10, place
    for index in names:
        octets = {result.poll.values[len(SENSORS) + 6 * (index - 1)] for result, _ in from_the_first if result.poll}
        assert octets <= {None, 10 * index}  # no 0 of a counter that does not count either, while there is no time for the other


def read_at(monkeypatch, device, *polls, width=WIDE, sends=True):
    """What is logged of polls at these times, in hours, of devices with these sysUpTimes, in hours, at the device's address.

    `sends`: the interface counts what it sends.
    """
    at_us = 0

    async def main():
        nonlocal at_us
        client = FakeClient()
        poller = Poller(client, Planner())
        for at_h, uptime_h, counted in polls:
            at_us = round(at_h * 3_600_000_000)
            standing = simulated(sensors=[SENSOR])
            standing.put(SYS_UP_TIME, ber.TIME_TICKS, round(uptime_h * 360_000))
            received, sent, *_ = interface_columns(1, width, width)
            standing.put(received, ber.COUNTER64 if width == WIDE else ber.COUNTER32, counted % (1 << width))
            standing.put(sent, ber.COUNTER64 if width == WIDE else ber.COUNTER32, round(at_h * 1000) + 1 if sends else 0)
            client.devices = {HOST: standing}
            await poller.poll(device, 54.0)

    monkeypatch.setattr(interfaces, "steady_us", lambda: at_us)
    with structlog.testing.capture_logs() as lines:
        virtual_time.run(main())
    return [line["event"] for line in lines if "restart" in line["event"]]


RESTARTED = "device has restarted, its interfaces are looked up again"
ANOTHER = "device's counters and sysUpTime are neither as before nor of a restart since, it may be another device"


@pytest.mark.parametrize("ports", [[], [1]])
def test_a_device_whose_sysuptime_counts_seconds_has_not_restarted_at_each_poll(monkeypatch, ports):
    """Its start seems to move, by nearly all of the time between two polls."""
    device = devices.device(host=HOST, interfaces=ports)
    polls = [(n / 12, 12 + n / 1200, 1000 + n) for n in range(20)]
    assert read_at(monkeypatch, device, *polls) == []
    assert device.traits.starts == 0


@pytest.mark.parametrize("ports", [[], [1]])
@pytest.mark.parametrize("every_s", [61, 300, 3600])
def test_nor_has_it_soon_after_it_has_really_started(monkeypatch, ports, every_s):
    """Then its sysUpTime would be that of a device that has started since the last poll."""
    device = devices.device(host=HOST, interfaces=ports)
    polls = [(n * every_s / 3600, (7 + n * every_s) / 360_000, 1000 + n) for n in range(20)]
    assert read_at(monkeypatch, device, *polls) == []
    assert device.traits.starts == 0


def test_a_device_that_really_starts_between_two_polls_has_restarted_however_it_counts(monkeypatch):
    device = devices.device(host=HOST)
    assert read_at(monkeypatch, device, (0, 100 / 3600, 0), (1, 120 / 3600, 0), (2, 3720 / 3600, 0)) == [RESTARTED]


class Leisurely(FakeClient):
    """Its devices answer for their sysUpTime at once, and for the rest after `rest_s`; the wall clock is the loop's."""

    rest_s = 0.0

    async def reply(self, host, security, request, timeouts_s):
        answer = await super().reply(host, security, request, timeouts_s)
        if SYS_UP_TIME not in request.names:
            await asyncio.sleep(self.rest_s)
        return replace(answer, received_us=round(asyncio.get_running_loop().time() * 1e6))


def test_a_device_that_has_just_started_has_not_started_again_when_a_poll_takes_long(monkeypatch):
    """Its sysUpTime is that of the moment at which it was read, and not of the poll's end."""
    device = devices.device(host=HOST, sensors=SENSORS)

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "time_ns", lambda: round(loop.time() * 1e9))
        monkeypatch.setattr(interfaces, "steady_us", lambda: round(loop.time() * 1e6))
        standing, began_s = simulated(SENSORS), loop.time()
        client = Leisurely({HOST: standing})
        poller = Poller(client, Planner())
        for n, client.rest_s in enumerate((0.0, 30.0, 0.0)):
            await asyncio.sleep(began_s + 300 * n - loop.time())
            standing.put(SYS_UP_TIME, ber.TIME_TICKS, round((loop.time() - began_s + 10) * 100))
            await poller.poll(device, 270.0)

    virtual_time.run(main())
    assert device.traits.starts == 0


def test_nor_has_one_whose_interface_counts_nothing(monkeypatch):
    """As a port without a cable. It shows neither that it is the same device, nor that it is another one."""
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, *((n / 12, 12 + n / 1200, 0) for n in range(20)), sends=False) == []
    assert device.traits.starts == 0


def test_a_counter_of_32_bits_that_wraps_is_not_another_device_s(monkeypatch):
    device = devices.device(host=HOST, interfaces=[1])
    polls = [(n / 12, 12 + n / 1200, n << 31) for n in range(1, 20)]
    assert read_at(monkeypatch, device, *polls, width=NARROW) == []
    assert device.traits.widths == bytes([NARROW] * 2)


@pytest.mark.parametrize(("ports", "said"), [([], []), ([1], [ANOTHER])])
def test_a_device_in_place_of_one_that_was_up_for_longer_has_not_restarted(monkeypatch, ports, said):
    """It was up while the other one was read: it is another one, if its counters show it."""
    device = devices.device(host=HOST, interfaces=ports)
    assert read_at(monkeypatch, device, (0, 500, 1000), (1, 501, 1100), (2, 70, 50), (3, 71, 60)) == said
    assert device.traits.starts == len(said)


def test_a_device_that_starts_again_during_a_poll_has_restarted_though_its_counters_go_on_after_that_poll(monkeypatch):
    """Its sysUpTime was read before, and its counters behind it."""
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, (0, 20, 1000), (1, 21, 5), (2, 1, 60), (3, 2, 70)) == [RESTARTED]


def test_the_devices_agent_that_starts_again_between_two_polls_does_not_count_as_a_restart_of_the_device(monkeypatch):
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, (0, 20, 1000), (1, 21, 1005), (2, 0.5, 1060), (3, 1.5, 1070)) == []


def test_a_device_in_place_of_one_that_was_up_for_less_is_another_one_by_its_counters(monkeypatch):
    """As when an address is given to another device, or a standby takes over."""
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, (0, 70, 1000), (1, 71, 1100), (2, 500, 50), (3, 501, 60)) == [ANOTHER]
    assert device.traits.starts == 1


def requests_of_polls(monkeypatch, ticks_a_second):
    """How many requests eight polls take of a device whose sysUpTime counts so."""
    standing, passed_s = simulated(wide=[1]), 3600
    standing.put(child(IF_NAME, 1), ber.OCTET_STRING, b"port1")
    client, device = FakeClient({HOST: standing}), devices.device_of(HOST, (Interface("i1", 1, "port1"),))

    def pass_on(_n):
        nonlocal passed_s
        passed_s += 300
        standing.put(SYS_UP_TIME, ber.TIME_TICKS, passed_s * ticks_a_second)

    monkeypatch.setattr(interfaces, "steady_us", lambda: passed_s * 1_000_000)
    assert all(result.missing == {} for result, _ in poll(client, device, times=8, between=pass_on))
    return len(client.requests)


@pytest.mark.parametrize("ticks_a_second", [10, 250])
def test_a_sysuptime_in_another_unit_costs_no_further_requests(monkeypatch, ticks_a_second):
    """It seems to be of another start each time. The counters show that it is not, and the names came with them."""
    assert requests_of_polls(monkeypatch, ticks_a_second) == requests_of_polls(monkeypatch, 100)


def test_it_is_the_same_one_if_its_counters_go_on(monkeypatch):
    """As when this machine was frozen, or the device's clock was set, by which it counts its sysUpTime."""
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, (0, 70, 1000), (1, 71, 1100), (2, 500, 1150), (3, 501, 1160)) == []


def test_the_octets_of_a_device_without_64_bit_counters_in_place_of_one_with_them_are_read_however_long_it_was_up(monkeypatch):
    device = devices.device(host=HOST, interfaces=[1])
    assert read_at(monkeypatch, device, (0, 70, 1000), (1, 71, 1100)) == []
    assert device.traits.widths == bytes([WIDE] * 2)
    assert read_at(monkeypatch, device, (2, 500, 5000), (3, 501, 5100), width=NARROW) == [ANOTHER]
    assert device.traits.widths == bytes([NARROW] * 2)


@pytest.mark.parametrize("ports", [[], [1]])
def test_a_device_that_was_off_for_a_while_has_restarted(monkeypatch, ports):
    device = devices.device(host=HOST, interfaces=ports)
    assert read_at(monkeypatch, device, (0, 20, 1000), (1, 21, 1100), (50, 30, 50), (51, 31, 60)) == [RESTARTED]
    assert device.traits.starts == 1
