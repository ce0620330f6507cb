"""Whose counters are these? Interfaces that move, go and come back with a reboot, over SNMPv1 and v2c."""

import pytest
import structlog

from support import devices, virtual_time
from support.fake_client import FakeClient
from towerops_agent.model import Interface
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.memory import encode_traits, recall_traits
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME, Planner
from towerops_agent.polling.course.traits import AWAY, BY_NAME, NARROW, NOTHING, UNVERIFIABLE, WIDE, BootClock
from towerops_agent.polling.interfaces import LOOK_AGAIN_POLLS
from towerops_agent.polling.reading import Poller, PollResult
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import Message, PduType
from towerops_lab.simulator.device import SimulatedDevice, table

HOST = "192.0.2.1"


def box(ports: dict[int, str], uptime: int, column: str = "1.3.6.1.2.1.31.1.1.1.1", wide: bool = True) -> SimulatedDevice:
    """A device with these interfaces, by ifIndex; each one's counters tell by their value whose they are."""
    rows = [(parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, uptime)]
    for if_index, name in ports.items():
        rows.append((child(parse_oid(column), if_index), ber.OCTET_STRING, name.encode()))
        octets = [("1.3.6.1.2.1.31.1.1.1.6", ber.COUNTER64), ("1.3.6.1.2.1.31.1.1.1.10", ber.COUNTER64)] if wide else []
        octets += [("1.3.6.1.2.1.2.2.1.10", ber.COUNTER32), ("1.3.6.1.2.1.2.2.1.16", ber.COUNTER32)]
        rows += [(child(parse_oid(oid), if_index), tag, counter(name)) for oid, tag in octets]
        rows += [(child(parse_oid(f"1.3.6.1.2.1.2.2.1.{other}"), if_index), ber.COUNTER32, 0) for other in (13, 14, 19, 20)]
    return SimulatedDevice(table(rows))


def counter(name: str) -> int:
    return int.from_bytes(name.strip().lower().encode(), "big") % 1_000_000


def configured(names: dict[int, str], version: str = "2c") -> Device:
    equipment = devices.equipment(host=HOST, version=version, sensors=[])
    interfaces = tuple(Interface(f"i{if_index}", if_index, name) for if_index, name in names.items())
    return make_device(type(equipment)(**{**fields(equipment), "interfaces": interfaces}), devices.LAYOUT, b"", Planner())


def fields(equipment: object) -> dict[str, object]:
    return {name: getattr(equipment, name) for name in equipment.__slots__}


def poll(device: Device, *boxes: SimulatedDevice | None) -> list[PollResult]:
    """Poll `device` once for each of `boxes`, which stand at its address one after the other; None: nothing stands there."""

    async def main() -> list[PollResult]:
        client = FakeClient()
        poller = Poller(client, Planner())
        results = []
        for standing in boxes:
            client.devices = {HOST: standing} if standing else {}
            results.append(await poller.poll(device, 60.0))
        return results

    return virtual_time.run(main())


def octets_in(result: PollResult) -> list[int | None]:
    assert result.poll is not None
    return list(result.poll.values[::6])


PORTS = {1: "ether1", 2: "ether2", 3: "wlan1"}
MOVED = {1: "sfp1", 2: "ether1", 3: "ether2", 4: "wlan1"}


@pytest.mark.parametrize("version", ["1", "2c"])
@pytest.mark.parametrize("column", ["1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.2.2.1.2"])
def test_interfaces_that_moved_with_a_reboot_are_read_at_their_new_index(version: str, column: str):
    """By ifName, or by ifDescr if there is no ifName; each counter is that of the interface with the configured name."""
    device = configured(PORTS, version)
    with structlog.testing.capture_logs() as lines:
        before, after = poll(device, box(PORTS, 500_000, column), box(MOVED, 900, column))
    assert octets_in(before) == octets_in(after) == [counter(name) for name in PORTS.values()]
    assert device.plan.if_indexes == (2, 3, 4)
    moved = [(line["if_name"], line["if_index_before"], line["if_index"]) for line in lines if "has moved" in line["event"]]
    assert moved == [("ether1", 1, 2), ("ether2", 2, 3), ("wlan1", 3, 4)]


