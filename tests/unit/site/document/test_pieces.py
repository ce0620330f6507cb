"""A site file is cut into its devices: each is what the whole file, composed at once, has at that place."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.site.document.nodes import Mistake, compose
from towerops_agent.site.document.pieces import SiteText


def shown(node: yaml.Node) -> Any:
    """All that is read of a node: its kind, text, style and place."""
    begin = node.start_mark.line, node.start_mark.column
    if isinstance(node, yaml.ScalarNode):
        return begin, node.tag, node.value, node.style
    if isinstance(node, yaml.SequenceNode):
        return [begin, node.tag, [shown(item) for item in node.value]]
    return begin, node.tag, [(shown(key), shown(value)) for key, value in node.value]


def whole(octets: bytes) -> tuple[list[object], list[object]]:
    """The devices, and what is beside them, as `compose` has them."""
    devices: list[object] = []
    rest: list[object] = []
    for key, value in compose("a.yaml", octets).value:
        is_list = key.value == "devices" and isinstance(value, yaml.SequenceNode)
        if is_list:
            devices += map(shown, value.value)
        rest.append((shown(key), [*shown(value)[:2], []] if is_list else shown(value)))
    return devices, rest


def cut(octets: bytes) -> tuple[list[object], list[object]]:
    text = SiteText("a.yaml", octets)
    nodes = list(text.nodes(range(len(text.pieces))))
    for wanted in range(len(nodes)):
        assert [shown(node) for node in text.nodes({wanted})] == [shown(nodes[wanted])]
    for node, piece in zip(nodes, text.pieces, strict=True):
        assert (node.start_mark.line + 1, node.start_mark.column + 1) == (piece.place.line, piece.place.column)
    return [shown(node) for node in nodes], [(shown(key), shown(value)) for key, value in text.top.value]


WORDS = st.sampled_from(
    ["a", "north mast", "'x: y'", '"\\u00e9 {"', "é☃", "🗼 #1", "1.3.6.1", "no", "~", "", "a#b", "!!int 7", "! 8"]
)
FLOW = st.recursive(
    WORDS.map(lambda word: word or "''"),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(lambda items: f"{{{', '.join(f'k{n}: {item}' for n, item in enumerate(items))}}}"),
    ),
    max_leaves=6,
)
BLOCK = st.lists(FLOW, min_size=1, max_size=3).map(
    lambda values: "\n    ".join(f"key{n}: {value}" for n, value in enumerate(values))
)
DEVICES = st.lists(st.one_of(FLOW, BLOCK, st.just("# a remark"), st.just("|\n    some\n    text")), max_size=5)


@given(DEVICES, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff", "---\n", "# ☃🗼\n"]))
def test_each_device_is_as_in_the_whole_file(devices, first, end, head):
    listed = "".join(f"  - {one}\n" for one in devices) if devices else "  []\n"
    parts = ["defaults: {labels: {é: ☃}}\n", f"devices:\n{listed}"]
    octets = (head + "".join(parts if first else parts[::-1])).replace("\n", end).encode()
    try:
        expected = whole(octets)
    except Mistake:
        with pytest.raises(Mistake):
            SiteText("a.yaml", octets)
    else:
        assert cut(octets) == expected


@pytest.mark.parametrize(
    "text",
    [
        "devices: [&a {address: x}, *a]\n",
        "x: &a [1]\ndevices: *a\n",
        "devices: {a: b}\n",
        "devices: text\n",
        "devices: [{address: x}]\ndevices: [{address: y}]\n",
        "%TAG ! tag:yaml.org,2002:\n---\ndevices: [!int 7]\n",
        "[devices]\n",
        "? [a]\n: b\n",
    ],
)
def test_a_file_that_can_not_be_cut_is_composed_as_a_whole(text):
    assert {piece.digest for piece in SiteText("a.yaml", text.encode()).pieces} <= {None}
    if text.startswith("["):
        assert shown(SiteText("a.yaml", text.encode()).top) == shown(compose("a.yaml", text.encode()))
    else:
        assert cut(text.encode()) == whole(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        *("", "devices: [\n", "devices: []\n---\ndevices: []\n", "devices: [*b]\n", "a: b: c\n", "[" * 5000),
        *(f"{key}: {'[' * 20_000}{']' * 20_000}\n" for key in ("devices", "defaults", "x")),
    ],
)
def test_a_mistake_in_yaml_is_the_one_that_is_found_in_the_whole(text):
    with pytest.raises(Mistake) as expected:
        compose("a.yaml", text.encode())
    with pytest.raises(Mistake) as found:
        SiteText("a.yaml", text.encode())
    assert str(found.value) == str(expected.value)


def test_a_device_is_known_by_its_text_and_by_nothing_else():
    first, second, third, moved = (
        [piece.digest for piece in SiteText("a.yaml", text.encode()).pieces]
        for text in (
            "devices:\n  - {address: a}\n  - {address: b}\n",
            "# a line more\ndevices:\n  - {address: a}\n  - {address: c}\n",
            "devices:\n    - {address: a}\n",
            "devices: [{address: b}, {address: a}]\ndefaults: {interval: 5}\n",
        )
    )
    assert first[0] == second[0]
    assert len({first[0], first[1], second[1]}) == 3
    assert third[0] != first[0]  # at another column a text may mean another thing
    assert None not in (*first, *moved)
