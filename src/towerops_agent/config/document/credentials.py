"""A device's credentials: the wire's `snmp` object -> Credentials.

Fields of other versions are ignored. RFC 3414 §11.2: passwords of at least 8 characters.
Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from towerops_agent.api.wire import contract
from towerops_agent.config.document.fields import choice, shown, text
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import AuthProtocol, Credentials, PrivProtocol, Secret, SnmpVersion, UsmUser

MIN_PASSWORD_CHARACTERS = 8
MAX_CONTEXT_OCTETS = 255
"""An SnmpAdminString's, in UTF-8, that is a context's name in the tables of views (RFC 3415 §4)."""

_VERSIONS = {
    name: version
    for version, names in (
        (SnmpVersion.V1, ("1", "v1")),
        (SnmpVersion.V2C, ("2c", "v2c", "2", "v2")),
        (SnmpVersion.V3, ("3", "v3")),
    )
    for name in names
}

_Level = Literal["noAuthNoPriv", "authNoPriv", "authPriv"]
_LEVELS: dict[str, _Level] = {"noauthnopriv": "noAuthNoPriv", "authnopriv": "authNoPriv", "authpriv": "authPriv"}

_Protocol = TypeVar("_Protocol", AuthProtocol, PrivProtocol)


def _squeezed(written: str) -> str:
    """The name of a protocol, whatever its case and its hyphens, blanks and underscores."""
    return re.sub(r"[-_\s]", "", written).casefold()


_AUTH = {_squeezed(protocol): protocol for protocol in AuthProtocol} | {"sha1": AuthProtocol.SHA}
_AUTH |= {f"hmac{name}": protocol for name, protocol in _AUTH.items()}
_PRIV = {_squeezed(protocol): protocol for protocol in PrivProtocol} | {"aes": PrivProtocol.AES_128}

_DEFAULT = Credentials()


def read_credentials(snmp: contract.Snmp) -> Credentials:
    """The credentials in `snmp`; by default SNMPv2c and the community "public".

    Its fields may hold any JSON value. Raises InvalidConfig, which names the first bad one and never shows a secret.
    """
    version = SnmpVersion.V2C
    if snmp.version is not None:
        version = choice("snmp.version", snmp.version, _VERSIONS, '"1", "2c" or "3"')
    if version is SnmpVersion.V3:
        return Credentials(version, _DEFAULT.community, _read_user(snmp), _read_context(snmp.v3_context_name))
    if snmp.community is None:
        return Credentials(version)
    return Credentials(version, Secret(text("snmp.community", snmp.community, secret=True)))


def _read_user(snmp: contract.Snmp) -> UsmUser:
    name = text("snmp.v3_username", snmp.v3_username)
    level = _level(snmp)
    if level == "noAuthNoPriv":
        return UsmUser(name)
    auth = (
        _protocol("snmp.v3_auth_protocol", snmp.v3_auth_protocol, _AUTH, AuthProtocol),
        _password("snmp.v3_auth_password", snmp.v3_auth_password, level),
    )
    if level == "authNoPriv":
        return UsmUser(name, auth)
    priv = (
        _protocol("snmp.v3_priv_protocol", snmp.v3_priv_protocol, _PRIV, ("AES", *PrivProtocol)),
        _password("snmp.v3_priv_password", snmp.v3_priv_password, level),
    )
    return UsmUser(name, auth, priv)


def _read_context(name: object) -> str:
    if name is None or name == "":
        return ""
    context = text("snmp.v3_context_name", name)
    if len(context.encode("utf-8", "surrogatepass")) > MAX_CONTEXT_OCTETS:
        raise InvalidConfig(
            f"snmp.v3_context_name is {shown(context)}: expected at most {MAX_CONTEXT_OCTETS} octets (RFC 3411 §5)"
        )
    return context


def _protocol(field: str, value: object, table: Mapping[str, _Protocol], names: Iterable[str]) -> _Protocol:
    found = table.get(_squeezed(value)) if isinstance(value, str) else None
    if found is None:
        raise InvalidConfig(f"{field} is {shown(value)}: expected one of {', '.join(names)}")
    return found


def _level(snmp: contract.Snmp) -> _Level:
    """The security level: the given one, else the one that follows from the passwords."""
    if snmp.v3_security_level is not None:
        return choice("snmp.v3_security_level", snmp.v3_security_level, _LEVELS, "noAuthNoPriv, authNoPriv or authPriv")
    if snmp.v3_priv_password:
        return "authPriv"
    return "authNoPriv" if snmp.v3_auth_password else "noAuthNoPriv"


def _password(field: str, value: object, level: _Level) -> Secret:
    if value is None or value == "":
        raise InvalidConfig(f"{field} is absent: expected a password, as the security level is {level}")
    password = text(field, value, secret=True)
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise InvalidConfig(f"{field} is too short: expected at least {MIN_PASSWORD_CHARACTERS} characters (RFC 3414 §11.2)")
    return Secret(password)
