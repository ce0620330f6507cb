"""Variables that are not settings, and resemble one: a slip that would pass unnoticed.

Found by their names, as the value may be a secret. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from towerops_agent.settings import SETTINGS

PREFIX: Final = "TOWEROPS_"

_VARIABLES: Final = {setting.variable: setting.variable for setting in SETTINGS}
_WITHOUT_PREFIX: Final = {variable.removeprefix(PREFIX): variable for variable in _VARIABLES}

_OF_KUBERNETES: Final = re.compile(
    r"TOWEROPS_\w*?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes adds to each container for a Service whose name begins with `towerops`."""

_SIMILAR: Final = 0.6
_CLOSE: Final = 0.85
"""How similar a name must be: with the prefix, which is not compared; and without it.

`LOG_LVL` is close (0.88), `DATABASE_URL` is another program's (0.72).
"""


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """`meant`: the setting that it resembles, or ""."""

    name: str
    meant: str


def unknown_variables(names: Iterable[str]) -> list[UnknownVariable]:
    """Those that begin with TOWEROPS_ or resemble a setting's name, and are not a setting; in the order of their names."""
    found = []
    for name in sorted(set(names) - set(_VARIABLES)):
        upper = name.upper()
        ours = upper.startswith(PREFIX)
        if ours and _OF_KUBERNETES.fullmatch(name):
            continue
        text, known, cutoff = (upper.removeprefix(PREFIX), _WITHOUT_PREFIX, _SIMILAR) if ours else (upper, _VARIABLES, _CLOSE)
        close = get_close_matches(text, known, n=1, cutoff=cutoff)
        if ours or close:
            found.append(UnknownVariable(name, known[close[0]] if close else ""))
    return found
