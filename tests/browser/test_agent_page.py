"""The agent's page, as a person sees it: served, and as a file, of a database that the agent's own buffer has written."""

import asyncio
import re
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest

from browser.chromium import browser_page
from support.recorded import END_US, MINUTE_US, TOKEN, is_down, left, record
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.cli.page import write
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, LayoutKind, Poll
from towerops_agent.page.server import Pages, PageServer
from towerops_agent.page.site import Site

DOWN = left(troubled=[is_down(since_us=END_US - 9 * MINUTE_US)])


async def record_day(path) -> None:
    """A day in which the radio has died in the end."""
    await record(path, silent=10, snapshot=DOWN)


async def record_few_errors(path) -> None:
    """Two hours of an interface with an error each five minutes, the time between two polls."""
    now_us = END_US - 24 * 5 * MINUTE_US
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        layout = await buffer.register(Layout("router-1", (), ("ether",)))
        for errors in range(24):
            buffer.add(Poll(layout, now_us, (0, 0, errors, 0, 0, 0), ((1, 1_000),), 1))
            now_us += 5 * MINUTE_US


async def record_slow_pings(path) -> None:
    """Two hours of polls each minute, and of a round of pings each ten."""
    now_us = END_US - 120 * MINUTE_US
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        layouts = Layout("router-1", (("board", 1.0),)), Layout("router-1", kind=LayoutKind.PINGS)
        router, pings = await buffer.register_all(layouts)
        for minute in range(120):
            buffer.add(Poll(router, now_us, (41,), ((1, 1_000),), 1))
            if minute % 10 == 0:
                buffer.add(Poll(pings, now_us, (5, 5, 900, 1_000, 1_100, 20), ((1, 0),), 1))
            now_us += MINUTE_US


LARGE = {  # two values of a sensor that follow each other, by its id
    "as good as one": (1 << 62, (1 << 62) + 1024),
    "the largest of 64 bits": ((1 << 64) - 1, (1 << 64) - 1),
    "the smallest": (-(1 << 63), -(1 << 63)),
    "as far apart as can be": (-1.7e308, 1.7e308),
    "millions": (1_234_500, 7_654_300),
    "a little more than a thousand": (1000, 1007),
    "nearly nothing": (1e-9, 2e-9),
}


async def record_large_values(path) -> None:
    """An hour of what a broken device may give: values of which the next larger one is a thousand away."""
    now_us = END_US - 60 * MINUTE_US
    sensors = [{"id": name, "oid": "1.3.6.1.1.0", "unit": "V"} for name in LARGE]
    config = {"equipment": [{"id": "ups", "name": "UPS", "ip_address": "10.0.0.1", "sensors": sensors}]}
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode(config))))
        layout = await buffer.register(Layout("ups", tuple((name, 1.0) for name in LARGE)))
        for minute in range(60):
            values = tuple(pair[minute % 2] for pair in LARGE.values())
            buffer.add(Poll(layout, now_us, values, ((len(LARGE), 1_000),), len(LARGE)))
            now_us += MINUTE_US


@asynccontextmanager
async def opened(folder, *, recorded=record_day, with_clock=False, now=None, **context):
    """The page in a browser, of what was recorded. `with_clock`: the test may run its timers, from `now` on."""
    database = folder / "agent.db"
    await recorded(database)
    site = Site(database, lambda: TOKEN, lambda: END_US)
    server = PageServer(("127.0.0.1", 0), Pages(site, monotonic_s=count(0, 10).__next__))  # each answer is a fresh one
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        async with browser_page(url, **context) as page:
            if with_clock:
                await page.clock.install(time=now)
            await page.goto(url)
            yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chart(page, item: str):
    return page.locator(f'.chart[data-item="{item}"]')


async def choose_router(page) -> None:
    """Choose it once the charts of the radio, the first, have been drawn: before, they may move it away from the pointer."""
    from playwright.async_api import expect

    await expect(chart(page, "signal")).to_be_visible()
    await page.locator('[data-device="router-1"]').click()


