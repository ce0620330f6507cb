"""A text without the secrets in it, however whoever sent it back has written them: a server that echoes a token, a proxy's page.

text, secrets -> masked -> a reason, a log line. A secret is found as it is, escaped as in JSON (RFC 8259 §7), Python or HTML,
percent-encoded (RFC 3986 §2.1), in any order and some times over, broken into lines, and within what is Base64 (RFC 4648 §4 and
§5). So the text is decoded, one layer after the other, and what is found in a layer is masked at its place in the text. Pure.
"""

import re
from base64 import b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html.entities import name2codepoint
from typing import Final

MASK: Final = "***"

LEAST_IN_BASE64: Final = 6
"""Octets. What a shorter secret comes to would match parts of other words; so would one with a blank for a plus."""

LEAST_DECODED: Final = 4
"""Characters. A secret that is mostly escapes is sought as it is only."""

MOST_LAYERS: Final = 8

_CACHED: Final = 100

_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NAMED: Final = {**name2codepoint, "apos": ord("'")}

_OF_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")

_MAY_BE_ESCAPED: Final = re.compile(r"[\\%&]")
_ESCAPED: Final = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\(?:u(?P<unit>[0-9a-fA-F]{4})|U(?P<point>[0-9a-fA-F]{8})|x(?P<octet>[0-9a-fA-F]{2}))"
    r"|\\(?P<self>[ -$'-~]|&(?!#?\w{1,14};)|%(?![0-9a-fA-F]{2}))"
    r"|%(?P<percent>[0-9a-fA-F]{2})"
    r"|&(?:#(?P<decimal>[0-9]{1,14})|#[xX](?P<hex>[0-9a-fA-F]{1,14})|(?P<name>[A-Za-z][A-Za-z0-9]{1,7}));"
)
"""Any escape. One of an octet is a character, whatever the octets are of."""

_OCTETS: Final = re.compile("[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""What is UTF-8, an octet a character."""

_END_OF_LINE: Final = re.compile(r"\\?[ \t]{0,99}[\r\n][ \t\r\n]*")


_Sought = tuple[str, bool, bool]
"""A text; whether it is Base64; whether it has a blank for each plus, which stands for one in forms."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with *** in place of each of the secrets; of one that is part of another, the longer one counts."""
    sought = [one for secret in {*secrets} if secret for one in _sought(secret)]
    spans: list[tuple[int, int]] = []
    layers: list[_Layer] = []
    layer = text
    while True:
        spans += _before(layers, _found(layer, sought))
        for pattern, meaning in ((_END_OF_LINE, _nothing), (_OCTETS, _of_octets)):
            if pattern.search(layer):
                other = _replaced(layer, pattern, meaning)
                spans += _before([*layers, other], _found(other.text, sought))
        if len(layers) == MOST_LAYERS or not _MAY_BE_ESCAPED.search(layer):
            break
        layers.append(_replaced(layer, _ESCAPED, _meaning))
        if layers[-1].text == layer:
            break
        layer = layers[-1].text
    return _without(text, spans)


@dataclass(slots=True)
class _Layer:
    """A text of which pieces are replaced: one layer of escapes, the ends of lines. `ends`: the end of each piece, here and in
    the text before."""

    text: str = ""
    ends: list[int] = field(default_factory=lambda: [0])
    ends_before: list[int] = field(default_factory=lambda: [0])

    def before(self, span: tuple[int, int]) -> tuple[int, int]:
        """The place of it in the text before."""
        start, end = span
        left = bisect_right(self.ends, start) - 1
        right = bisect_left(self.ends, end)
        if right == len(self.ends) or self.ends[right] > end:
            right -= 1
        return (
            self.ends_before[left] + start - self.ends[left],
            self.ends_before[right] + end - self.ends[right],
        )


def _before(layers: Sequence[_Layer], spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The places of spans of the last layer in the text of which the first one is made."""
    for span in spans:
        for layer in reversed(layers):
            span = layer.before(span)  # noqa: PLW2901
        yield span


def _replaced(text: str, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str | None]) -> _Layer:
    """`text` with its meaning in place of whatever matches, if it has one."""
    layer = _Layer()
    pieces: list[str] = []
    at = length = 0
    for match in pattern.finditer(text):
        decoded = meaning(match)
        if decoded is not None:
            length += match.start() - at + len(decoded)
            pieces += (text[at : match.start()], decoded)
            at = match.end()
            layer.ends.append(length)
            layer.ends_before.append(at)
    layer.text = "".join((*pieces, text[at:]))
    return layer


def _meaning(match: re.Match[str]) -> str | None:
    """The character that is written so; None if it is not an escape."""
    kind = match.lastgroup
    digits = match[kind] if kind else ""
    match kind:
        case "self":
            return _SHORT.get(digits, digits)
        case "name":
            point = _NAMED.get(digits)
        case "decimal":
            point = int(digits)
        case "low":
            point = 0x10000 + (int(match["high"], 16) - 0xD800 << 10) + int(digits, 16) - 0xDC00
        case _:
            point = int(digits, 16)
    return None if point is None or point > 0x10FFFF else chr(point)


def _nothing(_match: re.Match[str]) -> str:
    return ""


def _of_octets(match: re.Match[str]) -> str:
    return match[0].encode("latin-1").decode(errors="surrogateescape")


def _found(text: str, sought: Iterable[_Sought]) -> Iterator[tuple[int, int]]:
    """The places of these in `text`; of what is in Base64, with the characters beside that have some of its bits."""
    with_blanks = text.replace("+", " ")
    for one, is_base64, has_blanks in sought:
        found_in = with_blanks if has_blanks else text
        start = found_in.find(one)
        while start >= 0:
            end = start + len(one)
            if is_base64:
                yield start - (text[start - 1 : start] in _OF_BASE64), _end_of_base64(text, end)
            else:
                yield start, end
            start = found_in.find(one, end)


def _end_of_base64(text: str, end: int) -> int:
    end += text[end : end + 1] in _OF_BASE64
    padding = text[end : end + 2]
    return end + len(padding) - len(padding.lstrip("="))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` with *** in place of what is in one of the spans, or in some that overlap."""
    pieces: list[str] = []
    at = until = 0
    for start, end in sorted(spans):
        if start >= until:
            pieces += (text[at:start], MASK)
        until = at = max(until, end)
    return "".join((*pieces, text[at:]))


@lru_cache(maxsize=_CACHED)
def _sought(secret: str) -> tuple[_Sought, ...]:
    """What is sought of a secret."""
    octets = secret.encode("utf-8", "surrogateescape")
    plain = {secret, octets.decode("latin-1")}  # as it is read by octets, of escapes or of a header
    plain |= {one for one in map(_fully_decoded, plain) if len(one) >= max(LEAST_DECODED, len(secret) // 2)}
    is_long = len(octets) >= LEAST_IN_BASE64
    found = {(one.replace("+", " "), False, True) if is_long else (one, False, False) for one in plain}
    if is_long:
        for before in range(3):
            encoded = b64encode(bytes(before) + octets).decode().rstrip("=")
            first = -(-before * 8 // 6)  # the first character with nothing of what is before it
            core = encoded[first : (before + len(octets)) * 8 // 6]
            found |= {(spelled.replace("+", " "), True, True) for spelled in (core, core.replace("+", "-").replace("/", "_"))}
    return tuple(sorted(found))


def _fully_decoded(text: str) -> str:
    """What a secret with escapes in it comes to once those of the text are decoded that it is in."""
    for _ in range(MOST_LAYERS):
        text = _replaced(text, _ESCAPED, _meaning).text
    return text.rstrip("\\")
