"""Discovery of devices that answer anything: it ends in bounded requests, and what it ends in can be used."""

import random
from collections.abc import Callable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from support.configuration import config_of
from support.recordings import Recording, explore
from towerops_agent.config.document.equipment import read_config
from towerops_agent.discovery.course import entities, neighbours, ports, storage
from towerops_agent.discovery.course.asking import MOST_REQUESTS
from towerops_agent.discovery.course.course import SYSTEM
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.library import load_profiles
from towerops_agent.discovery.report.entry import Discovered, once_each
from towerops_agent.discovery.report.equipment import document
from towerops_agent.discovery.report.site_file import site_file
from towerops_agent.discovery.report.table import report_lines
from towerops_agent.model import Credentials
from towerops_agent.reasons import Reason
from towerops_agent.site.document.site import compile_site
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, is_within, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import Pdu, PduType, Request, Value, Version

PROFILES = list(load_profiles().profiles.values())

COLUMNS = [
    *(*ports.COLUMNS, ports.NARROW, *entities.columns_of(list(entities.TABLES)), *storage.COLUMNS),
    *neighbours.columns_of(list(neighbours.TABLES)),
    *(column.oid for profile in PROFILES for column in profile.columns),
    *(column.label for profile in PROFILES for column in profile.columns if column.label),
]
SCALARS = [*SYSTEM, *(column.oid for profile in PROFILES for column in profile.columns if column.is_scalar)]
OBJECT_IDS = [rule.object_id for profile in PROFILES for rule in profile.rules if rule.object_id]

TEXTS = (
    b"",
    b"eth0",
    b"eth0\0",
    b"ETH0",
    b"lo",
    b"\xff\xfe",
    b"null",
    "žlab".encode(),
    b'a"b\\ # {x}: |',
    b"a\nb",
    b"12.4 V",
    b"-61",
    b"\x00\x11\x22\x33\x44\x55",
)
NUMBERS = (0, 1, 2, 3, 8, 9, -1, 255, 1 << 31, (1 << 32) - 1, 1 << 63, -(1 << 31))
TAGS = (
    ber.INTEGER,
    ber.OCTET_STRING,
    ber.COUNTER32,
    ber.GAUGE32,
    ber.COUNTER64,
    ber.TIME_TICKS,
    ber.OBJECT_IDENTIFIER,
    ber.NULL,
    ber.OPAQUE,
)


def any_value(rng: random.Random) -> tuple[int, Value]:
    tag = rng.choice(TAGS)
    if tag in (ber.OCTET_STRING, ber.OPAQUE):
        return tag, rng.choice(TEXTS)
    if tag == ber.OBJECT_IDENTIFIER:
        return tag, rng.choice(OBJECT_IDS)
    return tag, None if tag == ber.NULL else rng.choice(NUMBERS)


class AnyMib(Recording):
    """A device with some of the columns that discovery looks at, and any values in them."""

    def __init__(self, rng: random.Random) -> None:
        indexes = [
            tuple(rng.choice((0, 1, 2, 3, 6, 255, 1 << 31)) for _ in range(rng.choice((1, 1, 1, 2, 3, 7)))) for _ in range(8)
        ]
        self.values = {subidentifiers(scalar): any_value(rng) for scalar in rng.sample(SCALARS, 40)}
        for column in [*rng.sample(COLUMNS, 60), *rng.sample(ports.COLUMNS, 5)]:
            self.values |= {
                subidentifiers(child(column, *index)): any_value(rng) for index in rng.sample(indexes, rng.randrange(8))
            }
        if rng.random() < 0.8:
            self.values[subidentifiers(SYSTEM[1])] = ber.OBJECT_IDENTIFIER, rng.choice(OBJECT_IDS)
        self.oids = sorted(self.values)
        self.sizes = dict.fromkeys(self.oids, 30)


def chaos(rng: random.Random) -> Callable[[Request], Answer]:
    """A device whose answers have nothing to do with the questions, mostly."""
    names = [*SCALARS, *(child(column, rng.randrange(4)) for column in COLUMNS), b"\x2b", b"", b"\x2b\x86"]

    def answer(request: Request) -> Answer:
        kind = rng.random()
        if kind < 0.1:
            return NoReply(rng.choice(list(Reason)), 3)
        count = rng.choice((0, 1, len(request.names), len(request.names), 3 * len(request.names)))
        status = rng.choice((0, 0, 0, 0, 1, 2, 5, 16, 99)) if kind < 0.3 else 0
        asked = [
            rng.choice([*request.names, child(rng.choice(request.names), rng.randrange(9)), rng.choice(names)])
            for _ in range(count)
        ]
        values = [any_value(rng) if rng.random() < 0.9 else (rng.choice([*ber.ABSENT, 0]), None) for _ in asked]
        tags = bytes(tag for tag, _ in values)
        return Reply(
            Pdu(PduType.RESPONSE, 1, status, rng.choice((0, 1, 2, 99)), asked, tags, [value for _, value in values]), 0.1, 0
        )

    return answer


