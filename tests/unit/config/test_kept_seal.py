"""The kept configuration is of no use without the token."""

import pytest

from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal, unseal, without_secrets
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

TOKEN = Secret("t0ken")
PLAIN = config_text(b'{"version":"7","equipment":[{"snmp":{"community":"s3cret"}}' + b',{"id":"e"}' * 90 + b"]}")


def test_what_was_sealed_comes_back_smaller_and_unreadable_in_between():
    sealed = seal(TOKEN, PLAIN)
    assert b"s3cret" not in sealed
    assert len(sealed) < 500
    assert unseal(TOKEN, sealed) == PLAIN
    assert seal(TOKEN, PLAIN) != sealed


def test_another_token_opens_nothing():
    with pytest.raises(InvalidConfig, match="another token"):
        unseal(Secret("other"), seal(TOKEN, PLAIN))


def test_no_octet_can_be_altered():
    sealed = seal(TOKEN, config_text(b"{}"))
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(InvalidConfig):
            unseal(TOKEN, bytes(altered))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(100), b"\x02" + bytes(100), b"{}"])
def test_what_is_not_a_seal_is_refused(sealed):
    with pytest.raises(InvalidConfig):
        unseal(TOKEN, sealed)


def test_that_of_site_files_is_not_taken_for_a_damaged_one():
    """As an agent finds it that gets its devices from the API from now on."""
    with pytest.raises(InvalidConfig, match="that of site files, whose secrets are not kept"):
        unseal(TOKEN, without_secrets(PLAIN))