async def test_the_day_of_a_site_is_shown_with_its_spike(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        await expect(page.locator("#title")).to_have_text("poller-1: the last 24 hours")
        await expect(page.locator("#tile-devices")).to_have_text("1 of 2 up")
        await expect(page.locator("#tile-agent")).to_have_text("Running")
        first = page.locator(".device").first
        await expect(first.locator(".name")).to_have_text("Radio")
        await expect(first.locator(".why")).to_have_text(re.compile("met with silence, since"))
        await choose_router(page)
        await expect(page.locator("#detail-title")).to_have_text("Router <North>")
        board = chart(page, "board")
        await expect(board.locator("figcaption b")).to_have_text("41.5 °C")
        await expect(board.locator(".spreadband")).to_have_count(1)
        spoken = re.compile("last 24 hours: now 41.5 °C, from 41.5 °C to 95 °C")
        await expect(board.locator("svg")).to_have_attribute("aria-label", spoken)
        await expect(chart(page, "ether").locator("b.in")).to_have_text("in 1.00 Mbit/s")
        await expect(chart(page, "ether errors")).to_have_count(1)
        await expect(chart(page, "fan").locator(".word").first).to_have_text("runs")
        await expect(page.locator("#silent")).to_have_text("In 24 hours nothing was read of: voltage.")
        await expect(page.locator("#legend-wait")).to_be_visible()


async def test_an_hour_shows_each_poll(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        await choose_router(page)
        await expect(chart(page, "board")).to_have_attribute("data-points", "144")
        await page.get_by_role("button", name="1 hour").click()
        await expect(chart(page, "board")).to_have_attribute("data-points", "60")
        await expect(page.get_by_role("button", name="1 hour")).to_have_attribute("aria-pressed", "true")
        await expect(chart(page, "board").locator("path.line")).to_have_count(1)


async def test_a_value_that_is_old_is_not_shown_as_the_present_one(tmp_path):
    """The radio is down for ten minutes; the router is not."""
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        signal = chart(page, "signal")
        await expect(signal).to_have_attribute("data-points", "143")
        await page.get_by_role("button", name="1 hour").click()
        await expect(signal.locator("svg")).to_have_attribute(
            "aria-label", re.compile("last 60 minutes: last .6[0-2] dBm,.*Nothing was read since")
        )
        await expect(signal).to_have_class(re.compile("stale"))
        await expect(signal.locator(".gapband")).to_have_count(1)
        await expect(signal.locator("figcaption")).to_have_text(re.compile(r"\d\d:\d\d  .6[0-2] dBm"))
        await expect(page.locator("#legend-gap")).to_be_visible()
        await page.locator('[data-device="router-1"]').click()
        await expect(chart(page, "board").locator("svg")).to_have_attribute("aria-label", re.compile("minutes: now 41.5 °C"))
        await expect(chart(page, "board").locator("figcaption span").last).to_have_text("41.5 °C")


async def test_a_few_errors_an_hour_are_not_none(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path, recorded=record_few_errors) as page:
        errors = chart(page, "ether errors")
        await expect(errors.locator("b.in")).to_have_text("in 0.0033 packets/s")
        await expect(errors.locator("b.out")).to_have_text("out 0 packets/s")
        await expect(errors.locator("svg > text").get_by_text("0.004", exact=True)).to_have_count(1)


async def test_values_whose_neighbours_are_far_apart_have_an_axis_and_do_not_stop_the_page(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path, recorded=record_large_values) as page:
        for item in LARGE:
            await expect(chart(page, item)).to_have_attribute("data-points", "6")
            heights = [float(await line.get_attribute("y1")) for line in await chart(page, item).locator(".grid").all()]
            assert 2 <= len({*heights}) == len(heights) <= 6, item
        await page.get_by_role("button", name="1 hour").click()
        await expect(chart(page, "as good as one")).to_have_attribute("data-points", "60")


async def test_the_numbers_of_an_axis_are_whole_and_what_they_are_beside(tmp_path):
    """None is cut off by the chart's edge, none is there twice, and each is that of its line."""
    from playwright.async_api import expect

    texts = {
        "as good as one": ["4.611686016E", "4.611686018E", "4.61168602E", "4.611686022E"],
        "millions": ["0", "5M", "10M"],
        "a little more than a thousand": ["1,000", "1,002.5", "1,005", "1,007.5"],
    }
    async with opened(tmp_path, recorded=record_large_values) as page:
        await expect(chart(page, "the smallest")).to_be_visible()
        for item in LARGE:
            shown = chart(page, item).locator("svg > text[text-anchor=end]")
            assert min(await shown.evaluate_all("all => all.map((each) => each.getBBox().x)")) >= 0, item
            found = [text.replace("\u202f", "") for text in await shown.all_text_contents()]
            assert len({*found}) == len(found) > 1, (item, found)
            if item in texts:
                assert found == texts[item]


async def test_pings_that_are_made_less_often_than_polls_have_no_gap(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path, recorded=record_slow_pings) as page:
        await page.get_by_role("button", name="1 hour").click()
        await expect(chart(page, "board")).to_have_attribute("data-points", "60")
        await expect(chart(page, "ping loss")).to_have_attribute("data-points", "6")
        await expect(chart(page, "ping loss").locator("path.line")).to_have_count(1)
        assert await page.locator(".gapband").count() == 0


async def test_charts_that_are_older_than_the_page_say_so(tmp_path):
    from playwright.async_api import expect

    async def delay(route):
        answer = await route.fetch()
        view = await answer.json()
        await route.fulfill(response=answer, json=view | {"to_us": view["to_us"] - MINUTE_US})

    async with opened(tmp_path, with_clock=True) as page:
        await expect(chart(page, "signal")).to_be_visible()
        await expect(page.locator("#age")).to_be_hidden()
        await page.route("**/device.json*", delay)
        await page.clock.run_for(15_000)
        await expect(page.locator("#age")).to_have_text(re.compile(r"Charts as of .*\d\d:\d\d:\d\d\."))
        await page.unroute("**/device.json*")
        await page.clock.run_for(15_000)
        await expect(page.locator("#age")).to_be_hidden()


ODD = {
    "long": {"name": "Name-of-a-radio-in-which-there-is-no-blank-" * 3, "unit": "steps-of-a-scale-of-its-own-" * 3},
    "a member of all objects": {"name": "of all", "unit": "constructor"},
}


async def record_odd_names(path) -> None:
    """Ten minutes of a device whose sensors have the names and units above."""
    now_us = END_US - 10 * MINUTE_US
    sensors = [
        {"id": item, "oid": "1.3.6.1.1.0", "type": odd["name"], "unit": odd["unit"], "metadata": {"states": {}}}
        for item, odd in ODD.items()
    ]
    device = {"id": "odd", "name": ODD["long"]["name"], "ip_address": "2001:db8::1", "sensors": sensors}
    config = {"equipment": [device]}
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode(config))))
        layout = await buffer.register(Layout("odd", tuple((item, 1.0) for item in ODD)))
        buffer.note(Event(now_us, EventKind.RESTART, "odd"))
        for _ in range(10):
            buffer.add(Poll(layout, now_us, (5,) * len(ODD), ((len(ODD), 1_000),), len(ODD)))
            now_us += MINUTE_US