def test_interfaces_that_move_without_a_restart_are_read_at_their_new_index_from_the_moment_they_moved():
    device = configured(PORTS)
    before, after = poll(device, box(PORTS, 500_000), box(MOVED, 506_000))
    assert device.plan.if_indexes == (2, 3, 4)
    assert octets_in(before) == octets_in(after) == [counter(name) for name in PORTS.values()]


def test_an_interface_that_is_gone_is_left_out_and_read_again_when_it_is_back():
    """No counter of what stands at its index now; it is looked for every few polls, and reported once each way."""
    device = configured(PORTS)
    less = {1: "ether1", 2: "bridge", 3: "wlan1"}
    uptimes = range(900, 900 + 6000 * (LOOK_AGAIN_POLLS + 1), 6000)
    with structlog.testing.capture_logs() as lines:
        results = poll(device, box(PORTS, 500_000), *(box(less, uptime) for uptime in uptimes), box(PORTS, uptimes[-1] + 6000))
        assert device.traits.standings == bytes([BY_NAME, AWAY, BY_NAME])
        results += poll(device, *(box(PORTS, uptimes[-1] + 6000 * n) for n in range(2, LOOK_AGAIN_POLLS + 2)))
    assert octets_in(results[1]) == [counter("ether1"), None, counter("wlan1")]
    assert results[1].missing["interface_away"] == 6
    assert octets_in(results[-1]) == [counter(name) for name in PORTS.values()]
    told = [line["event"].split(",")[0] for line in lines if line.get("if_name") == "ether2"]
    assert told == ["interface is gone", "interface is back"]


@pytest.mark.parametrize("index", [2, 1], ids=["in its place", "moved to where the other one was"])
def test_an_interface_that_is_gone_is_not_the_one_that_has_its_name_as_a_description(index: int):
    """As on firewalls, whose ifDescr is what the operator writes: the port of the bridge `lan`, which is removed, says `lan`.

    Both are known by their names only. The port has its own name as its ifName, and so it is the port.
    """
    device = by_name("lan", "port5")
    after = [described({index: ("port5", "lan")}, uptime) for uptime in (900, 6_900)]
    results = poll(device, described({1: ("lan", "lan"), 2: ("port5", "lan")}, 500_000), *after)
    assert octets_in(results[0]) == [counter("lan"), counter("port5")]
    assert [octets_in(result) for result in results[1:3]] == [[None, counter("port5")]] * 2
    assert results[1].missing == {Reason.INTERFACE_AWAY: 6}


def test_one_interface_may_be_given_under_both_of_its_names():
    """Also after a restart that moves it."""
    device = by_name("GigabitEthernet0/1", "Gi0/1")
    boxes = [
        described({index: ("Gi0/1", "GigabitEthernet0/1")}, at)
        for index, at in ((1, 500_000), (1, 506_000), (7, 900), (7, 6_900))
    ]
    assert [octets_in(result) for result in poll(device, *boxes)] == [[counter("Gi0/1")] * 2] * 4


def described(ports: dict[int, tuple[str, str]], uptime: int) -> SimulatedDevice:
    """A device with these interfaces, by ifIndex: ifName and ifDescr."""
    standing = box({if_index: name for if_index, (name, _) in ports.items()}, uptime)
    for if_index, (_, descr) in ports.items():
        standing.put(parse_oid(f"1.3.6.1.2.1.2.2.1.2.{if_index}"), ber.OCTET_STRING, descr.encode())
    return standing


BRIDGE = {1: ("lan", "lan"), 2: ("port5", "lan")}


