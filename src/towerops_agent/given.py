"""What the operator gave, flags and environment -> Settings, or a line for each missing or bad value.

A flag wins over its variable, surrounding whitespace is dropped, and an empty text counts as not set.
Pure: environment and flags are passed in, and the token's file is read elsewhere.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from towerops_agent.errors import SettingsError
from towerops_agent.setting import Setting, Unfit
from towerops_agent.settings import SETTINGS, Settings
from towerops_agent.text import is_loopback

_QUOTES: Final = ("'", '"')
"""A shell, systemd and Compose's env_file take them away; no setting begins with one."""

_URLS: Final = ("api_url", "group_nats_urls")
"""Settings in which people write passwords, though none belongs there."""


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
        if text[0] in _QUOTES:
            problems.append(
                f"{source} is {_shown(setting, text)}: expected the value without quotes around it"
                " (Docker's --env-file and a list of variables in a compose file keep them)"
            )
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
