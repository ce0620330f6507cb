"""USM users and their keys: a password becomes a key, and a key is localised to one engine.

A password's key costs a hash of 1 MiB (some milliseconds), hence snmp/engines.py, which does it off the event loop, once for each
password. Localising it costs microseconds, except for the key extension of Reeder, which hashes another MiB per engine.
Pure. Source: RFC 3414 §2.6, A.2 and §11.2; RFC 7860; the key extensions: draft-blumenthal-aes-usm-04 §3.1.2.1 ("AES-192",
"AES-256") and draft-reeder-snmpv3-usm-3desede-00 §2.1, which Cisco's AES-192 and AES-256 use ("-C").
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

PASSWORD_EXPANSION_OCTETS: Final = 1 << 20


class AuthScheme(Enum):
    """USM authentication protocols: the hash behind the HMAC, and how many octets of its digest a message has."""

    MD5 = ("md5", 12)
    SHA = ("sha1", 12)
    SHA_224 = ("sha224", 16)
    SHA_256 = ("sha256", 24)
    SHA_384 = ("sha384", 32)
    SHA_512 = ("sha512", 48)

    def __init__(self, hash_name: str, digest_octets: int) -> None:
        self.hash_name = hash_name
        self.digest_octets = digest_octets


class Extension(Enum):
    """How a localised key that is too short for its cipher is extended."""

    NONE = "none"
    BLUMENTHAL = "Blumenthal"
    REEDER = "Reeder"


class PrivScheme(Enum):
    """USM privacy protocols: cipher, how many octets of the localised key it uses, and how a short one is extended."""

    DES = ("DES", 16, Extension.NONE)  # 8 octets of key and 8 for the IV
    AES_128 = ("AES", 16, Extension.NONE)
    AES_192 = ("AES", 24, Extension.BLUMENTHAL)
    AES_256 = ("AES", 32, Extension.BLUMENTHAL)
    AES_192_C = ("AES", 24, Extension.REEDER)
    AES_256_C = ("AES", 32, Extension.REEDER)

    def __init__(self, cipher: str, key_octets: int, extension: Extension) -> None:
        self.cipher = cipher
        self.key_octets = key_octets
        self.extension = extension


@dataclass(frozen=True, slots=True)
class Principal:
    """The user of requests, with passwords as octets (RFC 3411 §3.2.1). Privacy needs authentication (RFC 3414 §1.4.2)."""

    name: bytes
    auth: AuthScheme | None = None
    auth_password: bytes = field(default=b"", repr=False)
    priv: PrivScheme | None = None
    priv_password: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.priv is not None and self.auth is None:
            raise ValueError("a user with privacy and without authentication: expected both, only authentication, or neither")
        if (self.auth is not None and not self.auth_password) or (self.priv is not None and not self.priv_password):
            raise ValueError("a protocol with an empty password: expected one")


@dataclass(frozen=True, slots=True)
class LocalizedKeys:
    """The keys of one user at one engine. `priv` is empty for a user without privacy."""

    engine_id: bytes
    auth: bytes = field(repr=False)
    priv: bytes = field(default=b"", repr=False)


KeyOfPassword = Callable[[str, bytes], bytes]
"""password_to_key, or a cache of it."""


def password_to_key(hash_name: str, password: bytes) -> bytes:
    """Ku: the hash of the password repeated to 1 MiB (RFC 3414 A.2). Takes milliseconds; `password` is not empty."""
    repeated = password * (PASSWORD_EXPANSION_OCTETS // len(password) + 1)
    return _hash(hash_name, repeated[:PASSWORD_EXPANSION_OCTETS])


def localize(hash_name: str, key: bytes, engine_id: bytes) -> bytes:
    """Kul: `key` localised to the engine `engine_id` (RFC 3414 §2.6)."""
    return _hash(hash_name, key + engine_id + key)


def derive_keys(user: Principal, engine_id: bytes, key_of_password: KeyOfPassword = password_to_key) -> LocalizedKeys:
    """The keys of `user`, who has authentication at least, at the engine `engine_id`. May take milliseconds."""
    if user.auth is None:
        raise ValueError("a user without authentication has no keys")
    hash_name = user.auth.hash_name  # the privacy key is made with the authentication protocol's hash, too (RFC 3826 §1.2)
    auth = localize(hash_name, key_of_password(hash_name, user.auth_password), engine_id)
    if user.priv is None:
        return LocalizedKeys(engine_id, auth)
    priv = localize(hash_name, key_of_password(hash_name, user.priv_password), engine_id)
    return LocalizedKeys(engine_id, auth, _extended(priv, user.priv, hash_name, engine_id))


def _extended(key: bytes, priv: PrivScheme, hash_name: str, engine_id: bytes) -> bytes:
    last = key
    while len(key) < priv.key_octets:
        if priv.extension is Extension.BLUMENTHAL:
            key += _hash(hash_name, key)
        else:
            last = localize(hash_name, password_to_key(hash_name, last), engine_id)
            key += last
    return key[: priv.key_octets]


def _hash(hash_name: str, octets: bytes) -> bytes:
    return hashlib.new(hash_name, octets, usedforsecurity=False).digest()  # RFC 3414 requires it
