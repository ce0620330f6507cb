"""The kept configuration, sealed: it holds SNMP communities and passwords, and is stored in the database file.

One octet of version, 16 of salt, 12 of nonce, then AES-256-GCM of text.py's octets; the key is derived from the agent's
token (HKDF-SHA256, RFC 5869), so the file is useless without it. Whoever has the token may fetch the same from the API.
Pure except for the random octets.
"""

import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from towerops_agent.config.document.text import ConfigText, decode_config, encode_config
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

VERSION = b"\x02"
_SALT_OCTETS = 16
_NONCE_OCTETS = 12
_HEADER_OCTETS = 1 + _SALT_OCTETS + _NONCE_OCTETS


def seal(token: Secret, config: ConfigText) -> bytes:
    """`config`, sealed; never twice the same octets."""
    salt, nonce = os.urandom(_SALT_OCTETS), os.urandom(_NONCE_OCTETS)
    header = VERSION + salt + nonce
    return header + AESGCM(_key(token, salt)).encrypt(nonce, encode_config(config), header)


def unseal(token: Secret, sealed: bytes) -> ConfigText:
    """The configuration. Raises InvalidConfig if it was sealed with another token or by a later version, or has been altered."""
    header, text = sealed[:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
    if len(header) < _HEADER_OCTETS or not header.startswith(VERSION):
        raise InvalidConfig(f"the kept configuration is of format {header[:1].hex() or 'none'}: expected {VERSION.hex()}")
    salt, nonce = header[1 : 1 + _SALT_OCTETS], header[1 + _SALT_OCTETS :]
    try:
        return decode_config(AESGCM(_key(token, salt)).decrypt(nonce, text, header))
    except InvalidTag:
        raise InvalidConfig("the kept configuration was sealed with another token, or has been altered since") from None
    except msgspec.MsgspecError as error:
        raise InvalidConfig(f"the kept configuration is not what this version keeps: {error}") from None


def _key(token: Secret, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, b"towerops-agent kept configuration").derive(token.reveal().encode())
