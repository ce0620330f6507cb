"""Lines fit the terminal, whatever script a name is written in."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.telemetry.views.lines import Line, columns, cut, laid_out, padded

TOWER = "北塔回程无线电"


def test_wide_characters_take_two_columns_and_combining_ones_none():
    """By UAX #11; a Thai vowel stands above the letter before it."""
    assert [columns(text) for text in ("tower", "Königstuhl", TOWER, "🗼", "ที่", "")] == [5, 10, 14, 2, 1, 0]


@pytest.mark.parametrize("name", ["tower", TOWER, "ที่"])
def test_what_is_padded_takes_so_many_columns(name):
    assert columns(padded(name, 20)) == 20
    assert padded(name, 1) == name


@pytest.mark.parametrize(("width", "shown"), [(14, TOWER), (13, "北塔回程无线…"), (12, "北塔回程无…"), (None, TOWER)])
def test_a_name_is_cut_between_its_characters(width, shown):
    assert cut(TOWER, width) == shown


@given(
    st.lists(st.sampled_from(["down", TOWER, "ที่", "x" * 70, TOWER * 9, "🗼🗼"]), min_size=1, max_size=30), st.integers(40, 120)
)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(words, width):
    lines = laid_out(Line(" ".join(words), label="devices", indent=2), width)
    assert max(map(columns, lines)) <= width
    assert "".join(" ".join(lines).split()) == "".join(["devices", *words])
    assert not any(unicodedata.category(character) == "Cc" for line in lines for character in line)
