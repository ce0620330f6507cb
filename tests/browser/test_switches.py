"""What the page says while each switch is on, and what it says afterwards: in a browser, of the simulated tower.

The tower's life is posted to the sandbox (demo/replay.py), so that minutes take a moment; the two switches that need a real
agent, of a device that loses packets and of one that dies, are in test_demo.py as well.
"""

import asyncio
import re
import time
from contextlib import asynccontextmanager

import httpx2
import pytest

from browser.chromium import browser_page
from towerops_lab.demo.replay import Replay
from towerops_lab.demo.site import ACCEPTS, SITE, TOKEN, demo_config
from towerops_lab.demo.tower import INTERVAL_S, tower
from towerops_lab.sandbox.server import Sandbox

CLOCK = r"\d\d:\d\d:\d\d"


class Story:
    """The page, and what happens, by a clock that only `goes_on` moves."""

    def __init__(self, page, replay: Replay, clock: list[float]) -> None:
        self.page = page
        self._replay = replay
        self._clock = clock

    async def goes_on(self, seconds: int) -> None:
        """So many seconds of polls, the last delivered at once with the others."""
        for _ in range(0, seconds, INTERVAL_S):
            self._clock[0] += INTERVAL_S
            self._replay.poll(self._clock[0])
        await self._replay.deliver(self._clock[0])

    async def turn(self, name: str, on: bool) -> None:
        from playwright.async_api import expect

        switch = self.page.get_by_role("switch", name=name)
        await switch.click()
        await expect(switch).to_be_checked(checked=on)

    def card(self, device: str):
        return self.page.locator(f'[data-device="{device}"]')

    def chart(self, label: str):
        return self.page.locator(".chart").filter(has=self.page.get_by_text(label, exact=True))

    async def chosen(self, device: str) -> None:
        from playwright.async_api import expect

        await self.card(device).click()
        await expect(self.card(device)).to_have_attribute("aria-current", "true")

    async def says(self, selector: str, text) -> None:
        from playwright.async_api import expect

        await expect(self.page.locator(selector)).to_have_text(text)


@asynccontextmanager
async def story(**context):
    """The tower and the page, after a minute of polls; its clock stands still in between."""
    clock = [time.time()]
    async with tower(lambda: clock[0]) as site:
        site.world.rain(False, clock[0] - 600)
        site.world.mains_out(False, clock[0] - 600)
        sandbox = Sandbox(demo_config(site.equipment), TOKEN, ACCEPTS, site=SITE)
        sandbox.page.add(site.switches())
        async with (
            sandbox.serve() as url,
            httpx2.AsyncClient(base_url=url, trust_env=False, timeout=None) as client,
            browser_page(url, **context) as page,
        ):
            await page.goto(url)
            told = Story(page, Replay(sandbox, site, client), clock)
            await told.goes_on(60)
            await told.says("#tile-devices", "7 of 7 up")
            yield told


async def test_with_the_api_cut_all_is_marked_as_last_known():
    from playwright.async_api import expect

    async with story() as told:
        await told.turn("Cut the API", True)
        await told.says("#tile-api", "Cut off")
        await told.says("#tile-api-note", "the agent has not asked since")
        await told.says("#tile-devices-note", re.compile(rf"last known at {CLOCK}, \d+ s ago"))
        await expect(told.page.locator("#tile-devices")).to_have_class("figure stale")
        for device in ("backhaul", "ups"):
            await expect(told.card(device).locator(".state")).to_have_text("Was up")
            await expect(told.card(device).locator(".why")).to_have_text(re.compile(r"last known, \d+ s old"))
        await told.says("#detail-reason", re.compile(rf"Last known at {CLOCK}, \d+ s ago: nothing has arrived since\."))
        await expect(told.page.locator(".chart .waitband").first).to_be_attached()
        await expect(told.page.locator("#legend-wait")).to_be_visible()
        with pytest.raises(httpx2.TransportError):
            await told.goes_on(5)
        await told.says("#tile-api-note", re.compile(rf"the agent has asked 1 time since {CLOCK}, last \d+ s ago"))

        await told.turn("Cut the API", False)
        await told.says("#tile-api", "Open again")
        await told.goes_on(5)
        await told.says("#tile-api", re.compile(r"[\d.]+ ms"))
        await expect(told.card("backhaul").locator(".state")).to_have_text("Up")
        await expect(told.card("backhaul").locator(".why")).to_have_text("")
        await expect(told.page.locator("#detail-reason")).to_be_hidden()
        await expect(told.page.locator(".chart .waitband")).to_have_count(0)
        await expect(told.page.locator("#legend-wait")).to_be_hidden()


