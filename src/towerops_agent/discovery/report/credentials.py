"""Credentials as a site file and as the contract write them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from towerops_agent.model import Credentials, Secret
from towerops_agent.site.document.credentials import PUBLIC

HIDDEN: Final = "********"
"""In place of a secret, as `config show` has it."""


def secrets_of(credentials: Credentials) -> dict[str, Secret]:
    """The secrets, by the key that a site file has for each."""
    user = credentials.user
    if user is None:
        return {} if credentials.community.reveal() == PUBLIC else {"community": credentials.community}
    found = {"auth_password": user.auth, "priv_password": user.priv}
    return {key: protocol[1] for key, protocol in found.items() if protocol is not None}


def keys_of(credentials: Credentials, places: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The keys of a site file. `places`: the place of each secret, by its key: ("file", its path) or ("env", its variable)."""
    keys = {"version": str(credentials.version)}
    user = credentials.user
    if user is None:
        if credentials.community.reveal() == PUBLIC:
            keys["community"] = PUBLIC
    else:
        keys["username"] = user.name
        if credentials.context_name:
            keys["context"] = credentials.context_name
        keys |= {key: str(value[0]) for key, value in (("auth", user.auth), ("priv", user.priv)) if value is not None}
    for secret in secrets_of(credentials):
        how, name = places[secret]
        keys[f"{secret}_{how}"] = name
    return keys


def wire_of(credentials: Credentials, port: int, *, reveal: bool) -> dict[str, Any]:
    """The contract's `snmp` object. `reveal`: with the secrets, else HIDDEN in place of each."""
    wire: dict[str, Any] = {"enabled": True, "version": str(credentials.version), "port": port, "transport": "udp"}
    user = credentials.user

    def shown(secret: Secret) -> str:
        return secret.reveal() if reveal or secret.reveal() == PUBLIC else HIDDEN

    if user is None:
        return wire | {"community": shown(credentials.community)}
    wire["v3_username"] = user.name
    wire["v3_security_level"] = "authPriv" if user.priv else "authNoPriv" if user.auth else "noAuthNoPriv"
    if credentials.context_name:
        wire["v3_context_name"] = credentials.context_name
    for kind, protocol in (("auth", user.auth), ("priv", user.priv)):
        if protocol is not None:
            wire |= {f"v3_{kind}_protocol": str(protocol[0]), f"v3_{kind}_password": shown(protocol[1])}
    return wire
