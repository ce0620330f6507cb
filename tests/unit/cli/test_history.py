"""`history` shows the numbers that were delivered, digit for digit."""

import csv
import json
import time
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.snapshots import report
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.history import history
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.delivery.course.parcel import encode, metrics_in
from towerops_agent.model import Layout, Poll, Secret
from towerops_agent.telemetry.views.snapshot import DEVICES_KEY, encode_devices

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
    sent = {metric["sensor_id"]: metric["value"] for metric in json.loads(encode(metrics_in([(layout, poll, 0, 99)])))["metrics"]}
    printed = CliRunner().invoke(history, ["e1", "--csv", "--database-path", str(database)], env={"TOWEROPS_AGENT_TOKEN": ""})
    assert printed.exit_code == 0, printed.output
    shown = {row["id"]: row["value"] for row in csv.DictReader(StringIO(printed.stdout))}
    assert shown == {sensor: json.dumps(value) for sensor, value in sent.items()}
    assert shown["s1"] == "9223372036854775809"


async def test_names_and_units_of_the_configuration_are_in_the_table_and_in_the_csv(tmp_path: Path):
    """The values are two hours old: without --hours all that there is is shown, and the span that it covers."""
    then_us = time.time_ns() // 1000 - 7_200_000_000
    database = tmp_path / "agent.db"
    sensor = {"id": "s0", "oid": "1.3.6.1.4.1.1.0", "type": "temperature", "unit": "C", "metadata": {"descr": "board"}}
    config = {"equipment": [{"id": "e1", "name": "North", "ip_address": "10.0.0.1", "sensors": [sensor]}]}
    async with Buffer(database, Counters(), clock_us=lambda: then_us, commit_window_s=0.0) as buffer:
        layout = await buffer.register(Layout("e1", (("s0", 10.0),)))
        for minute in range(3):
            buffer.add(Poll(layout, then_us + minute * 60_000_000, (415 + minute,), ((1, 0),), 1))
        await buffer.flush()
        await buffer.keep_config(seal(Secret("t0ken-7f"), config_text(json.dumps(config).encode())))
    env = {"TOWEROPS_AGENT_TOKEN": "t0ken-7f"}
    given = ["North", "--database-path", str(database)]
    table = CliRunner().invoke(history, given, env=env)
    head, line = table.stdout.splitlines()
    assert head.endswith(", 2 min")
    assert line.startswith("temperature, board [C]  ")
    assert line.endswith("  41.5 to 41.7, last 41.7")
    rows = list(csv.DictReader(StringIO(CliRunner().invoke(history, [*given, "--csv"], env=env).stdout)))
    assert [(row["name"], row["unit"], row["value"]) for row in rows] == [
        ("temperature, board", "C", value) for value in ("41.5", "41.6", "41.7")
    ]
    lately = CliRunner().invoke(history, [*given, "--hours", "1"], env=env)
    assert (lately.exit_code, "nothing was read from North in the last 1 hour" in lately.stderr) == (1, True)
    without = CliRunner().invoke(history, ["e1", "--database-path", str(database)], env={"TOWEROPS_AGENT_TOKEN": ""})
    assert without.stdout.splitlines()[1].startswith("s0  ")
    assert "sensors and interfaces are shown by their ids: " in without.stderr


async def test_a_device_is_found_by_its_name_without_the_token_too(tmp_path: Path):
    """By what the agent reports of its devices, here by what it left when it stopped."""
    database = tmp_path / "agent.db"
    then_us = time.time_ns() // 1000 - 60_000_000
    async with Buffer(database, Counters(), clock_us=lambda: then_us, commit_window_s=0.0) as buffer:
        layout = await buffer.register(Layout("e1", (("s0", 10.0),)))
        buffer.add(Poll(layout, then_us, (415,), ((1, 0),), 1))
        await buffer.flush()
        left = [report("e1", "North", "10.0.0.1:161"), report("e2", "South", "10.0.0.2:161")]
        await buffer.put_meta(DEVICES_KEY, encode_devices(left))
    for name in ("North", "10.0.0.1"):
        shown = CliRunner().invoke(history, [name, "--database-path", str(database)], env={"TOWEROPS_AGENT_TOKEN": ""})
        assert shown.stdout.splitlines()[1].startswith("s0  "), shown.output
    unknown = CliRunner().invoke(history, ["East", "--database-path", str(database)], env={"TOWEROPS_AGENT_TOKEN": ""})
    assert "no device with the id East, and names can't be looked up" in unknown.stderr


@pytest.mark.parametrize("hours", ["nan", "inf", "-1", "0"])
def test_a_span_that_is_not_one_is_refused(tmp_path, hours):
    done = CliRunner().invoke(history, ["e1", "--hours", hours, "--database-path", str(tmp_path / "a.db")])
    assert (done.exit_code, "is not in the range" in done.output) == (2, True)
