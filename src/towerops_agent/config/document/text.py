"""The text of a configuration between its arrival and its use: cut into its parts, and compressed.

client.py writes the chunks into a ConfigIntake, which cuts them into the object's members and the items of its one long list;
config/sync.py applies the ConfigText, equipment.py reads it device by device, kept.py keeps it. 10,000 devices of 68 items are
80 MB of JSON, which need some 15 MB this way: only a chunk and one item are in memory uncompressed, and the agent has 256 MB.
Each piece is a whole JSON value, its syntax checked (its UTF-8 is not).
Pure. Octets. Source: RFC 8259. Its own form, for kept.py: MessagePack of a Struct, whose items are a zstd frame of lengths
(four octets, big-endian) and texts.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from hashlib import blake2b
from typing import Final

import msgspec

from towerops_agent.config.document.fields import UNDECODABLE
from towerops_agent.errors import InvalidConfig
from towerops_agent.zstd import stream_compressor, stream_reader

MOST_PIECE_OCTETS: Final = 32 << 20
"""A longer piece is refused, with the whole configuration: 300,000 sensors of one device are shorter."""

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,:\[\]{}\"]++")
_TO_BRACKET: Final = re.compile(rb'(?:[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{}])', re.DOTALL)

_ESCAPE: Final = re.compile(
    rb"\\(?:u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|(?P<lone>u[Dd][89A-Fa-f][0-9A-Fa-f]{2})|.)", re.DOTALL
)
"""An escape in a JSON text. All are matched, so that no escape is seen after an escaped backslash."""

_CLOSING: Final = {ord("{"): b"}", ord("["): b"]"}


class _Due(Enum):
    """The next element."""

    OBJECT = auto()
    NAME_OR_END = auto()
    NAME = auto()
    COLON = auto()
    VALUE = auto()
    MEMBER_END = auto()
    ITEM_OR_END = auto()
    ITEM = auto()
    ITEM_END = auto()
    NOTHING = auto()


_PUNCTUATION: Final = {
    (_Due.OBJECT, ord("{")): _Due.NAME_OR_END,
    (_Due.NAME_OR_END, ord("}")): _Due.NOTHING,
    (_Due.COLON, ord(":")): _Due.VALUE,
    (_Due.MEMBER_END, ord(",")): _Due.NAME,
    (_Due.MEMBER_END, ord("}")): _Due.NOTHING,
    (_Due.ITEM_OR_END, ord("]")): _Due.MEMBER_END,
    (_Due.ITEM_END, ord(",")): _Due.ITEM,
    (_Due.ITEM_END, ord("]")): _Due.MEMBER_END,
}


class _Incomplete(Exception):
    """The piece goes on in the next chunk."""


class JsonCutter:
    """One JSON object. `list_name`: the member whose items are cut out one by one, if it is a list."""

    def __init__(self, list_name: str) -> None:
        self._list_name = list_name
        self._due = _Due.OBJECT
        self._name = ""
        self._text = b""  # not cut yet
        self._again_at = 0  # an incomplete piece is tried again when the text has doubled, which keeps the time linear
        self._offset = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str | None, bytes]]:
        """The pieces that this chunk completes: a member's name and its value; for the list's items the name is None.

        Consume all of them. Raises InvalidConfig if the text is not a JSON object.
        """
        self._text += chunk
        if len(self._text) >= self._again_at:
            yield from self._cut()
            if len(self._text) > MOST_PIECE_OCTETS:
                raise InvalidConfig(f"the configuration can't be used: one item has more than {MOST_PIECE_OCTETS >> 20} MiB")
            self._again_at = 2 * len(self._text)

    def close(self) -> Iterator[tuple[str | None, bytes]]:
        """The last pieces, after the last chunk. Raises InvalidConfig if the object is incomplete."""
        yield from self._cut()
        if self._due is not _Due.NOTHING or self._text:
            raise InvalidConfig(f"the configuration can't be used: its JSON ends too early, after {self._offset} octets")

    def _cut(self) -> Iterator[tuple[str | None, bytes]]:
        text, at = self._text, 0
        try:
            while (at := _after_space(text, at)) < len(text):
                following = _PUNCTUATION.get((self._due, text[at]))
                if following is not None:
                    self._due = following
                    at += 1
                elif self._due in (_Due.NAME, _Due.NAME_OR_END) and text[at] == ord('"'):
                    name, at = self._piece(text, at)
                    self._name, self._due = _text_of(name), _Due.COLON
                elif self._due is _Due.VALUE and self._name == self._list_name and text[at] == ord("["):
                    self._due = _Due.ITEM_OR_END
                    at += 1
                elif self._due in (_Due.VALUE, _Due.ITEM, _Due.ITEM_OR_END):
                    piece, at = self._piece(text, at)
                    if self._due is _Due.VALUE:
                        self._due = _Due.MEMBER_END
                        yield self._name, piece
                    else:
                        self._due = _Due.ITEM_END
                        yield None, piece
                else:
                    raise self._malformed(at)
        except _Incomplete:
            pass
        self._text = text[at:]
        self._offset += at

    def _piece(self, text: bytes, at: int) -> tuple[bytes, int]:
        """The value at `at`, and where it ends. Raises _Incomplete; and InvalidConfig if it is not JSON."""
        if text[at] in _CLOSING:
            end = _quick_end(text, at)
            if end is not None and _is_json(piece := text[at:end]):
                return piece, end
            end = _exact_end(text, at)
        else:
            end = _scalar_end(text, at)
        piece = text[at:end]
        if not _is_json(piece):
            piece = _without_lone_surrogates(piece)
            if not _is_json(piece):
                raise self._malformed(at)
        return piece, end

    def _malformed(self, at: int) -> InvalidConfig:
        return InvalidConfig(f"the configuration can't be used: malformed JSON at octet {self._offset + at}")


def _text_of(piece: bytes) -> str:
    """A piece as text; U+FFFD, which no name contains, for invalid UTF-8."""
    try:
        return msgspec.json.decode(piece, type=str)
    except UNDECODABLE:
        return "\ufffd"


def _after_space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _scalar_end(text: bytes, at: int) -> int:
    """Where the text, number or word at `at` ends. Raises _Incomplete."""
    if text[at] == ord('"'):
        match = _STRING.match(text, at)
        if match is None:
            raise _Incomplete
        return match.end()
    match = _SCALAR.match(text, at)
    if match is None:
        return at + 1  # not JSON
    if match.end() == len(text):
        raise _Incomplete  # 12 may become 123
    return match.end()


def _quick_end(text: bytes, at: int) -> int | None:
    """The end of the object or list at `at`, if no text in it has such a bracket. The caller checks it; _exact_end is slower."""
    opening, closing = text[at : at + 1], _CLOSING[text[at]]
    depth, place = 0, at
    while (end := text.find(closing, place)) >= 0:
        depth += text.count(opening, place, end) - 1
        place = end + 1
        if depth == 0:
            return place
    return None


def _exact_end(text: bytes, at: int) -> int:
    depth = 0
    while match := _TO_BRACKET.match(text, at):
        at = match.end()
        depth += 1 if match[1] in b"{[" else -1
        if depth == 0:
            return at
    raise _Incomplete


def _is_json(piece: bytes) -> bool:
    """Whether it is JSON, as far as can be seen: a piece that is nested too deep is left to whoever reads it to refuse."""
    try:
        msgspec.json.decode(piece, type=msgspec.Raw)
    except RecursionError:
        return True
    except UNDECODABLE:
        return False
    return True


def _without_lone_surrogates(piece: bytes) -> bytes:
    """`piece`, in which half of a surrogate pair is U+FFFD.

    A server that cuts a name within an emoji may send one ("\\ud83d"): it is JSON (RFC 8259 §8.2), but not text, and msgspec
    reads it as the end of the whole.
    """
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["lone"] else escape[0], piece)


LIST: Final = "equipment"
MEMBERS: Final = ("version", "poll_interval_seconds", "accepts")
"""The other members that are kept."""

SITE: Final = "site"
"""The member of a configuration that was compiled from site files, and of none that arrived: the items that are refused already,
each as [kind, equipment, item, reason]. In such a configuration an interface may have the index 0: it is where its name is; and a
sensor may have `skip`."""

_LEVEL: Final = 1
"""0.2 s for 80 MB; level 3 takes twice as long for 4 % less."""

_LENGTH_OCTETS: Final = 4

_PIECE_OCTETS: Final = 1 << 16
_NO_OCTETS, _OCTETS = b"\xc4\x00", b"\xc6"
"""How MessagePack has an empty binary, and what it has before the length of a long one ("bin format family")."""


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
    return b"".join(encoded(text))


def encoded(text: ConfigText) -> Iterator[bytes]:
    """The octets of encode_config in pieces, so that there is no second copy of them all."""
    yield msgspec.msgpack.encode(ConfigText(text.digest, text.members, b""))[: -len(_NO_OCTETS)]
    yield _OCTETS + len(text.packed).to_bytes(_LENGTH_OCTETS, "big")
    packed = memoryview(text.packed)
    for at in range(0, len(packed), _PIECE_OCTETS):
        yield bytes(packed[at : at + _PIECE_OCTETS])


def decode_config(octets: bytes | bytearray) -> ConfigText:
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
        self._has_items = self._is_error = False

    def write(self, chunk: bytes) -> None:
        """Receive the next octets. Raises InvalidConfig if they can't belong to a configuration."""
        self._digest.update(chunk)
        self._keep(self._cutter.feed(chunk))

    def finish(self) -> ConfigText:
        """The whole configuration. Raises InvalidConfig if it is not a JSON object, or its equipment is not a list.

        So it does if there is no equipment, but a word that the server failed: that is not a configuration without devices.
        """
        self._keep(self._cutter.close())
        if self._is_error and not self._has_items:
            raise InvalidConfig("the configuration can't be used: it has no equipment, and its status is an error")
        self._packed.append(self._compressor.flush())
        return ConfigText(self._digest.digest(), self._members, b"".join(self._packed))

    def _keep(self, pieces: Iterable[tuple[str | None, bytes]]) -> None:
        items = bytearray()
        for name, piece in pieces:
            if name is None:
                items += len(piece).to_bytes(_LENGTH_OCTETS, "big") + piece
            elif name in MEMBERS:
                self._members[name] = piece
            elif name == "status":
                self._is_error = _text_of(piece).lower() == "error"
            elif name == LIST and piece != b"null":
                raise InvalidConfig(f"the configuration can't be used: {LIST} is not a list")
        if items:
            self._has_items = True
            self._packed.append(self._compressor.compress(items))


def config_text(octets: bytes) -> ConfigText:
    """The configuration whose text is `octets`. Raises InvalidConfig."""
    intake = ConfigIntake()
    intake.write(octets)
    return intake.finish()


class ConfigWriter:
    """A configuration that is made here, device by device."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._compressor = stream_compressor(_LEVEL)
        self._packed: list[bytes] = []

    def add(self, item: bytes) -> None:
        """The next device, as JSON."""
        framed = len(item).to_bytes(_LENGTH_OCTETS, "big") + item
        self._digest.update(framed)
        self._packed.append(self._compressor.compress(framed))

    def finish(self, members: dict[str, bytes]) -> ConfigText:
        """The whole configuration. `members`: as JSON, by name."""
        digest = blake2b(self._digest.digest(), digest_size=16)
        for name, value in members.items():
            digest.update(b"%d %s %d " % (len(name), name.encode(), len(value)) + value)
        self._packed.append(self._compressor.flush())
        return ConfigText(digest.digest(), members, b"".join(self._packed))
