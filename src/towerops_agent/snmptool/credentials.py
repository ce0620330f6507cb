"""The operator's options and environment -> Credentials.

Secrets come from the environment, a file or a prompt; also from an argument, which every user of the machine can read: there
cli/credentials.py warns.
The command line wins over a configured device's own credentials, and those win over the environment.
I/O: reads files; environment and prompt are passed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from towerops_agent.api.wire.contract import Snmp
from towerops_agent.config.document.credentials import read_credentials
from towerops_agent.errors import InvalidConfig, SettingsError
from towerops_agent.model import Credentials, Secret, SnmpVersion

COMMUNITY_VARIABLE: Final = "SNMP_COMMUNITY"
AUTH_VARIABLE: Final = "SNMP_AUTH_PASSWORD"
PRIV_VARIABLE: Final = "SNMP_PRIV_PASSWORD"

_MOST_OCTETS = 4096

PROMPT: Final = Path("-")
"""As the community's file: prompt for it."""

_OPTION_OF: Final = {
    "snmp.v3_security_level": "--level",
    "snmp.v3_username": "--user",
    "snmp.v3_context_name": "--context",
    "snmp.v3_auth_protocol": "--auth-protocol",
    "snmp.v3_priv_protocol": "--priv-protocol",
    "snmp.v3_auth_password": f"the authentication password ({AUTH_VARIABLE}, --auth-password-file or --ask)",
    "snmp.v3_priv_password": f"the privacy password ({PRIV_VARIABLE}, --priv-password-file or --ask)",
    "snmp.community": f"the community ({COMMUNITY_VARIABLE}, --community-file or --ask)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOptions:
    """The command line's options; None if not given. `ask`: prompt for the secrets."""

    version: SnmpVersion | None = None
    ask: bool = False
    community: Secret | None = None
    community_file: Path | None = None
    user: str | None = None
    level: str | None = None
    context: str | None = None
    auth_protocol: str | None = None
    priv_protocol: str | None = None
    auth_password: Secret | None = None
    priv_password: Secret | None = None
    auth_password_file: Path | None = None
    priv_password_file: Path | None = None

    @property
    def has_credentials(self) -> bool:
        """Whether the command line itself selects the credentials."""
        return self.ask or self.community is not None or self.community_file is not None or self.user is not None

    @property
    def misplaced(self) -> list[str]:
        """SNMPv3 options without effect, since no --user is given."""
        given = {
            "--level": self.level,
            "--context": self.context,
            "--auth-protocol": self.auth_protocol,
            "--priv-protocol": self.priv_protocol,
            "--auth-password": self.auth_password,
            "--priv-password": self.priv_password,
            "--auth-password-file": self.auth_password_file,
            "--priv-password-file": self.priv_password_file,
        }
        return [] if self.user is not None else [option for option, value in given.items() if value is not None]


class CredentialSource:
    """Makes credentials from the options. `prompt(text)`: the operator's input, not echoed.

    `otherwise`: what else the operator may do if there are none; "": nothing.
    """

    def __init__(
        self, options: CredentialOptions, environ: Mapping[str, str], prompt: Callable[[str], str], otherwise: str = ""
    ) -> None:
        self._options = options
        self._environ = environ
        self._prompt = prompt
        self._otherwise = f", or {otherwise}" if otherwise else ""

    @property
    def suffices(self) -> bool:
        """Whether there are credentials without reading the kept configuration."""
        options = self._options
        if options.has_credentials:
            return True
        return options.version is not SnmpVersion.V3 and bool(self._environ.get(COMMUNITY_VARIABLE))

    def of_device(self, configured: Credentials) -> Credentials:
        """Those of a configured device, changed as the command line says. Raises SettingsError."""
        options = self._options
        version = options.version or (SnmpVersion.V3 if options.user else configured.version)
        if options.has_credentials or (version is SnmpVersion.V3) is not (configured.version is SnmpVersion.V3):
            return self._read(version)
        self._refuse_misplaced()
        return replace(configured, version=version)

    def of_options(self) -> Credentials:
        """Those of the command line and the environment. Raises SettingsError if they are missing or invalid."""
        return self._read(self._options.version or (SnmpVersion.V3 if self._options.user else SnmpVersion.V2C))

    def _read(self, version: SnmpVersion) -> Credentials:
        self._refuse_misplaced()
        return self._user() if version is SnmpVersion.V3 else self._community(version)

    def _community(self, version: SnmpVersion) -> Credentials:
        options = self._options
        if options.user is not None:
            raise SettingsError(f"--user goes with SNMPv3, and the version is {version}: expected --version 3")
        if options.community is not None:
            if options.community_file is not None:
                raise SettingsError("--community and --community-file are both given: expected one of them")
            return Credentials(version, options.community)
        if options.community_file == PROMPT:
            return Credentials(version, Secret(self._prompt("Community")))
        if options.community_file is not None:
            return Credentials(version, read_secret(options.community_file, "--community-file"))
        community = self._prompt("Community") if options.ask else self._environ.get(COMMUNITY_VARIABLE, "")
        if not community:
            raise SettingsError(f"no community: set {COMMUNITY_VARIABLE}, or give --community-file or --ask{self._otherwise}")
        return Credentials(version, Secret(community))

    def _user(self) -> Credentials:
        options = self._options
        if options.community is not None or options.community_file is not None:
            raise SettingsError("a community goes with SNMPv1 and v2c, and the version is 3: expected --user and passwords")
        if options.user is None:
            raise SettingsError(f"no user for SNMPv3: give --user{self._otherwise}")
        level = (options.level or "").casefold()
        auth = options.auth_password or self._password(
            options.auth_password_file, "--auth-password-file", AUTH_VARIABLE, level != "noauthnopriv"
        )
        wants_privacy = level == "authpriv" or (not level and options.priv_protocol is not None)
        priv = options.priv_password or self._password(
            options.priv_password_file, "--priv-password-file", PRIV_VARIABLE, wants_privacy
        )
        wire = Snmp(
            version="3",
            v3_username=options.user,
            v3_security_level=options.level,
            v3_context_name=options.context,
            v3_auth_protocol=options.auth_protocol,
            v3_priv_protocol=options.priv_protocol,
            v3_auth_password=auth.reveal() if auth else None,
            v3_priv_password=priv.reveal() if priv else None,
        )
        try:
            return read_credentials(wire)
        except InvalidConfig as error:
            raise SettingsError(_in_options(str(error))) from None

    def _password(self, file: Path | None, option: str, variable: str, wanted: bool) -> Secret | None:
        if file is not None:
            return read_secret(file, option)
        if self._options.ask and wanted:
            return Secret(self._prompt("Authentication password" if variable == AUTH_VARIABLE else "Privacy password"))
        text = self._environ.get(variable)
        return Secret(text) if text else None

    def _refuse_misplaced(self) -> None:
        if misplaced := self._options.misplaced:
            raise SettingsError(f"{', '.join(misplaced)} without --user: expected --user, since they belong to SNMPv3")


def read_secret(path: Path, option: str) -> Secret:
    """The text of the file that `option` names, without its line end. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            octets = file.read(_MOST_OCTETS + 1)
    except OSError as error:
        raise SettingsError(f"{option} is {str(path)!r}, which can't be read: {error.strerror}") from None
    text = octets.decode("utf-8-sig", "surrogateescape").rstrip("\r\n")
    if not text or len(octets) > _MOST_OCTETS or "\n" in text:
        raise SettingsError(f"{option} is {str(path)!r}: expected a file that holds only the secret, in one line")
    return Secret(text)


def _in_options(text: str) -> str:
    """An error about the API's fields, rewritten for the options that set them."""
    for field, option in _OPTION_OF.items():
        text = text.replace(field, option)
    return text
