"""The labels of stored polls, encoded once and kept beside them: polls outlive the configuration that they were made under.

Configuration and layouts -> rows in the database, one for each layout and destination -> what a destination's kind encodes once.
Kept by the layout's content, so that they are never another layout's. 1.1 kB for a device of 68 items; none of it is in memory.
I/O: the buffer. Octets.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.batch import Batch, StoredPoll
from towerops_agent.buffer.format.codec import DIGEST_OCTETS
from towerops_agent.buffer.lanes import lines
from towerops_agent.buffer.layouts import BESIDE_LAYOUTS
from towerops_agent.buffer.store import Store
from towerops_agent.config.document.equipment import part_digest, read_config
from towerops_agent.config.document.fields import UNDECODABLE, readable
from towerops_agent.config.document.text import ConfigText
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.series import Item, Labels, labels_of, series_of
from towerops_agent.errors import BufferFailure
from towerops_agent.site.document.destination import REMOTE_WRITE, Destination
from towerops_agent.zstd import Frames

KEY: Final = BESIDE_LAYOUTS
AT_ONCE: Final = 20
"""How many devices' are made and written in one job of the buffer's thread, between two of which polls are stored.

The labels of a device of 308 values take 220 KB until they are packed.
"""

CACHED: Final = 32
"""How many layouts' are kept unpacked, 70 KB each for 308 values; at more devices each poll costs 25 µs."""

MOST_OCTETS: Final = 64 << 20

LayoutsOf = Mapping[bytes, tuple[int, ...]]
"""The ids of a device's layouts in the buffer, by the digest of its part of the configuration (part_digest)."""


class Heads:
    """The heads in `buffer`'s database. `lost`: set once some that were learned are not there any more: learn them again."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._packer, self._unpacker = Frames(3), Frames(3)  # one a thread
        self._known: dict[tuple[str, int], bytes] = {}  # by destination and layout, a digest of what it was learned from
        self._has_adopted = False  # the labels of a version that knew one destination only
        self._unpacked = lru_cache(CACHED)(self._unpack)
        self._learning = 0  # how many are at it
        self.lost = asyncio.Event()

    @property
    def is_learning(self) -> bool:
        """Whether labels that are not known may be so soon."""
        return self._learning > 0

    def forget(self) -> None:
        """The ids of layouts have become void: learn all again."""
        self._known.clear()

    async def learn(self, config: ConfigText, destinations: Sequence[Destination], layouts: LayoutsOf) -> None:
        """Keep the series of the configured devices for each destination, and forget those of layouts that are gone.

        Raises BufferFailure.
        """
        self._learning += 1
        try:
            await self._learn(config, destinations, layouts)
        finally:
            self._learning -= 1

    async def _learn(self, config: ConfigText, destinations: Sequence[Destination], layouts: LayoutsOf) -> None:
        if destinations and not self._has_adopted:
            await self._buffer.ask(partial(_adopt, destinations=destinations))
            self._has_adopted = True
        interval_s = read_config(config).interval_s
        alike = await asyncio.to_thread(_alike, config, interval_s, layouts) if destinations else frozenset()
        for one in destinations:
            texts = ((part_digest(interval_s, text), text) for text in config.items())
            while some := await asyncio.to_thread(self._next, texts, one, layouts, alike):
                await self._buffer.ask(partial(self._keep, some=some, destination=one))
                self._known |= {(one.name, layout): known for layout, known, _ in some}
        names = {one.name for one in destinations}
        self._known = {key: known for key, known in self._known.items() if key[0] in names}  # may go with what waits for it
        await self._buffer.ask(partial(_forget, prefixes=frozenset(map(_prefix, destinations))))

    def _next(
        self, texts: Iterable[tuple[bytes, bytes]], destination: Destination, layouts: LayoutsOf, alike: Collection[bytes]
    ) -> list[tuple[int, bytes, dict[Item, list[Labels]]]]:
        """The next layouts that are new or have new labels, with their series; of devices that are in use only.

        `texts`: the devices' parts of the configuration, with their digests; `alike`: the digests of those whose labels would be
        another's.
        """
        labels = dict(destination.labels)
        salt = msgspec.json.encode((destination.kind, labels), order="sorted")
        found: list[tuple[int, bytes, dict[Item, list[Labels]]]] = []
        for digest, text in texts:
            is_alike = digest in alike
            known = blake2b(salt + text, digest_size=16, salt=b"alike" if is_alike else b"").digest()
            fresh = [layout for layout in layouts.get(digest, ()) if self._known.get((destination.name, layout)) != known]
            if fresh:
                series = series_of(readable(text), labels, alike=is_alike)
                found += [(layout, known, series) for layout in fresh]
            if len(found) >= AT_ONCE:
                break
        return found

    def _keep(self, store: Store, some: Sequence[tuple[int, bytes, dict[Item, list[Labels]]]], destination: Destination) -> None:
        for layout_id, _, series in some:
            try:
                layout = store.polls.layouts.read(layout_id)
            except BufferFailure:
                continue  # gone in between: it is registered again, and learned then
            packed = self._packer.pack(msgspec.msgpack.encode(KINDS[destination.kind].heads_of(layout, series)))
            key = _key(store, layout_id, destination)
            if store.get_meta(key) != packed:
                store.put_meta(key, packed)

    async def read(self, batch: Batch, destination: Destination) -> tuple[list[StoredPoll], dict[int, list[bytes]]]:
        """The polls of the batch, and what was encoded of each layout, by its id; without those that are not known.

        In one job: between two the database may be replaced by another, with other ids. Raises BufferFailure.
        """

        def job(store: Store) -> tuple[list[StoredPoll], dict[int, bytes | None]]:
            polls = store.read(batch)
            layouts = {poll.poll.layout for poll in polls}
            return polls, {layout: store.get_meta(_key(store, layout, destination)) for layout in layouts}

        polls, packed = await self._buffer.ask(job)
        for layout, octets in packed.items():
            if octets is None and self._known.pop((destination.name, layout), None) is not None:
                self.lost.set()
        return polls, {layout: self._unpacked(octets) for layout, octets in packed.items() if octets is not None}

    def _unpack(self, packed: bytes) -> list[bytes]:
        return msgspec.msgpack.decode(self._unpacker.unpack(packed, MOST_OCTETS), type=list[bytes])


class _Named(msgspec.Struct):
    """What a device's labels are made of, without decoding its sensors and interfaces."""

    id: Any = None
    name: Any = None
    ip_address: Any = None
    snmp: Any = None
    labels: Any = None


