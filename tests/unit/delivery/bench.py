"""A courier between the real buffer and a scripted API. Its clocks move only by its pauses."""

import asyncio
import gzip
import json

import pytest
import structlog

from support.patience import Done, Patience
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.model import Layout, Poll

NOW_US = 1_767_986_535_000_000
LAYOUT = Layout("e1", tuple((f"s{n}", 1) for n in range(10)))
BUSY = Unavailable("busy", 503)


class Bench:
    """A courier between the real buffer and a scripted API. Its clocks move only by its pauses."""

    def __init__(self, path):
        self.counters = Counters()
        self.wall_us = NOW_US - 1_000_000_000  # of the second 0 of the monotonic clock, which begins at 1000
        self.time = Patience(lambda: self.courier.in_flight, left=0)
        self.buffer = Buffer(
            path,
            self.counters,
            clock_us=lambda: self.now_us,
            monotonic_us=lambda: int(self.time.now_s * 1_000_000),
            commit_window_s=0.0,
        )
        self.accepts = Accepts(is_stated=True)
        self.answer = lambda values: Accepted()  # from the values in a body to an outcome
        self.sent = []  # (key, values)
        self.bodies = []
        self.rereads = 0
        self.token_error = None
        self.polls = 0
        self.moves = []  # (when, seconds until it moves again)
        self.courier = self.new_courier()

    @property
    def now_us(self):
        return self.wall_us + int(self.time.now_s * 1_000_000)

    @property
    def pauses(self):
        return self.time.pauses

    def new_courier(self, settle_s=0.0):
        return Courier(
            self.buffer,
            self,
            self.counters,
            accepts=lambda: self.accepts,
            settle_s=settle_s,
            sleep=self.time.sleep,
            moved=lambda again_within_s: self.moves.append((self.time.now_s, again_within_s)),
            jitter=lambda: 0.0,
            monotonic_s=self.time.monotonic_s,
            now_us=lambda: self.now_us,
            steady_us=lambda: self.now_us,
        )

    async def post_metrics(self, body, key, encoding=None):
        metrics = json.loads(gzip.decompress(body) if encoding else body)["metrics"]
        values = [metric["value"] for metric in metrics]
        self.sent.append((key, values))
        self.bodies.append((body, encoding))
        outcome = self.answer(values)
        return await outcome if asyncio.iscoroutine(outcome) else outcome

    def reread_token(self):
        self.rereads += 1
        if self.token_error:
            raise self.token_error

    async def add(self, polls, layout=LAYOUT):
        """Store polls of ten sensors each, whose values count from 0."""
        layout_id = await self.buffer.register(layout)
        for poll in range(self.polls, self.polls + polls):
            self.buffer.add(Poll(layout_id, self.now_us + poll, tuple(range(10 * poll, 10 * poll + 10)), ((10, 5),), 10))
        self.polls += polls
        await self.buffer.flush()

    async def run(self, pauses=0):
        """Run the courier until it has paused that often and wants to once more, or nothing is pending; its log lines."""
        self.time.left = pauses
        wait_for_pending = self.buffer.wait_for_pending

        async def has_pending():
            if not (await self.buffer.pending()).metrics:
                raise Done

        self.buffer.wait_for_pending = has_pending
        try:
            with structlog.testing.capture_logs() as lines, pytest.raises(Done):
                await self.courier.run()
        finally:
            self.buffer.wait_for_pending = wait_for_pending
        return lines

    def delivered(self):
        return sorted(value for _, values in self.sent for value in values)
