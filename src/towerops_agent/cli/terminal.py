"""How a command writes on a terminal: as wide as it is, in colour unless NO_COLOR is set; the same text without both elsewhere.

Source: https://no-color.org.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Final

import click

from towerops_agent.cli.ending import complain
from towerops_agent.errors import AgentError
from towerops_agent.telemetry.views.lines import Line, Tone, laid_out

_COLOURS: Final = {Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.BAD: "red"}

_HOME: Final = "\x1b[H"
_TO_END_OF_LINE: Final = "\x1b[K"
_TO_END_OF_SCREEN: Final = "\x1b[J"


def on_terminal() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def width() -> int | None:
    """The width of the terminal in columns; None if the output does not go to one."""
    return shutil.get_terminal_size().columns if on_terminal() else None


def painted(text: str, tone: Tone) -> str:
    """`text` in the colour of `tone`, if colours are wanted."""
    colour = _COLOURS.get(tone)
    if colour is None or not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=colour)


def fitted(lines: Iterable[Line]) -> list[str]:
    """`lines` as wide as the terminal, painted; the label is not."""
    columns = width()
    texts = []
    for line in lines:
        first, *rest = laid_out(line, columns)
        label = len(first) - len(first[len(line.label) :].lstrip())
        texts.append(first[:label] + painted(first[label:], line.tone))
        texts += [painted(text, line.tone) for text in rest]
    return texts


def show_for_good(lines: Callable[[], list[str]], pause: Callable[[], None]) -> None:
    """Show `lines()` again after each `pause()`, until Ctrl-C: on a terminal, as much as it has room for, in place.

    Raises AgentError if the first `lines()` does. A later one's reason is shown in its place, but in a pipe on standard
    error: whoever reads the lines, as JSON perhaps, gets nothing else.
    """
    if in_place := on_terminal():
        click.clear()
    texts: list[str] | None = None
    try:
        while True:
            try:
                texts = lines()
            except AgentError as error:
                if texts is None:
                    raise
                texts = fitted([Line(str(error), Tone.BAD, "error")]) if in_place else []
                if not in_place:
                    complain(str(error))
            if in_place:
                texts = _cut_to_height(texts, shutil.get_terminal_size().lines - 1)
                text = _HOME + "".join(f"{text}{_TO_END_OF_LINE}\n" for text in texts) + _TO_END_OF_SCREEN
                click.echo(text, nl=False, color=True)
            elif texts:
                click.echo("\n".join(texts))
            pause()
    except KeyboardInterrupt:
        return


def _cut_to_height(texts: list[str], height: int) -> list[str]:
    if len(texts) <= max(height, 2):
        return texts
    shown = max(height, 2) - 1
    return [*texts[:shown], f"… and {len(texts) - shown} more lines: make the window higher"]
