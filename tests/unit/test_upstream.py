"""What the upstream of the API knows at its next start: what it kept of a configuration, and what the server refused."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from towerops_agent.api.bearer import TokenSource
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.clocks import steady_us, wall_us
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.text import config_text
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.course.parcel import REFUSALS, Exclusions
from towerops_agent.delivery.refused import EXCLUSIONS_KEY
from towerops_agent.model import Secret
from towerops_agent.scheduling.settling import Settling
from towerops_agent.scheduling.timetable import Dating
from towerops_agent.settings import Settings
from towerops_agent.telemetry.marks import Marks
from towerops_agent.upstream import ACCEPTS_KEY, ApiUpstream

TYPES = ["sensor_reading", "interface_stat", "equipment_status", "reachability"]


def settling_of(buffer, *, is_synced=True):
    """Of a clock that something keeps right, or nothing."""
    dating = Dating(
        buffer.add,
        Counters(),
        wall_us=wall_us,
        steady_us=steady_us,
        is_synced=lambda: is_synced,
        on_unset=lambda: None,
        on_set=lambda _polls: None,
    )
    return Settling(dating, buffer, now_us=wall_us)


def upstream(buffer: Buffer, token: str, destinations: Path | None = None) -> ApiUpstream:
    settings = Settings(api_url="http://127.0.0.1:9", token=Secret(token), destinations=destinations)
    return ApiUpstream(
        *(settings, TokenSource(Secret(token)), buffer, Counters(), Marks()),
        accepts=Accepts,
        known=asyncio.Event(),
        settling=settling_of(buffer),
        layouts=dict,
    )


async def test_what_the_server_accepts_is_known_at_the_next_start_with_another_token_too(tmp_path):
    config = config_text(json.dumps({"equipment": [], "accepts": {"metric_types": TYPES, "max_metrics": 5000}}).encode())
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 1_800_000_000_000_000) as buffer:
        assert await upstream(buffer, "the-first-token").kept_accepts() is None
        await upstream(buffer, "the-first-token").keep(config)
        after = upstream(buffer, "another-token")
        assert await after.kept_accepts() == Accepts((), 5000, 1 << 20, tuple(TYPES), is_stated=True)
        for damaged in (b"{", b"\xff", b'{"max_metrics": 0}', b'{"max_body_octets": 1}'):
            await buffer.put_meta(ACCEPTS_KEY, damaged)
            assert await after.kept_accepts() is None


async def test_what_the_server_refused_is_known_before_anything_is_delivered(tmp_path):
    exclusions = Exclusions()
    for _ in range(REFUSALS):
        exclusions.learn("sensor_reading s", "unknown", 0, 0)
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 1_800_000_000_000_000) as buffer:
        await buffer.put_meta(EXCLUSIONS_KEY, exclusions.encode())
        after = upstream(buffer, "the-token")
        async with AsyncExitStack() as parts:
            await after.open(parts)
            assert isinstance(after.courier, Courier)
            assert after.courier.course.verdicts.exclusions.of(1) == {"sensor_reading s": "unknown"}


async def test_a_destination_that_fails_beside_the_api_does_not_make_the_api_fail_for_a_group(tmp_path):
    file = tmp_path / "destinations.yaml"
    file.write_text("destinations:\n  - {name: tsdb, remote_write: 'http://127.0.0.1:9/write'}\n")
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=wall_us) as buffer, AsyncExitStack() as parts:
        one = upstream(buffer, "token", destinations=file)
        await one.open(parts)
        assert set(one.dealings) == {"metrics", "heartbeat", "destination tsdb"}
        assert set(one.decisive) == {"metrics", "heartbeat"}
        assert all(one.decisive[name] is one.dealings[name] for name in one.decisive)


async def test_while_destinations_wait_for_the_time_their_loops_move(tmp_path):
    """Else they look stuck after two minutes without the API, and systemd starts the agent again and again."""
    (tmp_path / "destinations.yaml").write_text("destinations:\n  - name: p\n    remote_write: http://127.0.0.1:9/\n")
    marks = Marks()
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=wall_us) as buffer, AsyncExitStack() as parts:
        settling = settling_of(buffer, is_synced=False)
        await settling.begin()
        api = ApiUpstream(
            Settings(api_url="http://127.0.0.1:9", token=Secret("t"), destinations=tmp_path / "destinations.yaml"),
            *(TokenSource(Secret("t")), buffer, Counters(), marks),
            accepts=Accepts,
            known=asyncio.Event(),
            settling=settling,
            layouts=dict,
        )
        await api.open(parts)
        marks.begin()
        before = marks.due_s
        waiting = asyncio.create_task(api.loops["destinations"]())
        for _ in range(5):
            await asyncio.sleep(0)
        moved = {loop for loop, due_s in marks.due_s.items() if due_s > before[loop] + 1}
        waiting.cancel()
    assert moved == {"destinations", "delivery to p"}
