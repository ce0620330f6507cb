"""Polls that are no longer young are packed in the background, and nothing else changes by it."""

import sqlite3

import msgspec
import pytest

from towerops_agent.buffer import packer, retention
from towerops_agent.buffer.format.codec import Packing
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout
from towerops_agent.zstd import Frames
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, members, poll

PLAIN = "SELECT poll FROM bodies ORDER BY poll"
MINUTE_US = 60_000_000


async def add_minutely(bench, buffer, rounds: int, layouts: int = 3) -> None:
    """A poll of each layout a minute; numbered by the microsecond."""
    ids = await buffer.register_all(Layout(f"eq-{i}", LAYOUT.sensors, LAYOUT.interfaces) for i in range(layouts))
    for _ in range(rounds):
        for layout in ids:
            (number,) = bench.rows("SELECT count(*) FROM polls")[0]
            buffer.add(poll(layout, T0_US + number, metrics=1 + number % 4))
            await buffer.flush()
        bench.now_us += MINUTE_US


async def all_stored(buffer) -> list[object]:
    """All polls, as they are read back."""

    def read(store):
        return [poll for _, poll in store.polls.decode(store.polls.between(0, 1 << 62))]

    return await buffer.ask(read)


async def test_polls_are_packed_once_they_are_ten_minutes_old_and_read_back_the_same(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        assert len(before) == 120
        await buffer.clean_up()
        # 16 polls of 3 layouts make a stretch; what is younger than ten minutes, or a stretch not yet full, stays plain
        assert [row[0] for row in bench.rows(PLAIN)] == list(range(49, 121))
        assert bench.rows("SELECT first_poll, end_poll FROM ranges") == [(1, 49)]
        assert bench.rows("SELECT end_poll, layout_id FROM packs ORDER BY id") == [(49, 1), (49, 2), (49, 3)]
        assert await all_stored(buffer) == before
        bench.now_us += 10 * MINUTE_US
        await buffer.clean_up()
        assert bench.rows("SELECT first_poll, end_poll FROM ranges") == [(1, 49), (49, 97)]
    async with bench.buffer() as buffer:
        assert await all_stored(buffer) == before


async def test_young_polls_stay_plain(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 9)
        await buffer.clean_up()
        assert len(bench.rows(PLAIN)) == 27
        assert bench.rows("SELECT * FROM packs") == []


async def test_a_batch_is_the_same_while_and_after_its_polls_are_packed(bench, monkeypatch):
    monkeypatch.setattr(packer, "PACKED_PER_STEP", 10)
    monkeypatch.setattr(packer, "REMOVED_PER_STEP", 7)
    monkeypatch.setattr(packer, "SCANNED_PER_STEP", 13)
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        await buffer.acknowledge(await buffer.next_batch(50))
        batch = await buffer.next_batch(100)
        whole = await buffer.read(batch)
        steps = 0
        while not (await buffer.ask(lambda store: store.pack())).done:
            assert await buffer.read(batch) == whole
            steps += 1
        assert steps > 15
        first, second = await buffer.split(batch)
        assert members(await buffer.read(first)) + members(await buffer.read(second)) == members(whole)
        found = []
        while batch := await buffer.next_batch(30):
            found += members(await buffer.read(batch))
            await buffer.acknowledge(batch)
        assert len(found) == 300 - 50
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


@pytest.mark.parametrize("steps", range(12))
async def test_packing_that_was_cut_short_is_taken_up_at_the_next_start(bench, monkeypatch, steps):
    monkeypatch.setattr(packer, "PACKED_PER_STEP", 20)
    monkeypatch.setattr(packer, "REMOVED_PER_STEP", 20)
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        for _ in range(steps):
            await buffer.ask(lambda store: store.pack())
    async with bench.buffer() as buffer:
        assert await all_stored(buffer) == before
        await buffer.clean_up()
        assert await all_stored(buffer) == before
        assert [row[0] for row in bench.rows(PLAIN)] == list(range(49, 121))
        assert bench.rows("SELECT count(*) FROM packs") == [(3,)]


async def test_packing_that_failed_is_begun_again(bench, monkeypatch):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        with monkeypatch.context() as patch:
            patch.setattr(Packing, "pack", lambda self, polls: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await buffer.clean_up()
        await buffer.clean_up()
        assert len(bench.rows(PLAIN)) == 72
        assert await all_stored(buffer) == before


async def test_packing_that_always_fails_for_want_of_room_ends_and_is_not_begun_again_for_ever(bench, monkeypatch):
    """As a damaged page count has it: the journal is folded into the file, and then there is no more room than before."""
    tried = 0

    def full(*_):
        nonlocal tried
        tried += 1
        assert tried < 10
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Packing, "pack", full)
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        with pytest.raises(BufferFailure, match="full"):
            await buffer.clean_up()
    assert tried


async def test_packed_polls_expire_and_their_packs_go_with_the_last_of_a_stretch(bench, monkeypatch):
    monkeypatch.setattr(retention, "PACKS_PER_STEP", 2)
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 70)
        await buffer.clean_up()
        assert bench.rows("SELECT end_poll FROM ranges") == [(49,), (97,), (145,)]
        bench.now_us = T0_US + 24 * HOUR_US + 10 * MINUTE_US
        await buffer.clean_up()
        assert bench.rows("SELECT min(id) FROM polls") == [(31,)]
        assert bench.rows("SELECT count(*) FROM packs WHERE end_poll = 49") == [(3,)]
        batch = await buffer.next_batch(10)
        assert len(members(await buffer.read(batch))) == 10
        bench.now_us += 10 * MINUTE_US
        await buffer.acknowledge(batch)
        await buffer.clean_up()
        bench.now_us += 24 * HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM polls") == [(0,)]
        assert bench.rows("SELECT count(*) FROM packs") == [(0,)]
        assert bench.rows("SELECT count(*) FROM bodies") == [(0,)]
        assert len(bench.rows("SELECT * FROM ranges")) == 1  # where packing goes on
        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") > [(0,)]
        assert await all_stored(buffer) == before


