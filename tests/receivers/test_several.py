"""Real receivers of several kinds at once, one of which is down for a day: the others are never late, and then it has all."""

import time
from pathlib import Path

from support import influxdb, otlp, prometheus
from support.remote import SENSORS, Remote, digests_of
from towerops_agent.counters import Count
from towerops_agent.destinations.couriers import Couriers
from towerops_agent.site.document.destination import Destination

MINUTES = 24 * 60
AT_ONCE = 10
"""Minutes of polls that are stored together, to be done sooner: each of the others has them before the next ones come."""


async def test_one_is_down_for_a_day_and_the_others_are_never_behind(tmp_path: Path):
    now_s = time.time()
    times_s = [now_s - 60 * (MINUTES - n) for n in range(MINUTES)]
    with (
        prometheus.running(tmp_path / "prometheus") as dead,
        influxdb.running(tmp_path / "influxdb") as influx,
        otlp.receiving() as collector,
    ):
        dead.stop()
        async with Remote(tmp_path / "agent.db", dead.write_url, devices=2) as remote:
            couriers = Couriers(
                remote.buffer,
                remote.counters,
                loop="delivery",
                sleeper=lambda loop: remote.pause,
                forget=lambda loop: None,
            )
            await couriers.use(
                [
                    Destination("p", dead.write_url),
                    Destination("i", influx.write_url, kind="influxdb", fresh_first=True),
                    Destination("o", collector.url, kind="otlp", fresh_first=True),
                ]
            )
            parts = digests_of(remote.config)
            layouts = {one: (layout,) for one, layout in zip(parts, remote.layouts, strict=True)}
            await couriers.learn(remote.config, layouts)
            for n, at_s in enumerate(times_s):
                for device in range(2):
                    remote.add(device, at_s, float(n))
                if n % AT_ONCE == AT_ONCE - 1:
                    await remote.buffer.flush()
                    assert not await couriers.deliver_pending()
                    for name in ("i", "o"):
                        assert (await remote.buffer.pending(name)).metrics == 0
            metrics = MINUTES * 2 * SENSORS
            assert (await remote.buffer.pending("p")).metrics == metrics
            assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"i": metrics, "o": metrics}
            dead.start()
            assert await couriers.deliver_pending()
            assert remote.counters.by_reason(Count.METRICS_DELIVERED) == dict.fromkeys("pio", metrics)
            assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
        wanted = {f"d{device}": [(round(at_s * 1e6), float(n)) for n, at_s in enumerate(times_s)] for device in range(2)}
        at_prometheus = dead.samples('{__name__="snmp_sensor",sensor="s0"}', now_s + 60, 90_000)
        at_influxdb = influx.points("sensor", "value")
    assert {dict(labels)["device"]: values for labels, values in at_prometheus.items()} == {
        device: [(at_us // 1000, value) for at_us, value in values] for device, values in wanted.items()
    }
    found = {dict(tags)["device"]: values for tags, values in at_influxdb.items() if dict(tags)["sensor"] == "s0"}
    assert found == {device: [(at_us * 1000, value) for at_us, value in values] for device, values in wanted.items()}
    points = {dict(labels)["device"]: values for labels, values in collector.points.items() if dict(labels)["sensor"] == "s0"}
    assert points == {device: {at_us * 1000: value for at_us, value in values} for device, values in wanted.items()}
    assert collector.bad == []
