"""Whatever a device does to its interfaces, and however it answers: a counter is that of the interface that is meant."""

import asyncio

import pytest
import structlog
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from support import devices, virtual_time
from support.fake_client import REQUEST_ID, FakeClient
from support.renumbering import NAME_COLUMNS, NARROW_COLUMNS, WIDE_COLUMNS, Defects, RenumberingDevice, Row, owner
from towerops_agent.model import Interface
from towerops_agent.polling.course.device import make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import CLEAN_POLLS, TOGETHER
from towerops_agent.polling.interfaces import LOOK_AGAIN_POLLS
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_agent.snmp.wire.message import Version

HOST = "192.0.2.1"
NAMES = [b"eth0", b"eth1", b"pppoe-wan", b"B\xfcro", "Büro-2".encode(), b"lte1"]
FAILURES = ["", "", "genErr", "tooBig", "empty", "silent", "disorder"]


def text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


DENIED = [
    frozenset(WIDE_COLUMNS),
    frozenset((*WIDE_COLUMNS, *NARROW_COLUMNS)),
    frozenset((*WIDE_COLUMNS, *NARROW_COLUMNS, *NAME_COLUMNS)),
    frozenset((WIDE_COLUMNS[0], NARROW_COLUMNS[3])),
    frozenset(NAME_COLUMNS),
]
USELESS_COUNTERS = [(ber.NULL, None), (ber.COUNTER64, 0), (ber.OCTET_STRING, b"n/a"), (ber.OCTET_STRING, b"\0\1\2")]
"""What firmware sends in place of a 64-bit counter; the last one is of a wrong length."""


defects = st.builds(
    Defects,
    bulk=st.sampled_from(FAILURES),
    get_next=st.sampled_from(["", "", "", "genErr", "silent", "empty"]),
    odd_names=st.frozensets(st.integers(1, 9), max_size=2),
    without=st.sampled_from([frozenset(), frozenset(NAME_COLUMNS[:1]), frozenset(NAME_COLUMNS[1:])]),
    limit=st.sampled_from([100, 100, 7, 1]),
    wide=st.booleans(),
    last_change=st.booleans(),
    denied=st.sampled_from([frozenset(), frozenset(), *DENIED]),
    mute=st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset(WIDE_COLUMNS)]),
    wide_as=st.sampled_from([None, None, *USELESS_COUNTERS]),
)


@st.composite
def tables(draw):
    """Rows at some indexes; each interface is there once, or has left a row behind that is not up."""
    indexes = draw(st.lists(st.integers(1, 9), unique=True, max_size=6))
    numbers = draw(st.permutations(range(len(NAMES))))
    rows = {index: Row(number + 1, NAMES[number]) for index, number in zip(indexes, numbers, strict=False)}
    free = sorted(set(range(1, 10)) - set(rows))
    if rows and free and draw(st.booleans()):
        of = draw(st.sampled_from(sorted(rows)))
        rows[free[0]] = Row(rows[of].number, rows[of].name, up=False)
    return rows


@settings(max_examples=150)
@given(
    st.lists(st.tuples(tables(), st.booleans()), min_size=1, max_size=4),
    st.lists(st.sampled_from(range(len(NAMES))), unique=True, min_size=1, max_size=4),
    st.lists(st.integers(1, 9), unique=True, min_size=4, max_size=4) | st.just([0] * 4),  # 0: known by their names only
    defects,
)
@example([({1: Row(2, b"eth1")}, False)], [0], [1, 2, 3, 4], Defects(get_next="genErr", denied=frozenset(NAME_COLUMNS)))
def test_each_counter_is_of_the_interface_that_is_meant(states, configured, indexes, shortcomings):
    """Over polls between which the rows change, with a restart or without one. Each state is polled twice."""
    box = RenumberingDevice({}, shortcomings)
    equipment = devices.equipment(host=HOST)
    interfaces = tuple(Interface(f"i{n}", index, text(NAMES[n])) for n, index in zip(configured, indexes, strict=False))
    fields = {name: getattr(equipment, name) for name in equipment.__slots__}
    device = make_device(type(equipment)(**{**fields, "interfaces": interfaces}), devices.LAYOUT, b"", Planner())

    async def main():
        poller = Poller(FakeClient({HOST: box}), Planner())
        for rows, restarts in states:
            box.rows, box.changed = rows, box.ticks
            box.ticks = 100 if restarts else box.ticks
            for _ in range(2):
                box.polls += 1
                box.ticks += 6000
                results.append((await poller.poll(device, 600.0), rows))

    note(f"{states} {interfaces} {shortcomings}")
    results = []
    with structlog.testing.capture_logs():
        virtual_time.run(main())
    assert len(results) == 2 * len(states)
    for result, rows in results:
        if result.poll is None:
            continue
        there = {row.number for row in rows.values()}
        for n, first in zip(configured, range(0, 6 * len(interfaces), 6), strict=False):
            for value in result.poll.values[first : first + 6]:
                assert value is None or owner(value) == n + 1 or (shortcomings.wide_as and value == shortcomings.wide_as[1])
                assert value is None or n + 1 in there


