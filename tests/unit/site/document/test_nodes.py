"""Nodes know their place; each kind of mistake in a field is one sentence: the field, the value got, the value wanted."""

from collections.abc import Callable

import pytest
import yaml

from towerops_agent.errors import InvalidConfig
from towerops_agent.site.document import nodes, pieces
from towerops_agent.site.document.nodes import (
    DEEPEST,
    Loader,
    Location,
    Mistake,
    Problem,
    Section,
    compose,
    is_null,
    items,
    number,
    one_of,
    place_of,
    scalar,
    switch,
    text_of,
    whole,
)
from towerops_agent.site.document.site import compile_site


def section(text: str, known: tuple[str, ...] | None = None) -> Section:
    return Section("a.yaml", "a thing", compose("a.yaml", text.encode()), known)


def mistake_of(call: Callable[[], object]) -> str:
    with pytest.raises(Mistake) as caught:
        call()
    assert str(caught.value) == str(caught.value.problem)
    return str(caught.value)


def test_a_place_is_a_file_with_line_and_column_or_the_file_as_a_whole():
    assert [str(place) for place in (Location("a"), Location("a", 0, 7), Location("a", 3, 1))] == ["a", "a", "a:3:1"]
    assert str(Problem(Location("a", 2, 4), "x is y")) == "a:2:4: x is y"
    assert min(Location("b", 1), Location("a", 2, 1), Location("a", 1, 9)) == Location("a", 1, 9)


@pytest.mark.parametrize(
    ("octets", "place", "said"),
    [
        (b"\xe9", "1:1", "not text in UTF-8: expected the file saved in that"),
        (b"ab\xe9", "1:3", "not text in UTF-8: expected the file saved in that"),
        (b"a\nb\n\nxy\xff", "4:3", "not text in UTF-8: expected the file saved in that"),
        (b"\x07", "1:1", "a control character, which YAML does not allow"),
        (b"\xef\xbb\xbfab\x00", "1:3", "a control character, which YAML does not allow"),
        ("é\nb\n\n☃y\x07".encode(), "4:3", "a control character, which YAML does not allow"),
    ],
)
def test_octets_that_yaml_can_not_read_have_line_and_column(octets, place, said):
    assert mistake_of(lambda: text_of("a.yaml", octets)) == f"a.yaml:{place}: {said}"


def test_a_text_is_as_it_is_without_a_mark_of_its_order():
    assert text_of("a.yaml", "\ufeffé: ☃\r\n\tx".encode()) == "é: ☃\r\n\tx"


def pythons() -> type:
    """The loader of a PyYAML that was built without libyaml."""
    return type("Pythons", (yaml.SafeLoader,), {"resolve": Loader.resolve})


@pytest.mark.parametrize("loader", [Loader, pythons()])
def test_an_empty_file_and_one_that_is_not_yaml_are_mistakes(loader, monkeypatch):
    monkeypatch.setattr(nodes, "Loader", loader)
    empty = "a.yaml:1:1: the file is empty: expected devices, credentials, defaults or destinations"
    assert [mistake_of(lambda text=text: compose("a.yaml", text)) for text in (b"", b"# only this\n")] == [empty, empty]
    assert mistake_of(lambda: compose("a.yaml", b"a: b\nc: [d\n")).startswith("a.yaml:3:1: not YAML: ")
    undefined = "a.yaml:1:4: not YAML: found undefined alias"  # of libyaml; Python's loader quotes the name, which is left out
    wanted = ": expected a text that begins with * in quotes"
    assert mistake_of(lambda: compose("a.yaml", b"a: *lost")) in (f"{undefined}{wanted}", f"{undefined} …{wanted}")
    assert mistake_of(lambda: compose("a.yaml", "é: ☃\nb:\n\tc: d\n".encode())) == "a.yaml:3:1: not YAML: a tab: expected spaces"
    quotes = mistake_of(lambda: compose("a.yaml", b"\xef\xbb\xbfb: c\na: `d`\n"))
    assert quotes.startswith("a.yaml:2:4: not YAML: found character ")
    assert quotes.endswith("cannot start any token: expected the text in quotes")


