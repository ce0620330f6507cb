"""Polls of one layout as one pack: their bodies side by side, zstd over them.

Neighbouring polls differ little, and most of what they share are whole runs of octets: counters of errors, the high octets of
traffic, the ids of runs. Level 1 finds that at 0.01 µs a value; differences, by row or column, save a tenth more space for two to
eight times the CPU, and reading one poll would then cost all those before it (docs/decisions/0009-packing.md has the figures).
Each pack has a checksum, as SQLite keeps no checksums.
Pure.
"""

from collections.abc import Mapping, Sequence

import msgspec

from towerops_agent.errors import BufferFailure
from towerops_agent.zstd import Frames

LEVEL = 1
PLAIN_OCTETS_MAX = 1 << 28
"""More than any pack has: what a damaged header may make us allocate."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[tuple[int, ...], tuple[bytes, ...]])


class Packing:
    """Packs and unpacks. For one thread: zstd's contexts are kept and used again."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = Frames(LEVEL)

    def pack(self, polls: Sequence[tuple[int, bytes]]) -> bytes:
        """The pack of these polls: (id, body)."""
        return self._frames.pack(_encoder.encode(([poll for poll, _ in polls], [body for _, body in polls])))

    def unpack(self, pack: bytes) -> Mapping[int, bytes]:
        """The bodies in the pack, by the id of their poll. Raises BufferFailure if its octets are damaged."""
        try:
            ids, bodies = _decoder.decode(self._frames.unpack(pack, PLAIN_OCTETS_MAX))
            return dict(zip(ids, bodies, strict=True))
        except (msgspec.MsgspecError, ValueError, MemoryError) as error:
            raise BufferFailure(f"a pack of polls can't be decoded: {error}") from error