@given(
    st.lists(
        st.tuples(st.permutations(range(1, 5)), st.integers(0, 4), st.lists(st.sampled_from(NAMES), min_size=4, max_size=4)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from([Version.V1, Version.V2C]),
)
def test_whatever_an_operator_writes_into_descriptions_each_counter_is_of_the_interface_with_the_ifname(
    states, restarts, by_name, version
):
    """Of interfaces that were there once; and each that is there is delivered from the poll on in which it is looked for."""
    box = RenumberingDevice({n + 1: Row(n + 1, NAMES[n]) for n in range(4)}, Defects(wide=version is not Version.V1))
    interfaces = tuple(Interface(f"i{n}", 0 if by_name else n + 1, text(NAMES[n])) for n in range(4))
    equipment = devices.equipment(host=HOST, version={Version.V1: "1", Version.V2C: "2c"}[version])
    fields = {name: getattr(equipment, name) for name in equipment.__slots__}
    device = make_device(type(equipment)(**{**fields, "interfaces": interfaces}), devices.LAYOUT, b"", Planner())

    async def main():
        poller = Poller(FakeClient({HOST: box}), Planner())
        for order, there, descriptions in [((1, 2, 3, 4), 4, NAMES), *states]:
            rows = zip(order[:there], range(4), descriptions, strict=False)
            box.rows = {index: Row(n + 1, NAMES[n], descr=descr) for index, n, descr in rows}
            box.ticks = 100 if restarts else box.ticks
            for _ in range(LOOK_AGAIN_POLLS + 1):
                box.polls += 1
                box.ticks += 6000
                results.append(((await poller.poll(device, 600.0)).poll.values[::6], there))

    results = []
    with structlog.testing.capture_logs():
        virtual_time.run(main())
    for i, (octets, there) in enumerate(results):
        owners = [None if value is None else owner(value) for value in octets]
        whole = [n if n <= there else None for n in (1, 2, 3, 4)]
        assert owners == whole or (i + 1) % (LOOK_AGAIN_POLLS + 1)
        assert all(is_owner in (None, n) for is_owner, n in zip(owners, whole, strict=True))


def test_a_device_without_shortcomings_delivers_all_that_it_has():
    """So that the property above is not kept by delivering nothing."""
    box = RenumberingDevice({5: Row(2, b"eth1"), 3: Row(1, b"eth0"), 9: Row(4, b"B\xfcro")})
    equipment = devices.equipment(host=HOST)
    interfaces = (Interface("a", 3, "eth1"), Interface("b", 4, "eth0"), Interface("c", 9, "Büro"))
    fields = {name: getattr(equipment, name) for name in equipment.__slots__}
    device = make_device(type(equipment)(**{**fields, "interfaces": interfaces}), devices.LAYOUT, b"", Planner())
    result = virtual_time.run(Poller(FakeClient({HOST: box}), Planner()).poll(device, 60.0))
    assert [owner(value) for value in result.poll.values[::6]] == [2, 1, 4]
    assert result.missing == {}


def delivered(shortcomings, polls):
    """What the last of some polls gives of two interfaces."""
    box = RenumberingDevice({5: Row(2, b"eth1"), 3: Row(1, b"eth0")}, shortcomings)
    equipment = devices.equipment(host=HOST)
    fields = {name: getattr(equipment, name) for name in equipment.__slots__}
    interfaces = (Interface("a", 3, "eth0"), Interface("b", 5, "eth1"))
    device = make_device(type(equipment)(**{**fields, "interfaces": interfaces}), devices.LAYOUT, b"", Planner())
    poller = Poller(FakeClient({HOST: box}), Planner())

    async def main():
        for _ in range(polls):
            box.polls += 1
            box.ticks += 6000
            result = await poller.poll(device, 600.0)
        return result

    return virtual_time.run(main())


SHORTCOMINGS = [
    *(Defects(denied=denied) for denied in DENIED),
    *(Defects(wide_as=value) for value in USELESS_COUNTERS),
    Defects(mute=frozenset(WIDE_COLUMNS)),
]


@pytest.mark.parametrize("shortcomings", SHORTCOMINGS)
def test_what_only_getnext_gives_and_what_only_the_narrow_counters_give_is_there(shortcomings):
    result = delivered(shortcomings, 5)
    assert [owner(value) for value in result.poll.values] == [1] * 6 + [2] * 6
    assert result.missing == {}


class Lossy(FakeClient):
    """Loses the requests with these numbers; no two replies arrive at one time."""

    def __init__(self, box, lost):
        super().__init__({HOST: box})
        self.lost = lost

    async def reply(self, host, security, request, timeouts_s):
        self.wall_us += 1000
        if len(self.requests) in self.lost:
            return NoReply("timeout", len(timeouts_s))
        return await super().reply(host, security, request, timeouts_s)


def moved(rows, how, by, part):
    """The rows after a move that nothing signals: each counter of the new rows is larger than that of the old."""
    most = len(rows) + max(row.number for row in rows.values())
    named = {number: Row(number, f"eth{number}".encode()) for number in range(1, most + by + 2)}
    if how == "shift":
        return {index: named[row.number + by] for index, row in rows.items()}
    if how == "one":
        one = sorted(rows)[by % len(rows)]
        return {**rows, one: named[rows[one].number + len(rows)]}
    if how == "nameless":
        return {index: Row(row.number + len(rows), b"") if index % part == 0 else row for index, row in rows.items()}
    if how == "swap":
        first, *_, last = sorted(rows)
        return {**rows, first: rows[last], last: rows[first]}
    return rows


MOVES = ["", "shift", "one", "swap", "nameless"]


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([13, 13, 14, 24, 24, 48, 200]),
    st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 7), st.integers(2, 9)), max_size=3),
    st.sampled_from([100, 100, 48, 24, 7]),
    st.frozensets(st.integers(1, 120), max_size=5),
    st.booleans(),
)
def test_a_move_that_nothing_signals_is_seen_in_the_poll_in_which_it_is_read(count, moves, limit, lost, without_names):
    """No restart, no ifTableLastChange, no counter that falls; on devices with more interfaces than a few. From the first poll
    after the move on, no counter is another interface's, whichever requests are lost."""
    box, device = many(count, Defects(limit=limit, without=frozenset(NAME_COLUMNS[:1]) if without_names else frozenset()))
    for result, rows in polled(box, device, [("", 1, 2), ("", 1, 2), *moves], lost):
        there = {row.number for row in rows.values() if row.name}
        for n, first in zip(range(1, count + 1), range(0, 6 * count, 6), strict=True):
            values = set(result.poll.values[first : first + 6]) if result.poll else {None}
            assert values == {None} or (n in there and {owner(value) for value in values - {None}} == {n})


