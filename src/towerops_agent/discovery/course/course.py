"""The course of one device's discovery: what to ask next, and what came of it.

In three steps: what it says of itself; which MIBs and which profiles' probes are there; then all values and columns that those
need, together, so that few requests do. Pure: a generator of requests that is sent the answers.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import Final

from towerops_agent.discovery.course import entities, neighbours, sensors, storage
from towerops_agent.discovery.course import ports as interfaces
from towerops_agent.discovery.course.asking import AskingEnded, Questions
from towerops_agent.discovery.course.findings import Discovery, FoundSensor, NotTaken, System
from towerops_agent.discovery.course.matching import could_match, matching
from towerops_agent.discovery.course.profile import Profile
from towerops_agent.errors import InvalidOid
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, format_oid, parse_oid, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer
from towerops_agent.snmp.wire.message import Request, Value, Version

Course = Generator[Request, Answer, Discovery]

SYS_DESCR: Final = parse_oid("1.3.6.1.2.1.1.1.0")
SYS_OBJECT_ID: Final = parse_oid("1.3.6.1.2.1.1.2.0")
SYS_UP_TIME: Final = parse_oid("1.3.6.1.2.1.1.3.0")
SYS_NAME: Final = parse_oid("1.3.6.1.2.1.1.5.0")
SYS_LOCATION: Final = parse_oid("1.3.6.1.2.1.1.6.0")
SYSTEM: Final = (SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME, SYS_NAME, SYS_LOCATION)

MOST_LEFT_OUT: Final = 1000


def discover(version: Version, profiles: Sequence[Profile]) -> Course:
    """What the device is, and what can be polled of it. It has answered before, or the result is empty."""
    return (yield from _Discoverer(version, profiles).run())


class _Discoverer:
    def __init__(self, version: Version, profiles: Sequence[Profile]) -> None:
        self._questions = Questions(version)
        self._profiles = profiles
        self._used: list[Profile] = []
        self._system = System()
        self._there: list[Oid] = []
        self._left_out: list[NotTaken] = []

    def run(self) -> Course:
        end = None
        try:
            yield from self._ask()
        except AskingEnded as early:
            end = early
        return self._result(end)

    def _ask(self) -> Generator[Request, Answer, None]:
        questions = self._questions
        yield from questions.ask_values(SYSTEM)
        if questions.values.get(SYS_OBJECT_ID, (0, None))[0] != ber.OBJECT_IDENTIFIER:  # each device has one
            yield from questions.ask_otherwise(SYSTEM, SYS_OBJECT_ID, ber.OBJECT_IDENTIFIER)
        self._system = _system(questions)
        candidates = could_match(self._profiles, self._system)
        probes = [rule.probe for _, rule in candidates if rule.probe is not None]
        yield from questions.ask_whether([*entities.TABLES, storage.HR_STORAGE, *neighbours.TABLES, *probes])
        self._there = list(questions.present)
        self._used = matching(candidates, self._there)
        values, columns = [], [*interfaces.COLUMNS, *entities.columns_of(self._of(entities.TABLES))]
        for profile in self._used:
            values += [*profile.model, *sensors.values_of(profile)]
            columns += sensors.columns_of(profile)
        if storage.HR_STORAGE in self._there:
            columns += storage.COLUMNS
        columns += neighbours.columns_of(self._of(neighbours.TABLES))
        yield from questions.ask_values(values)
        yield from questions.ask_columns(columns)
        yield from interfaces.ask_rest(questions)

    def _of(self, tables: Iterable[Oid]) -> list[Oid]:
        return [table for table in tables if table in self._there]

    def _result(self, end: AskingEnded | None) -> Discovery:
        questions = self._questions
        found_ports, no_ports = interfaces.find_ports(questions)
        names = interfaces.port_names(questions, found_ports)
        found = [each for profile in self._used for each in sensors.find_sensors(profile, questions, names)]
        for table in self._of(entities.TABLES):
            found += entities.find_entity_sensors(table, questions, self._system.object_id)
        if storage.HR_STORAGE in self._there:
            found += storage.find_storage(questions)
        kept = sensors.apart(each for each in found if isinstance(each, FoundSensor))
        left_out = [*no_ports, *(each for each in found if isinstance(each, NotTaken))]
        left_out += [NotTaken(format_oid(oid), why) for oid, why in questions.unread.items()]
        own = next((profile for profile in self._used if not profile.general), None)
        return Discovery(
            system=self._system,
            vendor=own.vendor if own else "",
            model=self._model(own),
            profiles=tuple(profile.name for profile in self._used),
            sensors=tuple(kept),
            ports=tuple(found_ports),
            left_out=tuple(left_out[:MOST_LEFT_OUT]),
            neighbours=tuple(neighbours.find_neighbours(self._of(neighbours.TABLES), questions, names)),
            hardware=interfaces.hardware(questions),
            requests=questions.requests,
            broken="" if end is None else str(end),
            again=end is not None and end.again,
        )

    def _model(self, profile: Profile | None) -> str:
        if profile is None:
            return ""
        for oid in profile.model:
            if text := sensors.text_of(self._questions.values.get(oid, (0, None))[1]):
                return text
        match = profile.model_pattern.search(self._system.descr) if profile.model_pattern else None
        return (match[1] or "").strip() if match else ""


def _system(questions: Questions) -> System:
    descr, _, uptime, name, location = (questions.values.get(oid, (0, None))[1] for oid in SYSTEM)
    return System(
        name=sensors.text_of(name),
        descr=sensors.text_of(descr),
        object_id=_oid_of(*questions.values.get(SYS_OBJECT_ID, (0, None))),
        location=sensors.text_of(location),
        uptime=uptime if isinstance(uptime, int) else None,
    )


def _oid_of(tag: int, value: Value) -> Oid:
    """The OID in a varbind; b"" if it is not one."""
    if tag != ber.OBJECT_IDENTIFIER or not isinstance(value, bytes):
        return b""
    try:
        subidentifiers(value)
    except InvalidOid:
        return b""
    return value
