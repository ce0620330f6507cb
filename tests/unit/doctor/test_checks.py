"""The doctor's checks of settings, clock, configuration, and of what the API answers."""

import json
from datetime import UTC, datetime

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
from towerops_agent.doctor.findings.check import Check, Mark
from towerops_agent.doctor.findings.clock import check_clock
from towerops_agent.doctor.findings.config import MOST_REFUSALS, check_config
from towerops_agent.doctor.settings import check_settings

NOON = datetime(2026, 1, 9, 12, 0, 0, tzinfo=UTC)
ENVIRON = {"TOWEROPS_API_URL": "https://api.example.net", "TOWEROPS_AGENT_TOKEN": "hush-token-7d"}


# Settings


def test_good_settings_are_one_line_without_the_token(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("hush-token-7d\n")
    seen = []
    environ = {"TOWEROPS_API_URL": "https://api.example.net/", "TOWEROPS_AGENT_TOKEN_FILE": str(token_file)}
    prepared = check_settings(environ, {"database_path": "/x/agent.db"}, seen.append)
    assert prepared.settings is not None
    assert prepared.token is not None
    assert prepared.tls is not None
    (check,) = prepared.checks
    assert check == Check("settings", Mark.OK, f"API https://api.example.net, token from {token_file}, database /x/agent.db")
    assert [token.reveal() for token in seen] == ["hush-token-7d"]


def test_each_bad_setting_is_a_line_with_what_is_expected():
    prepared = check_settings({"TOWEROPS_API_URL": "ftp://x", "CONFIG_REFRESH_SECONDS": "soon"}, {})
    assert prepared.settings is None
    assert [check.mark for check in prepared.checks] == [Mark.FAILED] * 3
    texts = [(check.found, check.hint) for check in prepared.checks]
    assert ("CONFIG_REFRESH_SECONDS is 'soon'", "expected a whole number of seconds from 5 to 86400") in texts


def test_files_that_cant_be_used_leave_the_other_settings_of_use(tmp_path):
    """A token's file and a CA file that are not there: two lines, and the database can still be looked at."""
    environ = {
        "TOWEROPS_API_URL": "https://api.example.net",
        "TOWEROPS_AGENT_TOKEN_FILE": str(tmp_path / "token"),
        "TOWEROPS_CA_FILE": str(tmp_path / "ca.pem"),
    }
    prepared = check_settings(environ, {})
    assert prepared.settings is not None
    assert (prepared.token, prepared.tls) == (None, None)
    assert [check.mark for check in prepared.checks] == [Mark.FAILED] * 2
    assert "token" in prepared.checks[0].found
    assert "TOWEROPS_CA_FILE" in prepared.checks[1].found


def test_plain_http_to_another_machine_is_a_warning():
    environ = {**ENVIRON, "TOWEROPS_API_URL": "http://api.example.net", "TOWEROPS_ALLOW_HTTP": "1"}
    (check,) = check_settings(environ, {}).checks
    assert check.mark is Mark.WARNING
    assert "in the clear" in check.found


# Clock


@pytest.mark.parametrize(
    ("now", "ahead_s", "mark", "text"),
    [
        (NOON, 0.0, Mark.OK, "within 1 s of the server's"),
        (NOON, -20.4, Mark.OK, "within 20 s"),
        (NOON, None, Mark.OK, "not compared"),
        (NOON, 7500.0, Mark.FAILED, "2 h 5 min ahead of the server's"),
        (NOON, -31.0, Mark.FAILED, "31 s behind the server's"),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), None, Mark.FAILED, "has lost its time"),
    ],
)
def test_the_clock_is_held_against_the_servers_and_against_reason(now, ahead_s, mark, text):
    check = check_clock(now, ahead_s)
    assert check.mark is mark
    assert text in check.found
    assert bool(check.hint) is (mark is Mark.FAILED)


# The API's outcomes


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


# Configuration


def config(*equipment, **more):
    return config_text(json.dumps({"equipment": list(equipment), **more}).encode())


def test_a_configuration_is_counted_and_each_refused_item_is_told_without_secrets():
    body = config(
        {
            "id": "1",
            "name": "North",
            "ip_address": "10.0.0.1",
            "sensors": [{"id": "t", "oid": "x"}, {"id": "u", "oid": "1.3.6.1"}],
        },
        {"id": "2", "ip_address": "10.0.0"},
        {"id": "3", "ip_address": "10.0.0.3", "snmp": {"community": ["hush"]}},
        {"id": "4", "ip_address": "10.0.0.4", "snmp": {"enabled": False}},
        version="7",
    )
    configured = check_config(body, lambda _: True)
    first, *refused = configured.checks
    assert first.found == "version 7: 1 device, 1 sensor, 0 interfaces; 1 more with SNMP switched off; 3 refused"
    assert first.mark is Mark.WARNING
    told = [(check.found, check.hint) for check in refused]
    assert told[1] == (
        "equipment 2 refused: ip_address is '10.0.0'",
        "correct it in Towerops: expected an IPv4 address, an IPv6 address or a DNS name",
    )
    assert "sensor t of North refused: oid is 'x'" in told[0][0]
    assert "hush" not in str(told)
    assert [device.name for device in configured.devices()] == [device.name for device in configured.devices()] == ["North"]


def test_many_refusals_are_cut():
    configured = check_config(config(*({"id": str(i), "ip_address": "10.0.0"} for i in range(30))), lambda _: True)
    assert len(configured.checks) == 1 + MOST_REFUSALS + 1
    assert configured.checks[-1].found == "and 10 more refused"


def test_no_device_is_a_warning():
    (check,) = check_config(config(), lambda _: True).checks
    assert (check.mark, check.hint) == (Mark.WARNING, "assign devices to this agent in Towerops")


def test_an_answer_that_is_no_configuration_may_be_another_servers():
    checks = check_api(Unavailable("the configuration can't be used: malformed JSON at octet 0", 200), True, took_s=0.1)
    assert [check.mark for check in checks] == [Mark.FAILED, Mark.SKIPPED]
    assert "captive portal" in checks[0].hint


def test_only_the_wanted_devices_are_given():
    body = config(*({"id": str(i), "ip_address": "10.0.0.1"} for i in range(3)))
    configured = check_config(body, lambda equipment: equipment.id == "1")
    assert configured.total == 1
    assert [device.id for device in configured.devices()] == ["1"]
    assert configured.checks[0].found.startswith("3 devices")
