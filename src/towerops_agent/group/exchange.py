"""Passes what members learn of devices on to each other, so that a device that is taken over need not be learned again.

I/O: through `publish`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from towerops_agent.group.course.learned import SharedTraits
from towerops_agent.group.course.membership import Membership
from towerops_agent.group.course.wire import Message, Presence, Wanted
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.interfaces import boot_clock

ASK_EACH_S: Final = 1.0
"""How often a member that has just started asks, until it has joined."""

SETTLE_S: Final = 3.0
"""How long it waits then, until it asks: it keeps what it hears of devices that it does not poll any more by then."""

ASK_AGAIN_S: Final = 60.0
"""How often it asks at most after that, if messages are missed again and again."""

SEND_EACH_S: Final = 60.0

SEND_ALL_EACH_S: Final = 5.0
"""How often it sends all that it knows at most, to members that ask."""


class Exchange:
    """What the member `me` knows of devices. `publish` sends a message to all.

    `wanted`: another member asks for it. `missed`: messages of others were not heard, so that this one asks.
    """

    def __init__(self, me: str, planner: Planner, publish: Callable[[Message], Awaitable[None]]) -> None:
        self._me = me
        self._publish = publish
        self.traits = SharedTraits(me, planner)
        self.wanted = asyncio.Event()
        self.missed = asyncio.Event()

    async def ask(self, membership: Membership) -> None:
        """Ask until this member has joined; then whenever it has missed something, for good."""
        while True:
            while membership.presence is Presence.LISTENING:
                self.missed.clear()
                await self._publish(Wanted(self._me))
                await asyncio.sleep(ASK_EACH_S)
            await self.missed.wait()
            await asyncio.sleep(SETTLE_S)
            self.missed.clear()
            await self._publish(Wanted(self._me))
            await asyncio.sleep(ASK_AGAIN_S)

    async def run(self, membership: Membership, polled: Callable[[], Collection[Device]]) -> None:
        """Send what this member learns of the devices that it polls, for good."""
        sent_at = asyncio.get_running_loop().time()
        while True:
            try:
                async with asyncio.timeout_at(sent_at + SEND_EACH_S):
                    await self.wanted.wait()
            except TimeoutError:
                sent_at = asyncio.get_running_loop().time()
                if len(membership.members):
                    await self.send(polled())
                continue
            self.wanted.clear()
            await self.send(polled(), all_of_it=True)
            await asyncio.sleep(SEND_ALL_EACH_S)

    async def send(self, polled: Collection[Device], *, all_of_it: bool = False) -> None:
        """Send the others what is new of these devices, or all of it."""
        for message in self.traits.news(list(polled), boot_clock(), all_of_it=all_of_it):  # it may change meanwhile
            await self._publish(message)
            await asyncio.sleep(0)  # polls go on meanwhile
