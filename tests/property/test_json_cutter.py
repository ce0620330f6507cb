"""A configuration's text is cut at the same places, however it arrives, as a JSON reader would."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.text import ConfigIntake, JsonCutter, config_text
from towerops_agent.errors import InvalidConfig

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text('{}[]",\\: ', max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)
NAMES = TEXTS.filter(bool) | st.just("equipment")
SPACES = st.sampled_from(["", " ", "\n\t", "\r\n  "])


def written(value, space, ascii_only):
    return json.dumps(value, ensure_ascii=ascii_only, indent=space or None, separators=(f"{space},{space}", f"{space}:{space}"))


def cut(octets, sizes):
    """The pieces of `octets`, which come in chunks of these sizes, again and again."""
    cutter, at, n = JsonCutter("equipment"), 0, 0
    pieces = []
    while at < len(octets):
        size = sizes[n % len(sizes)]
        pieces += cutter.feed(octets[at : at + size])
        at, n = at + size, n + 1
    return [*pieces, *cutter.close()]


@given(st.dictionaries(NAMES, VALUES, max_size=6), SPACES, st.booleans(), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_the_pieces_are_those_of_a_json_reader(value, space, ascii_only, sizes):
    octets = written(value, space, ascii_only).encode()
    expected = []
    for name, member in value.items():
        if name == "equipment" and isinstance(member, list):
            expected += [(None, item) for item in member]
        else:
            expected.append((name, member))
    for pieces in (cut(octets, sizes), cut(octets, [len(octets)])):
        assert [(name, json.loads(piece)) for name, piece in pieces] == expected


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_a_text_cut_short_is_refused(value, data):
    octets = written(value, "", True).encode()
    with pytest.raises(InvalidConfig):
        cut(octets[: data.draw(st.integers(0, len(octets) - 1))], [7])


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_any_octets_are_a_json_object_or_are_refused(octets, sizes):
    for text in (octets, b'{"equipment":[' + octets + b"]}", b'{"a":' + octets + b"}"):
        try:
            pieces = cut(text, sizes)
        except InvalidConfig:
            continue
        assert json.loads(b'{"equipment":[' + b",".join(piece for _, piece in pieces) + b"]}", strict=False) is not None


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_configuration_taken_in_pieces_is_the_one_taken_in_at_once(devices, sizes):
    octets = json.dumps({"version": "7", "equipment": devices, "notes": "{["}).encode()
    intake, at, n = ConfigIntake(), 0, 0
    while at < len(octets):
        size = sizes[n % len(sizes)]
        intake.write(octets[at : at + size])
        at, n = at + size, n + 1
    text, whole = intake.finish(), config_text(octets)
    assert text.digest == whole.digest
    assert text.members == whole.members == {"version": b'"7"'}
    assert [json.loads(item) for item in text.items()] == [json.loads(item) for item in whole.items()] == devices
