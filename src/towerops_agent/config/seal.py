"""Octets sealed with the agent's token, and opened again; also as a process of its own, for sealing.py.

Sealed: one octet of version, 16 of salt, 12 of nonce, then AES-256-GCM of the octets; the key is derived from the token
(HKDF-SHA256, RFC 5869), so they are useless without it. Whoever has the token may fetch the same from the API.
As a process: a request on standard input, its answer on standard output; neither arguments nor environment hold a secret.
Imports next to nothing but the cipher, which it loads when it is used: 9 MB that stay for good. Random octets.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO, Final

from towerops_agent.errors import InvalidConfig

VERSION: Final = b"\x02"
OPEN_VERSION: Final = b"\x00"
"""Of one that is not sealed: of site files, without their secrets."""
_SALT_OCTETS = 16
_NONCE_OCTETS = 12
_HEADER_OCTETS = 1 + _SALT_OCTETS + _NONCE_OCTETS

SEAL, UNSEAL = b"s", b"u"
DONE, INVALID = b"+", b"-"
_LENGTH_OCTETS = 4
_PIECE_OCTETS = 1 << 16


def is_loaded() -> bool:
    """Whether this process holds the cipher already."""
    return "cryptography" in sys.modules


def seal(token: str, octets: bytes) -> bytes:
    """`octets`, sealed; never twice the same."""
    return b"".join(sealed(token, [octets]))


def sealed(token: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces`, sealed as one, as they come."""
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.modes import GCM  # noqa: PLC0415

    salt, nonce = os.urandom(_SALT_OCTETS), os.urandom(_NONCE_OCTETS)
    header = VERSION + salt + nonce
    encryptor = Cipher(AES(_key(token, salt)), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(header)
    yield header
    for piece in pieces:
        yield encryptor.update(piece)
    yield encryptor.finalize() + encryptor.tag


def unseal(token: str, sealed: bytes) -> bytes:
    """What was sealed. Raises InvalidConfig if it was sealed with another token or by a later version, or has been altered."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if sealed.startswith(OPEN_VERSION):
        raise InvalidConfig("the kept configuration is that of site files, whose secrets are not kept")
    header, text = sealed[:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
    if len(header) < _HEADER_OCTETS or not header.startswith(VERSION):
        raise InvalidConfig(f"the kept configuration is of format {header[:1].hex() or 'none'}: expected {VERSION.hex()}")
    salt, nonce = header[1 : 1 + _SALT_OCTETS], header[1 + _SALT_OCTETS :]
    try:
        return AESGCM(_key(token, salt)).decrypt(nonce, text, header)
    except InvalidTag:
        raise InvalidConfig("the kept configuration was sealed with another token, or has been altered since") from None


def _key(token: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), 32, salt, b"towerops-agent kept configuration").derive(token.encode())


def request_head(what: bytes, token: str) -> bytes:
    """What the process reads before the octets: SEAL or UNSEAL, the token with its length."""
    text = token.encode()
    return what + len(text).to_bytes(_LENGTH_OCTETS, "big") + text


def answer(request: BinaryIO, to: BinaryIO) -> None:
    """What the process does: writes DONE and the octets, or INVALID and why not. What is sealed is written as it is read."""
    what = request.read(1)
    token = request.read(int.from_bytes(request.read(_LENGTH_OCTETS), "big")).decode()
    try:
        done = sealed(token, iter(partial(request.read, _PIECE_OCTETS), b"")) if what == SEAL else [unseal(token, request.read())]
    except InvalidConfig as error:
        to.write(INVALID + str(error).encode())
    else:
        to.write(DONE)
        to.writelines(done)


if __name__ == "__main__":
    answer(sys.stdin.buffer, sys.stdout.buffer)
