"""The loop that cleans the buffer up: again and again, whatever fails, and with a mark at each step."""

import asyncio

import pytest
from structlog.testing import capture_logs

from support import virtual_time
from support.patience import Done
from towerops_agent.buffer.upkeep import keep_clean
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, poll


def test_cleaning_up_is_repeated_and_survives_a_failure():
    calls: list[float] = []

    class FullAtFirst:
        async def clean_up(self, moved) -> None:
            calls.append(asyncio.get_running_loop().time())
            if len(calls) == 1:
                raise BufferFailure("disk full")
            if len(calls) == 4:
                raise Done

    with capture_logs() as lines, pytest.raises(Done):
        virtual_time.run(keep_clean(FullAtFirst(), lambda _again_within_s: None))  # type: ignore[arg-type]
    assert [at - calls[0] for at in calls] == [0.0, 300.0, 600.0, 900.0]
    assert [line["retry_in_s"] for line in lines] == [300.0]


async def test_a_mark_is_left_before_each_step_and_before_the_pause(bench):
    """After a long stop there are thousands of steps, and none of them says that the loop stands still."""
    moves: list[float] = []

    async def pause(_seconds: float) -> None:
        raise Done

    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for n in range(3_000):
            buffer.add(poll(layout, T0_US + n))
        await buffer.flush()
        bench.now_us += 48 * HOUR_US
        steps = 0
        ask = buffer.ask

        async def counting(*job, **options):
            nonlocal steps
            steps += 1
            assert len(moves) == steps
            return await ask(*job, **options)

        buffer.ask = counting  # type: ignore[method-assign]
        with pytest.raises(Done):
            await keep_clean(buffer, moves.append, sleep=pause)
    assert steps > 12
    assert moves == [0.0] * steps + [300.0]
