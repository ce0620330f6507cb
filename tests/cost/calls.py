"""What Python does in a stretch of code, counted: the same on any machine of the same Python, whatever else that runs."""

import sys
from collections import Counter
from types import FrameType, TracebackType
from typing import Self


class Calls:
    """Calls made in this thread while the block runs. `python`: of functions in Python; `c`: of those in C, by name."""

    def __init__(self) -> None:
        self.python = 0
        self.c: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.python + self.c.total()

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self.python += 1
        elif event == "c_call":
            self.c[argument.__name__] += 1  # type: ignore[attr-defined]  # a builtin's

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.setprofile(None)
