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
from towerops_agent.doctor.findings.api import check_api
from towerops_agent.doctor.findings.check import Mark


@pytest.mark.parametrize(
    ("outcome", "marks", "text"),
    [
        (ConfigFetched(config_text(b"{}")), (Mark.OK, Mark.OK), "answers in 120 ms"),
        (NotModified(), (Mark.OK, Mark.OK), "accepted"),
        (Unauthorized(401), (Mark.OK, Mark.FAILED), "the API does not know it"),
        (Unauthorized(403), (Mark.OK, Mark.FAILED), "known, but not allowed"),
        (NotFound("/api/v1/agent/config"), (Mark.FAILED, Mark.SKIPPED), "is TOWEROPS_API_URL right"),
        (Redirected(301, "https://other.example"), (Mark.FAILED, Mark.SKIPPED), "redirects to https://other.example (301)"),
        (Unavailable("no connection"), (Mark.FAILED, Mark.SKIPPED), "no connection"),
        (Unavailable("status 200 with a body that is not JSON", 200), (Mark.FAILED, Mark.SKIPPED), "captive portal"),
        (Unavailable("status 503: busy", 503), (Mark.FAILED, Mark.SKIPPED), "status 503: busy"),
        (TooLarge(), (Mark.FAILED, Mark.SKIPPED), "413"),
        (Rejected(422, "no"), (Mark.FAILED, Mark.SKIPPED), "no"),
    ],
)
def test_each_answer_of_the_api_has_its_meaning(outcome, marks, text):
    checks = check_api(outcome, network_works=True, took_s=0.12)
    assert tuple(check.mark for check in checks) == marks
    assert text in " ".join(f"{check.found} {check.hint}" for check in checks)


def test_an_api_behind_a_broken_network_is_not_blamed():
    checks = check_api(Unavailable("no connection"), network_works=False, took_s=0.1)
    assert [check.mark for check in checks] == [Mark.SKIPPED, Mark.SKIPPED]


def test_an_answer_that_is_no_configuration_may_be_another_servers():
    checks = check_api(Unavailable("the configuration can't be used: malformed JSON at octet 0", 200), True, took_s=0.1)
    assert [check.mark for check in checks] == [Mark.FAILED, Mark.SKIPPED]
    assert "captive portal" in checks[0].hint