@pytest.mark.parametrize("uptime", [506_000, 900], ids=["while it runs", "with a restart"])
@pytest.mark.parametrize("names", [{1: "lan", 2: "port5"}, {1: "lan"}], ids=["both", "one"])
@pytest.mark.parametrize(
    ("after", "lan"),
    [
        ({1: ("port5", "lan"), 2: ("lan", "lan")}, counter("lan")),
        ({1: ("port5", "lan"), 2: ("port6", "lan")}, None),
        ({1: ("port5", "lan")}, None),
    ],
    ids=["moved", "gone", "gone, the last one"],
)
def test_an_interface_that_was_known_by_its_ifname_is_not_another_one_that_has_that_name_as_a_description(
    uptime: int, names: dict[int, str], after: dict[int, tuple[str, str]], lan: int | None
):
    """Also if that one stands at its index now."""
    device = configured(names)
    results = poll(
        device, described(BRIDGE, 500_000), *(described(after, uptime + 6000 * n) for n in range(LOOK_AGAIN_POLLS + 2))
    )
    port5 = [counter("port5")][: len(names) - 1]
    assert octets_in(results[0]) == [counter("lan"), *port5]
    assert [octets_in(result) for result in results[1:]] == [[lan, *port5]] * (LOOK_AGAIN_POLLS + 2)


def test_a_row_that_has_the_ifname_of_one_interface_is_not_the_one_that_is_configured_there_by_its_description():
    """At first sight: both have moved since they were configured."""
    device = configured({1: "lan", 2: "port5"})
    (result,) = poll(device, described({1: ("port5", "lan"), 2: ("lan", "lan")}, 500_000))
    assert octets_in(result) == [None, counter("port5")]


def test_an_interface_that_was_known_by_its_ifname_may_be_known_by_its_description_if_there_is_no_ifname_any_more():
    device = configured({1: "lan"})
    nameless = described({1: ("", "lan")}, 900)
    nameless.put(parse_oid("1.3.6.1.2.1.31.1.1.1.6.1"), ber.COUNTER64, counter("lan"))
    _, after = poll(device, described(BRIDGE, 500_000), nameless)
    assert octets_in(after) == [counter("lan")]


def test_an_interface_that_is_given_under_both_of_its_names_is_back_under_both_of_them():
    device = by_name("GigabitEthernet0/1", "Gi0/1")
    there, away = {1: ("Gi0/1", "GigabitEthernet0/1")}, {2: ("Gi0/2", "GigabitEthernet0/2")}
    boxes = [described(there, 500_000), described(away, 506_000), *(described(there, 512_000 + 6000 * n) for n in range(12))]
    results = poll(device, *boxes)
    assert octets_in(results[1]) == [None, None]
    assert octets_in(results[-1]) == [counter("Gi0/1")] * 2


def test_an_interface_whose_name_the_device_does_not_have_is_left_out_and_the_others_are_read():
    """Its index has another name: whose counters they are is known, and they are not those that are meant."""
    device = configured({1: "Uplink to North", 2: "ether2"})
    with structlog.testing.capture_logs() as lines:
        first, second = poll(device, box(PORTS, 500_000), box(PORTS, 900))
    assert octets_in(first) == octets_in(second) == [None, counter("ether2")]
    assert first.missing == {"interface_away": 6}
    assert [line["named_there"] for line in lines if "is gone" in line["event"]] == ["ether1"]


def test_interfaces_of_a_device_without_names_are_read_at_their_configured_places():
    device = configured({1: "ether1", 2: "ether2"})
    nameless = SimulatedDevice({k: v for k, v in box(PORTS, 500_000).values.items() if v[0] != ber.OCTET_STRING})
    (result,) = poll(device, nameless)
    assert octets_in(result) == [counter("ether1"), counter("ether2")]
    assert device.traits.standings == bytes([UNVERIFIABLE, UNVERIFIABLE])


def test_a_row_at_an_index_that_no_oid_may_have_costs_neither_the_learned_traits_nor_the_other_interfaces():
    """Those of all devices are kept together, with numbers of 64 bits at most."""
    device = configured({1: "ether1", 2: "ether2"})
    (result,) = poll(device, box({1 << 70: "ether1", 2: "ether2"}, 5))
    assert octets_in(result) == [None, counter("ether2")]
    fresh = configured({1: "ether1", 2: "ether2"})
    assert recall_traits(fresh, Planner(), encode_traits(device, BootClock()), BootClock())
    assert fresh.traits.standings == bytes([NOTHING, BY_NAME])


