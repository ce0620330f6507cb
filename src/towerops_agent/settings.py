"""The agent's settings: what there is to set, and the value of all of it.

SETTINGS is the single source of names, defaults and help: cli/run.py builds its options from it, given.py reads by it, and a test
holds docs/operations.md to it. setting.py says what the text of one must be.
Pure. Intervals are seconds (`_s`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

_REFRESH_S: Final = (5, 86_400)
_BUFFER_MB: Final = (16, 1_048_576)
_COMMIT_S: Final = (0, 60)
_COMMIT_IN_GROUP_S: Final = 1


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


def as_path(text: str) -> Path:
    """The path. A `~` or a variable that no shell has replaced would be a directory of that name, wherever the agent runs."""
    if text[0] in "~$":
        raise Unfit("the path in full: it is only a shell that replaces ~ or a variable, and not in --option=~/…")
    return Path(text)


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
        parse=as_path,
    ),
    Setting(
        name="destinations",
        variable="DESTINATIONS_PATH",
        flag="--destinations",
        help="A file (YAML) of destinations that values go to beside the Towerops API; read again on SIGHUP.",
        parse=as_path,
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
        parse=as_path,
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
        parse=as_path,
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
        parse=as_path,
    ),
    Setting(
        name="client_cert",
        variable="TOWEROPS_CLIENT_CERT",
        flag="--client-cert",
        help="A PEM file with the certificate (and its chain) that the agent presents to a server that asks for one.",
        parse=as_path,
    ),
    Setting(
        name="client_key",
        variable="TOWEROPS_CLIENT_KEY",
        flag="--client-key",
        help="A PEM file with the key of that certificate, without a passphrase.",
        parse=as_path,
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
        parse=as_path,
    ),
)
