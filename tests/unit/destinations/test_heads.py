"""Labels are kept beside the polls, by what a layout is: over restarts, changes and layouts that are gone."""

import msgspec

from support.remote import Remote, site_of
from towerops_agent.destinations.heads import KEY, Heads
from towerops_agent.model import Layout


async def stored(remote: Remote) -> int:
    count = "SELECT count(*) FROM meta WHERE substr(key, 1, ?) = ?"
    return await remote.buffer.ask(lambda store: store.connection.execute(count, (len(KEY), KEY)).fetchone()[0])


async def layouts_of(remote: Remote) -> list[Layout]:
    return [await remote.buffer.ask(lambda store, one=one: store.polls.layout(one)) for one in remote.layouts]


async def test_another_process_finds_them(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        layouts = await layouts_of(remote)
        found = await Heads(remote.buffer).of([*layouts, Layout("unknown", (("x", 1),))])
    assert list(found) == layouts
    assert all(len(heads) == remote.sensors for heads in found.values())
    assert all(f"d{n}".encode() in head for n, heads in enumerate(found.values()) for head in heads)


async def test_labels_that_change_are_those_of_what_waits_too(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        ids = [msgspec.json.decode(text)["id"] for text in remote.config.items()]
        places = {one: (layout,) for one, layout in zip(ids, remote.layouts, strict=True)}
        layouts = await layouts_of(remote)
        before = await remote.heads.of(layouts)
        await remote.heads.learn(remote.config, {"agent": "north"}, places)
        after = await remote.heads.of(layouts)
        assert await stored(remote) == 3
    assert all(b"north" in head for heads in after.values() for head in heads)
    assert not any(b"north" in head for heads in before.values() for head in heads)


async def test_those_of_a_device_that_is_gone_stay_as_long_as_its_layout(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        layouts = await layouts_of(remote)
        fewer = site_of(1)
        (one,) = [msgspec.json.decode(text)["id"] for text in fewer.items()]
        await remote.heads.learn(fewer, {}, {one: (remote.layouts[0],)})
        assert set(await remote.heads.of(layouts)) == set(layouts)
        await remote.buffer.ask(lambda store: store.connection.execute("DELETE FROM layouts WHERE id <> 1"))
        await remote.heads.learn(fewer, {}, {one: (remote.layouts[0],)})
        assert await stored(remote) == 1
