"""zstd's frames (RFC 8878): by Python's own library from 3.14 on, by the package zstandard before.

Octets -> frames -> octets (used by buffer/format/codec.py and config/document/text.py). Each reads what the other wrote.
Pure: of sys it reads Python's version only.
"""

import sys
from io import BufferedReader, BytesIO
from typing import Protocol

_READ_OCTETS = 1 << 17


class DamagedFrame(ValueError):
    """Octets that are not one whole frame, or hold more than is allowed."""


class StreamCompressor(Protocol):
    """Makes one frame of what arrives piece by piece."""

    def compress(self, piece: bytes | bytearray, /) -> bytes:
        """What of the frame is ready, with this piece in it; often nothing."""

    def flush(self) -> bytes:
        """The rest of the frame."""


if sys.version_info >= (3, 14):
    from compression import zstd

    class Frames:
        """Whole frames with their size and a checksum. For one thread: the compressor is used again."""

        __slots__ = ("_compressor",)

        def __init__(self, level: int) -> None:
            parameter = zstd.CompressionParameter
            self._compressor = zstd.ZstdCompressor(options={parameter.compression_level: level, parameter.checksum_flag: 1})

        def pack(self, plain: bytes) -> bytes:
            """The frame of `plain`."""
            return self._compressor.compress(plain, zstd.ZstdCompressor.FLUSH_FRAME)

        def unpack(self, frame: bytes, most_octets: int) -> bytes:
            """What the frame holds. Raises DamagedFrame, for a frame of unknown size and one of more than `most_octets` too."""
            try:
                size = zstd.get_frame_info(frame).decompressed_size
                if size is None or size > most_octets:
                    raise DamagedFrame(f"the frame holds {size} octets: expected at most {most_octets}")
                decompressor = zstd.ZstdDecompressor()
                plain = decompressor.decompress(frame, size + 1)  # one more than there is: so it reads the checksum too
            except (zstd.ZstdError, MemoryError) as error:
                raise DamagedFrame(str(error)) from error
            if not decompressor.eof or len(plain) != size:
                raise DamagedFrame("the frame is cut short")
            return plain

    def stream_compressor(level: int) -> StreamCompressor:
        """A compressor of one frame."""
        return zstd.ZstdCompressor(level)

    def stream_reader(frame: bytes) -> BufferedReader:
        """What the frame holds, to be read piece by piece."""
        return BufferedReader(zstd.ZstdFile(BytesIO(frame)), _READ_OCTETS)

else:
    import zstandard

    class Frames:
        """Whole frames with their size and a checksum. For one thread: the compressor and the decompressor are used again."""

        __slots__ = ("_compressor", "_decompressor")

        def __init__(self, level: int) -> None:
            self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
            self._decompressor = zstandard.ZstdDecompressor()

        def pack(self, plain: bytes) -> bytes:
            """The frame of `plain`."""
            return self._compressor.compress(plain)

        def unpack(self, frame: bytes, most_octets: int) -> bytes:
            """What the frame holds. Raises DamagedFrame, for a frame of unknown size and one of more than `most_octets` too."""
            try:
                size = zstandard.frame_content_size(frame)
                if not 0 <= size <= most_octets:
                    raise DamagedFrame(f"the frame holds {size} octets: expected at most {most_octets}")
                if size == 0 and frame != self._compressor.compress(b""):  # which zstandard would not look at
                    raise DamagedFrame("the frame says that it is empty, and is not")
                return self._decompressor.decompress(frame)
            except (zstandard.ZstdError, MemoryError) as error:
                raise DamagedFrame(str(error)) from error

    def stream_compressor(level: int) -> StreamCompressor:
        """A compressor of one frame."""
        return zstandard.ZstdCompressor(level=level).compressobj()

    def stream_reader(frame: bytes) -> BufferedReader:
        """What the frame holds, to be read piece by piece."""
        return BufferedReader(zstandard.ZstdDecompressor().stream_reader(frame), _READ_OCTETS)