async def test_a_switch_shows_as_on_once_the_sandbox_has_turned_it():
    """What is polled after that is polled with it on."""
    from playwright.async_api import expect

    async with story() as told:
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def hold(route) -> None:
            asked.set()
            await go_on.wait()
            await route.continue_()

        await told.page.route("**/page/switches/mains", hold)
        switch = told.page.get_by_role("switch", name="Cut the mains")
        await switch.click()
        await asked.wait()
        assert await switch.get_attribute("aria-checked") == "false"
        go_on.set()
        await expect(switch).to_be_checked()
        await told.chosen("ups")
        await told.goes_on(5)
        await expect(told.chart("Output").locator("figcaption b")).to_have_text("on battery")


async def test_with_the_token_refused_it_says_so_and_that_the_agent_asks():
    from playwright.async_api import expect

    async with story() as told:
        await told.turn("Refuse the token", True)
        await told.says("#tile-api", "Token refused")
        for times in ("1 time", "2 times"):
            with pytest.raises(httpx2.HTTPStatusError, match="401"):
                await told.goes_on(5)
            await told.says("#tile-api-note", re.compile(rf"the agent has asked {times} since {CLOCK}, last \d+ s ago"))
        await told.says("#tile-agent", "Alive")
        await expect(told.card("router").locator(".state")).to_have_text("Was up")
        await expect(told.page.locator("#tile-backlog")).to_contain_text("values")

        await told.turn("Refuse the token", False)
        await told.says("#tile-api", "Open again")
        await told.goes_on(5)
        await expect(told.card("router").locator(".state")).to_have_text("Up")
        await told.says("#tile-api", re.compile(r"[\d.]+ ms"))


async def test_a_slow_api_shows_its_response_time():
    async with story() as told:
        await told.turn("Slow the API", True)
        await told.goes_on(5)
        await told.says("#tile-api", re.compile(r"Slow: \d+\.\d s"))
        await told.turn("Slow the API", False)
        await told.goes_on(5)
        await told.says("#tile-api", re.compile(r"[\d.]+ ms"))


async def test_rain_fades_the_signal_and_afterwards_it_is_as_before():
    from playwright.async_api import expect

    async with story() as told:
        power = told.chart("Received power").locator("figcaption b")
        await expect(power).to_have_text(re.compile(r"\u22125\d(\.\d)? dBm"))
        await told.turn("Let it rain", True)
        await told.goes_on(75)
        await expect(power).to_have_text(re.compile(r"\u22126\d(\.\d)? dBm"))
        await told.turn("Let it rain", False)
        await told.goes_on(75)
        await expect(power).to_have_text(re.compile(r"\u22125\d(\.\d)? dBm"))


async def test_without_mains_the_ups_says_on_battery_and_afterwards_on_line():
    from playwright.async_api import expect

    async with story() as told:
        await told.chosen("ups")
        output = told.chart("Output")
        await expect(output.locator("figcaption b")).to_have_text("on line")
        await told.turn("Cut the mains", True)
        await told.goes_on(60)
        await expect(output.locator("figcaption b")).to_have_text("on battery")
        await expect(told.chart("Line voltage").locator("figcaption b")).to_have_text("0 V")
        await expect(output.locator("text.word")).to_have_text(["on line", "on battery"])
        await told.turn("Cut the mains", False)
        await told.goes_on(60)
        await expect(output.locator("figcaption b")).to_have_text("on line")
        await expect(output.locator(".stateband")).to_have_count(3)


