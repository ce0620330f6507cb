"""Destinations beside the Towerops API: the file that names them, and both deliveries as one for who asks.

DESTINATIONS_PATH -> destinations -> Couriers; a Delivery of the API's courier and of them. I/O: the file.
"""

import asyncio
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.delivery.courier import Courier
from towerops_agent.destinations.couriers import Couriers, together
from towerops_agent.errors import SettingsError
from towerops_agent.site.document.destination import Destination
from towerops_agent.site.files import SiteFiles, SiteUnreadable
from towerops_agent.site.source import unusable

if TYPE_CHECKING:
    from towerops_agent.delivery.course.backlog import Backlog

log = structlog.get_logger()


def read_destinations(path: Path) -> tuple[Destination, ...]:
    """The destinations that the file names, or the files of a directory. Raises SettingsError."""
    try:
        compiled = SiteFiles(path).read()
    except SiteUnreadable as error:
        raise SettingsError(f"DESTINATIONS_PATH: {error}") from None
    if compiled.problems:
        raise SettingsError(f"DESTINATIONS_PATH: {unusable(compiled)}")
    if compiled.devices:
        raise SettingsError(f"DESTINATIONS_PATH: {path} names devices: expected destinations only, as the API names the devices")
    for warning in compiled.warnings:
        log.warning("site file is used, but deserves a look", place=str(warning.place), reason=warning.text)
    return compiled.destinations


class Beside:
    """The delivery to the API and those to the destinations, as one Delivery. The API's is the one that most is said of."""

    def __init__(self, courier: Courier, couriers: Couriers, dated: asyncio.Event) -> None:
        """`dated`: set once polls have their time, before which the destinations get none."""
        self._courier = courier
        self._dated = dated
        self._couriers = couriers

    @property
    def availability(self) -> Availability:
        """Whether the API accepts metrics; if it does, of the destination that fails."""
        return self._couriers.availability if self._courier.availability.works else self._courier.availability

    @property
    def delivers(self) -> bool:
        """Whether there is somewhere to deliver to: the API."""
        return True

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the buffer that are delivered."""
        return *self._courier.lines, *(line for line in self._couriers.lines if line)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._courier.in_flight + self._couriers.in_flight

    @property
    def backlog(self) -> "Backlog | None":
        """The API's backlog."""
        return self._courier.backlog

    @property
    def is_behind(self) -> bool:
        """Whether the API gets values later than they come; a destination that is slow is late by itself.

        While the API is down, whether the destinations do: polls beyond what they get would reach nobody before it works again.
        """
        return self._couriers.is_behind if self._courier.availability.works is False else self._courier.is_behind

    def hurry(self) -> None:
        """Deliver soon, and not only at the next turn."""
        self._courier.hurry()
        self._couriers.hurry()

    async def run(self) -> None:
        """Deliver to the API, for good; the destinations have a loop of their own."""
        await self._courier.run()

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:
        """Whether all pending metrics are delivered, to all."""
        if not self._dated.is_set():
            await self._courier.deliver_pending(attempts, within_s)
            return False
        both = (self._courier.deliver_pending(attempts, within_s), self._couriers.deliver_pending(attempts, within_s))
        return all(await together(*both))

    async def retry_refused(self) -> int:
        """Have the API asked about all series of which refused metrics are kept."""
        return await self._courier.retry_refused()
