"""One device's discovery over the network: the course's requests one after another, within a limit of time.

I/O: SNMP, the clock.
"""

import asyncio
from typing import Final, Protocol

from towerops_agent.discovery.course.asking import AskingEnded
from towerops_agent.discovery.course.course import Course
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.snmp.wire.exchange import Answer
from towerops_agent.snmp.wire.message import Request

MOST_S: Final = 120.0
"""For one device, which is not polled meanwhile. A router of 1,000 interfaces that is 300 ms away needs 60 s."""


class Asked(Protocol):
    """The part of a session that is needed."""

    async def ask(self, request: Request, /) -> Answer: ...  # noqa: D102


async def read_rest(session: Asked, course: Course, answer: Answer) -> Discovery:
    """What the course finds, from the answer to its first request on; after MOST_S, what it has found until then."""
    now_s = asyncio.get_running_loop().time
    end_s = now_s() + MOST_S
    try:
        request = course.send(answer)
        while now_s() < end_s:
            request = course.send(await session.ask(request))
        course.throw(AskingEnded(f"it was asked for {MOST_S:g} s, and there is more", again=True))
    except StopIteration as finished:
        found: Discovery = finished.value
        return found
    raise AssertionError("the course goes on after its end")
