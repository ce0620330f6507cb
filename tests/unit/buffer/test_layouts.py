"""Layouts that nothing uses are freed, within a run too."""

from types import SimpleNamespace

from towerops_agent.buffer import layouts, opening
from towerops_agent.buffer import store as store_module
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.buffer.format.codec import encode_layout
from towerops_agent.model import Layout
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, add_until_in_memory, limit_growth, members, poll

COUNT = "SELECT count(*) FROM layouts"


def changed(number: int) -> list[Layout]:
    """The layouts of twenty devices by the n-th configuration."""
    return [Layout(f"eq-{i}", ((f"s-{number}", 10.0), ("s-2", 1.0), ("s-3", 0.5)), ("if-1",)) for i in range(20)]


async def test_a_configuration_that_changes_at_each_fetch_does_not_fill_the_database(bench):
    """Each change is in use for half a minute, every tenth gets a poll, all of which can be read."""
    async with bench.buffer() as buffer:
        most = 0
        for number in range(200):
            ids = await buffer.register_all(changed(number))
            await buffer.use_layouts(ids)
            if number % 10 == 0:
                buffer.add(poll(ids[3], T0_US + number))
            bench.now_us += 30_000_000
            if number % 10 == 9:
                await buffer.clean_up()
                most = max(most, *(row[0] for row in bench.rows(COUNT)))
        assert most < 20 * 20
        batch = await buffer.next_batch(1_000)
        polls = await buffer.read(batch)
        assert members(polls) == [(number, metric) for number in range(0, 200, 10) for metric in range(3)]
        assert all(isinstance(one, StoredPoll) and one.layout.equipment_id == "eq-3" for one in polls)


async def test_a_layout_in_use_stays_and_one_that_is_registered_again_is_in_use(bench, monkeypatch):
    monkeypatch.setattr(layouts, "FEW", 0)
    async with bench.buffer() as buffer:
        used, idle, back = await buffer.register_all([LAYOUT, Layout("idle"), Layout("back")])
        await buffer.use_layouts([used])
        assert await buffer.register(Layout("back")) == back
        bench.now_us += layouts.IDLE_S * 1_000_000
        buffer.add(poll(used))
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM layouts ORDER BY id") == [(used,), (back,)]
        assert await buffer.register(Layout("idle")) > idle


async def test_a_start_with_the_configuration_of_before_writes_no_layout_and_another_one_frees_what_it_lacks(bench, monkeypatch):
    """For 10,000 devices each start wrote 42 MB to the disk."""
    monkeypatch.setattr(layouts, "FEW", 0)
    gone = Layout("eq-20")
    async with bench.buffer() as buffer:
        await buffer.use_layouts(await buffer.register_all([*changed(0), gone]))
    before = bench.rows("SELECT last_poll FROM layouts")
    async with bench.buffer() as buffer:
        at_start = await buffer.ask(lambda store: store.connection.total_changes)
        ids = await buffer.register_all([*changed(0), gone])
        await buffer.use_layouts(ids)
        assert await buffer.ask(lambda store: store.connection.total_changes) == at_start
        assert bench.rows("SELECT last_poll FROM layouts") == before
    async with bench.buffer() as buffer:
        assert await buffer.register_all(changed(0)) == ids[:-1]
        await buffer.use_layouts(ids[:-1])
        bench.now_us += layouts.IDLE_S * 1_000_000
        buffer.add(poll(ids[0]))
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM layouts ORDER BY id") == [(layout,) for layout in ids[:-1]]


async def test_a_poll_that_was_under_way_when_its_layout_went_out_of_use_can_be_read(bench, monkeypatch):
    monkeypatch.setattr(layouts, "FEW", 0)
    async with bench.buffer() as buffer:
        old = await buffer.register(LAYOUT)
        await buffer.use_layouts([])
        await buffer.clean_up()
        buffer.add(poll(old))
        bench.now_us += layouts.IDLE_S * 1_000_000
        await buffer.clean_up()
        assert members(await buffer.read(await buffer.next_batch(9))) == [(0, 0), (0, 1), (0, 2)]


async def test_layouts_are_looked_up_once_as_many_as_the_bound_allows(bench, monkeypatch):
    """What goes out of use makes room for others."""
    devices = [Layout(f"eq-{n}", (("s-1", 1.0), ("s-2", 1.0), ("s-3", 1.0))) for n in range(6)]
    monkeypatch.setattr(store_module, "CACHED_OCTETS", 4 * (len(encode_layout(devices[0])) + layouts.ENTRY_OCTETS))

    def looked_up(store):
        looks = []
        store.connection.set_trace_callback(looks.append)
        assert [store.polls.layouts.read(layout) for layout in ids] == devices
        store.connection.set_trace_callback(None)
        return len(looks)

    async with bench.buffer() as buffer:
        ids = await buffer.register_all(devices)
        assert [await buffer.ask(looked_up) for _ in range(3)] == [6, 2, 2]
        await buffer.use_layouts(ids[2:])
        assert [await buffer.ask(looked_up) for _ in range(2)] == [4, 2]
        assert await buffer.ask(lambda store: len(store.polls.layouts)) == 4


async def test_layouts_stay_in_use_over_a_time_in_which_the_disk_was_full(bench, monkeypatch):
    """Once all polls of before are gone, those that come can still be read, in a later run and by other processes too."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    free = 1 << 20
    async with bench.buffer(statvfs=lambda _: SimpleNamespace(f_blocks=1 << 21, f_bavail=free, f_frsize=4096)) as buffer:
        layout = await buffer.register(LAYOUT)
        await limit_growth(buffer, 0)
        free = 0
        number = await add_until_in_memory(buffer, layout)
        free = 1 << 20
        while buffer.in_memory_because:
            await buffer.pending()
        bench.now_us += 49 * HOUR_US
        buffer.add(poll(layout, T0_US + number))
        await buffer.flush()
        await buffer.clean_up()
    assert bench.rows("SELECT id FROM layouts") == [(layout,)]
    async with bench.buffer() as buffer:
        assert members(await buffer.read(await buffer.next_batch(9))) == [(number, metric) for metric in range(3)]
