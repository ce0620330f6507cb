"""The result of one check of the doctor. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Mark(StrEnum):
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
    mark: Mark
    found: str
    hint: str = ""
