"""What happens in a group, for the operator: log lines and counts.

I/O: the log.
"""

from typing import Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.group.bus import Bus
from towerops_agent.group.course.membership import (
    Alone,
    Blinded,
    Changed,
    EngineAway,
    EngineBack,
    Event,
    Joined,
    Left,
    Listened,
    Lost,
    Unequal,
)
from towerops_agent.group.course.wire import Presence, Seat

log = structlog.get_logger()

SAY_AGAIN_S: Final = 600.0
"""How often the log says at most that messages are refused."""

_REFUSALS: Final = {
    "another_token": "message of the group can't be opened: does an agent have another token?",
    "not_understood": "message of the group is not understood: does an agent have a later version?",
    "same_name": "another agent has this member's name: set GROUP_MEMBER",
}


class Chronicle:
    """Logs and counts what happens to the member at this `seat`."""

    def __init__(self, seat: Seat, counters: Counters) -> None:
        self._seat = seat
        self._counters = counters
        self._said_at: dict[str, float] = {}

    def refused(self, reason: str, now: float) -> None:
        """A message was refused. Old ones are expected after an outage of the engine, so that they are only counted."""
        self._counters.add(Count.GROUP_MESSAGES_REFUSED, reason)
        if reason in _REFUSALS and now - self._said_at.get(reason, float("-inf")) > SAY_AGAIN_S:
            self._said_at[reason] = now
            log.warning(_REFUSALS[reason], group=self._seat.group, member=self._seat.member)

    def moved(self, members: int, polled: int, taken: int, given: int) -> None:
        """Of so many members this one polls so many devices from now on."""
        self._counters.add(Count.GROUP_DEVICES_MOVED, "taken", taken)
        self._counters.add(Count.GROUP_DEVICES_MOVED, "given", given)
        log.info("share of the devices has changed", members=members, polled=polled, taken=taken, given=given)

    def sees_again(self, answered: int, asked: int) -> None:
        """This member was blind, and is not any more."""
        self._count("returned")
        log.info("devices answer here again, a share of them is polled here again", answered=answered, of=asked)

    def tell(self, event: Event, bus: Bus) -> None:
        """Something has happened."""
        match event:
            case Joined(member):
                self._count("joined")
                log.info("member has joined the group", member=member.name, version=member.beat.version)
            case Lost(member):
                self._count("lost")
                log.warning(
                    "member of the group is lost, its devices are taken over", member=member.name, devices=member.beat.owned
                )
            case Left(name):
                self._count("left")
                log.info("member has left the group, its devices are taken over", member=name)
            case Changed(member, before):
                if Presence.BLIND in (before, member.beat.presence):
                    self._count("blind" if member.beat.presence is Presence.BLIND else "returned")
                log.info("member has changed", member=member.name, before=before, now=member.beat.presence)
            case Unequal(member):
                log.info("member has another configuration, fetched again here", member=member.name)
            case Listened():
                log.info("joined the group", group=self._seat.group, member=self._seat.member, server=bus.server)
            case Blinded(sight):
                self._count("blind")
                log.warning("devices are silent only here, others poll them from now on", silent=sight.down, of=sight.owned)
            case EngineAway():
                log.warning("group's engine is away, the share of the devices stays", reasons=bus.reasons)
            case EngineBack():
                log.info("group's engine is back", server=bus.server)
            case Alone():
                log.warning("group's engine is still away, all devices are polled here from now on", reasons=bus.reasons)

    def _count(self, reason: str) -> None:
        self._counters.add(Count.GROUP_MEMBER_CHANGES, reason)
