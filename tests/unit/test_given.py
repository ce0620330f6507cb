"""Flags and environment make one Settings, or one error that says all that is wrong."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.errors import SettingsError
from towerops_agent.given import read_settings
from towerops_agent.model import Secret
from towerops_agent.settings import SETTINGS, Settings

URL = "https://api.example.net"
MISSING_URL = (
    "TOWEROPS_API_URL is not set: expected https://…, the base URL of the Towerops API (or give --api-url); or a site file in"
    " SITE_PATH"
)
GIVEN = {"TOWEROPS_API_URL": URL, "TOWEROPS_AGENT_TOKEN": "t0ken-of-agent"}


def problems(environ: dict[str, str], **flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ, flags)
    return str(caught.value).split("\n")


def test_url_and_token_are_all_that_is_needed():
    assert read_settings(GIVEN, {}) == Settings(api_url=URL, token=Secret("t0ken-of-agent"))


def test_each_setting_can_come_from_the_environment():
    settings = read_settings(
        {
            "TOWEROPS_API_URL": "https://api.example.net:8443/towerops",
            "TOWEROPS_AGENT_TOKEN_FILE": "/run/secrets/token",
            "CONFIG_REFRESH_SECONDS": "60",
            "DATABASE_PATH": "/var/lib/agent.db",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
            "TOWEROPS_CA_FILE": "/etc/ca.pem",
            "TOWEROPS_CLIENT_CERT": "/etc/agent.pem",
            "TOWEROPS_CLIENT_KEY": "/etc/agent.key",
            "BUFFER_MAX_MB": "64",
            "BUFFER_COMMIT_SECONDS": "0",
            "TOWEROPS_ALLOW_HTTP": "true",
        },
        {},
    )
    assert settings == Settings(
        api_url="https://api.example.net:8443/towerops",
        token_file=Path("/run/secrets/token"),
        config_refresh_s=60,
        database_path=Path("/var/lib/agent.db"),
        log_level="debug",
        log_format="json",
        ca_file=Path("/etc/ca.pem"),
        client_cert=Path("/etc/agent.pem"),
        client_key=Path("/etc/agent.key"),
        buffer_max_mb=64,
        buffer_commit_s=0,
        allow_http=True,
    )


def test_a_flag_wins_over_its_variable():
    environ = GIVEN | {"LOG_LEVEL": "nonsense", "CONFIG_REFRESH_SECONDS": "60", "DATABASE_PATH": "/a.db"}
    flags = {
        "log_level": "error",
        "config_refresh_s": 30,
        "database_path": Path("/b.db"),
        "api_url": "https://b",
        "ca_file": None,
    }
    settings = read_settings(environ, flags)
    assert (settings.log_level, settings.config_refresh_s, settings.database_path) == ("error", 30, Path("/b.db"))
    assert (settings.api_url, settings.ca_file) == ("https://b", None)


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_may_be_a_bool(flag):
    settings = read_settings(GIVEN | {"TOWEROPS_ALLOW_HTTP": "0" if flag else "1"}, {"allow_http": flag})
    assert settings.allow_http is flag


def test_an_empty_text_counts_as_not_set():
    empty = {setting.variable: " " for setting in SETTINGS}
    assert read_settings(empty | GIVEN, {"log_level": ""}) == read_settings(GIVEN, {})


def test_whitespace_around_values_is_dropped():
    settings = read_settings({"TOWEROPS_API_URL": f" {URL}/\n", "TOWEROPS_AGENT_TOKEN": "abc\r\n", "LOG_LEVEL": " info "}, {})
    assert (settings.api_url, settings.token, settings.log_level) == (URL, Secret("abc"), "info")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_nothing_took_away_are_named(setting, quote):
    """Docker's --env-file, and `- NAME="value"` in a compose file's list, leave them in the value."""
    lines = problems(GIVEN | {setting.variable: f"{quote}secret{quote}"})
    (line,) = (line for line in lines if line.startswith(f"{setting.variable} is "))
    assert "expected the value without quotes around it" in line
    assert "secret" not in line or not setting.secret


def test_a_quote_within_a_value_is_a_part_of_it():
    assert read_settings(GIVEN | {"DATABASE_PATH": "/data/Bob's.db"}, {}).database_path == Path("/data/Bob's.db")


def test_a_token_of_which_one_quote_was_left_is_refused_unseen():
    (line,) = problems(GIVEN | {"TOWEROPS_AGENT_TOKEN": "hunter2'"})
    assert line == "TOWEROPS_AGENT_TOKEN is '***': expected the token without quotes around it"


def test_a_site_file_needs_neither_url_nor_token():
    assert read_settings({"SITE_PATH": "/etc/site"}, {}) == Settings(site=Path("/etc/site"))
    assert read_settings({"TOWEROPS_AGENT_TOKEN": "abc"}, {"site": "a.yaml"}) == Settings(site=Path("a.yaml"))


def test_a_site_file_and_an_api_would_both_say_what_to_poll():
    said = "and --site are both set: expected one of them, as each says which devices to poll"
    assert problems(GIVEN, site="a.yaml") == [f"TOWEROPS_API_URL {said}"]


@pytest.mark.parametrize("url", [URL, URL + "/", URL + "///"])
def test_the_api_url_ends_without_a_slash(url):
    assert read_settings(GIVEN | {"TOWEROPS_API_URL": url}, {}).api_url == URL


def test_all_that_is_wrong_is_said_at_once_one_line_each():
    lines = problems(
        {
            "TOWEROPS_API_URL": "ftp://x",
            "CONFIG_REFRESH_SECONDS": "soon",
            "LOG_LEVEL": "loud",
            "LOG_FORMAT": "xml",
            "TOWEROPS_ALLOW_HTTP": "maybe",
        }
    )
    assert sorted(lines) == [
        "CONFIG_REFRESH_SECONDS is 'soon': expected a whole number of seconds from 5 to 86400",
        "LOG_FORMAT is 'xml': expected logfmt or json",
        "LOG_LEVEL is 'loud': expected debug, info, warning or error",
        "TOWEROPS_AGENT_TOKEN is not set: expected the agent's token, or a file that holds it in TOWEROPS_AGENT_TOKEN_FILE",
        "TOWEROPS_ALLOW_HTTP is 'maybe': expected yes or no (or 1 or 0, true or false, on or off)",
        "TOWEROPS_API_URL is 'ftp://x': expected https://…; http:// is accepted only for localhost",
    ]


def test_a_bad_flag_is_named_by_its_flag():
    assert problems(GIVEN, config_refresh_s=1) == [
        "--config-refresh-seconds is '1': expected a whole number of seconds from 5 to 86400"
    ]


def test_a_missing_url_is_said():
    assert problems({"TOWEROPS_AGENT_TOKEN": "abc"}) == [MISSING_URL]


@pytest.mark.parametrize("seconds", ["4", "86401", "-5", "5.0", "1_000", "\u0665\u0665", "9" * 5000])
def test_an_interval_outside_5_to_86400_is_refused(seconds):
    assert len(problems(GIVEN | {"CONFIG_REFRESH_SECONDS": seconds})) == 1


@pytest.mark.parametrize("seconds", [5, 86_400])
def test_the_interval_s_bounds_are_fit(seconds):
    assert read_settings(GIVEN, {"config_refresh_s": seconds}).config_refresh_s == seconds


@pytest.mark.parametrize("megabytes", ["15", "1048577", "-16", "64.0", "1_024", "64 MB", "9" * 5000])
def test_a_buffer_outside_16_mb_to_1_tb_is_refused(megabytes):
    (line,) = problems(GIVEN | {"BUFFER_MAX_MB": megabytes})
    assert line.endswith("expected a whole number of MB from 16 to 1048576")


@pytest.mark.parametrize("megabytes", [16, 1_048_576])
def test_the_buffer_s_bounds_are_fit(megabytes):
    assert read_settings(GIVEN, {"buffer_max_mb": megabytes}).buffer_max_mb == megabytes


def test_a_client_certificate_and_its_key_come_together():
    assert problems(GIVEN | {"TOWEROPS_CLIENT_CERT": "/a.pem"}) == [
        "TOWEROPS_CLIENT_CERT is set without TOWEROPS_CLIENT_KEY: expected both, or neither"
    ]
    assert problems(GIVEN, client_key="/a.key") == ["--client-key is set without TOWEROPS_CLIENT_CERT: expected both, or neither"]
    both = read_settings(GIVEN | {"TOWEROPS_CLIENT_CERT": "/a.pem"}, {"client_key": "/a.key"})
    assert (both.client_cert, both.client_key) == (Path("/a.pem"), Path("/a.key"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:80", "[::1]:8700"])
def test_plain_http_is_accepted_for_this_machine(host):
    assert read_settings(GIVEN | {"TOWEROPS_API_URL": f"http://{host}"}, {}).api_url == f"http://{host}"


@pytest.mark.parametrize(
    "host", ["api.example.net", "10.0.0.1", "[2001:db8::1]", "localhost.example.net", "127.0.0.1.nip.example"]
)
def test_plain_http_to_another_machine_needs_leave(host):
    environ = GIVEN | {"TOWEROPS_API_URL": f"http://{host}"}
    assert problems(environ) == [
        f"TOWEROPS_API_URL is 'http://{host}': expected https://…; http:// is accepted only for localhost"
    ]
    assert read_settings(environ | {"TOWEROPS_ALLOW_HTTP": "1"}, {}).api_url == f"http://{host}"


@pytest.mark.parametrize(
    "url",
    [
        "api.example.net",
        "https://",
        "https:///path",
        "https://:443",
        "https://host:port",
        "https://host:0",
        "https://host:65536",
        "https://[::1",
        "https://ho st",
        "https://ho\nst",
        "https://ho\x00st",
        "file:///etc/passwd",
        "https:host",
    ],
)
def test_what_is_not_a_url_of_an_api_is_refused(url):
    (line,) = problems(GIVEN | {"TOWEROPS_API_URL": url})
    assert line.startswith(f"TOWEROPS_API_URL is {url!r}: expected ")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@host",
        "https://user:hun?ter2@host",
        "https://user:hunter2#@host",
        "user:hunter2@host",
        "https://host/?key=hunter2",
        "https://host/#hunter2",
        "https://host/?key=x@hunter2",
    ],
)
def test_a_url_with_a_password_query_or_fragment_is_refused_unseen(url):
    assert problems(GIVEN | {"TOWEROPS_API_URL": url}) == [
        "TOWEROPS_API_URL is '***': expected https://… without user, password, query or fragment"
    ]


def test_token_and_token_file_exclude_each_other():
    environ = GIVEN | {"TOWEROPS_AGENT_TOKEN_FILE": "/token"}
    assert problems(environ) == ["TOWEROPS_AGENT_TOKEN and TOWEROPS_AGENT_TOKEN_FILE are both set: expected one of them"]
    assert problems({"TOWEROPS_API_URL": URL}, token="abc", token_file="/token") == [
        "--token and --token-file are both set: expected one of them"
    ]


def test_a_token_flag_wins_over_either_variable():
    by_file = read_settings(GIVEN, {"token_file": "/token"})
    assert (by_file.token, by_file.token_file) == (None, Path("/token"))
    by_token = read_settings({"TOWEROPS_API_URL": URL, "TOWEROPS_AGENT_TOKEN_FILE": "/token"}, {"token": "abc"})
    assert (by_token.token, by_token.token_file) == (Secret("abc"), None)


@pytest.mark.parametrize("token", ["two words", "tab\there", "line\nbreak", "caf\u00e9", "nul\x00"])
def test_a_token_that_no_header_accepts_is_refused_unseen(token):
    assert problems(GIVEN | {"TOWEROPS_AGENT_TOKEN": token}) == [
        "TOWEROPS_AGENT_TOKEN is '***': expected printable ASCII characters without spaces, as an HTTP header allows"
    ]


@given(
    token=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(
        lambda text: not {text[0], text[-1]} & set("'\"")
    )
)
def test_a_token_is_seen_neither_in_a_repr_nor_in_a_message(token):
    settings = read_settings(GIVEN | {"TOWEROPS_AGENT_TOKEN": token}, {})
    assert settings.token == Secret(token)
    assert repr(settings) == repr(dataclasses.replace(settings, token=Secret("another")))
    assert problems({"TOWEROPS_AGENT_TOKEN": token, "TOWEROPS_API_URL": "-"}) == problems(GIVEN | {"TOWEROPS_API_URL": "-"})


@given(st.dictionaries(st.sampled_from([s.variable for s in SETTINGS]), st.text()))
def test_no_other_exception_than_settings_error_comes_of_any_environment(environ):
    with contextlib.suppress(SettingsError):
        read_settings(environ, {})


def test_the_table_and_settings_agree():
    """Each row is an attribute of Settings, and the defaults say the same."""
    attributes = {field.name: field for field in dataclasses.fields(Settings)}
    assert [setting.name for setting in SETTINGS] == list(attributes)
    for setting in SETTINGS:
        default = attributes[setting.name].default
        if setting.default:
            assert setting.parse(setting.default) == default
        else:
            assert default in (None, "", ())
        assert setting.flag.startswith("--")
        assert setting.help.endswith(".")
    assert [setting.name for setting in SETTINGS if setting.secret] == ["token"]


def test_names_are_used_once():
    for names in zip(*((s.name, s.variable, s.flag) for s in SETTINGS), strict=True):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("0.0.0.0:65535", ("0.0.0.0", 65_535)),
        ("localhost:0", ("localhost", 0)),
        ("metrics.tower-7.example:80", ("metrics.tower-7.example", 80)),
    ],
)
def test_the_metrics_page_is_at_a_host_and_a_port(text, wanted):
    assert read_settings(GIVEN | {"METRICS_LISTEN": text}, {}).metrics_listen == wanted


def test_without_an_address_there_is_no_metrics_page():
    assert read_settings(GIVEN, {}).metrics_listen is None
    assert read_settings(GIVEN | {"METRICS_LISTEN": " "}, {}).metrics_listen is None


BAD_ADDRESSES = ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "::1:9464", "[127.0.0.1]:1", "[::1]", "[]:1", "a b:1", "a..b:1"]


@pytest.mark.parametrize(
    "text", [*BAD_ADDRESSES, "h:65536", "h:-1", "h:٣", "h:1e3", "h:000001", "http://h:1", "h:1/metrics", "é:1"]
)
def test_what_is_not_an_address_is_reported_with_an_example(text):
    (line,) = problems(GIVEN, metrics_listen=text)
    assert line.startswith(f"--metrics-listen is {text!r}: expected host:port or [IPv6 address]:port, as in 127.0.0.1:9464")


@pytest.mark.parametrize("text", ["1", "true", "yes", "on", "Y", "YES", "True"])
def test_yes_is_said_in_the_usual_words(text):
    assert read_settings(GIVEN | {"TOWEROPS_ALLOW_HTTP": text}, {}).allow_http is True


@pytest.mark.parametrize("text", ["0", "false", "no", "off", "N", "FALSE"])
def test_no_is_said_in_the_usual_words(text):
    assert read_settings(GIVEN | {"TOWEROPS_ALLOW_HTTP": text}, {}).allow_http is False


@pytest.mark.parametrize(("text", "level"), [("WARN", "warning"), ("err", "error"), ("Info", "info")])
def test_a_level_may_have_another_program_s_word(text, level):
    assert read_settings(GIVEN | {"LOG_LEVEL": text}, {}).log_level == level


def test_what_help_shows_of_a_value_is_what_is_accepted():
    """Each choice is accepted, and the bounds are, and nothing beside them."""
    for setting in SETTINGS:
        for choice in setting.choices:
            assert setting.parse(choice) == choice
        if setting.bounds:
            least, most = setting.bounds
            assert (setting.parse(str(least)), setting.parse(str(most))) == (least, most)
            for text in (str(least - 1), str(most + 1)):
                assert problems(GIVEN, **{setting.name: text})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nats://box-1:4222", ("nats://box-1:4222",)),
        (" tls://box-1:4222 , nats://[::1]:4222/ ,", ("tls://box-1:4222", "nats://[::1]:4222")),
        ("nats://box-1", ("nats://box-1",)),
    ],
)
def test_the_servers_of_a_group(text, wanted):
    settings = read_settings(GIVEN | {"GROUP_NATS_URLS": text}, {})
    assert settings.group_nats_urls == wanted
    assert (settings.group_name, settings.group_member, settings.group_weight) == ("default", "", 1.0)
    assert settings.group_credentials_file is None


@pytest.mark.parametrize(
    ("given", "single", "in_group"),
    [({}, 5, 1), ({"BUFFER_COMMIT_SECONDS": "30"}, 30, 1), ({"BUFFER_COMMIT_SECONDS": "0"}, 0, 0)],
)
def test_polls_are_on_the_disk_within_a_second_in_a_group(given, single, in_group):
    assert read_settings(GIVEN | given, {}).commit_window_s == single
    assert read_settings(GIVEN | given | {"GROUP_NATS_URLS": "nats://box-1"}, {}).commit_window_s == in_group


def test_without_servers_there_is_no_group():
    assert read_settings(GIVEN, {}).group_nats_urls == ()


@pytest.mark.parametrize(
    "text", ["box-1:4222", "http://box-1:4222", "nats://", "nats://a:0", "nats://a:x", "nats://a/path", ",", "nats://b\x07x"]
)
def test_what_is_not_a_server_of_a_group(text):
    (line,) = problems(GIVEN, group_nats_urls=text)
    assert line.startswith(f"--group-nats-urls is {text!r}: expected nats://host:port or tls://host:port")


def test_a_password_in_the_servers_url_is_not_shown():
    (line,) = problems(GIVEN | {"GROUP_NATS_URLS": "nats://user:secret@box-1"})
    assert "GROUP_NATS_URLS is '***': expected nats://" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("group_name", ["a", "north_2", "A-b"], ["a.b", "a b", "ä", "x" * 65, "*", ">"]),
        ("group_member", ["box-1.example", "x" * 100], ["a b", "x" * 101, "a\x07"]),
        ("group_weight", ["1", "0.1", "2.5", "100"], ["0", "0.05", "100.5", "-1", "1e1", "nan", "x"]),
    ],
)
def test_a_members_place_in_its_group(name, good, bad):
    for text in good:
        value = getattr(read_settings(GIVEN, {name: text}), name)
        assert value == (float(text) if name == "group_weight" else text)
    for text in bad:
        (line,) = problems(GIVEN, **{name: text})
        assert "expected" in line


def test_site_files_and_a_group_need_a_token():
    """The members' messages are sealed with it."""
    given = {"SITE_PATH": "/site.yaml", "GROUP_NATS_URLS": "nats://a"}
    (line,) = problems(given)
    assert line.startswith("TOWEROPS_AGENT_TOKEN is not set")
    settings = read_settings(given | {"TOWEROPS_AGENT_TOKEN": "any"}, {})
    assert settings.token is not None
    assert read_settings({"SITE_PATH": "/site.yaml", "TOWEROPS_AGENT_TOKEN": "any"}, {}).token is None