def test_names_are_compared_without_their_case_and_padding():
    device = configured({1: "Ether1 ", 2: "ETHER2"})
    poll(device, box({1: "ether1\0", 2: "ether2"}, 500_000))
    assert device.traits.standings == bytes([BY_NAME, BY_NAME])


def test_a_name_that_stands_twice_says_nothing():
    """Neither of two ports with the name is taken for the one that has gone from its index."""
    device = configured({1: "ether1"})
    _, after = poll(device, box({1: "ether1"}, 500_000), box({1: "x", 2: "ether1", 3: "ether1"}, 900))
    assert octets_in(after) == [None]


def test_interfaces_without_a_name_are_read_at_their_configured_places():
    device = configured({1: "", 2: ""})
    _, after = poll(device, box(PORTS, 500_000), box(MOVED, 900))
    assert octets_in(after) == [counter("sfp1"), counter("ether1")]


def test_the_width_of_a_counter_is_kept_until_the_device_starts_again():
    """Chosen once, 64 bits stay, even while the device denies them; after a reboot they are chosen again."""
    device = configured({1: "ether1"})
    with_both, without_wide = box({1: "ether1"}, 500_000), box({1: "ether1"}, 506_000, wide=False)
    results = poll(device, with_both, without_wide)
    assert device.traits.widths == bytes([WIDE, WIDE])
    assert octets_in(results[1]) == [None]
    (after,) = poll(device, box({1: "ether1"}, 900, wide=False))
    assert device.traits.widths == bytes([NARROW, NARROW])
    assert octets_in(after) == [counter("ether1")]


def test_while_the_names_are_not_known_no_counter_counts():
    """A device that falls silent while its names are asked gives no interface's counters in that poll."""

    class Shy(FakeClient):
        async def reply(self, host, security, request, timeouts_s):
            if any(b"\x1f\x01\x01\x01\x01" in name or b"\x02\x02\x01\x02" in name for name in request.names):
                self.devices = {}
            answer = await super().reply(host, security, request, timeouts_s)
            self.devices = {HOST: standing}
            return answer

    standing = box(PORTS, 500_000)
    device = configured(PORTS)

    async def main() -> PollResult:
        client = Shy({HOST: standing})
        return await Poller(client, Planner()).poll(device, 60.0)

    result = virtual_time.run(main())
    assert octets_in(result) == [None, None, None]
    assert result.missing["unverified"] == 18


def test_a_name_that_stands_twice_as_if_name_is_not_looked_for_as_if_descr():
    """Found elsewhere only by its ifDescr, a port would be taken for another one."""
    device = configured({1: "trunk"})
    rows = box({2: "trunk", 3: "trunk", 1: "other"}, 500_000)
    rows = SimulatedDevice({**rows.values, parse_oid("1.3.6.1.2.1.2.2.1.2.3"): (ber.OCTET_STRING, b"trunk")})
    (result,) = poll(device, rows)
    assert octets_in(result) == [None]
    assert result.missing == {"interface_ambiguous": 6}


def test_names_that_an_answer_left_out_are_asked_again():
    """A device that cuts its answers short does not make its interfaces look gone."""

    class Cut(FakeClient):
        async def reply(self, host, security, request, timeouts_s):
            answer = await super().reply(host, security, request, timeouts_s)
            if len(answer.pdu.names) > 1:
                answer.pdu.names.pop()
                answer.pdu.values.pop()
                answer.pdu.tags = answer.pdu.tags[:-1]
            self.asked_names += sum(name.startswith(parse_oid("1.3.6.1.2.1.2.2.1.2")) for name in request.names)
            return answer

        asked_names = 0  # of ifDescr: there is no need for it

    async def main() -> None:
        client = Cut({HOST: box(PORTS, 500_000)})
        await Poller(client, Planner()).poll(device, 60.0)
        assert client.asked_names == 0

    device = configured(PORTS)
    virtual_time.run(main())
    assert device.traits.standings == bytes([BY_NAME] * 3)


