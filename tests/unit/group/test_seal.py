import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.group.seal import Seal
from towerops_agent.model import Secret

HERE = "towerops.default.here"
OLD, NEW = Secret("old-token"), Secret("new-token")


def seal(*tokens: Secret, group: str = "default") -> Seal:
    return Seal(group, lambda: tokens)


@given(st.binary(max_size=300))
def test_what_is_sealed_is_opened_by_another_member(message):
    sealed = seal(OLD).seal(HERE, message)
    assert seal(OLD).unseal(HERE, sealed) == message
    assert len(message) < 4 or message not in sealed
    assert sealed != seal(OLD).seal(HERE, message), "never twice the same octets"


@pytest.mark.parametrize("other", [seal(NEW), seal(OLD, group="other"), seal()])
def test_it_is_not_opened_with_another_token_or_for_another_group(other: Seal):
    assert other.unseal(HERE, seal(OLD).seal(HERE, b"hello")) is None


def test_it_is_not_opened_on_another_subject():
    assert seal(OLD).unseal("towerops.default.learned", seal(OLD).seal(HERE, b"hello")) is None


@given(st.integers(0, 8 * 33 - 1))
def test_it_is_not_opened_once_a_bit_is_changed(bit):
    sealed = bytearray(seal(OLD).seal(HERE, b"hello"))
    assert len(sealed) == 34
    sealed[bit // 8] ^= 1 << bit % 8
    assert seal(OLD).unseal(HERE, bytes(sealed)) is None


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" * 12])
def test_what_is_not_sealed_is_not_opened(octets: bytes):
    assert seal(OLD).unseal(HERE, octets) is None


def test_while_a_token_changes_both_are_known_and_the_new_one_seals():
    member = seal(NEW, OLD)
    assert member.unseal(HERE, seal(OLD).seal(HERE, b"from before")) == b"from before"
    assert seal(NEW).unseal(HERE, member.seal(HERE, b"from now on")) == b"from now on"
    assert seal(OLD).unseal(HERE, member.seal(HERE, b"from now on")) is None
