"""Makes USM keys off the event loop, and each password's key once.

A fleet mostly shares one password; its key (a hash of 1 MiB) is that of all its devices, before it is localised to each engine.
Only keys of passwords are remembered, never keys of an engine ID. I/O: a worker thread.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_agent.snmp.wire.usm_keys import password_to_key

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
