"""A guard against slow decay: what the page reads of a device does not grow with the polls of all others, in SQLite's steps."""

from pathlib import Path

from towerops_agent.buffer.database import Database
from towerops_agent.buffer.format.codec import encode_poll
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.store import Store
from towerops_agent.model import Layout, Poll

DEVICES = 30
T0_US = 1_767_986_535_123_456
MINUTE_US = 60_000_000
VALUES = (415,)


def site(path: Path, minutes: int) -> None:
    """A poll of each device each minute, and one of another device, in the first one; packed as a running agent does it."""
    now_us = T0_US
    store = Store(Database.open(path, T0_US), lambda: now_us, lambda: now_us)
    try:
        *often, seldom = store.register(Layout(f"device-{n}", (("s", 10.0),)) for n in range(DEVICES + 1))
        for minute in range(minutes):
            now_us = T0_US + minute * MINUTE_US
            layouts = often if minute else [*often, seldom]
            store.add_polls([encode_poll(Poll(layout, now_us, VALUES, ((1, 0),), 1)) for layout in layouts])
        while not store.pack().done:
            pass
    finally:
        store.close()


def steps(path: Path) -> tuple[int, int]:
    """How many steps SQLite takes for the newest poll of each device, and for all polls of the one."""
    counts = []
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    with DatabaseReader(path) as reader:
        layouts = reader.equipment()
        reader.connection.set_progress_handler(step, 1)
        newest = reader.latest(layouts)
        counts.append(taken)
        found = list(reader.polls(f"device-{DEVICES}", 0))
        counts.append(taken - counts[0])
        reader.connection.set_progress_handler(None, 1)
    assert len(newest) == DEVICES + 1
    assert newest[f"device-{DEVICES}"].newest_us == T0_US
    assert [stored.poll.started_at_us for stored in found] == [T0_US]
    return counts[0], counts[1]


def test_a_device_that_is_polled_once_a_day_is_found_without_a_look_at_the_polls_of_all_others(tmp_path):
    counts = []
    for minutes in (120, 1_200):
        path = tmp_path / f"{minutes}.db"
        site(path, minutes)
        counts.append(steps(path))
    (newest_of_few, polls_of_few), (newest_of_many, polls_of_many) = counts
    assert newest_of_many < 2 * newest_of_few  # 25,294 and 20,574; 37,336 and 196,564 if all blocks are looked through
    assert polls_of_many < 2 * polls_of_few  # 8,308 and 8,456; 28,613 and 257,377
