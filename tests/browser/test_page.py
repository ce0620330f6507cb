"""The page, as a person sees it: in a browser, fed through the API as an agent feeds it."""

import re
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2
import pytest

from browser.chromium import browser_page
from towerops_agent.api.wire.contract import HEARTBEAT_PATH, METRICS_PATH
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox

TOKEN = "secret"
INTERVAL_S = 5


def equipment(name: str) -> dict:
    return {
        "id": name,
        "name": name.title(),
        "ip_address": "127.0.0.1",
        "snmp": {"version": "2c", "port": 1161},
        "sensors": [{"id": f"{name}/t", "oid": "1.3.6.1", "type": "temperature", "unit": "°C", "metadata": {"descr": "Board"}}],
        "interfaces": [{"id": f"{name}/e", "if_index": 1, "if_name": "ether1"}],
    }


CONFIG = {"poll_interval_seconds": INTERVAL_S, "equipment": [equipment("router"), equipment("radio")]}


class Agent:
    """Posts what an agent would: polls at times of its own choosing, the newest at `now_s`."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.now_s = time.time()

    async def send(self, *ages_s: float, devices: tuple[str, ...] = ("router", "radio")) -> httpx2.Response:
        """The polls of so many seconds ago."""
        metrics = []
        for age_s in ages_s:
            read_s = self.now_s - age_s
            stamp = datetime.fromtimestamp(read_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            for device in devices:
                octets = {"if_in_octets": int(125_000 * read_s), "if_out_octets": int(25_000 * read_s)}
                rest = dict.fromkeys(("if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards"), 0)
                metrics += [
                    {"type": "sensor_reading", "sensor_id": f"{device}/t", "value": 41.5, "status": "ok", "timestamp": stamp},
                    {"type": "interface_stat", "interface_id": f"{device}/e", **octets, **rest, "timestamp": stamp},
                ]
        return await self._client.post(METRICS_PATH, json={"metrics": metrics}, headers={"authorization": f"Bearer {TOKEN}"})

    async def beat(self) -> None:
        body = {"version": "0.1.0", "hostname": "poller-1", "uptime_seconds": 60}
        await self._client.post(HEARTBEAT_PATH, json=body, headers={"authorization": f"Bearer {TOKEN}"})


@asynccontextmanager
async def opened(**context):
    """The page in a browser, and the agent that feeds it."""
    sandbox = Sandbox(CONFIG, TOKEN, site=Site("North Ridge", "A site."))
    async with (
        sandbox.serve() as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=None) as client,
        browser_page(url, **context) as page,
    ):
        await page.goto(url)
        yield page, Agent(client)


def chart(page, item: str):
    return page.locator(f'.chart[data-item="{item}"]')


async def test_a_value_is_shown_when_its_batch_has_arrived():
    from playwright.async_api import expect

    async with opened() as (page, agent):
        await expect(page.locator("#tile-devices")).to_have_text("0 of 2 up")
        await agent.beat()
        await agent.send(20, 15, 10, 5, 0)
        await expect(page.locator("#tile-devices")).to_have_text("2 of 2 up")
        await expect(page.locator("#tile-agent")).to_have_text("Alive")
        await expect(chart(page, "router/t").locator("figcaption b")).to_have_text("41.5 °C")
        await expect(chart(page, "router/e").locator("b.in")).to_have_text("in 1.00 Mbit/s")
        await expect(chart(page, "router/e").locator("b.out")).to_have_text("out 200 kbit/s")
        await expect(page.locator("#batches-rows tr")).to_have_count(1)


async def test_the_api_cut_and_restored_leaves_no_gap_in_the_chart():
    from playwright.async_api import expect

    async with opened() as (page, agent):
        agent.now_s -= 120
        await agent.send(*range(60, -1, -5))
        agent.now_s += 120
        await page.get_by_role("switch", name="Cut the API").click()
        await expect(page.get_by_role("switch", name="Cut the API")).to_be_checked()
        with pytest.raises(httpx2.TransportError):
            await agent.send(0)
        await expect(page.locator("#tile-backlog")).to_contain_text("values")
        await page.get_by_role("switch", name="Cut the API").click()
        await expect(page.get_by_role("switch", name="Cut the API")).not_to_be_checked()
        await agent.send(0)
        await expect(chart(page, "router/t").locator(".gapband")).to_have_count(1)
        await agent.send(*range(115, 0, -5))  # the backlog, after what is fresh
        await expect(chart(page, "router/t").locator(".gapband")).to_have_count(0)
        await expect(chart(page, "router/t").locator(".lateband")).to_have_count(1)
        await expect(chart(page, "router/t")).to_have_attribute("data-points", "37")
        await expect(chart(page, "router/t").locator("path.line")).to_have_count(1)
        await expect(page.locator("#tile-backlog")).to_have_text("Draining")


async def test_a_device_that_falls_silent_turns_red_with_its_reason_and_comes_back():
    from playwright.async_api import expect

    async with opened() as (page, agent):
        radio = page.locator('[data-device="radio"]')
        await agent.send(60, 55)
        await expect(radio.locator(".state")).to_have_text("Up")
        green = await radio.locator(".state").evaluate("each => getComputedStyle(each).color")
        await agent.send(*range(50, 5, -5), devices=("router",))
        await expect(radio.locator(".state")).to_have_text("Down")
        await expect(radio.locator(".why")).to_have_text(re.compile("no values for 45 s; last value"))
        await expect(page.locator("#tile-devices")).to_have_text("1 of 2 up")
        await expect(page.locator("#live")).to_have_text("Radio is Down: no values for 45 s")
        red = await radio.locator(".state").evaluate("each => getComputedStyle(each).color")
        assert red != green
        await agent.send(0)
        await expect(radio.locator(".state")).to_have_text("Up")
        await expect(radio.locator(".why")).to_have_text("")


async def test_all_of_it_can_be_done_from_the_keyboard():
    from playwright.async_api import expect

    async with opened() as (page, agent):
        await agent.send(20, 15, 10, 5, 0)
        await expect(page.locator("[data-device=radio] .state")).to_have_text("Up")
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the device's charts")).to_be_focused()
        await page.get_by_role("switch", name="Slow the API").focus()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("switch", name="Slow the API")).to_be_checked()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("switch", name="Slow the API")).not_to_be_checked()
        await page.locator("[data-device=radio]").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail-title")).to_have_text("Radio")
        await chart(page, "radio/t").locator("svg").focus()
        await page.keyboard.press("Home")
        await expect(page.locator("#live")).to_contain_text("41.5 °C")


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
async def test_it_is_accessible_in_either_theme_and_fits_a_phone_and_a_desk(theme, width):
    """axe finds nothing to complain of, and nothing is wider than the screen."""
    try:
        from axe_playwright_python.async_playwright import Axe
    except ImportError:
        pytest.skip("axe-playwright-python is needed: install the extra dev")
    from playwright.async_api import expect

    async with opened(viewport={"width": width, "height": 800}, color_scheme=theme) as (page, agent):
        await agent.send(60, 55)
        await agent.send(*range(50, -1, -5), devices=("router",))
        await expect(page.locator("[data-device=radio] .state")).to_have_text("Down")
        await page.get_by_role("switch", name="Cut the API").click()
        await expect(page.get_by_role("switch", name="Cut the API")).to_be_checked()
        for path in ("", "docs"):
            if path:
                await page.goto(f"{page.url.split('#')[0]}{path}")
            results = await Axe().run(page)
            assert results.response["violations"] == [], results.generate_report()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_theme_can_be_chosen_and_is_remembered():
    from playwright.async_api import expect

    async with opened(color_scheme="light") as (page, _):
        button = page.locator("#theme")
        for name in ("light", "dark"):
            await button.click()
            await expect(button).to_have_text(f"Theme: {name}")
        await page.reload()
        await expect(button).to_have_text("Theme: dark")
        assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
