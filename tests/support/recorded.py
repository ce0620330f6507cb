"""An agent's database, written by its own buffer in a moment: hours of a small site, whose values are known at each minute."""

from pathlib import Path

import msgspec

from support.snapshots import report, snapshot
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll, Secret
from towerops_agent.telemetry.views.snapshot import KEY, Snapshot, encode_snapshot

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
END_US = 1_800_000_000_000_000
TOKEN = Secret("page-token-7f3a91")
COMMUNITY = "page-community-55d1"
PASSWORD = "page-v3-password-90ac"
SPIKE_AGO = 700
"""How many minutes before the end the router's board is at 95.0 °C for one poll; it is at 41.5 °C else."""
SECRETS = (TOKEN.reveal(), COMMUNITY, PASSWORD)

ROUTER = {
    "id": "router-1",
    "name": "Router <North>",
    "ip_address": "10.0.0.1",
    "snmp": {"version": "2c", "community": COMMUNITY},
    "sensors": [
        {"id": "board", "oid": "1.3.6.1.1.0", "type": "temperature", "divisor": 10, "unit": "°C", "metadata": {"descr": "board"}},
        {
            "id": "fan",
            "oid": "1.3.6.1.2.0",
            "type": "state",
            "metadata": {"descr": "fan", "states": {"1": "runs", "2": "failed"}},
        },
        {"id": "never", "oid": "1.3.6.1.3.0", "type": "voltage"},
    ],
    "interfaces": [{"id": "ether", "if_index": 1, "if_name": "ether1"}],
}
RADIO = {
    "id": "radio/ü",
    "name": "Radio",
    "ip_address": "10.0.0.2",
    "snmp": {"version": "3", "v3_username": "u", "v3_auth_password": PASSWORD, "v3_auth_protocol": "SHA"},
    "sensors": [{"id": "signal", "oid": "1.3.6.1.4.0", "unit": "dBm"}],
}
CONFIG = msgspec.json.encode({"version": "7", "equipment": [ROUTER, RADIO]})
LAYOUTS = (
    Layout("router-1", (("board", 10.0), ("fan", 1.0), ("never", 1.0)), ("ether",)),
    Layout("radio/ü", (("signal", 1.0),)),
)


def left(**changes) -> Snapshot:
    """The agent's last snapshot, written at the end."""
    whole = {"started_us": END_US - 30 * HOUR_US, "written_us": END_US - MINUTE_US} | changes
    return snapshot(**whole)


def is_down(**changes):
    """The radio as the snapshot has it."""
    return report("radio/ü", "Radio", "10.0.0.2:161", state="down", reason="timeout", **changes)


async def record(
    path: Path, minutes: int = 24 * 60, *, snapshot: Snapshot | None = None, silent: int = 0, waiting: int = 10
) -> None:
    """A poll of each device each minute up to END_US, but for the radio's last `silent`; the last `waiting` are not delivered."""
    now_us = END_US - minutes * MINUTE_US
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        router, radio = await buffer.register_all(LAYOUTS)
        await buffer.keep_config(seal(TOKEN, config_text(CONFIG)))
        for minute in range(minutes, 0, -1):
            board = 950 if minute == SPIKE_AGO else 415
            octets = (minutes - minute) * 7_500_000
            errors = 60 if minute < 30 else 0
            values = (board, 2 if minute < 60 else 1, None, octets, octets // 10, errors, 0, 0, 0)
            buffer.add(Poll(router, now_us, values, ((4, 1_000),), 3))
            if minute > silent:
                buffer.add(Poll(radio, now_us, (-60 - minute % 3,), ((1, 2_000),), 1))
            now_us += MINUTE_US
            if minute - 1 == waiting:
                await buffer.flush()
                while (batch := await buffer.next_batch(100_000)) is not None:
                    await buffer.acknowledge(batch)
                await buffer.clean_up()
        if snapshot is not None:
            await buffer.put_meta(KEY, encode_snapshot(snapshot))
        await buffer.flush()
