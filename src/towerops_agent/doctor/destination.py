"""Checks the destination of site files: asks it with a request that holds nothing.

Destination -> Check, and how far this machine's clock is ahead of its. I/O: HTTP.
"""

import time
from typing import Final

from towerops_agent.api.wire.outcomes import Accepted, Rejected
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.errors import SettingsError
from towerops_agent.site.document.destination import Destination

NAME: Final = "destination"

NO_DESTINATION: Final = Check(
    NAME, Result.WARNING, "the site files name none: values are kept for a day and delivered nowhere", "see docs/destinations.md"
)


async def check_destination(destination: Destination) -> tuple[list[Check], float | None]:
    """Whether it accepts remote write from here, with these credentials."""
    about = f"{destination.name}, {destination.url}"
    kind = KINDS[destination.kind]
    began = time.monotonic()
    try:
        async with DestinationClient(destination) as client:
            outcome = await client.send(kind.pack([]).body)
    except SettingsError as error:
        return [Check(NAME, Result.FAILED, f"{about}: {error}")], None
    took_ms = (time.monotonic() - began) * 1000
    if isinstance(outcome, Accepted) or (isinstance(outcome, Rejected) and kind.refuses_nothing):
        return [Check(NAME, Result.OK, f"{about} accepts {kind.title}, {took_ms:.0f} ms")], client.ahead_s
    found, _, hint = outcome.reason.partition(": ")
    return [Check(NAME, Result.FAILED, f"{about}: {found}", hint)], client.ahead_s
