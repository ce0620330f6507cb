"""VictoriaMetrics accepts the same octets, in whatever order."""

import time
from pathlib import Path

from support import victoriametrics
from support.remote import SENSORS, Remote
from towerops_agent.counters import Count


async def test_values_and_a_backlog_behind_them_are_there(tmp_path: Path):
    now_s = time.time()
    with victoriametrics.running(tmp_path / "victoria") as receiver:
        async with Remote(tmp_path / "agent.db", receiver.write_url) as remote:
            for device in range(3):
                remote.add(device, now_s, 100.0 * device)
            assert await remote.deliver()
            for device in range(3):
                remote.add(device, now_s - 5 * 3600, 100.0 * device + 50)
            assert await remote.deliver()
            assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 6 * SENSORS
        times = [round(at_s * 1e6) // 1000 for at_s in (now_s - 5 * 3600, now_s)]
        wanted = {f"d{n}": [(times[0], 100 * n + 51), (times[1], 100 * n + 1)] for n in range(3)}
        found: dict[str, list[tuple[int, float]]] = {}
        while sum(map(len, found.values())) < 6:
            samples = receiver.samples('{__name__="snmp_sensor",sensor="s1"}')
            found = {dict(labels)["device"]: values for labels, values in samples.items()}
    assert found == wanted
