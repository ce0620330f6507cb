"""What becomes of a batch without a word of the server, and what stays as long as a corrupt file is copied."""

import pytest

from towerops_agent.errors import BufferFailure
from unit.buffer.samples import LAYOUT, T0_US, members, poll


async def stored(buffer, numbers) -> None:
    """Polls of three metrics each, told apart by their number."""
    layout = await buffer.register(LAYOUT)
    for number in numbers:
        buffer.add(poll(layout, T0_US + number))
    await buffer.flush()


async def test_a_batch_of_which_nothing_can_be_read_is_closed_and_the_next_one_follows(bench):
    async with bench.buffer() as buffer:
        await stored(buffer, range(2))
        batch = await buffer.next_batch(6)
        await buffer.ask(lambda store: store.connection.execute("DELETE FROM polls").rowcount)
        assert await buffer.read(batch) == []
        await buffer.close_empty(batch)
        await stored(buffer, [2])
        after = await buffer.next_batch(6)
        assert members(await buffer.read(after)) == [(2, 0), (2, 1), (2, 2)]
        await buffer.close_empty(batch)  # nothing happens
        assert await buffer.next_batch(6) == after


async def test_a_batch_of_which_something_can_be_read_is_not_closed_as_empty(bench):
    async with bench.buffer() as buffer:
        await stored(buffer, range(2))
        batch = await buffer.next_batch(6)
        await buffer.close_empty(batch)
        assert await buffer.next_batch(6) == batch
        assert members(await buffer.read(batch)) == [(number, metric) for number in range(2) for metric in range(3)]


async def test_what_was_delivered_while_another_store_was_in_use_is_not_delivered_again(bench):
    async with bench.buffer() as buffer:
        await stored(buffer, range(2))
        batch = await buffer.next_batch(3)
        await buffer.ask(lambda store: store.note_sent(batch.id + 1, 0))  # nothing happens
        assert await buffer.next_batch(3) == batch
        await buffer.ask(lambda store: store.note_sent(batch.id, 7))
        assert members(await buffer.read(await buffer.next_batch(3))) == [(1, 0), (1, 1), (1, 2)]
    assert bench.rows(f"SELECT sent_age_s FROM batches WHERE id = {batch.id}") == [(7,)]


async def test_halves_are_dated_when_they_are_cut(bench):
    async with bench.buffer() as buffer:
        await stored(buffer, range(2))
        batch = await buffer.next_batch(6)
        bench.now_us += 5_000_000
        halves = await buffer.split(batch)
        assert [half.cut_at_us for half in halves] == [T0_US + 5_000_000] * 2
        assert len({batch.id, *(half.id for half in halves)}) == 3


@pytest.mark.parametrize("both", [True, False], ids=["all polls", "one of two"])
async def test_what_has_become_too_little_is_not_split(bench, both):
    """The halves of what can't be read any more would have other members than the batch."""
    async with bench.buffer() as buffer:
        await stored(buffer, range(2))
        batch = await buffer.next_batch(6)
        which = "" if both else " WHERE id = (SELECT min(id) FROM polls)"
        await buffer.ask(lambda store: store.connection.execute(f"DELETE FROM polls{which}").rowcount)
        with pytest.raises(BufferFailure, match=f"batch {batch.id} has fewer metrics than it was cut with"):
            await buffer.split(batch)


async def test_layouts_stay_until_all_polls_of_a_corrupt_file_are_copied(bench):
    """A poll that is still to come may belong to one of them."""

    def remove(store, is_filled: bool) -> int:
        store.connection.execute("UPDATE layouts SET last_poll = 0")  # not in use since that poll
        store.is_filled = is_filled
        store.remove_layouts()
        return len(store.connection.execute("SELECT id FROM layouts").fetchall())

    async with bench.buffer() as buffer:
        await buffer.register(LAYOUT)
        assert await buffer.ask(lambda store: remove(store, is_filled=False)) == 1
        assert await buffer.ask(lambda store: remove(store, is_filled=True)) == 0
