"""The agent's settings: flags and environment -> one frozen Settings.

SETTINGS is the single source of names, defaults and help: cli/run.py builds its options from it, and a test
holds docs/operations.md to it.
A flag wins over its variable, surrounding whitespace is dropped, and an empty text counts as not set. setting.py says what the
text of one must be.
Pure: environment and flags are passed in, and the token's file is read elsewhere. Intervals are seconds (`_s`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.setting import (
    LOG_FORMATS,
    LOG_LEVELS,
    LogFormat,
    Setting,
    Unfit,
    as_format,
    as_group,
    as_level,
    as_listen,
    as_member,
    as_servers,
    as_switch,
    as_token,
    as_url,
    as_weight,
    as_whole,
)
from towerops_agent.text import is_loopback

_REFRESH_S: Final = (5, 86_400)
_BUFFER_MB: Final = (16, 1_048_576)
_COMMIT_S: Final = (0, 60)
_COMMIT_IN_GROUP_S: Final = 1

_URLS: Final = ("api_url", "group_nats_urls")
"""Settings in which people write passwords, though none belongs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings. Both of `client_cert` and `client_key` are set, or neither.

    Either `api_url` and one of `token` and `token_file` are set, or `site`. `api_url` ends without a slash. `metrics_listen`:
    host and port of the metrics page; port 0: any free one. `group_nats_urls`: empty: the agent is not in a group.
    `group_member`: "": the host's name.
    """

    api_url: str = ""
    site: Path | None = None
    destinations: Path | None = None
    token: Secret | None = None
    token_file: Path | None = None
    config_refresh_s: int = 300
    database_path: Path = Path("/data/towerops-agent.db")
    buffer_max_mb: int = 1024
    buffer_commit_s: int = 5
    log_level: str = "info"
    log_format: LogFormat = "logfmt"
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    allow_http: bool = False
    metrics_listen: tuple[str, int] | None = None
    group_nats_urls: tuple[str, ...] = ()
    group_name: str = "default"
    group_member: str = ""
    group_weight: float = 1.0
    group_credentials_file: Path | None = None

    @property
    def commit_window_s(self) -> int:
        """How long polls are gathered until they are on the disk.

        In a group at most a second: a member that is killed has lost them, and the others only find out when it is silent.
        """
        return min(self.buffer_commit_s, _COMMIT_IN_GROUP_S) if self.group_nats_urls else self.buffer_commit_s


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="api_url",
        variable="TOWEROPS_API_URL",
        flag="--api-url",
        help="Base URL of the Towerops API, https://…; http:// is accepted only for localhost.",
        parse=as_url,
    ),
    Setting(
        name="site",
        variable="SITE_PATH",
        flag="--site",
        help="A site file (YAML), or a directory of them, that says what to poll, in place of the Towerops API.",
        parse=Path,
    ),
    Setting(
        name="destinations",
        variable="DESTINATIONS_PATH",
        flag="--destinations",
        help="A file (YAML) of destinations that values go to beside the Towerops API; read again on SIGHUP.",
        parse=Path,
    ),
    Setting(
        name="token",
        variable="TOWEROPS_AGENT_TOKEN",
        flag="--token",
        help="The agent's token. On the command line every user of the machine can read it: prefer the file.",
        secret=True,
        parse=as_token,
    ),
    Setting(
        name="token_file",
        variable="TOWEROPS_AGENT_TOKEN_FILE",
        flag="--token-file",
        help="A file that holds the agent's token; read again before each fetch of the configuration.",
        parse=Path,
    ),
    Setting(
        name="config_refresh_s",
        variable="CONFIG_REFRESH_SECONDS",
        flag="--config-refresh-seconds",
        default="300",
        help="Seconds between two fetches of the configuration, 5 to 86400.",
        bounds=_REFRESH_S,
        parse=as_whole("seconds", _REFRESH_S),
    ),
    Setting(
        name="database_path",
        variable="DATABASE_PATH",
        flag="--database-path",
        default="/data/towerops-agent.db",
        help="The SQLite file that keeps polls until they are delivered, and the last good configuration.",
        parse=Path,
    ),
    Setting(
        name="buffer_max_mb",
        variable="BUFFER_MAX_MB",
        flag="--buffer-max-mb",
        default="1024",
        help="Maximum size of the SQLite file in megabytes, 16 to 1048576; when it is full, the oldest polls are removed.",
        bounds=_BUFFER_MB,
        parse=as_whole("MB", _BUFFER_MB),
    ),
    Setting(
        name="buffer_commit_s",
        variable="BUFFER_COMMIT_SECONDS",
        flag="--buffer-commit-seconds",
        default="5",
        help="Seconds until a poll is on the disk, 0 to 60: more spare a flash card, and a kill costs as many seconds of polls. "
        "In a group at most 1.",
        bounds=_COMMIT_S,
        parse=as_whole("seconds", _COMMIT_S),
    ),
    Setting(
        name="log_level",
        variable="LOG_LEVEL",
        flag="--log-level",
        default="info",
        help="The lowest level to log: debug, info, warning or error.",
        choices=LOG_LEVELS,
        parse=as_level,
    ),
    Setting(
        name="log_format",
        variable="LOG_FORMAT",
        flag="--log-format",
        default="logfmt",
        help="logfmt, or json: one object a line.",
        choices=LOG_FORMATS,
        parse=as_format,
    ),
    Setting(
        name="ca_file",
        variable="TOWEROPS_CA_FILE",
        flag="--ca-file",
        help="A PEM file of authorities trusted to sign the API's certificate, besides those of the system's store.",
        parse=Path,
    ),
    Setting(
        name="client_cert",
        variable="TOWEROPS_CLIENT_CERT",
        flag="--client-cert",
        help="A PEM file with the certificate (and its chain) that the agent presents to a server that asks for one.",
        parse=Path,
    ),
    Setting(
        name="client_key",
        variable="TOWEROPS_CLIENT_KEY",
        flag="--client-key",
        help="A PEM file with the key of that certificate, without a passphrase.",
        parse=Path,
    ),
    Setting(
        name="allow_http",
        variable="TOWEROPS_ALLOW_HTTP",
        flag="--allow-http",
        default="0",
        is_flag=True,
        help="Accept plain http:// to any host. The token and the readings then travel in the clear.",
        parse=as_switch,
    ),
    Setting(
        name="metrics_listen",
        variable="METRICS_LISTEN",
        flag="--metrics-listen",
        help="Address of the page for Prometheus, as in 127.0.0.1:9464. Without it there is no page.",
        parse=as_listen,
    ),
    Setting(
        name="group_nats_urls",
        variable="GROUP_NATS_URLS",
        flag="--group-nats-urls",
        help="NATS servers of a group of agents that share the devices, with commas between, this machine's own first. "
        "Without it the agent polls all devices.",
        parse=as_servers,
    ),
    Setting(
        name="group_name",
        variable="GROUP_NAME",
        flag="--group-name",
        default="default",
        help="The group's name, the same for all of its agents.",
        parse=as_group,
    ),
    Setting(
        name="group_member",
        variable="GROUP_MEMBER",
        flag="--group-member",
        help="This agent's name in the group, another one for each; the host's name if not set.",
        parse=as_member,
    ),
    Setting(
        name="group_weight",
        variable="GROUP_WEIGHT",
        flag="--group-weight",
        default="1",
        help="How large this agent's share of the devices is beside the others', 0.1 to 100.",
        parse=as_weight,
    ),
    Setting(
        name="group_credentials_file",
        variable="GROUP_CREDENTIALS_FILE",
        flag="--group-credentials-file",
        help="A file with one line, user:password, for the NATS servers.",
        parse=Path,
    ),
)


def read_settings(environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """The settings from flags and environment; `flags` maps Setting.name to a value, None if not given.

    Raises SettingsError with one line for each missing or bad value.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    given = {setting.name: _given(setting, environ, flags) for setting in SETTINGS}
    problems += _settle_source(given)
    for setting in SETTINGS:
        source, text = given[setting.name]
        if not text:
            continue
        try:
            values[setting.name] = setting.parse(text)
        except Unfit as wanted:
            problems.append(f"{source} is {_shown(setting, text)}: expected {wanted}")
    source, text = given["api_url"]
    if "api_url" in values and not values.get("allow_http") and _is_exposed(urlsplit(text)):
        problems.append(f"{source} is '{text}': expected https://…; http:// is accepted only for localhost")
    if ("client_cert" in values) != ("client_key" in values):
        name, other = ("client_cert", "client_key") if "client_cert" in values else ("client_key", "client_cert")
        problems.append(f"{given[name][0]} is set without {_variable(other)}: expected both, or neither")
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(**values)


