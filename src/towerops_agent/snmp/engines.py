"""What v3 needs beside the wire: users' keys, made off the event loop, and a log of what changes about devices' engines.

A fleet mostly shares one password; its key (a hash of 1 MiB) is that of all its devices, before it is localised to each engine.
Only keys of passwords are remembered, never keys of an engine ID. I/O: a worker thread, the log.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.wire.exchange import Exchanges, Peer
from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_agent.snmp.wire.usm_keys import password_to_key
from towerops_agent.text import address

log = structlog.get_logger()

_WARNINGS: Final = {
    "boots_reset": "SNMP engine's boots or time went back: it lost count of its restarts; accepted",
    "replaced": "SNMP engine has another ID: the device was replaced or set up again; accepted",
}

WARN_AGAIN_S: Final = 3600.0
"""How long the same warning about the same device is not repeated: some firmware has another engine ID in each message."""

MOST_REMEMBERED: Final = 10_000

NameOf = Callable[[Peer], str]
"""The name of the device at an address, or ""."""

REMEMBERED_PASSWORDS: Final = 20_000
"""Keys of 32 to 64 octets each; room for a fleet in which each device has two passwords of its own."""


class KeyDerivation:
    """Makes the keys that UsmSecurity needs. `draw(a, b)`: a random number from a to b, both included."""

    def __init__(self, draw: Callable[[int, int], int]) -> None:
        self._draw = draw
        self._known: dict[tuple[str, bytes], bytes] = {}

    async def equip(self, security: UsmSecurity) -> None:
        """Make the keys, if `security` needs any. Afterwards its engine may be another one, if that answered meanwhile."""
        if security.wants_keys:
            keys = await asyncio.to_thread(security.derivation(), self._key_of)
            if security.wants_keys:  # another request to the same device may have been faster
                security.use(keys, self._draw(0, 0xFFFFFFFFFFFFFFFF))

    def _key_of(self, hash_name: str, password: bytes) -> bytes:
        """Runs in several threads, which may do the same work twice: cheaper than to wait for each other."""
        key = self._known.get((hash_name, password))
        if key is None:
            if len(self._known) >= REMEMBERED_PASSWORDS:
                self._known.clear()
            key = self._known[hash_name, password] = password_to_key(hash_name, password)
        return key


class EngineLog:
    """Counts each change. What should not happen to a healthy device is a warning, once an hour for each device."""

    def __init__(self, counters: Counters, name_of: NameOf, clock_s: Callable[[], float]) -> None:
        """`clock_s`: seconds on a monotonic clock."""
        self._counters = counters
        self._name_of = name_of
        self._clock_s = clock_s
        self._warned: dict[tuple[Peer, str], tuple[float, int]] = {}  # when, and how often since

    def take(self, exchanges: Exchanges) -> None:
        """Take out what changed."""
        for peer, change in exchanges.changes:
            self._counters.add(Count.SNMP_ENGINES, change.kind)
            where = log.bind(
                device=self._name_of(peer), address=address(peer[0], peer[1]), before=change.before, after=change.after
            )
            if change.kind in _WARNINGS:
                unlogged = self._unlogged(peer, change.kind)
                if unlogged is not None:
                    where.warning(_WARNINGS[change.kind], unlogged=unlogged)
            else:
                where.debug("SNMP engine is new" if change.kind == "discovered" else "SNMP engine restarted")
        exchanges.changes.clear()

    def _unlogged(self, peer: Peer, kind: str) -> int | None:
        """How many warnings were left out since the last one; None if this one is left out too."""
        now_s = self._clock_s()
        at_s, unlogged = self._warned.get((peer, kind), (-WARN_AGAIN_S, 0))
        if now_s - at_s < WARN_AGAIN_S:
            self._warned[peer, kind] = (at_s, unlogged + 1)
            return None
        if len(self._warned) >= MOST_REMEMBERED:
            self._warned.clear()
        self._warned[peer, kind] = (now_s, 0)
        return unlogged
