"""Whatever a device does to its interfaces, and however it answers: a counter is that of the interface that is meant."""

import structlog
from hypothesis import given, note, settings
from hypothesis import strategies as st

from support import devices, virtual_time
from support.fake_client import FakeClient
from support.renumbering import NAME_COLUMNS, Defects, RenumberingDevice, Row, owner
from towerops_agent.model import Interface
from towerops_agent.polling.course.device import make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import Poller

HOST = "192.0.2.1"
NAMES = [b"eth0", b"eth1", b"pppoe-wan", b"B\xfcro", "Büro-2".encode(), b"lte1"]
FAILURES = ["", "", "genErr", "tooBig", "empty", "silent", "disorder"]


def text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


defects = st.builds(
    Defects,
    bulk=st.sampled_from(FAILURES),
    get_next=st.sampled_from(["", "", "", "genErr", "silent", "empty"]),
    odd_names=st.frozensets(st.integers(1, 9), max_size=2),
    without=st.sampled_from([frozenset(), frozenset(NAME_COLUMNS[:1]), frozenset(NAME_COLUMNS[1:])]),
    limit=st.sampled_from([100, 100, 7, 1]),
    wide=st.booleans(),
    last_change=st.booleans(),
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
    st.lists(st.integers(1, 9), unique=True, min_size=4, max_size=4),
    defects,
)
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
                assert value is None or owner(value) == n + 1
                assert value is None or n + 1 in there


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
