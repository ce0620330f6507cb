"""YAML as nodes that know their place, and the checks of one field, each with file, line and column.

A file's octets -> a Section for each mapping in it. YAML's own types are not used: a field that is a text is the text as it is
written (`name: no`, `community: 0123`), a number is what looks like one. A check gets a field's name and its text: it returns
the value or raises InvalidConfig, which becomes a Mistake with the place.
Pure. Lines and columns from 1. Messages never hold a value that may be a secret.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, Final, TypeVar

import yaml

from towerops_agent.config.document.equipment import LEAST_DIVISOR
from towerops_agent.config.document.fields import shown
from towerops_agent.errors import InvalidConfig

T = TypeVar("T")

_OWN_TAG: Final = "tag:yaml.org,2002:"
TEXT_TAG: Final = f"{_OWN_TAG}str"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of two classes
    """libyaml's, if PyYAML was built with it, else Python's; which type a text would be is not asked, a third of the time."""

    def resolve(self, kind: type[yaml.Node], value: object, implicit: object) -> str:  # noqa: ARG002 - PyYAML's
        """YAML's own text, whatever it looks like."""
        return TEXT_TAG


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES: Final = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}

_NEXT: Final = "the next key, or -, below the one before it, and nothing behind quotes, ] or }"
_STRAIGHT: Final = "'…' in place of \"…\", in which a \\ means something"
_EXPECTED: Final = (
    # a part of what YAML says, by libyaml or by Python's reader; what to write instead
    ("cannot start any token", "the text in quotes"),
    ("scanning a tag", "a text that begins with ! in quotes"),
    ("found undefined tag handle", "a text that begins with ! in quotes"),
    ("scanning an alias", "a text that begins with * in quotes"),
    ("found undefined alias", "a text that begins with * in quotes"),
    ("scanning an anchor", "a text that begins with & in quotes"),
    ("scanning a block scalar", "a text that begins with | or > in quotes"),
    ("found unexpected end of stream", "a quotation mark at the end of the text that begins here"),
    ("-quoted scalar", _STRAIGHT),
    ("parsing a quoted scalar", _STRAIGHT),
    ("did not find expected key", _NEXT),
    ("did not find expected '-'", _NEXT),
    ("expected <block end>", _NEXT),
    (
        "mapping values are not allowed",
        "one key: value a line, its keys below each other, and a text with a colon in it in quotes",
    ),
    ("sequence entries are not allowed", "the - in a line of its own below the key, or the text in quotes"),
    ("could not find expected ':'", "a key, a colon, a space and its value"),
    ("',' or ']'", "a comma between two items, and ] behind the last one"),
    ("',' or '}'", "a comma between two keys with their values, and } behind the last one"),
    ("found unexpected ':'", "the text in quotes"),
    ("node content", "a value, or the text in quotes"),
    ("but found another document", "one document, without a line --- in it"),
)

_QUOTED: Final = re.compile(r"(?<=[a-z] )'(?!<)[^']{2,}'")
"""What PyYAML quotes of a text; it may be a part of a password."""

_NOWHERE: Final[Mapping[str, str]] = {}

