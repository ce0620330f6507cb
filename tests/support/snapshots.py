"""A Snapshot of a small agent in which all works, to be varied."""

import msgspec

from towerops_agent.telemetry.views.snapshot import Configuration, Dealing, DeviceReport, Snapshot, Undelivered

NOW_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000


def snapshot(**changes) -> Snapshot:
    works = Dealing(True, NOW_US - 5 * MINUTE_US, NOW_US - 12_000_000, 0, "")
    whole = Snapshot(
        version="0.1.0",
        hostname="poller-1",
        pid=812,
        started_us=NOW_US - 90 * MINUTE_US,
        written_us=NOW_US - 4_000_000,
        dealings={"configuration": works, "metrics": works},
        configuration=Configuration("7", NOW_US - MINUTE_US, 3, 0, []),
        states={"up": 3, "degraded": 0, "down": 0, "unknown": 0},
        troubled=[],
        slowest=[],
        limited=[],
        missing={},
        lacking=0,
        pending=Undelivered(0, 0, None),
        backlog=None,
        database_octets=12_300_000,
        latest_s=0.04,
        a_minute={"polls": 3.0, "metrics": 204.0},
        counters={},
    )
    return msgspec.structs.replace(whole, **changes)


def report(device_id: str, name: str, address: str, **changes) -> DeviceReport:
    """A device that is up and lacks nothing, to be varied."""
    whole = DeviceReport(
        id=device_id,
        name=name,
        address=address,
        state="up",
        reason="",
        since_us=NOW_US - 5 * MINUTE_US,
        rtt_ms=2.0,
        interval_s=60,
        sensors=1,
        interfaces=2,
        missing={},
        max_varbinds=20,
        refused_at=None,
        mute=0,
        answers_from_elsewhere=False,
    )
    return msgspec.structs.replace(whole, **changes)
