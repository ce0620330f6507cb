"""The doctor's judgement of what the API answers."""

import pytest

from towerops_agent.api.wire.outcomes import (
    ConfigFetched,
    NotFound,
    NotModified,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from towerops_agent.config.document.text import config_text
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.fetch import check_api


@pytest.mark.parametrize(
    ("outcome", "marks", "text"),
    [
        (ConfigFetched(config_text(b"{}")), (Result.OK, Result.OK), "answers in 120 ms"),
        (NotModified(), (Result.OK, Result.OK), "accepted"),
        (Unauthorized(401), (Result.OK, Result.FAILED), "the API does not know it"),
        (Unauthorized(403), (Result.OK, Result.FAILED), "known, but not allowed"),
        (Unauthorized(403, "<html>Blocked"), (Result.FAILED, Result.SKIPPED), "A proxy or firewall on the way"),
        (NotFound("/api/v1/agent/config"), (Result.FAILED, Result.SKIPPED), "is TOWEROPS_API_URL right"),
        (Redirected(301, "https://other.example"), (Result.FAILED, Result.SKIPPED), "redirects to https://other.example (301)"),
        (Unavailable("no connection"), (Result.FAILED, Result.SKIPPED), "no connection"),
        (Unavailable("status 200 with a body that is not JSON", 200), (Result.FAILED, Result.SKIPPED), "captive portal"),
        (Unavailable("status 503: busy", 503), (Result.FAILED, Result.SKIPPED), "status 503: busy"),
        (TooLarge(), (Result.FAILED, Result.SKIPPED), "413"),
        (Rejected(422, "no"), (Result.FAILED, Result.SKIPPED), "no"),
    ],
)
def test_each_answer_of_the_api_has_its_meaning(outcome, marks, text):
    checks = check_api(outcome, network_works=True, took_s=0.12)
    assert tuple(check.result for check in checks) == marks
    assert text in " ".join(f"{check.found} {check.hint}" for check in checks)


def test_an_api_behind_a_broken_network_is_not_blamed():
    checks = check_api(Unavailable("no connection"), network_works=False, took_s=0.1)
    assert [check.result for check in checks] == [Result.SKIPPED, Result.SKIPPED]


def test_an_answer_that_is_not_a_configuration_may_be_another_servers():
    checks = check_api(Unavailable("the configuration can't be used: malformed JSON at octet 0", 200), True, took_s=0.1)
    assert [check.result for check in checks] == [Result.FAILED, Result.SKIPPED]
    assert "captive portal" in checks[0].hint


ANSWERS = Check("API", Result.OK, "answers in 1500 ms")
UNKNOWN = Check("token", Result.SKIPPED, "not known: the API did not say")
FEWER = "the server wants fewer requests: the agent waits by itself, and loses nothing"
LOGIN_PAGE = "is it the API that answers, or a login page (captive portal) or a proxy on the way?"
OF_ITS_OWN = "the server has a problem of its own: the agent tries again by itself, and loses nothing"
NOT_GIVEN = (
    "the server refuses to give the configuration: is TOWEROPS_API_URL right? "
    "A proxy or firewall on the way may answer in its place"
)


def failed(found, hint):
    return [Check("API", Result.FAILED, found, hint), UNKNOWN]


@pytest.mark.parametrize(
    ("outcome", "checks"),
    [
        (NotModified(), [ANSWERS, Check("token", Result.OK, "accepted")]),
        (
            NotFound("/x"),
            failed(
                "something answers, but has no /x (404)",
                "is TOWEROPS_API_URL right, with its path? It ends before /api/v1, which the agent adds",
            ),
        ),
        (
            Redirected(302, "https://other.example"),
            failed(
                "redirects to https://other.example (302); the token follows no redirect",
                "set TOWEROPS_API_URL to that URL, if you trust it",
            ),
        ),
        (
            Redirected(302, ""),
            failed(
                "redirects to nowhere (302); the token follows no redirect", "set TOWEROPS_API_URL to that URL, if you trust it"
            ),
        ),
        (Unavailable("cut"), failed("cut", "does something on the way cut connections?")),
        (Unavailable("no answer within 15 s", timed_out=True), failed("no answer within 15 s", "is the server overloaded?")),
        (Unavailable("a page", 299), failed("a page", LOGIN_PAGE)),
        (Unavailable("busy", 300), failed("busy", OF_ITS_OWN)),
        (Unavailable("busy", 199), failed("busy", OF_ITS_OWN)),
        (Unavailable("status 429: slow down", 429), failed("status 429: slow down", FEWER)),
        (Unavailable("status 405: no GET", 405), failed("status 405: no GET", NOT_GIVEN)),
        (Rejected(422, "no"), failed("status 422: no", NOT_GIVEN)),
        (TooLarge(), failed("more than the server accepts in one request (413)", NOT_GIVEN)),
    ],
)
def test_each_answer_has_its_line_and_its_hint(outcome, checks):
    assert check_api(outcome, network_works=True, took_s=1.5) == checks


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_the_api_s_failure(status):
    api, token = check_api(Unauthorized(status), network_works=True, took_s=1.5)
    assert api == ANSWERS
    assert (token.name, token.result) == ("token", Result.FAILED)
    assert f"({status})" in token.found
    assert token.hint


def test_what_is_behind_a_broken_network_is_skipped():
    checks = check_api(Unavailable("no connection"), network_works=False, took_s=0.1)
    assert checks == [Check("API", Result.SKIPPED, "not reached: see above"), UNKNOWN]
