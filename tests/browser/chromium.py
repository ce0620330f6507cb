"""Debian's Chromium, driven by playwright: one browser a test, which may ask nobody but this machine.

If either is missing the test is skipped with the reason.
"""

import importlib.util
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.hang import HANG_S

ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root, where Chromium's sandbox does not
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str:
    """Where Chromium is; skips the test if it or playwright is missing."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    missing = [
        *(["Chromium (Debian's package chromium)"] if path is None else []),
        *(["playwright (the extra dev)"] if importlib.util.find_spec("playwright") is None else []),
    ]
    if path is not None and not missing:
        return path
    reason = f"the page's tests need {' and '.join(missing)}"
    pytest.skip(reason)
    sys.exit(reason)


@asynccontextmanager
async def browser_page(origin: str, **context: Any) -> AsyncIterator[Any]:
    """A page of a browser; at the end it has asked nothing of anybody but `origin`, and has had no error."""
    executable = chromium_path()
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=HANG_S * 1000)
    asked: list[str] = []
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            opened = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
            page = await opened.new_page()
            page.set_default_timeout(HANG_S * 1000)
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield page
        finally:
            await browser.close()
    strangers = [url for url in asked if urlsplit(url)[:2] != urlsplit(origin)[:2]]
    assert strangers == []
    assert [error for error in errors if "ERR_CONNECTION" not in error and "ERR_INCOMPLETE" not in error] == []