def test_an_interface_that_is_back_is_read_again_within_ten_polls():
    device = configured(PORTS)
    away = box({1: "ether1", 3: "wlan1"}, 900)
    poll(device, box(PORTS, 500_000), away)
    results = poll(device, *(box(PORTS, 900 + 6000 * n) for n in range(1, 11)))
    assert octets_in(results[0]) == [counter("ether1"), None, counter("wlan1")]
    assert octets_in(results[-1]) == [counter(name) for name in PORTS.values()]


def test_a_device_that_is_silent_to_all_names_is_not_asked_for_them_without_end():
    """Each poll costs some requests more, and the interfaces are withheld; the sensors are read."""

    class Shy(FakeClient):
        async def reply(self, host, security, request, timeouts_s):
            if any(name.startswith((IF_NAME, IF_DESCR)) for name in request.names):
                self.asked_names += 1
                return NoReply(Reason.TIMEOUT, len(timeouts_s))
            return await super().reply(host, security, request, timeouts_s)

        asked_names = 0

    device = configured(PORTS)

    async def main() -> list[PollResult]:
        client = Shy({HOST: box(PORTS, 500_000)})
        poller = Poller(client, Planner())
        results = [await poller.poll(device, 600.0)]
        assert client.asked_names < 20
        return results

    for result in virtual_time.run(main()):
        assert octets_in(result) == [None, None, None]
        assert result.missing["unverified"] == 18


def test_an_interface_that_is_configured_by_its_name_only_is_looked_for_and_followed():
    """Index 0, as site files have it: no line says that it moved when it is first found."""
    device = by_name("ether2", "wlan1")
    with structlog.testing.capture_logs() as lines:
        before, after = poll(device, box(PORTS, 500_000), box(MOVED, 900))
    assert octets_in(before) == octets_in(after) == [counter("ether2"), counter("wlan1")]
    moved = [(line["if_name"], line["if_index_before"], line["if_index"]) for line in lines if "has moved" in line["event"]]
    assert moved == [("ether2", 2, 3), ("wlan1", 3, 4)]


class InItsOwnOrder:
    """A device that walks its names in the order in which they are given, not in that of their indexes."""

    def __init__(self, ports: dict[int, str]) -> None:
        self._device = box(ports, 500_000)
        column = "1.3.6.1.2.1.31.1.1.1.1"
        self._rows = [
            (parse_oid(column), b""),
            *((parse_oid(f"{column}.{index}"), name.encode()) for index, name in ports.items()),
        ]
        self._rows.append((parse_oid("1.3.6.1.2.1.31.1.1.1.6.1"), b"7"))

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | list[bytes] | None:
        message = decode_message(datagram)
        asked, names = message.pdu, [name for name, _ in self._rows]
        if asked.type == PduType.GET or asked.names[0] not in names:
            return self._device.answer(datagram, uptime_s)
        at = names.index(asked.names[0]) + 1
        found = self._rows[at : at + (asked.error_index if asked.type == PduType.GET_BULK else 1)]
        reply = response(asked, [name for name, _ in found], bytes([ber.OCTET_STRING] * len(found)), [name for _, name in found])
        return encode_message(Message(message.version, message.community, reply))


@pytest.mark.parametrize("version", ["1", "2c"])
def test_an_interface_is_found_by_its_name_in_a_table_in_an_order_of_the_devices_own(version: str):
    """As VLANs of a switch, whose small indexes come behind the ports' large ones. That a name is not there is not known."""
    ports = {101: "ether1", 102: "ether2", 7: "vlan7", 9: "vlan9"}
    device = configured({101: "ether1", 1: "vlan9", 2: "vlan8"}, version)
    (result,) = poll(device, InItsOwnOrder(ports))
    assert octets_in(result) == [counter("ether1"), counter("vlan9"), None]
    assert result.missing == {"unverified": 6}


