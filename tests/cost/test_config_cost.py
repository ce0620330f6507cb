"""A guard against slow decay: what a configuration takes while it arrives, in octets that no machine's speed changes."""

import json
import os
import tracemalloc
from uuid import UUID

from cost.device308 import INTERFACES, OIDS
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config import seal, sealing
from towerops_agent.config.document.text import ConfigIntake, ConfigText
from towerops_agent.counters import Counters
from towerops_agent.model import Secret

DEVICES = 600
CHUNK_OCTETS = 1 << 16


def device(n):
    def uuid(item):
        return str(UUID(int=(1000 * n + item) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)))

    return {
        "id": uuid(0),
        "ip_address": "192.0.2.1",
        "sensors": [{"id": uuid(i), "oid": oid, "divisor": 10, "unit": "C"} for i, oid in enumerate(OIDS, 1)],
        "interfaces": [{"id": uuid(100 + i), "if_index": i, "if_name": f"Gi0/{i}"} for i in range(1, 1 + INTERFACES)],
    }


def test_a_configuration_takes_a_part_of_its_text_while_it_arrives_and_is_read():
    """What is kept of it is compressed, and one device is in the open at a time."""
    text = json.dumps({"version": "1", "equipment": [device(n) for n in range(DEVICES)]}).encode()
    tracemalloc.start()
    try:
        intake = ConfigIntake()
        for at in range(0, len(text), CHUNK_OCTETS):
            intake.write(text[at : at + CHUNK_OCTETS])
        config = intake.finish()
        octets = sum(map(len, config.items()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert octets > 0.9 * len(text)
    assert len(config.packed) < 0.3 * len(text)  # 0.22
    assert peak < 0.75 * len(text)  # 0.51 (0.64 from 3.14 on): chunks and buffers of one size, and what is compressed twice


async def test_a_configuration_is_sealed_and_kept_without_a_copy_of_it_in_memory(monkeypatch, tmp_path):
    """Beside its own octets there are a few pieces of it: what waits in the pipes, and what becomes a row."""
    monkeypatch.setattr(seal, "is_loaded", lambda: False)
    config = ConfigText(bytes(16), {}, os.urandom(24 << 20))
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 1_800_000_000_000_000) as buffer:
        tracemalloc.start()
        try:
            await sealing.seal(Secret("token"), config, buffer.keeping_config)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert await sealing.unseal(Secret("token"), await buffer.kept_config() or b"") == config
    assert peak < 0.1 * len(config.packed)  # 0.06; beyond the configuration, which was there before
