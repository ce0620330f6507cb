"""Another site's page can not turn a switch of this one, whichever way it tries."""

import pytest

from towerops_lab.sandbox.guard import problem_of_turn

JSON = {"content-type": "application/json"}


def test_the_page_itself_and_a_tool_may_turn_a_switch():
    assert problem_of_turn(JSON | {"host": "tower:8700", "origin": "http://tower:8700", "sec-fetch-site": "same-origin"}) == ""
    assert problem_of_turn({"content-type": "Application/JSON; charset=utf-8", "host": "127.0.0.1"}) == ""


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"content-type": "text/plain"}, "Content-Type is 'text/plain': expected application/json"),
        ({"content-type": "application/x-www-form-urlencoded"}, "Content-Type is"),
        ({}, "Content-Type is '': expected application/json"),
        (JSON | {"host": "tower:8700", "origin": "http://evil.example"}, "Origin is 'http://evil.example'"),
        (JSON | {"host": "tower:8700", "origin": "null"}, "Origin is 'null'"),
        (JSON | {"host": "tower:8700", "origin": "http://tower:80"}, "Origin is 'http://tower:80'"),
        (JSON | {"sec-fetch-site": "cross-site"}, "expected a request of the page's own"),
        (JSON | {"sec-fetch-site": "same-site"}, "expected a request of the page's own"),
    ],
)
def test_another_site_may_turn_none(headers, reason):
    assert problem_of_turn(headers).startswith(reason)
