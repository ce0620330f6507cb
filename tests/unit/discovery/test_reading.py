"""One device's discovery is asked to its end, or for two minutes."""

import asyncio

import pytest

from support.mib import FewValues, port
from support.virtual_time import run
from towerops_agent.discovery.course.course import discover
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.reading import MOST_S, read_rest
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Request, Version


class Far:
    """A switch of 96 ports whose answers take so long; after `last` of them it is silent. `asked` counts."""

    def __init__(self, seconds: float, last: int = 1000) -> None:
        self._switch = FewValues({oid: value for i in range(1, 97) for oid, value in port(i, f"port{i}").items()})
        self._seconds = seconds
        self._last = last
        self.asked = 0

    async def ask(self, request: Request, /) -> Answer:
        self.asked += 1
        await asyncio.sleep(self._seconds)
        return NoReply(Reason.TIMEOUT, 2) if self.asked > self._last else self._switch.answer(request)


def found_of(far: Far) -> tuple[Discovery, float]:
    """What is found, and after how long."""

    async def main() -> tuple[Discovery, float]:
        course, begun_s = discover(Version.V2C, []), asyncio.get_running_loop().time()
        found = await read_rest(far, course, await far.ask(next(course)))
        return found, asyncio.get_running_loop().time() - begun_s

    return run(main())


def test_a_device_is_asked_to_the_end():
    found, _ = found_of(Far(0.3))
    assert (found.broken, found.again, len(found.ports)) == ("", False, 96)


def test_a_device_that_takes_longer_than_two_minutes_is_left_with_what_it_has_said():
    found, after_s = found_of(Far(30.0))
    assert (found.broken, found.again) == ("it was asked for 120 s, and there is more", True)
    assert after_s <= MOST_S + 2 * 30.0
    assert len(found.system.object_id) > 0


@pytest.mark.parametrize("last", [3, 8])
def test_a_device_that_falls_silent_is_worth_another_try(last: int):
    found, _ = found_of(Far(0.3, last))
    assert found.broken.startswith("it stopped answering")
    assert found.again
