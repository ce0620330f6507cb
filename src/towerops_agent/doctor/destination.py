"""Checks the destinations, each: asks it with a request that holds nothing.

Destination -> Check, and how far this machine's clock is ahead of its. I/O: HTTP.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from towerops_agent.api.wire.outcomes import Accepted, Rejected, Unavailable
from towerops_agent.destinations.beside import read_destinations
from towerops_agent.destinations.client import DestinationClient, in_keys, trust_of
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.doctor.findings.check import Check, Result, split_expected
from towerops_agent.doctor.network import check_network
from towerops_agent.doctor.tls import expiring
from towerops_agent.errors import SettingsError
from towerops_agent.site.document.destination import Destination

NAME: Final = "destination"

WAIT_S: Final = 5.0
"""For each step on the way to a receiver that gave no answer."""

NO_DESTINATION: Final = Check(
    NAME, Result.WARNING, "the site files name none: values are kept for a day and delivered nowhere", "see docs/destinations.md"
)


async def check_destinations(destinations: Sequence[Destination]) -> tuple[list[Check], float | None]:
    """Of each of them, and how far this machine's clock is ahead of that of the first one that says its time."""
    found = [await check_destination(one) for one in destinations]
    return [check for checks, _ in found for check in checks], next((ahead for _, ahead in found if ahead is not None), None)


async def check_path(path: Path) -> list[Check]:
    """Of the destinations that DESTINATIONS_PATH names beside the API."""
    try:
        destinations = await asyncio.to_thread(read_destinations, path)
    except SettingsError as error:
        found, wanted = split_expected(str(error))
        return [Check(NAME, Result.FAILED, found, f"expected {wanted}" if wanted else "")]
    if not destinations:
        return [Check(NAME, Result.WARNING, f"{path} names none", "see docs/destinations.md")]
    return (await check_destinations(destinations))[0]


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
    soon = expiring(NAME, client.expiries.of(f"destination {destination.name}"), datetime.now(UTC))
    took_ms = (time.monotonic() - began) * 1000
    if isinstance(outcome, Accepted) or (isinstance(outcome, Rejected) and kind.refuses_nothing):
        return [Check(NAME, Result.OK, f"{about} accepts {kind.title}, {took_ms:.0f} ms"), *soon], client.ahead_s
    if isinstance(outcome, Rejected):  # some receivers of the other kinds do so too
        found = f"{about} refuses a request without values ({outcome.status}: {outcome.reason})"
        hint = "does it accept those with values? `towerops-agent status` shows it"
        return [Check(NAME, Result.WARNING, found, hint), *soon], client.ahead_s
    if isinstance(outcome, Unavailable) and outcome.status is None:
        found, hint = await asyncio.to_thread(_on_the_way, destination, outcome.reason)
    else:
        found, _, hint = outcome.reason.partition(": ")
    return [Check(NAME, Result.FAILED, f"{about}: {found}", hint)], client.ahead_s


def _on_the_way(destination: Destination, reason: str) -> tuple[str, str]:
    """What is wrong on the way to a receiver that gave no answer, for this `reason`, and the next step."""
    network = check_network(destination.url, trust_of(destination), lambda: datetime.now(UTC), WAIT_S)
    failed = next((check for check in network.checks if check.result is Result.FAILED), None)
    if failed is not None:
        return in_keys(failed.found), in_keys(failed.hint)
    found, _, hint = reason.partition(": ")
    return (found, hint) if hint.endswith("?") else (reason, "the way to it works at this moment: its own log may say more")
