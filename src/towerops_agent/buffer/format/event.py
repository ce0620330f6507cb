"""What changed at a site, and when: kept two days for the page, which shows it over time.

fleet, config sync, dealings with the API -> Event -> a row of the database -> page/.
Pure. Times are microseconds since 1970-01-01 UTC (`_us`).
"""

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What an event is about.

    `AGENT`: the agent, "started" or "stopped". `STATE`: a device, its state. `RESTART`: a device has restarted.
    `CONFIG`: a configuration was applied, its version. `API`: one of the dealings with the API or a destination, "works" or
    "fails", or "no longer used" if it failed until it was removed.
    """

    AGENT = "agent"
    STATE = "state"
    RESTART = "restart"
    CONFIG = "config"
    API = "api"


STARTED, STOPPED = "started", "stopped"
WORKS, FAILS, GONE = "works", "fails", "no longer used"

NOT_KEPT = "no value of it is kept"
"""Why a device's being up is an event: no poll of it is stored, which would show that."""


@dataclass(frozen=True, slots=True)
class Event:
    """`subject`: the device's id, or which of the dealings; "" otherwise. `what`: as in EventKind. `why`: "" if it needs none."""

    at_us: int
    kind: EventKind
    subject: str = ""
    what: str = ""
    why: str = ""
