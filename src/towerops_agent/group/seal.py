"""The messages of a group, sealed: only members have the token, and with it the key.

One octet of version, 12 of nonce, then AES-256-GCM of the message; the key is derived from the agents' token and the group's name
(HKDF-SHA256, RFC 5869), and the subject is authenticated with it. So a member of another group, or whoever can only publish on
the engine, is not heard. Pure except for the random octets.
"""

import os
from collections.abc import Callable, Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from towerops_agent.model import Secret

VERSION: Final = b"\x01"
_NONCE_OCTETS: Final = 12
_HEADER_OCTETS: Final = len(VERSION) + _NONCE_OCTETS


class Seal:
    """Seals with the first of `tokens()`, and opens what was sealed with any of them."""

    def __init__(self, group: str, tokens: Callable[[], Iterable[Secret]]) -> None:
        self._info = b"towerops-agent group " + group.encode()
        self._tokens = tokens
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, subject: str, message: bytes) -> bytes:
        """`message`, sealed for this subject; never twice the same octets."""
        nonce = os.urandom(_NONCE_OCTETS)
        cipher = next(iter(self._current()))
        return VERSION + nonce + cipher.encrypt(nonce, message, VERSION + subject.encode())

    def unseal(self, subject: str, sealed: bytes) -> bytes | None:
        """The message; None if it was sealed with another token, for another group or subject, or has been altered."""
        if len(sealed) < _HEADER_OCTETS or not sealed.startswith(VERSION):
            return None
        nonce = sealed[len(VERSION) : _HEADER_OCTETS]
        for cipher in self._current():
            try:
                return cipher.decrypt(nonce, sealed[_HEADER_OCTETS:], VERSION + subject.encode())
            except InvalidTag:
                continue
        return None

    def _current(self) -> list[AESGCM]:
        texts = [token.reveal() for token in self._tokens()]
        self._ciphers = {text: self._ciphers.get(text) or self._cipher(text) for text in texts}
        return list(self._ciphers.values())

    def _cipher(self, token: str) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, None, self._info).derive(token.encode()))
