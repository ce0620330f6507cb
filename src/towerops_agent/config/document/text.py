"""The text of a configuration between its arrival and its use: cut into its parts, and compressed.

client.py writes the chunks into a ConfigIntake; config/sync.py applies the ConfigText, equipment.py reads it device by
device, seal.py keeps it. 10,000 devices of 68 items are 80 MB of JSON, which need some 15 MB this way: the agent has 256.
Pure. Octets. Its own form of octets, for seal.py: MessagePack of a Struct, whose items are a zstd frame of lengths (four octets,
big-endian) and texts.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from towerops_agent.config.document.cutter import JsonCutter
from towerops_agent.errors import InvalidConfig
from towerops_agent.zstd import stream_compressor, stream_reader

LIST: Final = "equipment"
MEMBERS: Final = ("version", "poll_interval_seconds", "accepts")
"""The other members that are kept."""

_LEVEL: Final = 1
"""0.2 s for 80 MB; level 3 takes twice as long for 4 % less."""

_LENGTH_OCTETS: Final = 4


class ConfigText(msgspec.Struct, frozen=True, array_like=True):
    """One configuration: an object's members, as JSON by name, and its devices.

    `digest`: 16 octets, equal if the text was the same, octet for octet.
    """

    digest: bytes
    members: dict[str, bytes]
    packed: bytes

    def __repr__(self) -> str:  # it holds credentials
        return f"ConfigText({self.digest.hex()})"

    def items(self) -> Iterator[bytes]:
        """The JSON of each device, in order; one at a time is in memory."""
        with stream_reader(self.packed) as texts:
            while length := texts.read(_LENGTH_OCTETS):
                yield texts.read(int.from_bytes(length, "big"))


_decode = msgspec.msgpack.Decoder(ConfigText).decode


def encode_config(text: ConfigText) -> bytes:
    """`text` as octets, not encrypted."""
    return msgspec.msgpack.encode(text)


def decode_config(octets: bytes) -> ConfigText:
    """The inverse of encode_config. Raises msgspec.MsgspecError for other octets."""
    return _decode(octets)


class ConfigIntake:
    """Receives a configuration as it arrives."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._cutter = JsonCutter(LIST)
        self._members: dict[str, bytes] = {}
        self._compressor = stream_compressor(_LEVEL)
        self._packed: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        """Receive the next octets. Raises InvalidConfig if they can't belong to a configuration."""
        self._digest.update(chunk)
        self._keep(self._cutter.feed(chunk))

    def finish(self) -> ConfigText:
        """The whole configuration. Raises InvalidConfig if it is not a JSON object, or its equipment is not a list."""
        self._keep(self._cutter.close())
        self._packed.append(self._compressor.flush())
        return ConfigText(self._digest.digest(), self._members, b"".join(self._packed))

    def _keep(self, pieces: Iterable[tuple[str | None, bytes]]) -> None:
        items = bytearray()
        for name, piece in pieces:
            if name is None:
                items += len(piece).to_bytes(_LENGTH_OCTETS, "big") + piece
            elif name in MEMBERS:
                self._members[name] = piece
            elif name == LIST and piece != b"null":
                raise InvalidConfig(f"the configuration can't be used: {LIST} is not a list")
        if items:
            self._packed.append(self._compressor.compress(items))


def config_text(octets: bytes) -> ConfigText:
    """The configuration whose text is `octets`. Raises InvalidConfig."""
    intake = ConfigIntake()
    intake.write(octets)
    return intake.finish()