def usable(found: Discovery) -> None:
    """What it ends in is a configuration of which nothing is refused, a site file without a mistake, and a report."""
    assert found.requests <= MOST_REQUESTS
    (one,) = entries = once_each([Discovered("10.0.0.1", 161, "radios", Credentials(), found)])
    (device,) = document(entries, 60, reveal=False)["equipment"]
    read = read_config(config_of({}, [msgspec.json.encode(device)]))
    ((_, equipment),) = list(read.equipment)
    assert read.refusals == []
    assert (len(equipment.sensors), len(equipment.interfaces)) == (len(found.sensors), len(found.ports))
    text = site_file("x\ny", entries, {"radios": {"version": "2c", "community": "public"}})
    compiled = compile_site([("a.yaml", text.encode())], lambda how, name: "")
    assert compiled.problems == []
    assert compiled.warnings == []
    assert (compiled.sensors, compiled.interfaces) == (len(found.sensors), len(found.ports))
    assert compiled.config is not None
    (same,) = [msgspec.json.decode(octets) for octets in compiled.config.items()]
    assert [each["id"] for each in same["sensors"]] == [each["id"] for each in device["sensors"]]
    assert [each.get("divisor", 1) for each in same["sensors"]] == [each["divisor"] for each in device["sensors"]]
    assert [each.get("skip", []) for each in same["sensors"]] == [sorted(each.skip) for each in found.sensors]
    assert [each["metadata"].get("skip", []) for each in device["sensors"]] == [sorted(each.skip) for each in found.sensors]
    assert not any("skip" in each for each in device["sensors"]), "it is not a field of the contract"
    assert [sensor.skip for _, polled in read_config(compiled.config).equipment for sensor in polled.sensors] == [
        each.skip for each in found.sensors
    ]
    assert [each["id"] for each in same["interfaces"]] == [each["id"] for each in device["interfaces"]]
    assert len({each["metadata"]["descr"] for each in same["sensors"]}) == len(found.sensors)
    assert all(line.isprintable() for line in report_lines(entries, ["timeout"]))
    assert one.found is found


@settings(deadline=None)
@given(st.integers(0, 1 << 64), st.sampled_from(Version))
def test_a_device_with_anything_in_its_tables(seed: int, version: Version):
    """Each value that is found is the one of the device."""
    device = AnyMib(random.Random(seed))
    found = explore(lambda request: device.answer(request, version), PROFILES, version)
    usable(found)
    assert found.broken == ""
    for sensor in found.sensors:
        assert subidentifiers(sensor.oid) in device.values


@settings(deadline=None)
@given(st.integers(0, 1 << 64), st.sampled_from(Version))
def test_a_device_that_answers_anything(seed: int, version: Version):
    usable(explore(chaos(random.Random(seed)), PROFILES, version))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 64), st.sampled_from(Version), st.integers(1, 12), st.booleans())
def test_a_device_that_answers_few_varbinds_is_found_as_any_other(seed: int, version: Version, most: int, cuts: bool):
    """tooBig over so many, or without those beyond: the same sensors and ports, with more requests."""
    device = AnyMib(random.Random(seed))

    def answer(request: Request) -> Answer:
        reply = device.answer(request, version)
        if max(len(reply.pdu.names), len(request.names)) <= most or not reply.pdu.names:
            return reply
        pdu, count = reply.pdu, len(request.names)
        if cuts and not pdu.error_status:
            return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, pdu.names[:most], pdu.tags[:most], pdu.values[:most]), 0.1, 0)
        return Reply(Pdu(PduType.RESPONSE, 1, 1, 0, request.names, bytes([ber.NULL]) * count, [None] * count), 0.1, 0)

    few = explore(answer, PROFILES, version)
    many = explore(lambda request: device.answer(request, version), PROFILES, version)
    if not few.broken:
        assert (few.sensors, few.ports, few.left_out) == (many.sensors, many.ports, many.left_out)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 64), st.sampled_from((Version.V2C, Version.V3)), st.booleans())
def test_a_device_that_leaves_out_what_has_ended_is_found_as_any_other(seed: int, version: Version, each_table: bool):
    """The rest is not in its place then. `each_table`: a table ends by itself, else only the MIB does."""
    device = AnyMib(random.Random(seed))
    tables = {column: column for column in COLUMNS}

    def answer(request: Request) -> Answer:
        reply = device.answer(request, version)
        if request.type != PduType.GET_BULK and (request.type != PduType.GET_NEXT or reply.pdu.error_status):
            return reply
        asked = [next((column for column in tables if is_within(name, column)), name) for name in request.names]
        kept = [
            (name, tag, value)
            for place, (name, tag, value) in enumerate(zip(reply.pdu.names, reply.pdu.tags, reply.pdu.values, strict=True))
            if tag not in ber.ABSENT and not (each_table and not is_within(name, asked[place % len(asked)]))
        ]
        names, tags, values = ([*each] for each in zip(*kept, strict=True)) if kept else ([], [], [])
        return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, names, bytes(tags), values), 0.1, 0)

    less = explore(answer, PROFILES, version)
    whole = explore(lambda request: device.answer(request, version), PROFILES, version)
    if not less.broken:
        assert (less.sensors, less.ports) == (whole.sensors, whole.ports)
