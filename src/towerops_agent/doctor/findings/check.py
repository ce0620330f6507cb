"""The result of one check of the doctor. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """Only `FAILED` makes the doctor's exit status 1; `SKIPPED`: there was nothing to check, or no way to check it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: the thing checked; `found`: its state; `hint`: what to do, or "". Never a secret."""

    name: str
    mark: Mark
    found: str
    hint: str = ""
