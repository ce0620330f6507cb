"""The page's files are found by their names, and nothing else is."""

import pytest

from towerops_agent.page.assets import asset


def test_a_file_of_the_page_is_found():
    assert asset("base.css").startswith(b"/* Colours")


@pytest.mark.parametrize("name", ["none.js", "", ".", "..", "../site.py", "a/b", "ü.js", "/etc/passwd"])
def test_nothing_else_is(name):
    assert asset(name) is None
