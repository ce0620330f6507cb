"""A profile: which devices it is about, and which columns of their MIB are worth polling.

A file of src/towerops_agent/profiles, or one of the operator's -> Profile. docs/profiles.md describes each key.
An OID with a leading dot is absolute, any other is below `base`; one that ends in .0 is a single value, any other a column of a
table unless it says that it is `single`.
Pure. Messages have file, line and column, as those of site files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from towerops_agent.config.document.equipment import LEAST_DIVISOR
from towerops_agent.config.document.fields import shown
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Number
from towerops_agent.site.document.meanings import numbers_in, skip_in, states_in
from towerops_agent.site.document.nodes import Mistake, Problem, Section, compose, factor, one_of, scalar, some, switch
from towerops_agent.snmp.wire.ber import Oid, parse_oid, subidentifiers

KEYS: Final = ("profile", "vendor", "model", "model_in_sysDescr", "match", "general", "without", "base", "columns")
RULE_KEYS: Final = ("sysObjectID", "sysDescr", "probe")
COLUMN_KEYS: Final = (
    *("oid", "single", "name", "type", "unit", "divisor", "multiplier"),
    *("label", "index", "states", "skip", "unused", "away", "where", "unless", "when"),
)
_NEVER_EMPTY: Final = ("divisor", "multiplier", "skip", "unused", "away", "where", "unless", "when")
"""Left out by mistake, a value would be in another unit, or be taken of rows and devices that do not have it."""

INDEXES: Final = {name: name for name in ("number", "port", "mac", "text")}

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a device must be like, all of it. `object_id`: its sysObjectID begins so; `probe`: below it the device has a value."""

    object_id: Oid | None
    descr: re.Pattern[str] | None
    probe: Oid | None


@dataclass(frozen=True, slots=True)
class Column:
    """A value of the device, or a column of a table: one sensor a row.

    A sensor is called `name`, behind it the text that the column `label` has for the row, or the row's index, read as `index`
    says. A raw value over `divisor` is in `unit`. `states`: what each value means, if it is a state. `skip`: raw values that mean
    that there is nothing, whenever they come. `unused`: raw values of what is not in use, and true ones if they come later: only
    a discovery leaves such a sensor out. `away`: raw values that mean that there is nothing for the time being; the sensor is
    found all the same. `where`: only rows in which that column has one of these values. `when`: only on a device that has, at
    that OID or below, a text in which the pattern is found.
    """

    oid: Oid
    name: str
    is_scalar: bool = False
    type: str = ""
    unit: str = ""
    divisor: float = 1
    label: Oid | None = None
    index: str = "number"
    states: Mapping[int, str] | None = None
    skip: frozenset[Number] = frozenset()
    unused: frozenset[Number] = frozenset()
    away: frozenset[Number] = frozenset()
    where: tuple[Oid, frozenset[int]] | None = None
    unless: Oid | None = None
    when: tuple[Oid, re.Pattern[str]] | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of device. `general`: used beside the device's own profile, unless that one says `without` it.

    `model`: values of which the first text is the model; `model_pattern`: else its first group, in sysDescr.
    """

    name: str
    vendor: str
    rules: tuple[Rule, ...]
    columns: tuple[Column, ...]
    model: tuple[Oid, ...] = ()
    model_pattern: re.Pattern[str] | None = None
    general: bool = False
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ProfileRead:
    """`profile`: None if the file can't be used as a whole; a bad column costs only itself. `problems`: all of them."""

    profile: Profile | None
    problems: tuple[Problem, ...]


def read_profile(file: str, octets: bytes) -> ProfileRead:
    """The profile in the file, and what is wrong with it."""
    try:
        return _Reader(file, octets).read()
    except Mistake as mistake:
        return ProfileRead(None, (mistake.problem,))


