#!/usr/bin/env python3
"""Take the screenshots of the README: `.venv/bin/python tools/screenshots.py [FOLDER]` (docs/screenshots by default).

Half an hour of the simulated tower's life is made up in a moment, told to a sandbox through its API, and looked at with Debian's
Chromium: a shower, an outage of the API that has been made up for, and a radio that has died.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, async_playwright

from towerops_agent.api.wire.contract import HEARTBEAT_PATH, METRICS_PATH
from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import Community, Request, Version, decode_message
from towerops_lab.demo.site import ACCEPTS, SITE, TOKEN, demo_config
from towerops_lab.demo.tower import COMMUNITY, INTERVAL_S, Tower, tower
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.profiles.profile import IF_ENTRY, IF_X_ENTRY

SPAN_S = 30 * 60
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OUTAGE = (14 * 60, 8 * 60)  # seconds ago: from, to
RAIN = (11 * 60, 4 * 60)
DEAD_FOR_S = 45
SHOTS: dict[str, dict[str, Any]] = {
    "site-light": {"viewport": {"width": 1280, "height": 1230}, "color_scheme": "light"},
    "site-dark": {"viewport": {"width": 1280, "height": 1230}, "color_scheme": "dark"},
    "site-phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "device_scale_factor": 2,
        "is_mobile": True,
    },
}


async def main(folder: Path) -> None:
    """Write a picture for each of SHOTS."""
    clock_us = time.time_ns() // 1000
    async with tower() as site:
        sandbox = Sandbox(demo_config(site.equipment), TOKEN, ACCEPTS, site=SITE)
        if sandbox.page is not None:
            sandbox.page.add(site.switches())
        async with sandbox.serve() as url:
            await tell(sandbox, site, url, clock_us / 1e6)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(ARGUMENTS))
                for name, context in SHOTS.items():
                    await shoot(browser, url, folder / f"{name}.png", context)
                await browser.close()


async def shoot(browser: Browser, url: str, path: Path, context: dict[str, Any]) -> None:
    """One picture."""
    opened = await browser.new_context(**context)
    page = await opened.new_page()
    await page.goto(f"{url}/#backhaul")
    await page.wait_for_selector(".chart[data-points] path.line")
    await page.wait_for_function("document.querySelectorAll('.lateband').length > 0")
    await page.screenshot(path=path)
    sys.stdout.write(f"{path}\n")
    await opened.close()


async def tell(sandbox: Sandbox, site: Tower, url: str, now_s: float) -> None:
    """Tell the sandbox what an agent would have told it, when it would have."""
    arrives_s = now_s
    sandbox.store.clock_us = lambda: int(arrives_s * 1e6)
    held_back: list[dict[str, Any]] = []
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        pending: list[dict[str, Any]] = []
        for age_s in range(SPAN_S, -1, -INTERVAL_S):
            arrives_s = now_s - age_s
            weather(site, now_s, age_s)
            for equipment in site.equipment:
                if equipment["id"] == "sector-west" and age_s < DEAD_FOR_S:
                    continue
                pending += poll(site, equipment, arrives_s - 0.01 * len(equipment["id"]))
            if age_s % 30 == 5:
                if OUTAGE[0] > age_s > OUTAGE[1]:
                    held_back += pending
                else:
                    await client.post(METRICS_PATH, json={"metrics": pending})
                    for some in range(0, len(held_back), ACCEPTS.max_metrics):
                        await client.post(METRICS_PATH, json={"metrics": held_back[some : some + ACCEPTS.max_metrics]})
                    held_back = []
                pending = []
        await client.post(METRICS_PATH, json={"metrics": pending})
        await client.post(HEARTBEAT_PATH, json={"version": "0.1.0", "hostname": "north-ridge", "uptime_seconds": SPAN_S})


def weather(site: Tower, now_s: float, age_s: int) -> None:
    """Let it rain for a while."""
    if age_s == SPAN_S:
        site.world.rain(False, now_s - age_s - 600)
        site.world.mains_out(False, now_s - age_s - 600)
    if age_s in RAIN:
        site.world.rain(age_s == RAIN[0], now_s - age_s)


def poll(site: Tower, equipment: dict[str, Any], at_s: float) -> Iterator[dict[str, Any]]:
    """What a poll of one device makes."""
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for sensor in equipment["sensors"]:
        (value,) = ask(site, equipment, at_s, sensor["oid"])
        value = value / sensor["divisor"] if sensor["divisor"] != 1 else value
        yield {"type": "sensor_reading", "sensor_id": sensor["id"], "value": value, "status": "ok", "timestamp": stamp}
    narrow = equipment["snmp"]["version"] == "1"
    octets = (f"{IF_ENTRY}.10", f"{IF_ENTRY}.16") if narrow else (f"{IF_X_ENTRY}.6", f"{IF_X_ENTRY}.10")
    columns = (*octets, *(f"{IF_ENTRY}.{column}" for column in (14, 20, 13, 19)))
    for interface in equipment["interfaces"]:
        counters = ask(site, equipment, at_s, *(f"{column}.{interface['if_index']}" for column in columns))
        yield {
            "type": "interface_stat",
            "interface_id": interface["id"],
            **dict(zip(INTERFACE_COLUMNS, counters, strict=True)),
            "timestamp": stamp,
        }


def ask(site: Tower, equipment: dict[str, Any], at_s: float, *oids: str) -> list[Any]:
    """The values of one request."""
    version = Version.V1 if equipment["snmp"]["version"] == "1" else Version.V2C
    request = Request(tuple(parse_oid(oid) for oid in oids)).pdu(0x01000001)
    answer = site.stations[equipment["id"]].answer(Community(version, COMMUNITY.encode()).wrap(request), at_s)
    if answer is None:
        raise RuntimeError(f"{equipment['id']} does not answer")
    return decode_message(answer).pdu.values


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
