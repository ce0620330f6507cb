"""Lines for an operator: a label, a text, and how it is; as plain text, or fitted to a terminal.

Pure. The width is passed in, in columns. Names and reasons are shown without control characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap
from typing import Final

from towerops_agent.text import printable

LABEL_WIDTH: Final = 10
_FILLER: Final = "\0"
"""It is in no text that is shown: `printable` writes it otherwise."""

LEAST_WIDTH: Final = 40
"""On a narrower terminal lines are as wide as this, and the terminal breaks them."""


class Tone(StrEnum):
    """How it is what a line says; on a terminal, a colour."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """`label`: what it is about, "" as above. `indent`: of the text, behind the labels."""

    text: str
    tone: Tone = Tone.PLAIN
    label: str = ""
    indent: int = 0


def section(label: str, lines: Iterable[Line]) -> list[Line]:
    """`lines`, the first of them with the label."""
    return [Line(line.text, line.tone, label if i == 0 else "", line.indent) for i, line in enumerate(lines)]


def laid_out(line: Line, width: int | None = None) -> list[str]:
    """The line as text; as several if it is longer than `width`, each below the beginning of its text. None: as long as it is."""
    first = f"{line.label:<{LABEL_WIDTH}} {' ' * line.indent}"
    text = printable(line.text)
    if width is None or columns(first) + columns(text) <= width:
        return [f"{first}{text}".rstrip()]
    return hanging(first, text, width)


def hanging(first: str, text: str, width: int) -> list[str]:
    """`first` and then `text`, in lines of `width` columns, those after the first below the beginning of the text."""
    widened = _widened(text)
    odd = _FILLER in widened  # a long word may be broken before the filler of its last character
    lines = wrap(
        widened,
        max(width, LEAST_WIDTH) - odd,
        initial_indent=_widened(first),
        subsequent_indent=" " * columns(first),
        break_on_hyphens=False,
    )
    return [line.replace(_FILLER, "") for line in lines] or [first.rstrip()]


def columns(text: str) -> int:
    """How many columns of a terminal it takes: two for each wide character (Unicode's UAX #11), none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """`text` with blanks up to so many columns."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int | None, dots: str = "…") -> str:
    """`text` in `width` columns, with `dots` at its end if it is longer; None: as long as it is."""
    if width is None or columns(text) <= width:
        return text
    while columns(text) > max(width - len(dots), 0):
        text = text[:-1]
    return f"{text}{dots}"


def _columns(character: str) -> int:
    import unicodedata  # noqa: PLC0415  # the agent itself has no use for it, and seldom is a name not ASCII

    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _widened(text: str) -> str:
    """`text` with a filler behind each wide character: textwrap counts characters."""
    return text if text.isascii() else "".join(f"{c}{_FILLER}" if _columns(c) > 1 else c for c in text)


def plain(lines: Iterable[Line]) -> str:
    """All of them as text, without colour."""
    return "\n".join(text for line in lines for text in laid_out(line))
