"""Numbers in texts: the number at a text's start, and the unit behind it.

A reading may be a text: `12.4 V`, `-61 dBm (excellent)`, `25 C (77.00 F)`, `23,5`. The first number is the reading, and a remark
behind it changes nothing. But a text may also be an address, a date, a time, a version, a list, a port or a model's name, and
begin with a digit all the same; none of these is a number. What may be read in two ways is Reason.AMBIGUOUS.
Pure.
"""

import re
from dataclasses import dataclass
from typing import Final

from towerops_agent.model import Number
from towerops_agent.polling.course.units import BARE, Unit, find_unit, same_quantity
from towerops_agent.reasons import Reason

LONGEST_TEXT: Final = 255
"""In octets: a DisplayString (RFC 2579 §2)."""

_LONGEST_NUMBER: Final = 64
_LONGEST_UNIT: Final = 24
_MOST_WORDS: Final = 2
"""How many words may follow a number, or its unit, without a sign between: a sentence is not a unit."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as a text has it. `unit`: the word behind it, mostly one that find_unit knows; BARE if there is none.

    A float may be infinite.
    """

    value: Number
    unit: str


_PADDING: Final = " \t\r\n\0"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")

_ALIKE: Final = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("\"'`\u00b4\u2018\u2019\u201c\u201d", " ")
    | dict.fromkeys("\u00ba\u02da", "°")
    | {"\u2103": "°C", "\u2109": "°F", "\uff05": "%", "\u03bc": "µ", "\u2126": "Ω"}
    | {"\uff08": "(", "\uff09": ")", "\uff1a": ":", "\uff0c": ", ", "\u3001": ", "}
)
"""Other signs with the same meaning; quotes count as blanks."""

_PLAIN: Final = re.compile(rb"(-?[0-9]{1,40}(?:\.[0-9]{1,40})?)[ \0\r\n]*")
_NUMBER: Final = re.compile(r"(?P<body>[+-]?(?:[0-9][0-9.,]*|\.[0-9][0-9.,]*))(?P<exponent>[eE][+-]?[0-9]+)?")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")
_EITHER: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
"""Thousands, or decimals, or a list."""
_GROUPED: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+\.[0-9]+|(?:\.[0-9]{3})+,[0-9]+)")
"""Both signs: the last is the decimal one."""

_WORD: Final = re.compile(
    r"\s*[.^*]*\s*((?:in|cm|mm)H2O|[a-zµ]{0,2}g/m3|[cdkm]?m[23](?:/[a-z]+)?|(?:[^\s0-9()\[\]{}<>:;,|=+!?_#&@/\\-]|/(?=[^\W\d]))+)"
)
_BRACKETS: Final = re.compile(r"\s*(?:\((?P<round>[^()]*(?:\([^()]*\)[^()]*)*)\)?|\[(?P<square>[^\[\]]*)\]?)")
_SEPARATOR: Final = re.compile(r"\s*(?P<sign>[:;,|=/]|(?<=\s)-(?=\s))")
_TRAILING: Final = ".~*^!"

_NO_WORDS: Final = re.compile(r"[\d:;,|=/<>_#@]")

_HEXADECIMAL: Final = re.compile(r"\s*0[xX][0-9a-fA-F]+\s*")

_STATUS: Final = frozenset(
    (
        *("ok", "okay", "normal", "good", "fine", "nominal", "high", "low", "warning", "warn", "critical", "alarm", "alert"),
        *("fail", "failed", "failure", "fault", "faulty", "error", "on", "off", "up", "down", "active", "inactive", "stable"),
        *("excellent", "fair", "poor", "bad", "weak", "strong", "minor", "major", "enabled", "disabled", "unknown", "valid"),
    )
)
"""Words that can only be a remark, also behind a number without a unit."""

