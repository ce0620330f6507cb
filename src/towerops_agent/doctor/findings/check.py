"""What one check of the doctor came to. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """`FAILED` alone makes the doctor's exit status 1; `SKIPPED`: there was nothing to check, or no way to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: what was looked at; `found`: what it is like; `hint`: what to do, "" if there is nothing. Never a secret."""

    name: str
    mark: Mark
    found: str
    hint: str = ""
