"""Ciphers: each message has a salt of its own, and the IV is that of the RFCs. That devices read it is seen against snmpd."""

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire.usm_keys import PrivScheme
from towerops_agent.snmp.wire.usm_privacy import AesPrivacy, DesPrivacy, Privacy, make_privacy

KEY = bytes(range(16))
PLAIN = b"a scoped PDU, of 26 octets"
BOOTS, TIME_S = 0x01020304, 0x0A0B0C0D


@pytest.mark.parametrize("scheme", PrivScheme)
def test_what_one_side_encrypts_the_other_decrypts_and_each_salt_is_another(scheme):
    key = bytes(range(scheme.key_octets))
    ours, theirs = make_privacy(scheme, key, 7), make_privacy(scheme, key, 99)
    messages = [ours.encrypt(PLAIN, BOOTS, TIME_S) for _ in range(3)]
    assert len({salt for _, salt in messages}) == len({octets for octets, _ in messages}) == 3
    for octets, salt in messages:
        assert theirs.decrypt(octets, BOOTS, TIME_S, salt)[: len(PLAIN)] == PLAIN
    assert isinstance(ours, DesPrivacy if scheme is PrivScheme.DES else AesPrivacy)


def test_the_iv_of_aes_is_boots_time_and_salt():
    """RFC 3826 §3.1.2.1: in CFB the first block is the plain text XORed with the encrypted IV."""
    octets, salt = AesPrivacy(KEY, 0x1112131415161716).encrypt(PLAIN, BOOTS, TIME_S)
    assert salt == bytes.fromhex("1112131415161717")
    iv = bytes.fromhex("01020304 0a0b0c0d") + salt
    block = Cipher(AES(KEY), CBC(bytes(16))).encryptor().update(iv)
    assert octets[:16] == bytes(a ^ b for a, b in zip(PLAIN, block, strict=False))
    assert len(octets) == len(PLAIN)


def test_the_iv_of_des_is_the_salt_xored_with_the_second_half_of_the_key():
    """RFC 3414 §8.1.1.1: the salt is the boots and a number; the text is padded to whole blocks."""
    octets, salt = DesPrivacy(KEY, 0xFF00000005).encrypt(PLAIN, BOOTS, TIME_S)
    assert salt == bytes.fromhex("01020304 00000006")
    iv = bytes(a ^ b for a, b in zip(salt, KEY[8:], strict=True))
    plain = Cipher(TripleDES(KEY[:8] * 3), CBC(iv)).decryptor().update(octets)
    assert plain == PLAIN + bytes(32 - len(PLAIN))
    assert len(DesPrivacy(KEY, 0).encrypt(bytes(16), 0, 0)[0]) == 16, "whole blocks are not padded"


def test_salts_begin_again_behind_the_last_one():
    assert AesPrivacy(KEY, 2**64 - 1).encrypt(PLAIN, BOOTS, TIME_S)[1] == bytes(8)
    assert DesPrivacy(KEY, 2**32 - 1).encrypt(PLAIN, BOOTS, TIME_S)[1] == bytes.fromhex("01020304 00000000")


@pytest.mark.parametrize(("boots", "time_s"), [(2**31 - 1, 2**31 - 1), (-1, -1), (2**32 + 5, 2**32 + 6)])
def test_boots_and_times_of_any_engine_have_four_octets(boots, time_s):
    for privacy in (AesPrivacy(KEY, 1), DesPrivacy(KEY, 1)):
        octets, salt = privacy.encrypt(PLAIN, boots, time_s)
        assert privacy.decrypt(octets, boots & 0xFFFFFFFF, time_s & 0xFFFFFFFF, salt)[: len(PLAIN)] == PLAIN


def refused(privacy: Privacy, octets: bytes, salt: bytes) -> tuple[str, int]:
    with pytest.raises(MalformedMessage) as caught:
        privacy.decrypt(octets, 0, 0, salt)
    return caught.value.what, caught.value.offset


@pytest.mark.parametrize("octets", [0, 7, 9])
def test_a_salt_of_another_length_is_malformed(octets):
    salt = bytes(octets)
    assert refused(AesPrivacy(KEY, 1), bytes(16), salt) == (f"a salt of {octets} octets, expected 8", 0)
    said = f"a salt of {octets} octets and 16 of data: expected 8, and whole blocks"
    assert refused(DesPrivacy(KEY, 1), bytes(16), salt) == (said, 0)


@pytest.mark.parametrize("octets", [7, 9, 15])
def test_octets_that_are_not_whole_blocks_of_des_are_malformed(octets):
    said = f"a salt of 8 octets and {octets} of data: expected 8, and whole blocks"
    assert refused(DesPrivacy(KEY, 1), bytes(octets), bytes(8)) == (said, 0)
