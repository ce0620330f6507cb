"""The API hears every minute that the agent lives."""

import pytest
import structlog

from towerops_agent import __version__
from towerops_agent.api.wire.contract import Heartbeat
from towerops_agent.api.wire.outcomes import Accepted, Unauthorized, Unavailable
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.heartbeat import HeartbeatLoop


class Done(Exception):
    """Ends a loop that has no end."""


class Bench:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.sent = []
        self.pauses = []
        self.now_s = 1000.5
        self.counters = Counters()
        self.loop = HeartbeatLoop(self, self.counters, "poller-1", sleep=self.sleep, monotonic_s=lambda: self.now_s)

    async def post_heartbeat(self, heartbeat):
        self.sent.append(heartbeat)
        return self.outcomes.pop(0)

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now_s += seconds
        if not self.outcomes:
            raise Done


async def test_one_is_sent_at_once_and_then_each_minute_and_only_changes_are_logged():
    busy = Unavailable("busy", 503)
    bench = Bench(Accepted(), busy, busy, Unauthorized(401), Accepted(), Accepted())
    with structlog.testing.capture_logs() as lines, pytest.raises(Done):
        await bench.loop.run()
    assert bench.pauses == [60.0] * 6
    assert bench.sent[0] == Heartbeat(version=__version__, hostname="poller-1", uptime_seconds=0)
    assert [heartbeat.uptime_seconds for heartbeat in bench.sent] == [0, 60, 120, 180, 240, 300]
    assert bench.counters.by_reason(Count.HEARTBEATS) == {"sent": 3, "failed": 3}
    assert [line["event"] for line in lines] == [
        "heartbeat not accepted, will retry",
        "heartbeat not accepted, will retry",
        "heartbeats are accepted again",
    ]
