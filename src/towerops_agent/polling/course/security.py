"""A device's configured credentials -> the SNMP engine's security.

Pure. Secrets are revealed here.
"""

from towerops_agent.model import Credentials, Secret, SnmpVersion, UsmUser
from towerops_agent.snmp.wire.message import Community, Version
from towerops_agent.snmp.wire.security import Security
from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, Principal, PrivScheme


def make_security(credentials: Credentials, before: Security | None = None) -> Security:
    """The security of messages to the device.

    `before`: the same device's until now. If the community, or the user and the context, are the same it is kept, and with it
    what is odd about the device's replies, or the engine's time and the keys.
    """
    if credentials.version is not SnmpVersion.V3:
        version = Version.V1 if credentials.version is SnmpVersion.V1 else Version.V2C
        community = Community(version, _octets(credentials.community))
        return before if isinstance(before, Community) and community.is_like(before) else community
    if credentials.user is None:
        raise ValueError("SNMPv3 without a user: expected one, config/document/credentials.py ensures it")
    user = _principal(credentials.user)
    context = credentials.context_name.encode("utf-8", "surrogateescape")
    if isinstance(before, UsmSecurity) and (before.user, before.context) == (user, context):
        return before
    return UsmSecurity(user, context)


def _principal(configured: UsmUser) -> Principal:
    """Each protocol of the model has the same name in the engine; a test checks it."""
    auth = auth_password = priv = priv_password = None
    if configured.auth is not None:
        auth, auth_password = AuthScheme[configured.auth[0].name], _octets(configured.auth[1])
    if configured.priv is not None:
        priv, priv_password = PrivScheme[configured.priv[0].name], _octets(configured.priv[1])
    return Principal(configured.name.encode("utf-8", "surrogateescape"), auth, auth_password or b"", priv, priv_password or b"")


def _octets(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogateescape")
