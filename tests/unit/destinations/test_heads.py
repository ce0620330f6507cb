"""Labels are kept beside the polls, by what a layout is: over restarts, changes and layouts that are gone."""

from dataclasses import replace

import msgspec

from support.remote import Remote, site_of
from towerops_agent.destinations.heads import KEY, Heads
from towerops_agent.model import Layout, Poll


async def stored(remote: Remote) -> int:
    count = "SELECT count(*) FROM meta WHERE substr(key, 1, ?) = ?"
    return await remote.buffer.ask(lambda store: store.connection.execute(count, (len(KEY), KEY)).fetchone()[0])


async def found(remote: Remote, heads: Heads) -> dict[int, list[bytes]]:
    """What is known of the layouts of all polls that wait; there is one of each device."""
    batch = await remote.buffer.next_batch(1000, destination="test")
    assert batch is not None
    return (await heads.read(batch, remote.destination))[1]


def add_polls(remote: Remote) -> None:
    for device in range(3):
        remote.add(device, 1_767_986_535.0, 1.0)


async def test_another_process_finds_them(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        add_polls(remote)
        (unknown,) = await remote.buffer.register_all([Layout("unknown", (("x", 1),))])
        remote.buffer.add(Poll(unknown, 1_767_986_535_000_000, (1,), ((1, 0),), 1))
        there = await found(remote, Heads(remote.buffer))
    assert sorted(there) == remote.layouts
    assert all(len(heads) == remote.sensors for heads in there.values())
    assert all(f"d{n}".encode() in head for n, layout in enumerate(remote.layouts) for head in there[layout])


async def test_labels_that_change_are_those_of_what_waits_too(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        ids = [msgspec.json.decode(text)["id"] for text in remote.config.items()]
        places = {one: (layout,) for one, layout in zip(ids, remote.layouts, strict=True)}
        add_polls(remote)
        before = await found(remote, remote.heads)
        north = replace(remote.destination, labels=(("agent", "north"),))
        await remote.heads.learn(remote.config, [north], places)
        after = await found(remote, remote.heads)
        assert await stored(remote) == 3
    assert all(b"north" in head for heads in after.values() for head in heads)
    assert not any(b"north" in head for heads in before.values() for head in heads)


async def test_those_of_a_device_that_is_gone_stay_as_long_as_its_layout(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        add_polls(remote)
        fewer = site_of(1)
        (one,) = [msgspec.json.decode(text)["id"] for text in fewer.items()]
        await remote.heads.learn(fewer, remote.destinations, {one: (remote.layouts[0],)})
        assert set(await found(remote, remote.heads)) == set(remote.layouts)
        await remote.buffer.ask(lambda store: store.connection.execute("DELETE FROM layouts WHERE id <> 1"))
        await remote.heads.learn(fewer, remote.destinations, {one: (remote.layouts[0],)})
        assert await stored(remote) == 1


async def test_those_of_a_destination_that_was_gone_for_long_are_kept_again(tmp_path):
    """By then nothing of its line is left, and its labels went with it."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        ids = [msgspec.json.decode(text)["id"] for text in remote.config.items()]
        places = {one: (layout,) for one, layout in zip(ids, remote.layouts, strict=True)}
        await remote.buffer.line_up(["other"])
        await remote.heads.learn(remote.config, [replace(remote.destination, name="other")], places)
        await remote.buffer.line_up([remote.destination.name])
        await remote.heads.learn(remote.config, remote.destinations, places)
        add_polls(remote)
        await remote.buffer.flush()
        assert set(await found(remote, remote.heads)) == set(remote.layouts)