async def test_a_damaged_pack_costs_its_polls_counted_once(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        await buffer.clean_up()
        await buffer.ask(
            lambda store: store.connection.execute("UPDATE packs SET body = x'28b52ffd00' WHERE layout_id = 2").rowcount
        )
        batch = await buffer.next_batch(100)
        assert {stored.layout.equipment_id for stored in await buffer.read(batch)} == {"eq-0", "eq-2"}
        lost = bench.counters.by_reason(Count.METRICS_DROPPED)
        await buffer.read(batch)
        assert bench.counters.by_reason(Count.METRICS_DROPPED) == lost
        await buffer.acknowledge(batch)
        bench.now_us += HOUR_US
        await buffer.clean_up()
        while batch := await buffer.next_batch(100):
            await buffer.read(batch)
            await buffer.acknowledge(batch)
        numbers = [number for number in range(48) if number % 3 == 1]  # of the second layout, in the packed stretch
        assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": sum(1 + number % 4 for number in numbers)}


async def test_a_poll_found_damaged_while_plain_stays_so_when_the_others_are_packed(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        batch = await buffer.next_batch(10)
        await buffer.ask(lambda store: store.connection.execute("UPDATE bodies SET body = x'93' WHERE poll = 2").rowcount)
        found = members(await buffer.read(batch))
        await buffer.clean_up()
        assert members(await buffer.read(batch)) == found
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": 2}


async def test_a_poll_that_an_earlier_version_has_counted_as_damaged_is_not_counted_again(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 2)
        batch = await buffer.next_batch(100)
        whole = members(await buffer.read(batch))
        await buffer.ask(lambda store: store.connection.execute("UPDATE bodies SET body = x'' WHERE poll = 2").rowcount)
        assert members(await buffer.read(batch)) == [one for one in whole if one[0] != 1]
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {}


async def test_nothing_is_packed_before_a_corrupt_file_is_copied_to_its_end(bench):
    """What it has of older polls would come in behind the packs."""
    async with bench.buffer() as buffer:

        async def set_filled(is_filled: bool) -> None:
            await buffer.ask(lambda store: setattr(store, "is_filled", is_filled))

        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        await set_filled(False)
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") == bench.rows("SELECT count(*) FROM ranges") == [(0,)]
        await set_filled(True)
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") > [(1,)]
        assert await all_stored(buffer) == before


async def test_polls_evicted_while_they_are_listed_are_not_packed(bench):
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)

        def list_then_evict(store):
            store.pack()  # looks where to go on
            store.pack()  # removes plain ones that are packed already
            store.pack()  # lists
            return retention.remove_uncut(store.connection, store.age_s - 30 * 60).metrics

        assert await buffer.ask(list_then_evict) > 0
        left = await all_stored(buffer)
        await buffer.clean_up()
        assert await all_stored(buffer) == left


def bad_packs() -> list[bytes]:
    plain = msgspec.msgpack.encode(([1, 2], [b"a"]))
    compress = Frames(1).pack
    good = Packing().pack([(1, b"a" * 100), (2, b"b")])
    huge = bytes.fromhex("28b52ffd c0 58 0000000000010000")  # a header that says 2^40 octets
    return [b"", b"x", good[:-1], good[:-5] + b"\0" * 5, compress(b"no msgpack"), compress(plain), compress(b"") + huge, huge]


@pytest.mark.parametrize("pack", bad_packs(), ids=range(8))
def test_a_damaged_pack_is_a_buffer_failure(pack):
    with pytest.raises(BufferFailure):
        Packing().unpack(pack)


def flips_of_ranges() -> list[tuple[str, int, int | None]]:
    """A column of one of three ranges, and what of it is flipped; None: its row is gone."""
    bits = [(column, which, bit) for column in ("end_poll", "first_poll") for which in range(3) for bit in (0, 4, 5, 6, 12, 40)]
    return [*bits, *(("end_poll", which, None) for which in range(3))]


@pytest.mark.parametrize(("column", "which", "bit"), flips_of_ranges())
async def test_a_damaged_range_costs_no_reading(bench, column, which, bit):
    """It has no checksum. Neither plain readings are removed for it, nor packs, nor are these out of reach."""
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 60)
        before = await all_stored(buffer)
        await buffer.clean_up()
        ranges = bench.rows("SELECT end_poll, first_poll FROM ranges ORDER BY end_poll")
        assert len(ranges) == 3

        def damage(store) -> None:
            end, first = ranges[which]
            value = None if bit is None else (end if column == "end_poll" else first) ^ (1 << bit)
            sql = (
                "DELETE FROM ranges WHERE end_poll = ?"
                if value is None
                else f"UPDATE ranges SET {column} = {value} WHERE end_poll = ?"
            )
            store.connection.execute(sql, (end,))

        await buffer.ask(damage)
        assert await all_stored(buffer) == before
        await buffer.clean_up()
        assert await all_stored(buffer) == before
    async with bench.buffer() as buffer:
        for _ in range(3):
            await buffer.clean_up()
            bench.now_us += 20 * MINUTE_US
            await add_minutely(bench, buffer, 2)
            assert (await all_stored(buffer))[: len(before)] == before


async def test_readings_that_are_not_octets_by_damage_cost_no_other_of_their_pack(bench):
    """One bit makes a text of them."""
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        before = await all_stored(buffer)
        await buffer.ask(
            lambda store: store.connection.execute("UPDATE bodies SET body = CAST(body AS TEXT) WHERE poll = 7").rowcount
        )
        await buffer.clean_up()
        found = await all_stored(buffer)
        assert isinstance(found[6], BufferFailure)
        assert found[:6] + found[7:] == before[:6] + before[7:]


@pytest.mark.parametrize("age_s", [1 << 32, 1 << 40])
async def test_a_poll_of_an_age_that_it_cannot_have_stops_no_packing_and_no_expiry(bench, age_s):
    """Its row has no checksum: by its age it would be young for good, and all behind it kept."""
    async with bench.buffer() as buffer:
        await add_minutely(bench, buffer, 40)
        await buffer.ask(lambda store: store.connection.execute("UPDATE polls SET age_s = ? WHERE id = 5", (age_s,)).rowcount)
        await buffer.clean_up()
        assert [row[0] for row in bench.rows(PLAIN)] == list(range(49, 121))
        bench.now_us += 25 * HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM polls") == [(0,)]
        assert (await buffer.pending()).metrics == 0