DEEPEST: Final = 50
"""How many lists and mappings may be in each other; a site file has six levels. PyYAML's composer calls itself for each of them:
libyaml's ends the whole process at some thousands.
"""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line 0: the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A mistake. `text`: the field, the value got (never a secret) and the value wanted."""

    place: Location
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Mistake(InvalidConfig):
    """Something that can't be used, with its problem."""

    def __init__(self, place: Location, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.problem = Problem(place, text)


def text_of(file: str, octets: bytes) -> str:
    """The file's text, of which YAML can be made. Raises Mistake."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = octets[: error.start]
        line = before.count(b"\n") + 1
        place = Location(file, line, error.start - (before.rfind(b"\n") + 1) + 1)
        raise Mistake(place, "not text in UTF-8: expected the file saved in that") from None
    control = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        column = control.start() - (text.rfind("\n", 0, control.start()) + 1) + 1
        raise Mistake(Location(file, line, column), "a control character, which YAML does not allow")
    return text


def compose(file: str, octets: bytes, wanted: str = "devices, credentials, defaults or destinations") -> yaml.Node:
    """The file's one document. `wanted`: what an empty one lacks. Raises Mistake."""
    text = text_of(file, octets)
    _refuse_depth(file, text)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        problem = error.problem or "it ends too early"
        mark = error.problem_mark or error.context_mark
        if "end of stream" in problem:  # where the text begins; where the file ends shows nothing
            mark = error.context_mark or mark
        wrong = _wrong(problem, error.context or "", text, mark)
        begin = error.context_mark
        if begin and mark and begin.line < mark.line and "parsing a flow" in (error.context or ""):  # it is seen in a later line
            wrong = f"{wrong}; its {text[begin.index]} is at {begin.line + 1}:{begin.column + 1}"
        raise Mistake(_at(file, mark), f"not YAML: {wrong}") from None
    if node is None:
        raise Mistake(Location(file, 1, 1), f"the file is empty: expected {wanted}")
    return node


def _refuse_depth(file: str, text: str) -> None:
    """Raises Mistake if more than DEEPEST lists and mappings are in each other. The parser, which shows it, needs no stack."""
    depth = 0
    with suppress(yaml.YAMLError):  # the composer comes to it, and finds no more levels before it
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    wanted = "expected a text that begins with [ or { in quotes"
                    raise Mistake(_at(file, event.start_mark), f"nested more than {DEEPEST} levels deep: {wanted}")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1


def _wrong(problem: str, context: str, text: str, mark: yaml.Mark | None) -> str:
    """`problem`, with what to write instead; which character may not stand there PyYAML does not say by libyaml."""
    is_at_tab = mark is not None and text[mark.index : mark.index + 1] == "\t"
    if "tab character" in problem or ("cannot start any token" in problem and is_at_tab):
        return "a tab: expected spaces"
    said = f"{problem} {context}"
    wanted = next((f": expected {wanted}" for part, wanted in _EXPECTED if part in said), "")
    return f"{problem if 'cannot start' in problem else _QUOTED.sub('…', problem)}{wanted}"


def place_of(file: str, node: yaml.Node) -> Location:
    """Where `node` begins."""
    return _at(file, node.start_mark)


def _at(file: str, mark: Any) -> Location:  # noqa: ANN401 - one of two classes
    return Location(file) if mark is None else Location(file, mark.line + 1, mark.column + 1)


def is_null(node: yaml.Node) -> bool:
    """Whether nothing is given: `name:`, `name: null`. In quotes that is a text; libyaml's style of none is "".

    `name: !north` is something: YAML makes a tag of it, with no value behind.
    """
    is_plain = isinstance(node, yaml.ScalarNode) and not node.style
    return is_plain and node.value in _NULLS and node.tag.startswith(_OWN_TAG)


def items(file: str, what: str, node: yaml.Node) -> list[yaml.Node]:
    """The items of the list `node`. Raises Mistake."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    raise Mistake(place_of(file, node), f"{what} is {_kind(node)}: expected a list")


def some(section: "Section", key: str) -> list[yaml.Node]:
    """The nodes of the list at `key`; of a single value, that one; none if it is not given. Raises Mistake."""
    if key not in section:
        return []
    node = section.nodes[key]
    return items(section.file, key, node) if isinstance(node, yaml.SequenceNode) else [node]


def _kind(node: yaml.Node) -> str:
    if is_null(node):
        return "empty"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list" if isinstance(node, yaml.SequenceNode) else "a text"


def scalar(file: str, what: str, node: yaml.Node, *, secret: bool = False, wanted: str = "a text") -> str:
    """The text of `node`, as it is written. `wanted`: what it should be, if it is not a text at all. Raises Mistake."""
    text = node.value
    if not isinstance(node, yaml.ScalarNode):
        wrong = f"{what} is {_kind(node)}: expected {wanted}"
    elif not node.tag.startswith(_OWN_TAG):
        wrong = f"{what} begins with !, which YAML takes for a tag: expected it in quotes"
    elif is_null(node) or not text.strip():
        wrong = f"{what} is empty: expected {wanted}"
    elif not secret and not text.isprintable():
        wrong = f"{what} is {shown(text)}: expected one line of printable characters"
    else:
        return str(text)
    raise Mistake(place_of(file, node), wrong)


class Section:
    """One mapping of a site file. `what`: how messages call it.

    Raises Mistake if it is not a mapping; its duplicate and unknown keys are Mistakes too, of which the first is raised.
    """

    def __init__(
        self, file: str, what: str, node: yaml.Node, known: Iterable[str] | None, elsewhere: Mapping[str, str] = _NOWHERE
    ) -> None:
        """`known`: the keys that it may have; None: any names. `elsewhere`: what is expected in place of some others."""
        self.file = file
        self.what = what
        self.place = place_of(file, node)
        if not isinstance(node, yaml.MappingNode):
            raise Mistake(self.place, f"{what} is {_kind(node)}: expected a mapping, as in key: value")
        self.nodes: dict[str, yaml.Node] = {}
        self.keys: dict[str, Location] = {}
        names = None if known is None else tuple(known)
        for key_node, value in node.value:
            key = scalar(file, "a key", key_node)
            place = place_of(file, key_node)
            if key in self.keys:
                raise Mistake(place, f"{key} is given twice: it is at line {self.keys[key].line} too")
            if names is not None and key not in names:
                raise Mistake(place, f"{key} is not a key of {what}: {elsewhere.get(key) or _meant(key, names)}")
            self.keys[key] = place
            if not is_null(value):
                self.nodes[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def place_at(self, key: str) -> Location:
        """Where the value of `key` begins; the section, if there is none."""
        return place_of(self.file, self.nodes[key]) if key in self.nodes else self.keys.get(key, self.place)

    def mistake(self, key: str, text: str) -> Mistake:
        """A Mistake about the value of `key`."""
        return Mistake(self.place_at(key), text)

    def checked(self, key: str, check: Callable[[str, str], T], *, secret: bool = False) -> T | None:
        """What `check` makes of the name of the field and its text; None if it is not given. Raises Mistake."""
        if key not in self.nodes:
            return None
        text = scalar(self.file, key, self.nodes[key], secret=secret)
        try:
            return check(key, text)
        except InvalidConfig as error:
            raise self.mistake(key, str(error)) from None

    def text(self, key: str, *, secret: bool = False) -> str | None:
        """The text of `key`; None if it is not given. Raises Mistake."""
        return self.checked(key, lambda _, text: text, secret=secret)

    def needed(self, key: str) -> str:
        """The text of `key`, which must be given. Raises Mistake."""
        self.must_not_be_empty(key)
        text = self.text(key)
        if text is None:
            raise Mistake(self.place, f"{key} is missing: expected it in {self.what}")
        return text

    def must_not_be_empty(self, key: str, wanted: str = "a text") -> None:
        """Raises Mistake if `key` is there without a value; a key that is not there is fine."""
        if key in self.keys and key not in self.nodes:
            raise self.mistake(key, f"{key} is empty: expected {wanted}")

    def items(self, key: str) -> list[yaml.Node]:
        """The items of the list at `key`; none if it is not given. Raises Mistake."""
        return items(self.file, key, self.nodes[key]) if key in self.nodes else []

    def sections(self, key: str, known: Iterable[str] | None) -> "Iterator[tuple[str, Section | Mistake]]":
        """The named mappings in the mapping at `key`; a Mistake in place of one that can't be read. Raises Mistake."""
        if key not in self.nodes:
            return
        outer = Section(self.file, key, self.nodes[key], None)
        for name, place in outer.keys.items():
            try:
                node = outer.nodes.get(name)
                if node is None:
                    raise Mistake(place, f"{name} is empty: expected a mapping, as in key: value")
                yield name, Section(self.file, f"{key} '{name}'", node, known)
            except Mistake as mistake:
                yield name, mistake


def _meant(key: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(key, names, n=1)
    return f"expected {close[0]}" if close else f"expected one of {', '.join(names)}"


def whole(least: int, most: int) -> Callable[[str, str], int]:
    """A check for a whole number within these bounds, both included."""

    def check(field: str, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most:
            return int(text)
        raise InvalidConfig(f"{field} is {shown(text)}: expected a whole number from {least} to {most}")

    return check


def number(field: str, text: str) -> float:
    """A finite number."""
    try:
        value = float(text) if "_" not in text else float("nan")
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InvalidConfig(f"{field} is {shown(text)}: expected a number")
    return value


def factor(field: str, text: str) -> float:
    """A number to multiply a reading by, or to divide it by."""
    value = number(field, text)
    if abs(value) < LEAST_DIVISOR:
        raise InvalidConfig(f"{field} is {shown(text)}: expected a number other than 0")
    return value


def switch(field: str, text: str) -> bool:
    """Yes or no."""
    if text.lower() not in _SWITCHES:
        raise InvalidConfig(f"{field} is {shown(text)}: expected true or false")
    return _SWITCHES[text.lower()]


def one_of(table: Mapping[str, T], wanted: str) -> Callable[[str, str], T]:
    """A check for one of the words of `table`, in any case."""

    def check(field: str, text: str) -> T:
        found = table.get(text.strip().casefold())
        if found is None:
            raise InvalidConfig(f"{field} is {shown(text)}: expected {wanted}")
        return found

    return check