async def test_what_somebody_has_called_things_is_read_in_full_on_a_phone(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path, recorded=record_odd_names, viewport={"width": 390, "height": 800}) as page:
        await page.get_by_role("button", name="1 hour").click()
        for item in ODD:
            await expect(chart(page, item)).to_have_attribute("data-points", "10")
            await expect(chart(page, item).locator("svg > text[text-anchor=end]").first).to_have_text("4.5")
        rights = (
            "all => all.map((each) => each.getBoundingClientRect().right - each.closest('.panel').getBoundingClientRect().right)"
        )
        for texts in (".chart figcaption span", ".chart figcaption b", "#detail-meta", ".events td"):
            assert max(await page.locator(texts).evaluate_all(rights)) <= 0, texts
        times = page.locator("#strips .axis text")
        assert min(await times.evaluate_all("all => all.map((each) => each.getBoundingClientRect().height)")) > 10


async def test_a_device_is_found_and_read_from_the_keyboard(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the device's charts")).to_be_focused()
        await page.get_by_label("Find a device").focus()
        await page.keyboard.type("10.0.0.1")
        await expect(page.locator(".device")).to_have_count(1)
        await expect(page.locator("#filter-note")).to_have_text("1 device found")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail-title")).to_have_text("Router <North>")
        await chart(page, "board").locator("svg").focus()
        await page.keyboard.press("Home")
        await expect(page.locator("#live")).to_contain_text("41.5 °C")


async def test_the_file_shows_the_same_and_asks_nobody(tmp_path):
    from playwright.async_api import expect

    await record(tmp_path / "agent.db", silent=10, snapshot=DOWN)
    output = tmp_path / "site.html"
    write(output, Site(tmp_path / "agent.db", lambda: TOKEN, lambda: END_US))
    async with browser_page("file://") as page:
        await page.goto(output.as_uri())
        await expect(page.locator("#tile-devices")).to_have_text("1 of 2 up")
        await choose_router(page)
        await expect(chart(page, "board")).to_have_attribute("data-points", "144")
        await page.get_by_role("button", name="6 hours").click()
        await expect(chart(page, "board").locator("svg")).to_have_attribute("aria-label", re.compile("last 6 hours"))
        await expect(page.locator("footer")).to_contain_text("This file asks nobody for anything.")


async def test_a_page_whose_server_has_gone_says_so_and_keeps_what_it_shows(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        await expect(page.locator("#tile-devices")).to_have_text("1 of 2 up")
        await page.route("**/*.json*", lambda route: route.abort("connectionrefused"))
        await expect(page.locator("#notice")).to_have_text(re.compile("does not answer"))
        await expect(page.locator("#tile-devices")).to_have_text("1 of 2 up")


async def test_a_server_that_never_answers_is_noticed_as_one_that_has_gone(tmp_path):
    """As by a tunnel that is cut: what was asked neither comes nor fails. The page's clock is the test's."""
    from playwright.async_api import expect

    async with opened(tmp_path, with_clock=True) as page:
        await expect(chart(page, "signal")).to_be_visible()
        asked = asyncio.Event()
        await page.route("**/site.json", lambda _route: asked.set())
        await page.clock.run_for(15_000)
        await asked.wait()
        await expect(page.locator("#notice")).to_be_hidden()
        await page.clock.run_for(60_000)
        await expect(page.locator("#notice")).to_have_text(re.compile("`towerops-agent page` does not answer"))
        await page.unroute("**/site.json")
        await page.clock.run_for(15_000)
        await expect(page.locator("#notice")).to_be_hidden()


async def test_until_a_device_has_been_read_no_other_ones_charts_are_below_its_name(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path) as page:
        await choose_router(page)
        await expect(page.locator("#silent")).to_be_visible()
        held, asked = [], asyncio.Event()

        def hold(route):
            held.append(route)
            asked.set()

        await page.route("**/device.json?id=radio*", hold)
        await page.locator('[data-device="radio/ü"]').click()
        await asked.wait()
        await expect(page.locator("#detail-title")).to_have_text("Radio")
        await expect(page.locator("#charts")).to_have_text("Reading …")
        await expect(page.locator("#silent")).to_be_hidden()
        assert await page.locator("#strips .strip").count() == 0
        for route in held:
            await route.continue_()
        await page.unroute("**/device.json?id=radio*")
        await expect(chart(page, "signal")).to_be_visible()


async def test_of_a_database_that_was_replaced_by_an_empty_one_no_device_is_left(tmp_path):
    from playwright.async_api import expect

    async with opened(tmp_path, with_clock=True) as page:
        await expect(chart(page, "signal")).to_be_visible()
        (tmp_path / "agent.db").unlink()
        async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: END_US):
            pass
        await page.clock.run_for(15_000)
        await expect(page.locator("#tile-devices")).to_have_text("None yet")
        await expect(page.locator("#detail-title")).to_have_text("No device yet")
        await expect(page.locator("#detail-state")).to_be_hidden()
        assert await page.locator(".chart").count() == 0


@pytest.mark.parametrize(("month", "zone", "shown"), [(1, "UTC+01:00", ""), (7, "UTC+02:00", r"\+01:00")])
async def test_it_says_by_which_clock_its_times_are_and_if_they_are_of_the_other_half_of_the_year(tmp_path, month, zone, shown):
    """The agent's log has UTC; a file is read elsewhere; and where summer time ends, an hour of the day is there twice."""
    from playwright.async_api import expect

    now = datetime(2027, month, 15, 12, tzinfo=UTC)
    async with opened(tmp_path, with_clock=True, now=now, timezone_id="Europe/Berlin") as page:
        await expect(page.locator("footer")).to_contain_text(f"Times are by this browser's clock, Europe/Berlin, {zone}.")
        await expect(page.locator("#detail-meta")).to_have_text(re.compile(rf"last read .*\d\d:\d\d:\d\d{shown}$"))


async def test_without_scripts_it_says_so_and_nothing_else(tmp_path):
    """Not that there is no device, nor a heading with nothing below it, nor a button that does nothing."""
    async with opened(tmp_path, java_script_enabled=False) as page:
        shown = (await page.locator("main").inner_text()).splitlines()
        assert shown == ["This page draws charts, which needs JavaScript. towerops-agent status and history do without."]
        assert await page.get_by_role("button").count() == 0


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
async def test_it_is_accessible_in_either_theme_and_fits_a_phone_and_a_desk(tmp_path, theme, width):
    try:
        from axe_playwright_python.async_playwright import Axe
    except ImportError:
        pytest.skip("axe-playwright-python is needed: install the extra dev")
    from playwright.async_api import expect

    async with opened(tmp_path, viewport={"width": width, "height": 800}, color_scheme=theme) as page:
        await choose_router(page)
        await expect(chart(page, "board")).to_have_attribute("data-points", "144")
        results = await Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
