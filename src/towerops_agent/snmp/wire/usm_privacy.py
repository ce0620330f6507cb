"""USM privacy: encrypt and decrypt scoped PDUs with DES or AES.

No two messages under one key get the same initialisation vector: salts count up from a random start (RFC 3826 §3.1.2.1).
Pure: the start is passed in. Source: RFC 3414 §8 (CBC-DES), RFC 3826 §3 (CFB128-AES), which AES-192 and AES-256 follow.
"""

from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire.usm_keys import PrivScheme

SALT_OCTETS: Final = 8
_DES_BLOCK: Final = 8


class AesPrivacy:
    """AES in CFB128 mode. The IV is the engine's boots and time, and a salt of 64 bits, which the message carries."""

    __slots__ = ("_aes", "_salt")

    def __init__(self, key: bytes, salt: int) -> None:
        self._aes = AES(key)
        self._salt = salt

    def encrypt(self, plain: bytes, boots: int, time_s: int) -> tuple[bytes, bytes]:
        """`plain` encrypted, and the salt."""
        self._salt = self._salt + 1 & 0xFFFFFFFFFFFFFFFF
        salt = self._salt.to_bytes(8, "big")
        return Cipher(self._aes, CFB(_iv(boots, time_s, salt))).encryptor().update(plain), salt

    def decrypt(self, octets: bytes, boots: int, time_s: int, salt: bytes) -> bytes:
        """The decrypted octets. Raises MalformedMessage if the salt is not valid; with a wrong key it returns noise."""
        if len(salt) != SALT_OCTETS:
            raise MalformedMessage(f"a salt of {len(salt)} octets, expected {SALT_OCTETS}", 0)
        return Cipher(self._aes, CFB(_iv(boots, time_s, salt))).decryptor().update(octets)


class DesPrivacy:
    """DES in CBC mode. The salt is the engine's boots and a counter of 32 bits; XORed with half of the key it is the IV."""

    __slots__ = ("_counter", "_des", "_pre_iv")

    def __init__(self, key: bytes, salt: int) -> None:
        self._des = TripleDES(key[:8] * 3)  # one key three times is DES
        self._pre_iv = int.from_bytes(key[8:16], "big")
        self._counter = salt & 0xFFFFFFFF

    def encrypt(self, plain: bytes, boots: int, time_s: int) -> tuple[bytes, bytes]:  # noqa: ARG002 - AES has it in the IV
        """`plain`, padded to whole blocks, encrypted; and the salt."""
        self._counter = self._counter + 1 & 0xFFFFFFFF
        salt = (boots & 0xFFFFFFFF).to_bytes(4, "big") + self._counter.to_bytes(4, "big")
        padded = plain + bytes(-len(plain) % _DES_BLOCK)
        return Cipher(self._des, CBC(self._iv(salt))).encryptor().update(padded), salt

    def decrypt(self, octets: bytes, boots: int, time_s: int, salt: bytes) -> bytes:  # noqa: ARG002
        """The decrypted octets, with padding. Raises MalformedMessage without whole blocks or a valid salt."""
        if len(salt) != SALT_OCTETS or len(octets) % _DES_BLOCK:
            raise MalformedMessage(f"a salt of {len(salt)} octets and {len(octets)} of data: expected 8, and whole blocks", 0)
        return Cipher(self._des, CBC(self._iv(salt))).decryptor().update(octets)

    def _iv(self, salt: bytes) -> bytes:
        return (self._pre_iv ^ int.from_bytes(salt, "big")).to_bytes(8, "big")


Privacy = AesPrivacy | DesPrivacy


def make_privacy(protocol: PrivScheme, key: bytes, salt: int) -> Privacy:
    """Encryption by `protocol` with a localised key. `salt`: the first salt, a random number of 64 bits."""
    return DesPrivacy(key, salt) if protocol is PrivScheme.DES else AesPrivacy(key, salt)


def _iv(boots: int, time_s: int, salt: bytes) -> bytes:
    return (boots & 0xFFFFFFFF).to_bytes(4, "big") + (time_s & 0xFFFFFFFF).to_bytes(4, "big") + salt
