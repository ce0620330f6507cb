"""Checks the settings, the token's file and the certificates' files.

Environment and flags -> Prepared, which the other checks use, as far as it could be made.
I/O: reads files.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.proxy import is_local
from towerops_agent.api.tls import tls_context
from towerops_agent.doctor.findings.check import Check, Result, split_expected
from towerops_agent.errors import SettingsError
from towerops_agent.given import read_settings
from towerops_agent.misnamed import unknown_variables
from towerops_agent.model import Secret
from towerops_agent.settings import Settings

NAME = "settings"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The parts made from the settings; None if they can't be made. `checks`: the checks of them."""

    settings: Settings | None = None
    token: TokenSource | None = None
    tls: ssl.SSLContext | None = None
    checks: list[Check] = field(default_factory=list)


def check_settings(
    environ: Mapping[str, str], flags: Mapping[str, object], on_token: Callable[[Secret], None] = lambda _: None
) -> Prepared:
    """The settings, a line for each problem, or one summary line if there is no problem, and one for each unknown variable.

    `on_token`: called with the token before anybody else has it.
    """
    try:
        settings = read_settings(environ, flags)
    except SettingsError as error:
        return Prepared(checks=[*(_failed(line) for line in str(error).splitlines()), *_unknown(environ)])
    if settings.token is not None:
        on_token(settings.token)
    if settings.site is not None:
        found = f"site files {settings.site}, database {settings.database_path}"
        return Prepared(settings, checks=[Check(NAME, Result.OK, found), *_unknown(environ)])
    checks: list[Check] = []
    token: TokenSource | None = TokenSource(settings.token, settings.token_file, on_token=on_token)
    try:
        _ = token.token  # type: ignore[union-attr]  # it is one
    except SettingsError as error:
        checks.append(_failed(str(error)))
        token = None
    context = None
    try:
        context = tls_context(settings.ca_file, settings.client_cert, settings.client_key)
    except SettingsError as error:
        checks.append(_failed(str(error)))
    if settings.api_url.startswith("http:") and not is_local(settings.api_url):
        checks.append(
            Check(
                NAME,
                Result.WARNING,
                f"the token travels in the clear to {settings.api_url}",
                "use https://, if the server supports it",
            )
        )
    if not checks:
        source = "the environment" if settings.token_file is None else str(settings.token_file)
        checks.append(Check(NAME, Result.OK, f"API {settings.api_url}, token from {source}, database {settings.database_path}"))
    return Prepared(settings, token, context, [*checks, *_unknown(environ)])


def _unknown(environ: Mapping[str, str]) -> list[Check]:
    return [
        Check(
            NAME,
            Result.WARNING,
            f"the variable {variable.name} is not a setting: it is ignored",
            f"did you mean {variable.meant}?" if variable.meant else "remove it; `towerops-agent run --help` lists the settings",
        )
        for variable in unknown_variables(environ)
    ]


def _failed(text: str) -> Check:
    found, wanted = split_expected(text)
    return Check(NAME, Result.FAILED, found, f"expected {wanted}" if wanted else "")
