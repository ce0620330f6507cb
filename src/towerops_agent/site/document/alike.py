"""Mistakes in site files as they are shown: a line for each, and one line for many of one kind.

One broken set of credentials costs each of the 10,000 devices that name it, and is one thing to fix.
Compiled -> lines. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from towerops_agent.site.document.site import Compiled
from towerops_agent.text import MOST_ALIKE, counted

MOST_NAMED: Final = 3


def mistake_lines(compiled: Compiled) -> Iterator[str]:
    """What is wrong with the files, in their order. Of many mistakes in the same words the first, how many, and a few devices."""
    counts = Counter(problem.text for problem in compiled.problems)
    devices: dict[str, dict[str, None]] = {}
    for refused in compiled.refused:
        devices.setdefault(refused.problem.text, {})[refused.equipment] = None
    seen = set()
    for problem in compiled.problems:
        text = problem.text
        if counts[text] <= MOST_ALIKE:
            yield str(problem)
        elif text not in seen:
            seen.add(text)
            names = list(devices.get(text, ()))
            more = f", and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
            times = [] if len(names) == counts[text] else [f"{counts[text]:,} times"]
            of = [f"in {counted(len(names), 'device')}: {', '.join(names[:MOST_NAMED])}{more}"] if names else []
            yield f"{problem} ({', '.join(times + of)})"


def mistakes_counted(compiled: Compiled) -> str:
    """How many there are: `7 mistakes`, `10,001 mistakes of 2 kinds`."""
    lines = len(list(mistake_lines(compiled)))
    kinds = "" if lines == len(compiled.problems) else f" of {counted(lines, 'kind')}"
    return f"{counted(len(compiled.problems), 'mistake')}{kinds}"
