"""The doctor's check of the settings: each bad one is a line that says what is expected."""

from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.settings import check_settings

ENVIRON = {"TOWEROPS_API_URL": "https://api.example.net", "TOWEROPS_AGENT_TOKEN": "hush-token-7d"}


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
    assert check == Check("settings", Result.OK, f"API https://api.example.net, token from {token_file}, database /x/agent.db")
    assert [token.reveal() for token in seen] == ["hush-token-7d"]


def test_each_bad_setting_is_a_line_with_what_is_expected():
    prepared = check_settings({"TOWEROPS_API_URL": "ftp://x", "CONFIG_REFRESH_SECONDS": "soon"}, {})
    assert prepared.settings is None
    assert [check.result for check in prepared.checks] == [Result.FAILED] * 3
    texts = [(check.found, check.hint) for check in prepared.checks]
    assert ("CONFIG_REFRESH_SECONDS is 'soon'", "expected a whole number of seconds from 5 to 86400") in texts


def test_a_variable_that_is_nearly_a_setting_is_a_warning_with_the_setting_meant():
    """Its value may be a secret, and is not shown."""
    prepared = check_settings(ENVIRON | {"LOG_LVL": "debug", "TOWEROPS_PASSPHRASE": "hush-7c"}, {})
    ok, *warnings = prepared.checks
    assert ok.result is Result.OK
    assert warnings == [
        Check("settings", Result.WARNING, "the variable LOG_LVL is not a setting: it is ignored", "did you mean LOG_LEVEL?"),
        Check(
            "settings",
            Result.WARNING,
            "the variable TOWEROPS_PASSPHRASE is not a setting: it is ignored",
            "remove it; `towerops-agent run --help` lists the settings",
        ),
    ]


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
    assert [check.result for check in prepared.checks] == [Result.FAILED] * 2
    assert "token" in prepared.checks[0].found
    assert "TOWEROPS_CA_FILE" in prepared.checks[1].found


def test_plain_http_to_another_machine_is_a_warning():
    environ = {**ENVIRON, "TOWEROPS_API_URL": "http://api.example.net", "TOWEROPS_ALLOW_HTTP": "1"}
    (check,) = check_settings(environ, {}).checks
    assert check.result is Result.WARNING
    assert "in the clear" in check.found
