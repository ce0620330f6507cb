"""What repeats about a device's SNMP engine is counted, and logged once an hour."""

from types import SimpleNamespace

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.engines import MOST_REMEMBERED, WARN_AGAIN_S, EngineLog
from towerops_agent.snmp.wire.usm_engine import EngineChange

PEER = ("192.0.2.1", 161)


class Bench:
    def __init__(self):
        self.now_s = 0.0
        self.counters = Counters()
        self.log = EngineLog(self.counters, lambda peer: f"device {peer[0]}", lambda: self.now_s)

    def take(self, kind="replaced", peer=PEER):
        """The warnings that a change leads to."""
        exchanges = SimpleNamespace(changes=[(peer, EngineChange(kind, "80001f8801", "80001f8802"))])
        with structlog.testing.capture_logs() as lines:
            self.log.take(exchanges)
        assert exchanges.changes == []
        return [line for line in lines if line["log_level"] == "warning"]


def test_a_device_with_another_engine_id_in_each_message_is_a_line_an_hour():
    bench = Bench()
    lines = []
    for _ in range(24 * 240):  # each 15 s for a day
        lines += bench.take()
        bench.now_s += 15.0
    assert len(lines) == 24
    assert lines[0]["unlogged"] == 0
    assert {line["unlogged"] for line in lines[1:]} == {WARN_AGAIN_S // 15 - 1}
    assert bench.counters.get(Count.SNMP_ENGINES, "replaced") == 24 * 240


def test_another_device_and_another_change_have_a_line_of_their_own():
    bench = Bench()
    assert bench.take()
    assert bench.take(peer=("192.0.2.2", 161))
    assert bench.take("boots_reset")
    assert not bench.take("boots_reset")


def test_what_is_remembered_for_it_is_bounded():
    bench = Bench()
    for n in range(MOST_REMEMBERED + 10):
        bench.take(peer=("192.0.2.1", n))
    assert not bench.take(peer=("192.0.2.1", MOST_REMEMBERED + 9))
    assert bench.take(peer=("192.0.2.1", 0)), "forgotten meanwhile: a line too many, and no memory without end"
