"""The result of one check of the doctor, and the checks as text or as JSON.

Pure. Texts of names, certificates and servers are shown without control characters.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from towerops_agent.telemetry.views.lines import columns as columns_of
from towerops_agent.telemetry.views.lines import hanging, padded
from towerops_agent.text import printable


class Result(StrEnum):
    """Only `FAILED` makes the doctor's exit status 1; `SKIPPED`: there was nothing to check, or no way to check it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


EXPECTED: Final = ": expected "

_QUOTED: Final = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""")


def split_expected(text: str) -> tuple[str, str]:
    """What was found, and what was expected, of "X is 'Y': expected Z"; all of it as found if it says so of several things.

    What is between quotation marks is the operator's or the server's, and may have any words in it.
    """
    outside = _QUOTED.sub(lambda match: " " * len(match[0]), text)
    if outside.count(EXPECTED) != 1:
        return text, ""
    at = outside.index(EXPECTED)
    return text[:at], text[at + len(EXPECTED) :]


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: the thing checked; `found`: its state; `hint`: what to do, or "". Never a secret."""

    name: str
    result: Result
    found: str
    hint: str = ""


_SIGNS: Final = {Result.OK: "✓", Result.WARNING: "!", Result.FAILED: "✗", Result.SKIPPED: "–"}  # noqa: RUF001 - a dash, as it is set
_ASCII: Final = {Result.OK: "+", Result.WARNING: "!", Result.FAILED: "x", Result.SKIPPED: "-"}

NAME_WIDTH: Final = 12
"""The longest name of a check that is not a device's. A longer name of a device moves its line to the right."""


_INDENT: Final = 4


class Lines:
    """Writes lines that a stream of this encoding can print."""

    def __init__(self, encoding: str | None) -> None:
        self._encoding = encoding or "ascii"
        self._signs, self._arrow, self._dots = _SIGNS, "→", "…"
        try:
            "".join((*_SIGNS.values(), "→…")).encode(self._encoding)
        except (UnicodeEncodeError, LookupError):
            self._signs, self._arrow, self._dots = _ASCII, "->", "..."

    def line(self, check: Check, width: int = NAME_WIDTH) -> str:
        """One check: its result, its name, what was found, and the hint behind an arrow."""
        hint = f" {self._arrow} {check.hint}" if check.hint else ""
        return self._encodable(
            f"{self._signs[check.result]} {padded(printable(check.name), width)}  {printable(check.found + hint)}"
        )

    def lines(self, check: Check, width: int, columns: int) -> list[str]:
        """One check as lines that are not longer than `columns`: what was found, and under it the hint."""
        text = self.line(check, width)
        if columns_of(text) <= columns:
            return [text]
        first = self._encodable(f"{self._signs[check.result]} {padded(printable(check.name), width)}  ")
        above = []
        if columns_of(first) > columns // 2:  # a long name would leave a narrow column
            above, first = [first.rstrip()], " " * _INDENT
        found = hanging(first, self._encodable(printable(check.found)), columns)
        hint = self._encodable(f"{self._arrow} {printable(check.hint)}")
        return [*above, *found, *(hanging(" " * columns_of(first), hint, columns) if check.hint else ())]

    def summary(self, checks: Sequence[Check]) -> str:
        """How many checks have each result."""
        counts = Counter(check.result for check in checks)
        words = {Result.OK: "ok", Result.WARNING: "to look at", Result.FAILED: "failed", Result.SKIPPED: "skipped"}
        return ", ".join(f"{counts[result]} {word}" for result, word in words.items() if counts[result])

    def _encodable(self, text: str) -> str:
        text = text.replace("…", self._dots)
        try:
            return text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        except LookupError:
            return text.encode("ascii", "backslashreplace").decode()


def hints_once(checks: Sequence[Check]) -> list[Check]:
    """The checks, each hint once: a later one says whose it is the same as. One cause often has many devices."""
    first: dict[str, str] = {}
    shown = []
    for check in checks:
        name = first.setdefault(check.hint, check.name)
        again = check.hint and name != check.name
        shown.append(replace(check, hint=f"as for {name}") if again else check)
    return shown


def device_width(checks: Sequence[Check]) -> int:
    """The width for the names of these devices: that of the longest, up to a limit."""
    return max(NAME_WIDTH, min(max((columns_of(check.name) for check in checks), default=0), 32))


def checks_json(checks: Sequence[Check]) -> str:
    """All of them as one JSON object, indented; `ok`: whether no check has failed."""
    plain = {
        "ok": all(check.result is not Result.FAILED for check in checks),
        "checks": [
            {
                "name": printable(check.name),
                "result": str(check.result),
                "found": printable(check.found),
                "hint": check.hint and printable(check.hint),
            }
            for check in checks
        ],
    }
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
