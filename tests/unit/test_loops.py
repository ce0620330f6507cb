"""A loop that goes on after a bug ends when it is cancelled, whatever happens just then."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from support import virtual_time
from towerops_agent.counters import Count, Counters
from towerops_agent.loops import BEGIN_AGAIN_S, go_on


async def bug_at_the_stop() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("a bug while it is cancelled")


async def bug_that_hides_the_stop() -> None:
    """A TaskGroup that has an error of its own raises that one."""

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(10)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(slow_to_end())
        await asyncio.sleep(1)
        raise ValueError("a bug")


@pytest.mark.parametrize("run", [bug_at_the_stop, bug_that_hides_the_stop])
def test_a_loop_that_meets_a_bug_while_it_is_cancelled_ends(run: Callable[[], Awaitable[None]]):
    async def main() -> None:
        task = asyncio.create_task(go_on("group", run, counters))
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.wait([task], timeout=3 * BEGIN_AGAIN_S + 30)
        assert task.cancelled()

    counters = Counters()
    with capture_logs() as logs:
        virtual_time.run(main())
    assert counters.get(Count.BUGS, "group") == len(logs) == 1


def test_a_loop_that_meets_a_bug_or_ends_begins_again():
    async def main() -> None:
        task = asyncio.create_task(go_on("group", run, counters))
        await asyncio.sleep(3 * BEGIN_AGAIN_S + 1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def run() -> None:
        began.append(asyncio.get_running_loop().time())
        if len(began) == 1:
            async with asyncio.timeout(1):  # its end does not count as a cancellation
                await asyncio.Event().wait()
        if len(began) == 2:
            raise ValueError("a bug")

    began: list[float] = []
    counters = Counters()
    with capture_logs():
        virtual_time.run(main())
    assert [at - began[0] for at in began] == [0, 1 + BEGIN_AGAIN_S, 1 + 2 * BEGIN_AGAIN_S]
    assert counters.get(Count.BUGS, "group") == 2
