"""Polls of one layout as one pack: their bodies side by side, zstd over them.

Neighbouring polls differ little, and most of what they share are whole runs of octets: counters of errors, the high octets of
traffic, the ids of runs. Level 1 finds that at 0.01 µs a value; differences, by row or column, save a tenth more space for two to
eight times the CPU, and reading one poll would then cost all those before it (docs/decisions/0009-packing.md has the figures).
A checksum is in each pack, as SQLite has none.
Pure.
"""

from collections.abc import Mapping, Sequence

import msgspec
import zstandard

from towerops_agent.errors import BufferFailure

LEVEL = 1
PLAIN_OCTETS_MAX = 1 << 28
"""More than any pack has: what a damaged header may make us allocate."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[tuple[int, ...], tuple[bytes, ...]])


class Packing:
    """Packs and unpacks. For one thread: zstd's contexts are kept and used again."""

    __slots__ = ("_compressor", "_decompressor")

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(self, polls: Sequence[tuple[int, bytes]]) -> bytes:
        """The pack of these polls: (id, body)."""
        return self._compressor.compress(_encoder.encode(([poll for poll, _ in polls], [body for _, body in polls])))

    def unpack(self, pack: bytes) -> Mapping[int, bytes]:
        """The bodies in the pack, by the id of their poll. Raises BufferFailure if its octets are damaged."""
        try:
            size = zstandard.frame_content_size(pack)
            if not 0 <= size <= PLAIN_OCTETS_MAX:
                raise BufferFailure(f"a pack says that it holds {size} octets: expected 0 to {PLAIN_OCTETS_MAX}")
            ids, bodies = _decoder.decode(self._decompressor.decompress(pack))
            return dict(zip(ids, bodies, strict=True))
        except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, MemoryError) as error:
            raise BufferFailure(f"a pack of polls can't be decoded: {error}") from error