def many(count, defects):
    """A device with so many interfaces, and all of them configured."""
    names = {index: f"eth{index}" for index in range(1, count + 1)}
    box = RenumberingDevice({index: Row(index, name.encode()) for index, name in names.items()}, defects)
    return box, devices.device_of(HOST, tuple(Interface(f"i{index}", index, name) for index, name in names.items()))


def polled(box, device, moves, lost=frozenset()):
    """The result of a poll after each move, with the rows that it met."""

    async def main():
        poller = Poller(Lossy(box, lost), Planner())
        results = []
        for move in moves:
            box.rows = moved(box.rows, *move)
            box.polls += 1
            box.ticks += 6000
            results.append((await poller.poll(device, 600.0), box.rows))
        return results

    with structlog.testing.capture_logs():
        return virtual_time.run(main())


@pytest.mark.parametrize("count", [13, 48, 200])
def test_interfaces_that_swap_without_a_sign_are_delivered_in_the_same_poll(count):
    """So that the property above is not kept by delivering nothing."""
    box, device = many(count, Defects())
    results = polled(box, device, [("", 1, 2), ("", 1, 2), ("swap", 1, 2), ("", 1, 2)])
    for result, _ in results:
        assert [owner(value) for value in result.poll.values[::6]] == list(range(1, count + 1))
        assert result.missing == {}


class Restless(FakeClient):
    """Its device moves its interfaces once it has read `moves_at` more requests.

    Of those under way together it reads the ones for names first, and their answers arrive last: as if they proved the others.
    """

    moves_at = -1

    async def reply(self, host, security, request, timeouts_s):
        asks_names = any(name.startswith(NAME_COLUMNS) for name in request.names)
        await asyncio.sleep(0.01 if asks_names else 0.02)
        if self.moves_at == 0:
            self.devices[host].rows = moved(self.devices[host].rows, "shift", 1, 2)
        self.moves_at -= 1
        octets = self.devices[host].answer(security.wrap(request.pdu(REQUEST_ID)), 100.0)
        await asyncio.sleep(0.03 if asks_names else 0.01)
        return Reply(decode_message(octets).pdu, 0.04, round(asyncio.get_running_loop().time() * 1e6))


@pytest.mark.parametrize("count", [40, 46])
@pytest.mark.parametrize("moves_at", range(9))
def test_a_move_between_requests_that_are_under_way_together_delivers_no_other_interface_s_counter(count, moves_at):
    box, device = many(count, Defects())

    async def main():
        client = Restless({HOST: box})
        poller = Poller(client, Planner())
        for _ in range(CLEAN_POLLS + 1):
            await poller.poll(device, 600.0)
        assert device.traits.together == TOGETHER
        assert any(ask.proves for ask in device.plan.asks)
        client.moves_at = moves_at
        return await poller.poll(device, 600.0)

    with structlog.testing.capture_logs():
        result = virtual_time.run(main())
    for n, first in zip(range(1, count + 1), range(0, 6 * count, 6), strict=True):
        assert {owner(value) for value in result.poll.values[first : first + 6] if value is not None} <= {n}
