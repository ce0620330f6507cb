"""`history` shows the numbers that were delivered, digit for digit."""

import csv
import json
import time
from io import StringIO
from pathlib import Path

from click.testing import CliRunner

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.history import history
from towerops_agent.counters import Counters
from towerops_agent.delivery.course.metrics import encode_metrics
from towerops_agent.model import Layout, Poll

READINGS = [
    (9007199254740995, 10.0),
    (2**63 + 1, 1.0),
    (2**64 - 1, 1),
    (11214260448956895878, 10),
    (415, 10.0),
    (-5, 100),
    (4.25, 1),
]


async def test_csv_has_the_numbers_that_the_server_gets(tmp_path: Path):
    """Integers past 2^53 too, which a float would round: as read if the divisor is 1, rounded once if it is not."""
    layout = Layout("e1", tuple((f"s{place}", divisor) for place, (_, divisor) in enumerate(READINGS)))
    now_us = time.time_ns() // 1000
    database = tmp_path / "agent.db"
    async with Buffer(database, Counters(), clock_us=lambda: now_us, commit_window_s=0.0) as buffer:
        values = tuple(raw for raw, _ in READINGS)
        poll = Poll(await buffer.register(layout), now_us, values, ((len(values), 0),), len(values))
        buffer.add(poll)
        await buffer.flush()
    sent = {metric["sensor_id"]: metric["value"] for metric in json.loads(encode_metrics([(layout, poll, 0, 99)]))["metrics"]}
    printed = CliRunner().invoke(history, ["e1", "--csv", "--database-path", str(database)], env={"TOWEROPS_AGENT_TOKEN": ""})
    assert printed.exit_code == 0, printed.output
    shown = {row["id"]: row["value"] for row in csv.DictReader(StringIO(printed.stdout))}
    assert shown == {sensor: json.dumps(value) for sensor, value in sent.items()}
    assert shown["s1"] == "9223372036854775809"