_NOT_UNITS: Final = frozenset(
    (
        *("am", "pm", "a.m", "p.m", "of", "to", "or", "and", "by", "x", "th", "st", "nd", "rd", "bis"),
        *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december"),
        *("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    )
)
"""Words that change the meaning of the number before them: a time, a date, a part of a pair."""

_OF_VERSIONS: Final = re.compile(
    r"\b(?:alpha|beta|rc|rel|release|build|version|ver|stable|testing|long-term|lts|development|firmware|rev|revision|patch|sp|ga)\b",
    re.IGNORECASE,
)


def parse_numeral(octets: bytes) -> Numeral | Reason:
    """The number at the start of a text, behind blanks and quotes only, and its unit; or why it is not a number.

    `octets`: UTF-8; else Latin-1, or any other encoding in which digits are ASCII's, such as GB2312.
    """
    if len(octets.rstrip(b" \0")) > LONGEST_TEXT:
        return Reason.NOT_A_NUMBER
    if (plain := _PLAIN.fullmatch(octets)) is not None:  # the usual case
        return Numeral(_value(plain[1].decode()), BARE)
    text = _decode(octets)
    match = _NUMBER.match(text)
    if match is None or match.end() > _LONGEST_NUMBER:
        return Reason.NOT_A_NUMBER
    body, exponent, rest = match["body"], match["exponent"] or "", text[match.end() :]
    if body.endswith(",") and not exponent:
        body, rest = body[:-1], f",{rest}"
    unit = None if exponent and rest[:1].isalnum() else _unit_before(rest)
    if unit is None:
        return Reason.NOT_A_NUMBER
    if _DECIMAL.fullmatch(body):
        return Numeral(_value(body + exponent), unit)
    if _EITHER.fullmatch(body):
        return Reason.AMBIGUOUS
    if _DECIMAL_COMMA.fullmatch(body):
        return Numeral(_value(body.replace(",", ".") + exponent), unit)
    if _GROUPED.fullmatch(body):
        whole, decimals = re.fullmatch(r"(.*)[.,](.*)", body).groups()  # type: ignore[union-attr]  # _GROUPED has one of them
        return Numeral(_value(re.sub("[.,]", "", whole) + "." + decimals + exponent), unit)
    return Reason.NOT_A_NUMBER


def _decode(octets: bytes) -> str:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    text = text.rstrip(_PADDING).removeprefix("\ufeff").translate(_ALIKE).strip(" \t\r\n")
    return text.replace("&deg;", "°").replace("&#176;", "°")


def _value(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _unit_before(rest: str) -> str | None:
    """The unit at the start of `rest`, the text after a number; BARE if that is only a remark, or empty.

    None if it changes the meaning of the number.
    """
    if _CONTROLS.search(rest):
        return None
    match = _WORD.match(rest)
    if match is None:
        return BARE if _is_remark(rest, None) else None
    word, more = match[1].rstrip(_TRAILING), rest[match.end() :]
    if word == "":  # signs only: `45 *`
        return BARE if _is_remark(more, None) else None
    if word.lower() in _NOT_UNITS or word.startswith("/"):
        return None
    word, more = _degrees(word, more)
    known = _known(word)
    if known is None:
        glued = not rest[0].isspace()
        sensible = len(word) <= _LONGEST_UNIT and not any(character.isnumeric() for character in word)
        sensible &= not glued or not re.search("[\x00-\x7f]", word)  # `23度`, but not `716GE`
        return word if sensible and _is_remark(more, None, words=_MOST_WORDS - 1) else None
    unit = find_unit(known)
    assert unit is not None  # noqa: S101 - _known found it
    label = len(known) == 1 and not rest[0].isspace() and more.startswith(":")  # `1A: MX204` numbers a slot
    return known if _is_remark(more, None if label else unit) else None


def _known(word: str) -> str | None:
    """The unit that a word is or begins with: less the degree's sign, in any encoding, and less what is behind a slash."""
    bare = re.sub("^[^\x00-\x7fµΩ‰]+(?=[A-Za-z])", "", word)
    for candidate in (word, bare, bare.replace(".", ""), bare.partition("/")[0]):
        if candidate and find_unit(candidate) is not None:
            return candidate
    return None


def _degrees(word: str, more: str) -> tuple[str, str]:
    """`deg C`, `degrees Celsius`, `° C`, `degree.C`: the scale is the unit."""
    degrees, _, scale = word.partition(".")
    if degrees.lower() not in ("deg", "degree", "degrees", "°"):
        return word, more
    behind = scale + more
    match = re.match(r"\s*\.?\s*(celsius|centigrade|fahrenheit|kelvin|[cCfFK])(?![A-Za-z])", behind, re.IGNORECASE)
    return (word, more) if match is None else (match[1], behind[match.end() :])


def _is_remark(more: str, unit: Unit | None, words: int = _MOST_WORDS) -> bool:
    """Whether the text after a number and its unit, if there is one, changes nothing: it is empty, or a remark.

    `unit`: None if the number has no known unit; then only brackets and words of status are remarks. `words`: how many may follow
    without a sign before them.
    """
    more = more.rstrip(" " + _TRAILING + ("" if unit is None else ",;:|"))
    if not more.strip():
        return True
    if unit is not None and unit.dimension == "s" and re.search("[0-9]", more):
        return False  # `1 day, 2:03:04`, `5 min 3 s`: that is a part of the number
    brackets = _BRACKETS.match(more)
    if brackets is not None:
        inside = brackets["round"] if brackets["square"] is None else brackets["square"]
        behind = more[brackets.end() :]
        return (unit is not None or _says_no_more(inside or "")) and not behind[:1].isalnum() and _is_remark(behind, unit, words)
    separator = _SEPARATOR.match(more)
    if separator is not None:
        return _is_remark_behind(separator["sign"], more[separator.end() :], unit)
    if not more[:1].isspace():
        return False
    sentence = more.lower().split()
    if len(sentence) > words or _NO_WORDS.search(more) is not None:
        return False
    return unit is not None or _NOT_UNITS.isdisjoint(sentence)


def _says_no_more(inside: str) -> bool:
    """Whether the brackets after a number without a unit hold a remark: not a version's `(2r)`, not a bare number."""
    if _OF_VERSIONS.search(inside):
        return False
    if not re.match(r"\s*[+-]?[.,]?[0-9]", inside) or _HEXADECIMAL.fullmatch(inside):
        return True
    second = parse_numeral(inside.encode())
    return isinstance(second, Numeral) and second.unit != BARE


def _is_remark_behind(sign: str, remark: str, unit: Unit | None) -> bool:
    first = remark.strip()[:1]
    if first in ("", "+", "-", ".") or first.isdigit():
        second = parse_numeral(remark.encode())
        if unit is None or not isinstance(second, Numeral) or second.unit == BARE or sign not in "/=|,":
            return False
        other = find_unit(second.unit)
        return other is not None and other != unit and same_quantity(unit, other)
    if sign == ":" and not remark[:1].isspace() and not re.fullmatch("[A-Za-z]{4,}", remark):
        return False  # `4C:5E:0C`
    if unit is not None and sign != "=":
        return True
    match = re.match(r"\s*([A-Za-z]+)\b", remark)
    return match is not None and match[1].lower() in _STATUS