def test_what_yaml_quotes_of_a_text_is_not_shown_as_it_may_be_a_password(monkeypatch):
    monkeypatch.setattr(nodes, "Loader", pythons())
    assert [mistake_of(lambda text=text: compose("a.yaml", text)) for text in (b"a: !hush!x y", b"a: *hush", b"a: @hush")] == [
        "a.yaml:1:4: not YAML: found undefined tag handle …: expected a text that begins with ! in quotes",
        "a.yaml:1:4: not YAML: found undefined alias …: expected a text that begins with * in quotes",
        "a.yaml:1:4: not YAML: found character '@' that cannot start any token: expected the text in quotes",
    ]


NEXT = "the next key, or -, below the one before it, and nothing behind quotes, ] or }"
COLON = "one key: value a line, its keys below each other, and a text with a colon in it in quotes"
STRAIGHT = "'…' in place of \"…\", in which a \\ means something"

SLIPS = [
    # what a beginner writes; where that is, by one reader or the other; what is expected
    ("devices:\n  - address: b\n   name: x\n", "3:4", NEXT),
    ("devices:\n  - address: b\n  address: c\n", "3:3", NEXT),
    ("devices:\n  - address: b\n - address: c\n", "3:2", NEXT),
    ("a: 'b' c\n", "1:8", NEXT),
    ("a: [b]]\n", "1:7", NEXT),
    ("devices:\n  - address: b\n      name: x\n", "3:11", COLON),
    ("name: north: backhaul\n", "1:12", COLON),
    ("address:10.0.0.1\nname: x\n", "2:5", COLON),
    ("a: b\nname x\nc: d\n", "3:1", "a key, a colon, a space and its value"),
    ("devices: - address: b\n", "1:10", "the - in a line of its own below the key, or the text in quotes"),
    ("a: {unit: %}\n", "1:11", "the text in quotes"),
    ("a: *$x\n", "1:5", "a text that begins with * in quotes"),
    ("a: &$x\n", "1:5", "a text that begins with & in quotes"),
    ("a: !x<y\n", "1:6", "a text that begins with ! in quotes"),
    ("a: |x\n", "1:5", "a text that begins with | or > in quotes"),
    ('a: b\nc: "d\ne: f\ng: h\n', "2:4", "a quotation mark at the end of the text that begins here"),
    ('a: "C:\\path"\n', "1:7 1:8", STRAIGHT),
    ('a: "\\xyz"\n', "1:5 1:7", STRAIGHT),
    ("a: [b c: d e: f]\n", "1:13", "a comma between two items, and ] behind the last one"),
    ("a: [b c\nd: e\n", "2:2", "a comma between two items, and ] behind the last one; its [ is at 1:4"),
    ("a: {b: c\nd: e\n", "2:2", "a comma between two keys with their values, and } behind the last one; its { is at 1:4"),
    (
        "a:\n  - {b: é #3}\n  - {b: c}\n",
        "3:3 3:5",
        "a comma between two keys with their values, and } behind the last one; its { is at 2:5",
    ),
    ("a: [b,,c]\n", "1:7", "a value, or the text in quotes"),
    ("a: b\n---\nc: d\n", "2:1", "one document, without a line --- in it"),
]


@pytest.mark.parametrize("loader", [Loader, pythons()])
@pytest.mark.parametrize(("text", "where", "expected"), SLIPS)
def test_a_slip_in_yaml_itself_says_what_to_write(monkeypatch, loader, text, where, expected):
    monkeypatch.setattr(nodes, "Loader", loader)
    said = mistake_of(lambda: compose("a.yaml", text.encode()))
    assert said.partition(": ")[0] in [f"a.yaml:{place}" for place in where.split()]
    assert said.partition(": ")[2].startswith("not YAML: ")
    assert said.rpartition(": expected ")[2] == expected
    assert "…" not in said.rpartition(": expected ")[0]


@pytest.mark.parametrize("loader", [Loader, pythons()])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 200_000])
@pytest.mark.parametrize(("begin", "column"), [("[", DEEPEST + 1), ("{a: ", 4 * DEEPEST + 1), ("- ", 2 * DEEPEST + 1)])
def test_a_file_that_is_nested_too_deeply_is_a_mistake_and_not_the_end_of_the_process(monkeypatch, loader, levels, begin, column):
    """The composers call themselves for each level; libyaml's has no guard of the stack."""
    monkeypatch.setattr(nodes, "Loader", loader)
    said = f"a.yaml:1:{column}: nested more than {DEEPEST} levels deep: expected a text that begins with [ or {{ in quotes"
    assert mistake_of(lambda: compose("a.yaml", begin.encode() * levels)) == said


