"""The whole demo in a browser: simulated devices, the real agent, the sandbox and its page."""

from contextlib import AsyncExitStack

from browser.chromium import browser_page
from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_lab.demo.site import ACCEPTS, SITE, TOKEN, demo_config, running_agent
from towerops_lab.demo.tower import tower
from towerops_lab.sandbox.server import Sandbox


async def test_values_flow_an_outage_leaves_no_gap_and_a_dead_device_is_told(tmp_path):
    """One story, since the agent delivers every 30 s: a radio dies and the API is cut; the API comes back."""
    async with AsyncExitStack() as parts:
        site = await parts.enter_async_context(tower())
        sandbox = Sandbox(demo_config(site.equipment), TOKEN, ACCEPTS, site=SITE)
        sandbox.page.add(site.switches())
        url = await parts.enter_async_context(sandbox.serve())
        page = await parts.enter_async_context(browser_page(url))
        from playwright.async_api import expect

        await page.goto(url)
        await parts.enter_async_context(running_agent(url, tmp_path))
        await expect(page.locator("#tile-devices")).to_have_text("7 of 7 up")
        await expect(page.locator('[data-device="backhaul"] .value')).to_contain_text("dBm")

        await page.locator('[data-device="sector-west"]').click()
        await page.get_by_role("switch", name="Switch it off").click()
        await page.get_by_role("switch", name="Cut the API").click()
        await expect(page.get_by_role("switch", name="Cut the API")).to_be_checked()
        met = len(sandbox.store.exchanges)
        await sandbox.store.wait_until(
            lambda store: any(each.path == METRICS_PATH and each.status is None for each in store.exchanges[met:])
        )
        await page.get_by_role("switch", name="Cut the API").click()
        batches = len(sandbox.store.batches)
        await sandbox.store.wait_until(lambda store: len(store.batches) > batches)

        down = page.locator('[data-device="sector-west"]')
        await expect(down.locator(".state")).to_have_text("Down")
        await expect(down.locator(".why")).not_to_be_empty()
        await page.locator('[data-device="backhaul"]').click()
        shown = page.locator(".chart").first
        await expect(shown.locator("path.line")).to_have_count(1)
        await expect(shown.locator(".gapband")).to_have_count(0)
        assert int(await shown.get_attribute("data-points")) >= 5
