"""A text without the secrets in it, however whoever sent it back has written them: a server that echoes a token, a proxy's page.

text, secrets -> masked -> a reason, a log line. A secret is found as it is, escaped as in JSON (RFC 8259 §7), Python or HTML,
percent-encoded (RFC 3986 §2.1), each also twice, and within what is Base64 (RFC 4648 §4 and §5). Pure.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MASK: Final = "***"

LEAST_IN_BASE64: Final = 6
"""Octets. What a shorter secret comes to would match parts of other words."""

BEGINNING: Final = 12
"""Characters that are looked for first: the pattern of a whole token of 1,000 takes long to make, and a megabyte."""

_CACHED: Final = 100

_ESCAPES: Final = re.compile(r"[\\%&+]")
_SHORT: Final = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_NAMED: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_OF_BASE64: Final = "[A-Za-z0-9+/_-]"


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with *** in place of each of the secrets; the longest first, so that no end of one is left."""
    has_escapes = _ESCAPES.search(text) is not None
    for secret in sorted({one for one in secrets if one}, key=len, reverse=True):
        for core, within_base64 in _in_base64(secret):
            if core in text:
                text = within_base64.sub(MASK, text)
        if not has_escapes:
            text = text.replace(secret, MASK)
        elif _escaped(secret[:BEGINNING]).search(text):
            text = _escaped(secret).sub(MASK, text)
    return text


@lru_cache(maxsize=_CACHED)
def _escaped(secret: str) -> re.Pattern[str]:
    """Matches the secret whichever of its characters are escaped, and how."""
    return re.compile("".join(f"(?:{_any_of(character)})" for character in secret))


def _any_of(character: str) -> str:
    """A pattern of all spellings of a character. What may be repeated, is so a few times: no text takes long to be searched."""
    units = character.encode("utf-16-be", "surrogatepass")
    octets = character.encode("utf-8", "surrogatepass")
    spellings = [
        "".join(r"\\{1,8}u" + _hex(units[at : at + 2]) for at in range(0, len(units), 2)),
        "".join("%(?:25){0,4}" + _hex(bytes((octet,))) for octet in octets),
        rf"&(?:amp;){{0,4}}#(?:0{{0,7}}{ord(character)}|[xX]0{{0,7}}{_hex(b'%x' % ord(character), is_text=True)});",
    ]
    if len(units) == 2 and units[0] == 0:
        spellings.append(r"\\{1,8}x" + _hex(octets if len(octets) == 1 else units[1:]))
    spellings.append(r"\\{1,8}U" + _hex(character.encode("utf-32-be", "surrogatepass")))
    if character in _SHORT:
        spellings.append(r"\\{1,8}" + _SHORT[character])
    if character in _NAMED:
        spellings.append(f"&(?:amp;){{0,4}}{_NAMED[character]};")
    if character == " ":
        spellings.append(r"\+")
    spellings.append(r"\\{0,8}" + re.escape(character) if character != "\\" else r"\\{1,8}")  # last: `u` begins as `\\u0075` does
    return "|".join(spellings)


def _hex(octets: bytes, *, is_text: bool = False) -> str:
    """A pattern of the octets as hexadecimal digits of either case; `is_text`: they are such digits already."""
    digits = octets.decode() if is_text else octets.hex()
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


@lru_cache(maxsize=_CACHED)
def _in_base64(secret: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What the secret comes to within a text in Base64, wherever it begins there, and a pattern with the characters beside that
    have some of its bits."""
    octets = secret.encode("utf-8", "surrogateescape")
    if len(octets) < LEAST_IN_BASE64:
        return ()
    cores = {}
    for before in range(3):
        encoded = b64encode(bytes(before) + octets).decode().rstrip("=")
        first = -(-before * 8 // 6)  # the first character with nothing of what is before it
        whole = (before + len(octets)) * 8 // 6
        core = encoded[first:whole]
        for spelled in {core, core.replace("+", "-").replace("/", "_")}:
            cores[spelled] = re.compile(f"{_OF_BASE64}?{re.escape(spelled)}{_OF_BASE64}?={{0,2}}")
    return tuple(cores.items())
