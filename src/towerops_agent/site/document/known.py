"""Devices of an earlier reading of the site files, taken as they are if their text did not change.

The digest of a device's text -> what it was compiled to. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from towerops_agent.config.document.text import ConfigText
from towerops_agent.site.document.auto import Additions, Found


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What a device was compiled to. `place`: in the configuration; `found`: what was discovered of it.

    `called`: in a message that refuses it; `lines`, `column`: where its address is, from the line at which it begins.
    """

    place: int
    called: str
    lines: int
    column: int
    id: str
    name: str
    host: str
    port: int
    sensors: int
    interfaces: int
    is_auto: bool
    found: Found | None


class Earlier:
    """The devices of an earlier result. They are read in their order, as they are compressed: those behind are out of reach."""

    def __init__(self, config: ConfigText | None, shown: ConfigText | None, known: Mapping[bytes, KnownDevice]) -> None:
        """`config`, `shown`: the whole, with and without secrets; without them nothing is taken. `known`: by digest."""
        self._known = known if config is not None and shown is not None else {}
        self._items: Iterator[bytes] = iter(()) if config is None else config.items()
        self._shown: Iterator[bytes] = iter(()) if shown is None else shown.items()
        self._planned = self._read = -1

    def plan(self, digest: bytes | None, additions: Additions) -> KnownDevice | None:
        """The device whose text has this digest, if it can be taken; then `take` has to be called for it."""
        known = None if digest is None else self._known.get(digest)
        if known is None or known.place <= self._planned or (known.is_auto and additions.get(known.id) is not known.found):
            return None
        self._planned = known.place
        return known

    def take(self, known: KnownDevice) -> tuple[bytes, bytes]:
        """Its JSON, and the same without secrets."""
        while True:
            self._read += 1
            item, masked = next(self._items), next(self._shown)
            if self._read == known.place:
                return item, masked
