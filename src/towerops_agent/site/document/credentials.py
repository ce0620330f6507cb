"""A named set of credentials in a site file -> the contract's `snmp` fields.

`community: {...}` by file, by variable, or as it is. The checks are those of the API's configuration.
Pure: `Secrets` reads the files and variables.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from towerops_agent.api.wire import contract
from towerops_agent.config.document.credentials import read_credentials
from towerops_agent.errors import InvalidConfig
from towerops_agent.site.document.nodes import Mistake, Problem, Section

Secrets = Callable[[str, str], str]
"""The secret that a file ("file", its path) or a variable ("env", its name) holds. Raises InvalidConfig."""

_FIELDS: Final = {
    "version": "version",
    "level": "v3_security_level",
    "username": "v3_username",
    "auth": "v3_auth_protocol",
    "priv": "v3_priv_protocol",
    "context": "v3_context_name",
}
_SECRETS: Final = {"community": "community", "auth_password": "v3_auth_password", "priv_password": "v3_priv_password"}
_OURS: Final = {wire: ours for ours, wire in (*_FIELDS.items(), *_SECRETS.items())}

_OF_COMMUNITIES: Final = ("version", "community")
KEYS: Final = (*_FIELDS, *(f"{name}{how}" for name in _SECRETS for how in ("", "_file", "_env")))

_QUOTES: Final = ("'", '"')
"""Docker's --env-file leaves them in a variable. A password may have them: it is used as it is."""

PUBLIC: Final = "public"
"""The community that everybody knows."""


@dataclass(frozen=True, slots=True)
class SnmpFields:
    """The contract's fields, and which of them are secrets."""

    wire: dict[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"SnmpFields({', '.join(self.wire)})"


def secret_in(section: Section, name: str, secrets: Secrets, warnings: list[Problem]) -> str | None:
    """The secret `name`, by `name_file`, by `name_env` or as it is written; None if it is not given. Raises Mistake.

    One that is left empty is a mistake: the device would be asked with the community public.
    """
    ways = (name, f"{name}_file", f"{name}_env")
    for key in ways:
        section.must_not_be_empty(key)
    given = [key for key in ways if key in section]
    if len(given) > 1:
        raise section.mistake(given[1], f"{given[0]} and {given[1]} are both given: expected one of them")
    if not given:
        return None
    if given == [name]:
        text = (section.text(name, secret=True) or "").rstrip("\r\n")  # as of a file: YAML's | ends the text with one
        if text != PUBLIC:
            warnings.append(
                Problem(section.place_at(name), f"{name} stands in the file: better {name}_file or {name}_env, which keep it out")
            )
    else:
        text = section.checked(given[0], lambda _, text: secrets(given[0].rpartition("_")[2], text)) or ""
    around = "blanks" if text != text.strip() else "quotes" if len(text) > 1 and text[0] == text[-1] in _QUOTES else ""
    if around:
        warnings.append(
            Problem(section.place_at(given[0]), f"{name} has {around} around it, which are sent as a part of it: expected none")
        )
    return text


def snmp_fields(section: Section, secrets: Secrets, warnings: list[Problem]) -> SnmpFields:
    """The fields, which the agent accepts. Raises Mistake at the first that it would not.

    A protocol without its password is a mistake unless `level` is given: the device would be asked without authentication, or in
    the clear. So is a set in which each field is left empty: the device would be asked with the community public.
    """
    wire: dict[str, str] = {}
    hidden = set()
    for name, wire_name in _FIELDS.items():
        text = section.text(name)
        if text is not None:
            wire[wire_name] = text
    for name, wire_name in _SECRETS.items():
        text = secret_in(section, name, secrets, warnings)
        if text is not None:
            wire[wire_name] = text
            if text != PUBLIC or name != "community":
                hidden.add(wire_name)
    if section.keys and not wire:
        raise Mistake(section.place, f"{section.what}: each field is empty: expected a community, or a username")
    if "version" not in wire and any(name.startswith("v3_") for name in wire):
        wire["version"] = "3"
    _check(section, wire)
    for name in ("auth", "priv") if "level" not in section else ():
        if name in section and _SECRETS[f"{name}_password"] not in wire:
            raise section.mistake(name, f"{name} is given without {name}_password: expected both, or neither")
    return SnmpFields(wire, frozenset(hidden))


def _check(section: Section, wire: dict[str, Any]) -> None:
    try:
        credentials = read_credentials(contract.Snmp(**wire))
    except InvalidConfig as error:
        path, space, rest = str(error).partition(" ")
        name = _OURS.get(path.removeprefix("snmp."), path)
        key = next((key for key in (name, f"{name}_file", f"{name}_env") if key in section), name)
        raise section.mistake(key, f"{name}{space}{rest}") from None
    of_other = [name for name in wire if name not in _OF_COMMUNITIES] if credentials.user is None else ["community"]
    for name in of_other:
        if name in wire:
            ours = next(key for key in section.nodes if key.startswith(_OURS[name]))
            raise section.mistake(
                ours, f"{ours} is not of SNMP version {credentials.version}: expected it only with the other one"
            )