def test_a_file_may_be_nested_as_deeply_as_is_said():
    assert isinstance(compose("a.yaml", b"[" * DEEPEST + b"]" * DEEPEST), yaml.SequenceNode)
    assert isinstance(compose("a.yaml", b"[" + b"[], " * 99 + b"]"), yaml.SequenceNode)


@pytest.mark.parametrize("written", ["", " ~", " null", " Null", " NULL"])
def test_a_field_without_a_value_is_not_given(written):
    one = section(f"a:{written}\nb: x\n", ("a", "b"))
    assert "a" not in one
    assert "b" in one
    assert (one.text("a"), one.items("a"), list(one.sections("a", None))) == (None, [], [])
    assert one.place_at("a") == Location("a.yaml", 1, 1)


@pytest.mark.parametrize("written", ["''", '"~"', "'null'", "nULL", "nil", "|\n  ~", "[]", "{}", "[~]", "!x", "!x ~"])
def test_quotes_and_other_words_are_not_nothing(written):
    assert not is_null(section(f"a: {written}").nodes["a"])


def test_both_of_yamls_loaders_find_the_same(monkeypatch):
    """libyaml's and Python's: which one there is depends on how PyYAML was built."""
    words = ("", "~", "null", "'null'", "x", "'x'", "no", "012", "[~]", "[x]", "{a: ~}", "{}", "!t x", "!t ", "! x")
    keys = ("name", "interval", "credentials", "labels", "sensors", "interfaces", "ping", "snmp")
    files = [
        [("a.yaml", f"credentials: {{x: {{community: {word}}}}}\ndevices:\n  - address: 10.0.0.1\n    {key}: {word}\n".encode())]
        for key in keys
        for word in words
    ]
    first = [compile_site(documents, lambda *_: "") for documents in files]
    monkeypatch.setattr(nodes, "Loader", pythons())
    monkeypatch.setattr(pieces, "Loader", pythons())
    for documents, expected in zip(files, first, strict=True):
        found = compile_site(documents, lambda *_: "")
        assert (found.config, found.problems, found.warnings) == (expected.config, expected.problems, expected.warnings), (
            documents
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [x]", "1:4: a is a list: expected a text"),
        ("a: {}", "1:4: a is a mapping: expected a text"),
        ("a: ' '", "1:4: a is empty: expected a text"),
        ("a: ''", "1:4: a is empty: expected a text"),
        ('a: "b\\tc"', "1:4: a is 'b\\tc': expected one line of printable characters"),
        ("a: |\n  b\n  c\n", "1:4: a is 'b\\nc\\n': expected one line of printable characters"),
        ("a: !b c", "1:4: a begins with !, which YAML takes for a tag: expected it in quotes"),
        ("a: !b", "1:4: a begins with !, which YAML takes for a tag: expected it in quotes"),
    ],
)
def test_a_text_is_one_line_as_it_is_written(text, said):
    assert mistake_of(lambda: section(text).text("a")) == f"a.yaml:{said}"


def test_a_secret_may_have_any_characters_and_none_of_them_is_shown():
    assert section('a: "hush\\thush"').text("a", secret=True) == "hush\thush"
    assert mistake_of(lambda: section('a: ["hush"]').text("a", secret=True)) == "a.yaml:1:4: a is a list: expected a text"
    assert scalar("a.yaml", "a", compose("a.yaml", b'"a\\tb"'), secret=True) == "a\tb"


def test_tags_of_yaml_itself_change_nothing():
    assert [section(f"a: {word}").text("a") for word in ("!!int 7", "! 7", "!!str ~x", "0o7")] == ["7", "7", "~x", "0o7"]


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [
        ("[a]", None, "1:1: a thing is a list: expected a mapping, as in key: value"),
        ("a", None, "1:1: a thing is a text: expected a mapping, as in key: value"),
        ("~", None, "1:1: a thing is empty: expected a mapping, as in key: value"),
        ("a: b\nc: d\na: e", None, "3:1: a is given twice: it is at line 1 too"),
        ("a:\na: e", None, "2:1: a is given twice: it is at line 1 too"),
        ("? [a]\n: b", None, "1:3: a key is a list: expected a text"),
        ("'': b", None, "1:1: a key is empty: expected a text"),
        ("naem: x", ("name", "oid"), "1:1: naem is not a key of a thing: expected name"),
        ("x: x", ("name", "oid"), "1:1: x is not a key of a thing: expected one of name, oid"),
        ("x: ", ("name",), "1:1: x is not a key of a thing: expected one of name"),
    ],
)
def test_a_section_is_a_mapping_with_known_keys_each_once(text, known, said):
    assert mistake_of(lambda: section(text, known)) == f"a.yaml:{said}"