@pytest.mark.parametrize("version", ["1", "2c"])
def test_a_name_that_no_interface_has_is_never_read_from_the_row_with_index_0(version: str):
    """Some devices have a row 0 without a name: a counter of nobody knows what."""
    device = by_name("ether1", "none", version=version)
    results = poll(device, *(box({0: "", 1: "ether1"}, uptime) for uptime in range(500_000, 530_000, 6000)))
    assert [octets_in(result) for result in results] == [[counter("ether1"), None]] * 5
    assert device.plan.if_indexes == (1, 0)


@pytest.mark.parametrize(
    ("standing", "version", "reason"),
    [
        (box({1: "ether1"}, 500_000), "2c", Reason.INTERFACE_AWAY),
        (box({1: "ether1"}, 500_000, wide=False), "2c", Reason.INTERFACE_AWAY),
        (box({1: "ether1"}, 500_000), "1", Reason.NO_SUCH_NAME),  # all that SNMPv1 can say
        (box({}, 500_000), "2c", Reason.NO_SUCH_OBJECT),  # it shows no interfaces at all: a view may hide them
    ],
)
def test_a_name_that_the_device_does_not_have_is_missing_as_that(standing: SimulatedDevice, version: str, reason: Reason):
    device = by_name("none", version=version)
    assert [result.missing for result in poll(device, standing, standing)] == [{reason: 6}] * 2


def by_name(*names: str, version: str = "2c") -> Device:
    equipment = devices.equipment(host=HOST, version=version, sensors=[])
    interfaces = tuple(Interface(f"i {name}", 0, name) for name in names)
    return make_device(type(equipment)(**{**fields(equipment), "interfaces": interfaces}), devices.LAYOUT, b"", Planner())


def many(count: int) -> dict[int, str]:
    return {index: f"ether{index}" for index in range(1, count + 1)}


def test_a_device_that_is_too_slow_for_one_interval_is_asked_for_each_name_with_its_counters():
    """Else a poll that its deadline ends would have no name at all, and no interface could be delivered."""

    class Slow(FakeClient):
        async def reply(self, host, security, request, timeouts_s):
            self.rtt_s[HOST] = 0.3 * len(request.names)
            return await super().reply(host, security, request, (60.0,))

    device = configured(many(48))

    async def main() -> list[PollResult]:
        poller = Poller(Slow({HOST: box(many(48), 500_000)}), Planner())
        return [await poller.poll(device, 60.0) for _ in range(4)]

    results = virtual_time.run(main())
    delivered = [[value for value in octets_in(result) if value is not None] for result in results]
    assert [len(values) for values in delivered[:1]] == [0]
    assert all(len(values) >= 20 for values in delivered[2:])
    assert delivered[-1] == [counter(name) for name in list(many(48).values())[: len(delivered[-1])]]


def test_an_interface_that_had_no_name_and_has_another_ones_is_not_read_from_then_on():
    """In the very poll, though its counters go on."""
    device = configured({**many(14), 7: "uplink"})
    nameless = [box({**many(14), 7: ""}, uptime, column="1.3.6.1.2.1.2.2.1.2") for uptime in (500_000, 506_000)]
    results = poll(device, *nameless)
    assert device.traits.standings[6] == UNVERIFIABLE
    assert [octets_in(result)[6] for result in results] == [counter("")] * 2
    (result,) = poll(device, box({**many(14), 7: "zzz"}, 512_000, column="1.3.6.1.2.1.2.2.1.2"))
    assert octets_in(result)[6] is None
    assert result.missing == {"interface_away": 6}


def twins(rows: dict[int, tuple[int, int, int]]) -> SimulatedDevice:
    """Rows that are all called wan, by ifIndex: ifOperStatus, ifLastChange, and the octet counters."""
    standing = dict(box(dict.fromkeys(rows, "wan"), 500_000).values)
    for index, (status, changed, octets) in rows.items():
        standing[parse_oid(f"1.3.6.1.2.1.2.2.1.8.{index}")] = (ber.INTEGER, status)
        standing[parse_oid(f"1.3.6.1.2.1.2.2.1.9.{index}")] = (ber.TIME_TICKS, changed)
        for column in ("31.1.1.1.6", "31.1.1.1.10"):
            standing[parse_oid(f"1.3.6.1.2.1.{column}.{index}")] = (ber.COUNTER64, octets)
    return SimulatedDevice(standing)