def _alike(config: ConfigText, interval_s: int, used: Collection[bytes]) -> frozenset[bytes]:
    """The digests of the devices whose labels another one has as well. `used`: the digests of those that are polled."""
    found: dict[frozenset[tuple[str, str]], dict[str, bytes]] = {}
    decode = msgspec.json.Decoder(_Named).decode
    for text in config.items():
        digest = part_digest(interval_s, text)
        if digest not in used:
            continue
        try:
            named = msgspec.structs.asdict(decode(text))
        except UNDECODABLE:
            named = readable(text)
        found.setdefault(frozenset(labels_of(named).items()), {}).setdefault(named["id"], digest)
    return frozenset(digest for several in found.values() if len(several) > 1 for digest in several.values())


def _prefix(destination: Destination) -> str:
    return f"{KEY}{destination.kind} {destination.name} "


def _key(store: Store, layout_id: int, destination: Destination) -> str:
    """By the digest of the layout's content; one that is gone has no row under its key."""
    row = store.connection.execute("SELECT digest FROM layouts WHERE id = ?", (layout_id,)).fetchone()
    return f"{_prefix(destination)}{'' if row is None else _content(row[0])}"


def _content(digest: bytes) -> str:
    """By what labels are kept: a layout that is there under another id too has a longer digest."""
    return digest[:DIGEST_OCTETS].hex()


def _adopt(store: Store, destinations: Sequence[Destination]) -> None:
    """Give what an earlier version has kept, for remote write, to the destination that goes on with its line: the first one."""
    if destinations[0].kind != REMOTE_WRITE:
        return
    for (key,) in store.connection.execute("SELECT key FROM meta WHERE substr(key, 1, ?) = ?", (len(KEY), KEY)).fetchall():
        digest = key.removeprefix(KEY)
        if " " not in digest and (packed := store.get_meta(key)) is not None:
            store.put_meta(f"{_prefix(destinations[0])}{digest}", packed)


def _forget(store: Store, prefixes: Collection[str]) -> None:
    """Remove those whose layout is no longer in the database, so that no poll can have it, and those that nobody wants.

    A destination that is gone may come back for what waits in its line.
    """
    waiting = set(lines(store.connection))
    used = {_content(digest) for (digest,) in store.connection.execute("SELECT digest FROM layouts")}
    keys = [key for (key,) in store.connection.execute("SELECT key FROM meta WHERE substr(key, 1, ?) = ?", (len(KEY), KEY))]
    gone = []
    for key in keys:
        before, blank, digest = key.rpartition(" ")
        kept = before + blank in prefixes or before.removeprefix(KEY).partition(" ")[2] in waiting
        if not kept or digest not in used:
            gone.append((key,))
    with transaction(store.connection):
        store.connection.executemany("DELETE FROM meta WHERE key = ?", gone)
