"""N devices of 308 values, polled every 60 s: CPU a value from UDP to acknowledged, memory, lateness of starts, values lost.

    python benchmarks/fleet.py [--devices 100 1000 10000] [--minutes 1] [--round-trip-ms 0]

The devices are first polled at short intervals for some polls, so that the agent knows them (how much each can answer in one
request), as after its first minutes. Then they get their 60 s; once each is at its own time in it, the measured time begins.
"""

import argparse
import tempfile
import time
from pathlib import Path

from agent_process import part, running
from api import Api, serving
from devices import VALUES, Devices, answering
from machine import heading, note, row

from towerops_agent.telemetry.views.snapshot import Snapshot

INTERVAL_S = 60
LEARNING_POLLS = 10
"""Of a device that is known after so many several requests are under way, and as much is asked at once as fits."""
LEARNING_LEAST_S = 6
"""Polls that follow each other faster do not end in time on a busy machine, and nothing is learned."""
LEARNING_POLLS_A_SECOND = 500
BUDGETS = {1000: "0.06 core, 96 MB", 10_000: "0.5 core, 256 MB"}


def main(fleets: list[int], minutes: int, round_trip_ms: int = 0) -> None:
    heading(f"fleet: devices x {VALUES} values every {INTERVAL_S} s, {minutes} min measured")
    row("", "cores", "us CPU/value", "MB while config", "MB then, peak", "late p50", "p99", "max", "not read + lost", "budget")
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder), 0, round_trip_ms) as devices:
        for count in fleets:
            with tempfile.TemporaryDirectory() as own:
                measure(Path(own), devices, count, minutes)
        note("not read: values due in the measured time; lost: metrics read since the start, neither acknowledged nor kept")
        distance = (
            f", each with a round trip of its own of 1 to {round_trip_ms} ms" if round_trip_ms else ", which answers at once"
        )
        note(f"devices: {devices.kind}{distance}")


def measure(folder: Path, devices: Devices, count: int, minutes: int) -> None:
    learning_s = max(LEARNING_LEAST_S, count // LEARNING_POLLS_A_SECOND)
    with serving(devices.config(count, learning_s)) as api, running(folder, api.url) as agent:
        agent.wait_for("configuration applied")
        while_config_mb = agent.peak_mb()
        time.sleep(count / 200)  # the first polls
        time.sleep(LEARNING_POLLS * learning_s)
        api.configure(devices.config(count, INTERVAL_S))
        agent.reload()
        agent.wait_for("configuration applied", 2)
        while_config_mb = max(while_config_mb, agent.peak_mb())
        time.sleep(1.5 * INTERVAL_S)
        _rest_of_a_turn(api)
        before = agent.snapshot()
        agent.forget_peak()
        began_s, cpu_s, values = time.monotonic(), agent.cpu_s(), api.tally()["values"]
        time.sleep(60 * minutes)
        took_s, cpu_s, values = time.monotonic() - began_s, agent.cpu_s() - cpu_s, api.tally()["values"] - values
        peak_mb = agent.peak_mb()
        late = agent.lateness_s(INTERVAL_S, began_s)
        after = agent.stop()
        not_read, undelivered = _short_of(after) - _short_of(before), _undelivered(after, api)
    row(
        f"{count:,} devices",
        f"{cpu_s / took_s:.3f}",
        f"{cpu_s / values * 1e6:.2f}",
        f"{while_config_mb:.0f}",
        f"{peak_mb:.0f}",
        *(f"{late_s * 1000:.0f} ms" for late_s in (part(late, 0.5), part(late, 0.99), part(late, 1))),
        f"{not_read} + {undelivered}",
        BUDGETS.get(count, ""),
    )
    if abs(values / (count * VALUES * minutes) - 1) > 0.05:
        due = count * VALUES * minutes
        note(f"{len(late):,} polls begun in the time; {values:,} values acknowledged of {due:,} due: the ratio is theirs")


def _rest_of_a_turn(api: Api) -> None:
    """Until a turn of delivery has just ended: what is then measured for whole minutes holds whole turns."""
    deadline_s = time.monotonic() + 120
    seen, changed_s, has_changed = api.tally()["values"], time.monotonic(), False
    while time.monotonic() < deadline_s and (not has_changed or time.monotonic() - changed_s < 3):
        time.sleep(0.5)
        now = api.tally()["values"]
        if now != seen:
            seen, changed_s, has_changed = now, time.monotonic(), True


def _short_of(snapshot: Snapshot) -> int:
    """Values that were due and not read, since the start: those missing from a poll, and those of polls that did not run."""
    missing = sum(snapshot.counters.get("readings_missing", {}).values())
    return missing + VALUES * sum(snapshot.counters.get("polls_skipped", {}).values())


def _undelivered(snapshot: Snapshot, api: Api) -> int:
    """Metrics that were read, and at the end are neither at the API nor kept for it."""
    tally = api.tally()
    assert not tally["duplicates"], "a batch was sent twice"
    return sum(snapshot.counters["readings"].values()) - tally["sensors"] - tally["interfaces"] - snapshot.pending.metrics


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--minutes", type=int, default=1)
    parser.add_argument("--round-trip-ms", type=int, default=0, help="each device answers after 1 to so many ms of its own")
    parser.add_argument("--full", action="store_true", help="100, 1,000 and 10,000 devices, ten minutes each")
    options = parser.parse_args()
    main(*(([100, 1000, 10_000], 10) if options.full else (options.devices, options.minutes)), options.round_trip_ms)
