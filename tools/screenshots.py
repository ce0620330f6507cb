#!/usr/bin/env python3
"""Take the screenshots of the README: `.venv/bin/python tools/screenshots.py [FOLDER]` (docs/screenshots by default).

Half an hour of the simulated tower's life is posted to a sandbox in a moment (demo/replay.py), and looked at with Debian's
Chromium: a shower, an outage of the API that has been made up for, and a radio that has died. A whole day of it is written into
an agent's database (demo/day.py), for the agent's own page.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, async_playwright

from towerops_agent.cli.page import write
from towerops_agent.model import Secret
from towerops_agent.page.site import Site
from towerops_lab.demo.day import DAY_S, Day
from towerops_lab.demo.replay import BATCH_S, Replay
from towerops_lab.demo.site import ACCEPTS, SITE, TOKEN, demo_config
from towerops_lab.demo.tower import INTERVAL_S, Tower, tower
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.sandbox.switches import Switch

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
DEAD = "sector-west"
DEAD_FOR_S = 45
DESK, PHONE = {"width": 1280, "height": 1330}, {"width": 390, "height": 844}
SHOTS: dict[str, dict[str, Any]] = {
    "site-light": {"viewport": DESK, "color_scheme": "light"},
    "site-dark": {"viewport": DESK, "color_scheme": "dark"},
    "site-phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2, "is_mobile": True},
}
LOOKS = {"site-light": "backhaul", "site-dark": DEAD, "site-phone": "ups"}
"""Which device each picture shows."""
DAY_SHOTS: dict[str, dict[str, Any]] = {
    "day-light": {"viewport": DESK, "color_scheme": "light"},
    "day-dark": {"viewport": DESK, "color_scheme": "dark"},
}
DAY_LOOKS = "backhaul"


async def main(folder: Path) -> None:
    """Write a picture for each of SHOTS."""
    now_s = time.time()
    async with tower() as site:
        sandbox = Sandbox(demo_config(site.equipment), TOKEN, ACCEPTS, site=SITE)
        assert sandbox.page is not None  # noqa: S101 - it has a site
        sandbox.page.add(site.switches())
        async with sandbox.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            await live(Replay(sandbox, site, client), site, sandbox.page.switches, now_s)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(ARGUMENTS))
                for name, context in SHOTS.items():
                    await shoot(browser, f"{url}/#{LOOKS[name]}", folder / f"{name}.png", context)
                for name, context in DAY_SHOTS.items():
                    await shoot_day(browser, now_s, folder / f"{name}.png", context)
                await browser.close()


async def shoot(browser: Browser, url: str, path: Path, context: dict[str, Any]) -> None:
    """One picture; a phone's begins at the chosen device."""
    opened = await browser.new_context(**context)
    page = await opened.new_page()
    await page.goto(url)
    await page.wait_for_selector(".chart[data-points] path.line")
    await page.wait_for_function("document.querySelectorAll('.lateband').length > 0")
    if context.get("is_mobile"):
        await page.locator("[aria-current=true]").evaluate("each => each.scrollIntoView()")
    await page.screenshot(path=path)
    sys.stdout.write(f"{path}\n")
    await opened.close()


async def shoot_day(browser: Browser, now_s: float, path: Path, context: dict[str, Any]) -> None:
    """A picture of the agent's page, as a file."""
    with tempfile.TemporaryDirectory() as place:
        database, page_file = Path(place) / "agent.db", Path(place) / "page.html"
        async with tower(lambda: now_s - DAY_S) as site:
            await Day(site, now_s).write(database)
        write(page_file, Site(database, lambda: Secret(TOKEN), lambda: round(now_s * 1_000_000)))
        opened = await browser.new_context(**context)
        page = await opened.new_page()
        await page.goto(f"{page_file.as_uri()}#{DAY_LOOKS}")
        await page.wait_for_selector(".chart[data-points] path.spreadband")
        await page.screenshot(path=path)
        sys.stdout.write(f"{path}\n")
        await opened.close()


async def live(replay: Replay, site: Tower, switches: Mapping[str, Switch], now_s: float) -> None:
    """The half hour: with rain, a cut of the API, and a radio that dies."""
    site.world.rain(False, now_s - SPAN_S - 600)
    site.world.mains_out(False, now_s - SPAN_S - 600)
    for age_s in range(SPAN_S, -1, -INTERVAL_S):
        at_s = now_s - age_s
        if age_s in RAIN:
            site.world.rain(age_s == RAIN[0], at_s)
        if age_s == OUTAGE[1] + 2 * 60:
            site.world.mains_out(True, at_s)
        if age_s == OUTAGE[1]:
            site.world.mains_out(False, at_s)
        if age_s == DEAD_FOR_S:
            switches[f"{DEAD}-off"].set(True)
        replay.poll(at_s)
        if age_s % BATCH_S == 0 and not OUTAGE[0] > age_s > OUTAGE[1]:
            await replay.deliver(at_s)
    await replay.beat(SPAN_S)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
