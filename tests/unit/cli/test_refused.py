"""`refused` shows what the server refused, by series, and has the running agent send it again."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.refused import refused
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll
from towerops_agent.telemetry.live import LiveSocket

LAYOUT = Layout("e1", (("s1", 1), ("s2", 1)))
REASON = "status 422: no such sensor"


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A database with three refused metrics of two series."""
    path = tmp_path / "agent.db"
    now_us = time.time_ns() // 1000
    async with Buffer(path, Counters(), clock_us=lambda: now_us, commit_window_s=0.0) as buffer:
        layout = await buffer.register(LAYOUT)
        for raw in (1, 2):
            buffer.add(Poll(layout, now_us, (raw, raw), ((2, 0),), 2))
        await buffer.flush()
        for sensor in ("s1", "s1", "s2"):
            batch = await buffer.next_batch(1)
            assert batch is not None
            metric = {"type": "sensor_reading", "sensor_id": sensor, "value": 1, "timestamp": "2026-01-09T19:22:15.000000Z"}
            await buffer.refuse(batch, json.dumps(metric).encode(), REASON)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(refused, arguments)
    return result.exit_code, result.output


async def test_a_series_is_a_line_with_the_count_and_the_reason(database):
    status, text = run("--database-path", str(database))
    assert status == 0
    first, second = text.splitlines()
    assert first.startswith("e1 sensor_reading s2: 1 kept")
    assert second.startswith("e1 sensor_reading s1: 2 kept")
    assert REASON in first


async def test_json_has_each_metric_as_it_was_sent(database):
    status, text = run("--database-path", str(database), "--json")
    assert status == 0
    assert [item["metric"]["sensor_id"] for item in json.loads(text)] == ["s2", "s1", "s1"]
    assert {item["reason"] for item in json.loads(text)} == {REASON}


async def test_with_nothing_refused_it_says_so(tmp_path):
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 0):
        pass
    assert run("--database-path", str(tmp_path / "agent.db")) == (0, "no metric is kept that the server refused\n")


def test_a_retry_for_a_database_that_is_not_there_names_that(tmp_path):
    status, text = run("--database-path", str(tmp_path / "agent.db"), "--retry")
    assert (status, text.startswith(f"towerops-agent: there is no database {tmp_path}")) == (1, True)


async def test_a_retry_is_for_the_running_agent(database):
    status, text = run("--database-path", str(database), "--retry")
    assert status == 1
    assert "no agent runs" in text
    asked = []

    async def answer() -> bytes:
        asked.append(1)
        return b"2"

    async with LiveSocket(database, {b"retry refused": answer}):
        status, text = await asyncio.to_thread(run, "--database-path", str(database), "--retry")
    assert (status, asked) == (0, [1])
    assert "2 series" in text
