"""The labels of stored polls, encoded once and kept beside them: polls outlive the configuration that they were made under.

Configuration and layouts -> `heads` in the database, a row for each layout -> the octets that each sample of a batch begins with.
Kept by the layout's content, so that they are never another layout's. 1.1 kB for a device of 68 items; none of it is in memory.
I/O: the buffer. Octets.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.codec import digest, encode_layout
from towerops_agent.buffer.store import Store
from towerops_agent.config.document.text import ConfigText
from towerops_agent.destinations.wire.remote_write import encode_labels
from towerops_agent.destinations.wire.series import Labels, in_order, series_of
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout
from towerops_agent.zstd import Frames

KEY: Final = "series "
AT_ONCE: Final = 100
"""How many devices' are written in one job of the buffer's thread, between two of which polls are stored."""

MOST_OCTETS: Final = 64 << 20

LayoutsOf = Mapping[str, tuple[int, ...]]
"""The ids of a device's layouts in the buffer, by the device's id."""


class Heads:
    """The heads in `buffer`'s database."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._packer, self._unpacker = Frames(3), Frames(3)  # one a thread
        self._known: dict[int, bytes] = {}  # by layout, a digest of what it was learned from
        self._key_of = lru_cache(256)(_key)

    def forget(self) -> None:
        """The ids of layouts have become void: learn all again."""
        self._known.clear()

    async def learn(self, config: ConfigText, labels: Mapping[str, str], layouts: LayoutsOf) -> None:
        """Keep the series of the configured devices, and forget those of layouts that are gone. Raises BufferFailure."""
        salt = msgspec.json.encode(labels, order="sorted")
        texts = config.items()
        while some := await asyncio.to_thread(self._next, texts, salt, labels, layouts):
            await self._buffer.ask(partial(self._keep, some=some))
            self._known |= {layout: known for layout, known, _ in some}
        await self._buffer.ask(_forget)

    def _next(
        self, texts: Iterable[bytes], salt: bytes, labels: Mapping[str, str], layouts: LayoutsOf
    ) -> list[tuple[int, bytes, dict[str, list[Labels]]]]:
        """The next layouts that are new or have new labels, with their series."""
        found: list[tuple[int, bytes, dict[str, list[Labels]]]] = []
        for text in texts:
            known = blake2b(salt + text, digest_size=16).digest()
            device: dict[str, Any] = msgspec.json.decode(text)
            fresh = [layout for layout in layouts.get(device["id"], ()) if self._known.get(layout) != known]
            if fresh:
                series = series_of(device, labels)
                found += [(layout, known, series) for layout in fresh]
            if len(found) >= AT_ONCE:
                break
        return found

    def _keep(self, store: Store, some: Sequence[tuple[int, bytes, dict[str, list[Labels]]]]) -> None:
        for layout_id, _, series in some:
            try:
                layout = store.polls.layout(layout_id)
            except BufferFailure:
                continue  # gone in between: it is registered again, and learned then
            packed = self._packer.pack(msgspec.msgpack.encode([encode_labels(one) for one in in_order(layout, series)]))
            key = _key(layout)
            if store.get_meta(key) != packed:
                store.put_meta(key, packed)

    async def of(self, layouts: Iterable[Layout]) -> dict[Layout, list[bytes]]:
        """What each value's samples begin with, by layout; without those of which nothing is known. Raises BufferFailure."""
        wanted = {layout: self._key_of(layout) for layout in layouts}
        packed = await self._buffer.ask(lambda store: {layout: store.get_meta(key) for layout, key in wanted.items()})
        return {layout: self._unpacked(octets) for layout, octets in packed.items() if octets is not None}

    def _unpacked(self, packed: bytes) -> list[bytes]:
        return msgspec.msgpack.decode(self._unpacker.unpack(packed, MOST_OCTETS), type=list[bytes])


def _key(layout: Layout) -> str:
    return f"{KEY}{digest(encode_layout(layout)).hex()}"


def _forget(store: Store) -> None:
    """Remove those whose layout is no longer in the database, so that no poll can have it."""
    with transaction(store.connection):
        store.connection.execute(
            "DELETE FROM meta WHERE substr(key, 1, ?) = ? AND substr(key, ?) NOT IN (SELECT lower(hex(digest)) FROM layouts)",
            (len(KEY), KEY, len(KEY) + 1),
        )