def _variable(name: str) -> str:
    return next(setting.variable for setting in SETTINGS if setting.name == name)


def _given(setting: Setting, environ: Mapping[str, str], flags: Mapping[str, object]) -> tuple[str, str]:
    """The source of the setting, as the operator knows it, and its text; the default's text if it was not given."""
    flag = flags.get(setting.name)
    text = "" if flag is None else str(flag).strip()
    if text:
        return setting.flag, text
    return setting.variable, environ.get(setting.variable, "").strip() or setting.default


def _settle_source(given: dict[str, tuple[str, str]]) -> list[str]:
    """The problems with what says which devices to poll: the API, whose token is then needed, or site files."""
    (url_source, url), (site_source, site) = given["api_url"], given["site"]
    if site:
        problems = _settle_token(given) if given["group_nats_urls"][1] else []  # what members say is sealed with the token
        if not given["group_nats_urls"][1]:
            given["token"], given["token_file"] = (given["token"][0], ""), (given["token_file"][0], "")
        others_source, others = given["destinations"]
        if others:
            problems.append(f"{others_source} and {site_source} are both set: expected the destinations in the site files")
        if url:
            problems.append(
                f"{url_source} and {site_source} are both set: expected one of them, as each says which devices to poll"
            )
        return problems
    problems = _settle_token(given)
    if not url:
        problems.append(
            "TOWEROPS_API_URL is not set: expected https://…, the base URL of the Towerops API (or give --api-url);"
            " or a site file in SITE_PATH"
        )
    return problems


def _settle_token(given: dict[str, tuple[str, str]]) -> list[str]:
    """The problems with the two ways to give the token. Removes from `given` the one that a flag overrules."""
    (token_source, token), (file_source, file) = given["token"], given["token_file"]
    if not token and not file:
        return [
            "TOWEROPS_AGENT_TOKEN is not set: expected the agent's token, or a file that holds it in TOWEROPS_AGENT_TOKEN_FILE"
        ]
    if not token or not file:
        return []
    token_is_flag, file_is_flag = token_source.startswith("--"), file_source.startswith("--")
    if token_is_flag == file_is_flag:
        return [f"{token_source} and {file_source} are both set: expected one of them"]
    overruled = "token_file" if token_is_flag else "token"
    given[overruled] = (given[overruled][0], "")
    return []


def _shown(setting: Setting, text: str) -> str:
    """The text for a message; `***` for a secret, and for a URL that may hold a password."""
    if setting.secret or (setting.name in _URLS and any(c in text for c in "@?#")):
        return "'***'"
    return repr(text)


def _is_exposed(url: SplitResult) -> bool:
    """Whether the URL would send the token in the clear to another machine."""
    return url.scheme != "https" and not is_loopback(url.hostname or "")
