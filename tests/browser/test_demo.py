"""The whole demo in a browser: simulated devices, the real agent, the sandbox and its page."""

import re
from contextlib import AsyncExitStack

from browser.chromium import browser_page
from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_lab.demo.site import ACCEPTS, SITE, TOKEN, demo_config, running_agent
from towerops_lab.demo.tower import tower
from towerops_lab.sandbox.server import Sandbox


async def test_values_flow_lost_packets_and_an_outage_leave_no_gap_and_a_dead_device_is_shown(tmp_path):
    """One story: packets get lost, a radio dies, which shows at once, and the API is cut and comes back."""
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

        loss = page.get_by_role("switch", name="Lose 30 % of its packets")
        await page.locator('[data-device="router"]').click()
        await loss.click()
        said = page.locator('[data-switch="router-loss"] .said')
        await expect(said).to_have_text(re.compile(r"Lost so far: [1-9]\d* of \d+ requests\. The agent asked again\."))
        await expect(page.locator("#detail-meta")).to_have_text(re.compile(r"answers in [\d.]+ m?s"))
        await loss.click()
        await expect(said).to_have_text("")
        await expect(page.locator('[data-device="router"] .state')).to_have_text("Up")

        await page.locator('[data-device="sector-west"]').click()
        await page.get_by_role("switch", name="Switch it off").click()
        await expect(page.locator('[data-device="sector-west"] .state')).to_have_text("Down")
        await expect(page.locator('[data-device="sector-west"] .why')).to_have_text(re.compile(r"no answer; last value [\d:]+"))
        await page.get_by_role("switch", name="Cut the API").click()
        await expect(page.get_by_role("switch", name="Cut the API")).to_be_checked()
        met = len(sandbox.store.exchanges)
        await sandbox.store.wait_until(
            lambda store: any(each.path == METRICS_PATH and each.status is None for each in store.exchanges[met:])
        )
        await page.get_by_role("switch", name="Cut the API").click()
        batches = len(sandbox.store.batches)
        await sandbox.store.wait_until(lambda store: len(store.batches) > batches)

        await page.locator('[data-device="backhaul"]').click()
        shown = page.locator(".chart").first
        await expect(shown.locator("path.line")).to_have_count(1)
        await expect(shown.locator(".gapband")).to_have_count(0)
        assert int(await shown.get_attribute("data-points")) >= 5
