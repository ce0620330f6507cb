"""The kept configuration is of no use without the token."""

import pytest

from towerops_agent.api.seal import seal, unseal
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

TOKEN = Secret("t0ken")
PLAIN = b'{"equipment":[{"snmp":{"community":"s3cret"}}]}' * 20


def test_what_was_sealed_comes_back_smaller_and_unreadable_in_between():
    sealed = seal(TOKEN, PLAIN)
    assert b"s3cret" not in sealed
    assert len(sealed) < len(PLAIN)
    assert unseal(TOKEN, sealed) == PLAIN
    assert seal(TOKEN, PLAIN) != sealed


def test_another_token_opens_nothing():
    with pytest.raises(InvalidConfig, match="another token"):
        unseal(Secret("other"), seal(TOKEN, PLAIN))


def test_no_octet_can_be_altered():
    sealed = seal(TOKEN, b"{}")
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(InvalidConfig):
            unseal(TOKEN, bytes(altered))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(100), b"{}"])
def test_what_is_no_seal_is_refused(sealed):
    with pytest.raises(InvalidConfig):
        unseal(TOKEN, sealed)
