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
    if width is None or len(first) + len(text) <= width:
        return [f"{first}{text}".rstrip()]
    return hanging(first, text, width)


def hanging(first: str, text: str, width: int) -> list[str]:
    """`first` and then `text`, in lines of `width` columns, those after the first below the beginning of the text."""
    return wrap(
        text,
        max(width, LEAST_WIDTH),
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
    ) or [first.rstrip()]


def plain(lines: Iterable[Line]) -> str:
    """All of them as text, without colour."""
    return "\n".join(text for line in lines for text in laid_out(line))