class _Reader:
    def __init__(self, file: str, octets: bytes) -> None:
        self._file = file
        self._top = Section(file, "a profile", compose(file, octets, "profile, vendor and match"), KEYS)
        self._problems: list[Problem] = []
        self._base = self._top.checked("base", _absolute) or b""

    def read(self) -> ProfileRead:
        top = self._top
        name = top.needed("profile")
        if not _NAME.fullmatch(name):
            raise top.mistake("profile", f"profile is {shown(name)}: expected small letters, digits, - and _")
        rules = tuple(self._rules())
        columns = tuple(self._columns())
        profile = Profile(
            name=name,
            vendor=top.needed("vendor"),
            rules=rules,
            columns=columns,
            model=tuple(self._oids("model")),
            model_pattern=top.checked("model_in_sysDescr", _pattern_with_group),
            general=top.checked("general", switch) or False,
            without=frozenset(scalar(self._file, "without", node) for node in self._list("without")),
        )
        return ProfileRead(profile, tuple(self._problems))

    def _rules(self) -> list[Rule]:
        nodes = self._list("match")
        if not nodes:
            raise Mistake(self._top.place, "match is missing: expected sysObjectID, sysDescr or probe in it")
        rules = []
        for node in nodes:
            section = Section(self._file, "match", node, RULE_KEYS)
            _refuse_empty(section, RULE_KEYS)
            descr, probe = section.checked("sysDescr", _pattern), section.checked("probe", _absolute)
            object_ids = [self._oid(section, each, "sysObjectID") for each in some(section, "sysObjectID")]
            if not object_ids and descr is None and probe is None:
                raise Mistake(section.place, "an empty rule would match each device: expected sysObjectID, sysDescr or probe")
            rules += [Rule(object_id, descr, probe) for object_id in object_ids] or [Rule(None, descr, probe)]
        return rules

    def _columns(self) -> list[Column]:
        columns = []
        for node in self._top.items("columns"):
            try:
                columns.append(self._column(Section(self._file, "a column", node, COLUMN_KEYS)))
            except Mistake as mistake:
                self._problems.append(mistake.problem)
        return columns

    def _column(self, section: Section) -> Column:
        _refuse_empty(section, _NEVER_EMPTY)
        oid = self._relative(section, "oid", section.needed("oid"))
        divisor = section.checked("divisor", factor) or 1.0
        multiplier = section.checked("multiplier", factor) or 1.0
        if abs(divisor / multiplier) < LEAST_DIVISOR:
            raise section.mistake("multiplier", "multiplier is too large")
        label, unless = section.text("label"), section.text("unless")
        single = section.checked("single", switch) or False
        states = states_in(section)
        column = Column(
            oid=oid,
            name=section.needed("name"),
            is_scalar=single or is_scalar(oid),
            type=section.text("type") or "",
            unit=section.text("unit") or "",
            divisor=divisor / multiplier,
            label=None if label is None else self._relative(section, "label", label),
            index=section.checked("index", one_of(INDEXES, ", ".join(INDEXES))) or "number",
            states=states or None,
            skip=skip_in(section, states),
            unused=numbers_in(section, "unused"),
            away=skip_in(section, states, "away"),
            where=self._where(section),
            unless=None if unless is None else self._relative(section, "unless", unless),
            when=self._when(section),
        )
        if column.is_scalar and (column.label is not None or column.where is not None or "index" in section):
            raise Mistake(section.place, "oid is a single value: expected no label, index or where")
        return column

    def _where(self, section: Section) -> tuple[Oid, frozenset[int]] | None:
        if "where" not in section:
            return None
        where = Section(self._file, "where", section.nodes["where"], None)
        if len(where.nodes) != 1:
            raise Mistake(where.place, "where: expected one column and its values, as in {4: [1, 2]}")
        (key,) = where.nodes
        return self._relative(where, key, key), frozenset(map(int, numbers_in(where, key, "where")))

    def _when(self, section: Section) -> tuple[Oid, re.Pattern[str]] | None:
        if "when" not in section:
            return None
        when = Section(self._file, "when", section.nodes["when"], None)
        for key in when.nodes if len(when.nodes) == 1 else ():
            pattern = when.checked(key, _pattern)
            if pattern is not None:
                return self._relative(when, key, key), pattern
        raise Mistake(when.place, "when: expected one OID and a pattern, as in {1.4.0: v8}")

    def _oids(self, key: str) -> list[Oid]:
        return [self._relative(self._top, key, scalar(self._file, key, node)) for node in some(self._top, key)]

    def _list(self, key: str) -> list[yaml.Node]:
        """The items of the list at `key`, or its one value."""
        return some(self._top, key)

    def _oid(self, section: Section, node: yaml.Node, key: str) -> Oid:
        return self._checked(section, key, scalar(self._file, key, node), b"")

    def _relative(self, section: Section, key: str, text: str) -> Oid:
        """The OID in `text`, below `base` unless it begins with a dot. Raises Mistake."""
        return self._checked(section, key, text, b"" if text.startswith(".") else self._base)

    def _checked(self, section: Section, key: str, text: str, base: Oid) -> Oid:
        try:
            return base + parse_oid(f"1.3.{text}")[1:] if base else parse_oid(text)
        except ValueError:  # InvalidOid, or a number of thousands of digits
            below = "numbers with dots between, below base" if base else "an object identifier, as in 1.3.6.1.4.1.9"
            raise section.mistake(key, f"{key} is {shown(text)}: expected {below}") from None


def _refuse_empty(section: Section, keys: tuple[str, ...]) -> None:
    """Raise Mistake if one of `keys` is there without a value."""
    for key in keys:
        section.must_not_be_empty(key, f"a value, or no {key}")


def is_scalar(oid: Oid) -> bool:
    """Whether the OID as a profile has it is a single value's, not a column's."""
    return subidentifiers(oid)[-1] == 0


def _absolute(field: str, text: str) -> Oid:
    try:
        return parse_oid(text)
    except ValueError:
        raise InvalidConfig(f"{field} is {shown(text)}: expected an object identifier, as in 1.3.6.1.4.1.9") from None


def _pattern(field: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise InvalidConfig(f"{field} is {shown(text)}: expected a regular expression ({error})") from None


def _pattern_with_group(field: str, text: str) -> re.Pattern[str]:
    pattern = _pattern(field, text)
    if not pattern.groups:
        raise InvalidConfig(f"{field} is {shown(text)}: expected a group in it, as in 'RouterOS (.+)'")
    return pattern