@pytest.mark.parametrize(
    ("configured_at", "polls", "expected"),
    [
        (1, [{1: (2, 5, 100), 2: (1, 5, 200)}], 200),  # the one that is up
        (1, [{1: (1, 5, 100), 2: (2, 9, 200)}], 100),
        (1, [{1: (2, 5, 100), 2: (2, 9, 200)}], 100),  # none is up: the one at the configured index
        (7, [{1: (2, 5, 100), 2: (2, 9, 200)}], 200),  # nor that: the one that changed last
        (7, [{1: (2, 9, 100), 2: (2, 5, 200), 3: (2, 0, 300)}], 100),
        (7, [{1: (2, 9, 100), 2: (2, 9, 200)}], None),
        (7, [{1: (2, 1, 100), 2: (2, 1, 200), 3: (2, 9, 300), 4: (2, 9, 400)}], None),
        (7, [{1: (1, 5, 100), 2: (1, 9, 200)}], None),  # two are up, and nothing is known of their counters
        (7, [{1: (1, 5, 100), 2: (1, 9, 200)}, {1: (1, 5, 100), 2: (1, 9, 201)}], 201),  # the one whose counters move
        (7, [{1: (1, 5, 100), 2: (1, 9, 200)}, {1: (1, 5, 101), 2: (1, 9, 200)}], 101),
        (7, [{1: (1, 5, 100), 2: (1, 9, 200)}, {1: (1, 5, 101), 2: (1, 9, 201)}], None),
        (7, [{1: (2, 5, 100), 2: (2, 5, 200)}, {1: (2, 5, 100), 2: (2, 5, 201)}], 201),
        (7, [{1: (1, 5, 100), 2: (1, 9, 200), 3: (2, 9, 300)}, {1: (1, 5, 101), 2: (1, 9, 200), 3: (2, 9, 301)}], 101),
    ],
)
def test_of_rows_with_one_name_the_live_one_is_the_interface_or_none(configured_at, polls, expected):
    *_, result = poll(configured({configured_at: "wan"}), *map(twins, polls))
    assert octets_in(result) == [expected]


def test_of_names_that_differ_in_case_or_padding_the_one_to_the_octet_is_the_interface():
    """Else they are one name, and none stands out."""
    for own in ("WAN", "wan ", "Büro"):
        ports = {2: own, 3: own.strip().swapcase()}
        (result,) = poll(configured({7: own}), box(ports, 500_000))
        assert result.missing == {}
        assert result.poll.values[0] == counter(own)


def test_of_rows_with_one_name_what_is_not_a_number_says_nothing():
    """ifOperStatus and ifLastChange as texts: nothing is known but the configured index, or nothing at all."""
    standing = dict(twins({1: (2, 5, 100), 2: (2, 9, 200)}).values)
    for column in (8, 9):
        for index in (1, 2):
            standing[parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.{index}")] = (ber.OCTET_STRING, b"up")
    odd = SimulatedDevice(standing)
    for configured_at, expected in [(1, 100), (7, None)]:
        (result,) = poll(configured({configured_at: "wan"}), odd)
        assert octets_in(result) == [expected]


@pytest.mark.parametrize(
    ("tag", "value", "kept"), [(ber.TIME_TICKS, 7, 7), (ber.OCTET_STRING, b"7", None), (ber.INTEGER, 7, None), (None, None, None)]
)
def test_when_rows_came_or_went_last_is_known_only_from_time_ticks(tag, value, kept):
    standing = dict(box(PORTS, 500_000).values)
    if tag is not None:
        standing[parse_oid("1.3.6.1.2.1.31.1.5.0")] = (tag, value)
    device = configured(PORTS)
    poll(device, SimulatedDevice(standing))
    assert device.traits.last_change == kept
