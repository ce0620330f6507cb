"""Labels are kept beside the polls, by what a layout is: over restarts, changes and layouts that are gone."""

from dataclasses import replace

import msgspec
import pytest

from support.remote import Remote, digests_of, site_of
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText, config_text
from towerops_agent.destinations.heads import KEY, Heads
from towerops_agent.model import Layout, Poll
from towerops_agent.polling.course.device import layout_of


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
        parts = digests_of(remote.config)
        places = {one: (layout,) for one, layout in zip(parts, remote.layouts, strict=True)}
        add_polls(remote)
        before = await found(remote, remote.heads)
        north = replace(remote.destination, labels=(("agent", "north"),))
        await remote.heads.learn(remote.config, [north], places)
        after = await found(remote, remote.heads)
        assert await stored(remote) == 3
    assert all(b"north" in head for heads in after.values() for head in heads)
    assert not any(b"north" in head for heads in before.values() for head in heads)


GOOD = {"id": "e1", "name": "north", "ip_address": "10.0.0.1", "sensors": [{"id": "s1", "oid": "1.3.6.1.2"}]}


@pytest.mark.parametrize(
    "bad",
    [
        b"null",
        b'{"name": "without an id"}',
        b'{"id": 5, "ip_address": "10.0.0.2"}',
        b'{"id": "e1", "name": "the same id, without an address"}',
        b'{"id": "e2", "sensors": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    ],
)
async def test_a_device_of_the_api_that_is_refused_costs_the_others_no_labels(tmp_path, bad):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        config = config_text(b'{"equipment": [%b, %b]}' % (bad, msgspec.json.encode(GOOD)))
        (head,) = await learned(remote, config)
    assert b"north" in head


@pytest.mark.parametrize("metadata", [b'{"limit": 1e400, "descr": "board"}', b'{"descr": "\xff"}'])
async def test_what_can_not_be_decoded_costs_a_device_only_that(tmp_path, metadata):
    north = msgspec.json.encode(GOOD).replace(b'"oid"', b'"type": "voltage", "metadata": %b, "oid"' % metadata)
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        (head,) = await learned(remote, config_text(b'{"equipment": [%b]}' % north))
    assert b"north" in head
    assert b"voltage" in head


async def test_of_devices_that_share_an_id_the_polled_one_gives_the_labels(tmp_path):
    other = msgspec.json.encode({**GOOD, "name": "south", "ip_address": "10.0.0.2"})
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        (head,) = await learned(remote, config_text(b'{"equipment": [%b, %b]}' % (msgspec.json.encode(GOOD), other)))
    assert b"north" in head
    assert b"south" not in head


async def test_devices_of_the_api_that_share_their_name_and_address_have_series_of_their_own(tmp_path):
    """As of two SNMPv3 contexts: else values of both would be one series. Any other device's labels stay as they were."""
    there = [{**GOOD, "id": each, "snmp": {"v3_context_name": each}} for each in ("e1", "e2")]
    others = [{**GOOD, "id": "e3", "name": "south"}, {**GOOD, "id": "e4", "ip_address": "10.0.0.2"}]
    others += [{**GOOD, "id": "e5", "snmp": {"port": 1161}}, {**GOOD, "id": "e6", "snmp": {"enabled": False}}]
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        heads = await all_learned(remote, [*there, *others])
        assert {each: b"device_id" in octets for each, octets in heads.items()} == {
            **dict.fromkeys(("e1", "e2"), True),
            **dict.fromkeys(("e3", "e4", "e5"), False),
        }
        assert heads["e1"] != heads["e2"]
        alone = await all_learned(remote, [there[0], *others])
        assert b"device_id" not in alone["e1"]


async def all_learned(remote: Remote, devices: list[dict]) -> dict[str, bytes]:
    """What is known of the sensors of these devices, by id, without those that are not polled."""
    config = config_text(msgspec.json.encode({"equipment": devices}))
    places = {}
    for digest, equipment in read_config(config).equipment:
        (layout,) = await remote.buffer.register_all([layout_of(equipment)])
        places[digest] = equipment.id, layout
        remote.buffer.add(Poll(layout, 1_767_986_535_000_000, (1,), ((1, 0),), 1))
    await remote.heads.learn(config, remote.destinations, {digest: (layout,) for digest, (_, layout) in places.items()})
    there = await found(remote, remote.heads)
    return {device_id: b"".join(there[layout]) for device_id, layout in places.values()}


async def learned(remote: Remote, config: ConfigText) -> list[bytes]:
    """The heads of the one device in the configuration that can be used."""
    ((digest, equipment),) = read_config(config).equipment
    (layout,) = await remote.buffer.register_all([layout_of(equipment)])
    await remote.heads.learn(config, remote.destinations, {digest: (layout,)})
    remote.buffer.add(Poll(layout, 1_767_986_535_000_000, (1,), ((1, 0),), 1))
    return (await found(remote, remote.heads))[layout]


async def test_those_of_a_device_that_is_gone_stay_as_long_as_its_layout(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        add_polls(remote)
        fewer = site_of(1)
        (one,) = digests_of(fewer)
        await remote.heads.learn(fewer, remote.destinations, {one: (remote.layouts[0],)})
        assert set(await found(remote, remote.heads)) == set(remote.layouts)
        await remote.buffer.ask(lambda store: store.connection.execute("DELETE FROM layouts WHERE id <> 1"))
        await remote.heads.learn(fewer, remote.destinations, {one: (remote.layouts[0],)})
        assert await stored(remote) == 1


async def test_those_of_a_destination_that_was_gone_for_long_are_kept_again(tmp_path):
    """By then nothing of its line is left, and its labels went with it."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        parts = digests_of(remote.config)
        places = {one: (layout,) for one, layout in zip(parts, remote.layouts, strict=True)}
        await remote.buffer.line_up(["other"])
        await remote.heads.learn(remote.config, [replace(remote.destination, name="other")], places)
        await remote.buffer.line_up([remote.destination.name])
        await remote.heads.learn(remote.config, remote.destinations, places)
        add_polls(remote)
        await remote.buffer.flush()
        assert set(await found(remote, remote.heads)) == set(remote.layouts)
