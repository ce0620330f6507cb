"""docs/tour.md is what a newcomer sees: its commands are run again, by the tool that wrote it."""

import asyncio
import difflib
import importlib.util
from types import ModuleType

import pytest

from support.markdown import ROOT, read


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tour", ROOT / "tools" / "tour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOUR = tool()


async def test_the_tour_prints_what_its_page_shows():
    """If this differs and the new text is right: `.venv/bin/python tools/tour.py`."""
    page = read("docs/tour.md")
    now = await asyncio.to_thread(TOUR.taken, page)
    words = (TOUR.steadied(text).split() for text in (page, now))
    if changed := " ".join(difflib.unified_diff(*words, "the page:", "now:", n=10, lineterm="")):
        pytest.fail(changed)


def test_a_command_that_prints_something_else_is_noticed():
    page = "```console\n$ echo 7 devices in 3 s\n7 devices in 9 s\n$ false\n```\n"
    now = TOUR.taken(page)
    assert now == "```console\n$ echo 7 devices in 3 s\n7 devices in 3 s\n$ false\n(exit status 1)\n```\n"
    assert TOUR.steadied(now) != TOUR.steadied(page)
    assert TOUR.steadied(TOUR.taken(now)) == TOUR.steadied(now) == TOUR.steadied(now.replace("in 3 s\n$", "in 9 s\n$"))


def test_what_is_waited_for_and_never_printed_ends_the_tour_with_what_was_printed(monkeypatch):
    monkeypatch.setattr(TOUR, "WITHIN_S", 0.0)
    with pytest.raises(TOUR.GivenUp, match="'there' is not in"):
        TOUR.taken('<!-- until "there" in: echo here -->\n```console\n$ true\n```\n')