def test_what_must_be_given_is_missing_or_empty():
    one = section("x: {a: }").nodes["x"]
    inner = Section("a.yaml", "a thing", one, ("a", "b"))
    assert mistake_of(lambda: inner.needed("a")) == "a.yaml:1:5: a is empty: expected a text"
    assert mistake_of(lambda: inner.needed("b")) == "a.yaml:1:4: b is missing: expected it in a thing"
    assert section("a: b").needed("a") == "b"


def test_the_place_of_a_field_is_that_of_its_value_else_of_its_key_else_of_the_section():
    one = section("# a line\n  a:   b\n  c:\n")
    assert [str(one.place_at(key)) for key in "acx"] == ["a.yaml:2:8", "a.yaml:3:3", "a.yaml:2:3"]
    assert str(one.mistake("a", "a is b")) == "a.yaml:2:8: a is b"
    assert str(place_of("b.yaml", one.nodes["a"])) == "b.yaml:2:8"


def test_a_list_is_a_list():
    assert [node.value for node in section("a: [b, c]").items("a")] == ["b", "c"]
    assert mistake_of(lambda: section("a: b").items("a")) == "a.yaml:1:4: a is a text: expected a list"
    assert mistake_of(lambda: items("b.yaml", "it", compose("b.yaml", b"~"))) == "b.yaml:1:1: it is empty: expected a list"


def test_named_sections_are_read_one_by_one_and_a_bad_one_costs_only_itself():
    text = "sets:\n  a: {x: 1}\n  b: 7\n  c:\n  d: {z: 1}\n  e: {x: 2}\n"
    found = dict(section(text).sections("sets", ("x", "w")))
    assert [(name, one.text("x"), one.what) for name, one in found.items() if isinstance(one, Section)] == [
        ("a", "1", "sets 'a'"),
        ("e", "2", "sets 'e'"),
    ]
    assert [(name, str(one)) for name, one in found.items() if isinstance(one, Mistake)] == [
        ("b", "a.yaml:3:6: sets 'b' is a text: expected a mapping, as in key: value"),
        ("c", "a.yaml:4:3: c is empty: expected a mapping, as in key: value"),
        ("d", "a.yaml:5:7: z is not a key of sets 'd': expected one of x, w"),
    ]
    assert mistake_of(lambda: list(section("sets: 7").sections("sets", None))).startswith("a.yaml:1:7: sets is a text")


def test_a_check_gets_the_fields_name_and_text_and_its_mistake_gets_a_place():
    seen = []

    def check(field: str, text: str) -> int:
        seen.append((field, text))
        raise InvalidConfig(f"{field} is wrong")

    assert mistake_of(lambda: section("a: b").checked("a", check)) == "a.yaml:1:4: a is wrong"
    assert seen == [("a", "b")]
    assert section("c: b").checked("a", check) is None


@pytest.mark.parametrize(
    ("check", "good", "bad", "wanted"),
    [
        (
            whole(1, 60),
            {"1": 1, "60": 60, "007": 7, "000000000060": 60},
            ("0", "61", "-1", "+1", "1.0", "٣", "²", "x", " 5", "0000000000060"),
            "a whole number from 1 to 60",
        ),
        (
            number,
            {"1": 1.0, "-.5": -0.5, "1e3": 1000.0, "0": 0.0},
            ("x", "1_0", "nan", "inf", "-inf", "1e999", "0x10"),
            "a number",
        ),
        (
            switch,
            {"true": True, "YES": True, "On": True, "false": False, "no": False, "OFF": False},
            ("1", "0", "t", "maybe", "truee"),
            "true or false",
        ),
        (one_of({"udp": 1, "tcp": 0}, "udp or tcp"), {"udp": 1, " TCP ": 0}, ("sctp", "u d p"), "udp or tcp"),
    ],
)
def test_each_check_returns_the_value_or_says_what_it_got_and_what_it_wants(check, good, bad, wanted):
    assert {text: check("field", text) for text in good} == good
    for text in bad:
        with pytest.raises(InvalidConfig) as caught:
            check("field", text)
        shown = text.encode("unicode_escape").decode()
        assert str(caught.value) == f"field is '{shown}': expected {wanted}"