async def test_a_reboot_shows_at_once_and_afterwards_when_it_was():
    from playwright.async_api import expect

    async with story() as told:
        await told.chosen("switch")
        await told.page.get_by_role("button", name="Reboot it").click()
        await expect(told.page.locator("[data-switch=switch-reboot] .said")).to_have_text("Rebooting: it answers again in 20 s.")
        await told.goes_on(10)
        await expect(told.card("switch").locator(".state")).to_have_text("Down")
        await told.goes_on(40)
        await expect(told.card("switch").locator(".state")).to_have_text("Up")
        await expect(told.card("switch").locator(".why")).to_have_text(re.compile(f"restarted at {CLOCK}"))
        await told.says("#detail-reason", re.compile(rf"Restarted at {CLOCK}, \d+ s ago: its counters began at zero\."))
        await expect(told.chart("Port 1").locator(".restart")).to_have_count(1)
        await expect(told.page.locator("[data-switch=switch-reboot] .said")).to_have_text("")


async def test_a_dead_radio_s_values_are_old_and_its_charts_hatched():
    from playwright.async_api import expect

    async with story() as told:
        await told.chosen("sector-west")
        value = told.card("sector-west").locator(".value")
        black = await value.evaluate("each => getComputedStyle(each).color")
        await told.turn("Switch it off", True)
        await told.goes_on(45)
        await expect(told.card("sector-west").locator(".state")).to_have_text("Down")
        await expect(told.card("sector-west").locator(".why")).to_have_text(re.compile(f"no answer; last value {CLOCK}"))
        assert await value.evaluate("each => getComputedStyle(each).color") != black
        await told.says("#detail-reason", re.compile(rf"No answer; last value {CLOCK}\."))
        await expect(told.chart("CPU load").locator(".gapband")).to_have_count(1)
        await expect(told.chart("CPU load").locator("svg")).to_have_attribute("aria-label", re.compile("Nothing was read since"))
        await expect(told.page.locator("#legend-gap")).to_be_visible()

        await told.turn("Switch it off", False)
        await told.goes_on(45)
        await expect(told.card("sector-west").locator(".state")).to_have_text("Up")
        await expect(told.card("sector-west").locator(".why")).to_have_text("")
        assert await value.evaluate("each => getComputedStyle(each).color") == black
        await expect(told.chart("CPU load").locator(".gapband")).to_have_count(1)  # the gap stays, it is true
        await expect(told.chart("CPU load").locator("path.line")).to_have_count(2)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
async def test_axe_finds_nothing_whatever_the_page_says_and_on_a_phone_the_charts_are_below_their_device(theme, width):
    try:
        from axe_playwright_python.async_playwright import Axe
    except ImportError:
        pytest.skip("axe-playwright-python is needed: install the extra dev")
    from playwright.async_api import expect

    async def complaints() -> list[object]:
        return (await Axe().run(told.page)).response["violations"]

    async with story(viewport={"width": width, "height": 844}, color_scheme=theme) as told:
        await told.chosen("ups")
        await told.turn("Cut the mains", True)
        await told.goes_on(30)
        await expect(told.chart("Output").locator(".stateband")).to_have_count(2)
        assert await complaints() == []
        await told.chosen("sector-east")
        await told.turn("Switch it off", True)
        await told.goes_on(30)
        await expect(told.card("sector-east").locator(".state")).to_have_text("Down")
        assert await complaints() == []
        await told.turn("Cut the API", True)
        await told.says("#detail-state", "Was down")
        assert await complaints() == []
        assert await told.page.evaluate("document.documentElement.scrollWidth") <= width
        shown = told.page.locator('li:has([data-device="sector-east"]) #detail')
        await expect(shown).to_have_count(1 if width < 900 else 0)
        for explanation in await told.page.locator(".switch small").all():
            await expect(explanation).to_be_visible()
            assert (await explanation.bounding_box())["height"] > 10, "it is there to be read"
