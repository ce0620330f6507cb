"""Each kind of device is as the real ones are: a table of facts that the profiles are held to, and that recordings are held to.

A fact is of the vendor's MIB, or of a recording of such a device: an OID or a column, its type, its divisor, the least and the
most that is plausible. The recordings are not part of the project; without them only the profiles are tested.
"""

import re
from dataclasses import dataclass, field

import pytest

from support.skips import NO_RECORDINGS, RECORDINGS
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, PduType, Request, Version
from towerops_lab.simulator.profiles import PROFILES
from towerops_lab.simulator.profiles.profile import BRIDGE, ETHERNET, IF_ENTRY, IF_X_ENTRY, LOOPBACK, RADIO, SYSTEM
from towerops_lab.simulator.station import Station
from towerops_lab.simulator.world import World

NOW_S = 1_767_986_535.0

INTEGER, TEXT, COUNTER, GAUGE, TICKS = ber.INTEGER, ber.OCTET_STRING, ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS


@dataclass(frozen=True)
class Fact:
    """One value, or one column. `most` and `least`: of the number over `divisor`; None: it is a text, of any form."""

    oid: str
    tag: int
    divisor: int = 1
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Facts:
    """What is so of one kind. `types`: ifType by ifDescr; `recordings`: of such devices, for which the facts hold as well."""

    descr: str
    object_id: str
    has_if_x: bool
    interfaces: int
    types: dict[str, int]
    values: tuple[Fact, ...]
    recordings: tuple[str, ...] = ()
    object_ids_met: tuple[str, ...] = field(default=())


AIRMAX = "1.3.6.1.4.1.41112.1.4"
EPMP = "1.3.6.1.4.1.17713.21"
MIMOSA = "1.3.6.1.4.1.43356.2.1.2"
MIKROTIK = "1.3.6.1.4.1.14988.1.1"
UPS = "1.3.6.1.4.1.318.1.1.1"
NETONIX = "1.3.6.1.4.1.46242"
ELTEK = "1.3.6.1.4.1.12148.9"

AIRMAX_VALUES = (
    Fact("1.2.840.10036.3.1.2.1.3", TEXT),
    Fact("1.2.840.10036.3.1.2.1.4", TEXT),
    Fact(f"{AIRMAX}.1.1.4", INTEGER, 1, 2400, 6100),  # MHz
    Fact(f"{AIRMAX}.1.1.6", INTEGER, 1, 0, 30),  # dBm
    Fact(f"{AIRMAX}.5.1.5", INTEGER, 1, -95, -30),
    Fact(f"{AIRMAX}.5.1.7", INTEGER, 1, 0, 100),  # CCQ: percent
    Fact(f"{AIRMAX}.5.1.8", INTEGER, 1, -110, -80),
    Fact(f"{AIRMAX}.5.1.9", INTEGER, 1_000_000, 6, 2000),  # bit/s
    Fact(f"{AIRMAX}.5.1.15", GAUGE, 1, 0, 200),
    Fact(f"{AIRMAX}.8.3.0", INTEGER, 100, 0, 100),  # CPU: hundredths
    Fact(f"{AIRMAX}.9.2.0", INTEGER, 1, 0, 5),
)
MIKROTIK_VALUES = (
    Fact(f"{MIKROTIK}.3.8.0", INTEGER, 10, 8, 60),
    Fact(f"{MIKROTIK}.3.10.0", INTEGER, 10, 0, 90),
    Fact(f"{MIKROTIK}.3.11.0", INTEGER, 10, 0, 100),
    Fact(f"{MIKROTIK}.3.17.0", GAUGE, 1, 0, 20_000),
    Fact(f"{MIKROTIK}.3.100.1.2", TEXT),
    Fact(f"{MIKROTIK}.3.100.1.3", GAUGE, 1, 0, 20_000),
    Fact(f"{MIKROTIK}.3.100.1.4", INTEGER, 1, 1, 6),
    Fact(f"{MIKROTIK}.4.4.0", TEXT),
    Fact(f"{MIKROTIK}.7.3.0", TEXT),
    Fact(f"{MIKROTIK}.15.1.1.2", TEXT),
    Fact(f"{MIKROTIK}.15.1.1.3", INTEGER, 1, 1, 6),
    Fact(f"{MIKROTIK}.15.1.1.4", INTEGER, 10, 0, 60),
    Fact(f"{MIKROTIK}.15.1.1.6", INTEGER, 10, 0, 100),
    Fact(f"{MIKROTIK}.19.1.1.2", TEXT),
    Fact(f"{MIKROTIK}.19.1.1.7", GAUGE, 1000, 0, 4),
    Fact(f"{MIKROTIK}.19.1.1.9", INTEGER, 1000, -40, 10),
    Fact(f"{MIKROTIK}.19.1.1.10", INTEGER, 1000, -40, 10),
    Fact("1.3.6.1.2.1.25.3.3.1.2", INTEGER, 1, 0, 100),
    Fact("1.3.6.1.2.1.25.2.3.1.3", TEXT),
    Fact("1.3.6.1.2.1.25.2.3.1.6", INTEGER, 1, 0, 2**31),
    Fact("1.0.8802.1.1.2.1.4.1.1.5", TEXT),
)
MIKROTIK_RECORDINGS = ("routeros", "routeros_crs317", "routeros_wifi")

FACTS = {
    "airmax": Facts(
        r"Linux \d[\d.]+ #1 .*\d{4} mips",
        "1.3.6.1.4.1.10002.1",
        False,
        9,
        {"lo": LOOPBACK, "eth0": ETHERNET, "ath0": ETHERNET},
        (*AIRMAX_VALUES, Fact(f"{AIRMAX}.8.4.0", INTEGER, 1, -20, 90)),
        ("airos",),
    ),
    "airmax-8.7.6": Facts(
        r"Linux \d[\d.]+ #1 .*\d{4} mips",
        "1.3.6.1.4.1.10002.1",
        False,
        9,
        {"lo": LOOPBACK},
        (*AIRMAX_VALUES, Fact(f"{AIRMAX}.8.4.0", INTEGER, 1 << 24, -20, 90)),
    ),
    "epmp": Facts(
        r"Linux \S+ \d[\d.]+ #1 SMP PREEMPT .* armv7l",
        "1.3.6.1.4.1.17713.21.9.37",
        True,
        4,
        {"WLAN interface 1": RADIO, "WLAN interface 2": RADIO, "LAN interface 1": ETHERNET},
        (
            Fact(f"{EPMP}.1.1.17.0", TEXT),
            Fact(f"{EPMP}.1.2.1.0", INTEGER, 1, 2400, 6100),
            Fact(f"{EPMP}.1.2.10.0", INTEGER, 1, 0, 120),
            Fact(f"{EPMP}.1.2.30.1.1", TEXT),
            Fact(f"{EPMP}.1.2.30.1.4", INTEGER, 1, -95, -20),
            Fact(f"{EPMP}.1.2.30.1.6", INTEGER, 1, 0, 60),
            Fact(f"{EPMP}.1.2.30.1.10", ber.IP_ADDRESS),
            Fact(f"{EPMP}.1.2.30.1.18", TEXT),
            Fact(f"{EPMP}.2.1.64.0", COUNTER, 10, 0, 100),
            Fact(f"{IF_X_ENTRY}.15", GAUGE, 1_000_000, 0, 4294),  # ifHighSpeed in bit/s
        ),
        ("epmp_epmp-ap-connected-sta",),
    ),
    "mimosa": Facts(
        r"Mimosa B5c Firmware v\S+",
        "1.3.6.1.4.1.43356.1.1.1",
        False,
        10,
        {"lo": LOOPBACK, "eth1_emac1": ETHERNET, "wifi0": ETHERNET, "br0": ETHERNET, "mon.wlan0": 1},
        (
            Fact(f"{MIMOSA}.1.3.0", TEXT),
            Fact(f"{MIMOSA}.1.8.0", INTEGER, 10, -20, 90),
            Fact(f"{MIMOSA}.6.1.1.2", INTEGER, 10, 0, 30),
            Fact(f"{MIMOSA}.6.1.1.3", INTEGER, 10, -95, -20),
            Fact(f"{MIMOSA}.6.1.1.4", INTEGER, 10, -110, -70),
            Fact(f"{MIMOSA}.6.1.1.5", INTEGER, 10, 0, 60),
            Fact(f"{MIMOSA}.6.1.1.6", INTEGER, 1, 4900, 6400),
            Fact(f"{MIMOSA}.6.2.1.2", INTEGER, 1, 0, 900),
            Fact(f"{MIMOSA}.6.2.1.5", INTEGER, 1, 0, 900),
            Fact(f"{MIMOSA}.7.3.0", INTEGER, 100, 0, 100),
            Fact(f"{MIMOSA}.7.4.0", INTEGER, 100, 0, 100),
        ),
        ("mimosa_b5",),
    ),
    "mikrotik": Facts(
        r"RouterOS \S+|router",
        "1.3.6.1.4.1.14988.1",
        True,
        11,
        {"ether1": ETHERNET, "sfp-sfpplus1": ETHERNET, "bridge-mgmt": BRIDGE},
        MIKROTIK_VALUES,
        MIKROTIK_RECORDINGS,
    ),
    "mikrotik-48": Facts(
        r"RouterOS \S+|router", "1.3.6.1.4.1.14988.1", True, 48, {"ether1": ETHERNET}, MIKROTIK_VALUES, MIKROTIK_RECORDINGS
    ),
    "apc": Facts(
        r"APC Web/SNMP Management Card \(MB:v\S+ PF:v\S+ PN:apc_hw\d\d_aos_\S+\.bin AF1:v\S+ AN1:apc_hw\d\d_\S+\.bin .*",
        "1.3.6.1.4.1.318.1.3.27",
        False,
        2,
        {"LOOPBACK": LOOPBACK, "vmac0": ETHERNET},
        (
            Fact(f"{UPS}.2.2.3.0", TICKS, 6000, 0, 1440),  # minutes
            Fact(f"{UPS}.2.3.1.0", GAUGE, 10, 0, 100),
            Fact(f"{UPS}.2.3.2.0", GAUGE, 10, -20, 60),
            Fact(f"{UPS}.2.3.4.0", INTEGER, 10, 10, 250),
            Fact(f"{UPS}.3.3.1.0", GAUGE, 10, 0, 280),
            Fact(f"{UPS}.3.3.4.0", GAUGE, 10, 0, 62),
            Fact(f"{UPS}.4.1.1.0", INTEGER, 1, 1, 16),
            Fact(f"{UPS}.4.3.1.0", GAUGE, 10, 0, 280),
            Fact(f"{UPS}.4.3.3.0", GAUGE, 10, 0, 150),
            Fact("1.3.6.1.2.1.33.1.1.1.0", TEXT),
            Fact("1.3.6.1.2.1.33.1.2.4.0", INTEGER, 1, 0, 100),
            Fact("1.3.6.1.2.1.33.1.2.5.0", INTEGER, 10, 10, 250),
            Fact("1.3.6.1.2.1.33.1.3.1.0", COUNTER, 1, 0, 2**32),
            Fact("1.3.6.1.2.1.33.1.4.1.0", INTEGER, 1, 1, 7),
            Fact("1.3.6.1.2.1.33.1.4.4.1.4", INTEGER, 1, 0, 5000),
            Fact("1.3.6.1.2.1.33.1.6.1.0", GAUGE, 1, 0, 50),
        ),
        ("apc_smx750", "apc_smtl1000-nmc3", "apc_sua750i", "apc_surt3000xl"),
        ("1.3.6.1.4.1.318.1.3.2.7", "1.3.6.1.4.1.318.1.3.2.17"),
    ),
    "netonix": Facts(
        r"Netonix WS-\S+",
        NETONIX,
        True,
        14,
        {"Port 1": ETHERNET, "lo": LOOPBACK},
        (
            Fact(f"{NETONIX}.1.0", TEXT),
            *(Fact(f"{NETONIX}.{table}.1.1", INTEGER, 1, 1, 65535) for table in (2, 3, 4, 5)),  # each table's index
            Fact(f"{NETONIX}.2.1.2", INTEGER, 1, 0, 65535),
            Fact(f"{NETONIX}.3.1.3", INTEGER, 1, 0, 120),
            Fact(f"{NETONIX}.4.1.3", INTEGER, 100, 0, 60),
            Fact(f"{NETONIX}.5.1.2", INTEGER, 1, 1, 5),
            Fact(f"{NETONIX}.6.0", INTEGER, 10, 0, 600),
            Fact(f"{NETONIX}.7.0", INTEGER, 10, 0, 20),
        ),
    ),
    "eltek": Facts(
        r"Eltek Smartpack S.*",
        ELTEK,
        False,
        2,
        {"eth0": ETHERNET, "lo": LOOPBACK},
        (
            Fact(f"{ELTEK}.3.2.0", INTEGER, 100, 40, 60),
            Fact(f"{ELTEK}.3.3.0", INTEGER, 1, -50, 50),
            Fact(f"{ELTEK}.5.3.0", INTEGER, 10, 0, 200),
            Fact(f"{ELTEK}.5.5.2.1.2", INTEGER, 1, 0, 4),
            Fact(f"{ELTEK}.5.5.2.1.3", INTEGER, 10, 0, 80),
            Fact(f"{ELTEK}.5.5.2.1.4", INTEGER, 100, 40, 60),
            Fact(f"{ELTEK}.6.1.0", INTEGER, 1, 0, 280),
        ),
    ),
}

Rows = dict[str, tuple[int, object]]
"""A whole device: by OID, the type and the value."""


def walked(name: str) -> Rows:
    """All that a device of the kind answers."""
    station = Station(PROFILES[name].mib, World(NOW_S), NOW_S)
    rows: Rows = {}
    at = parse_oid("1.0")
    while True:
        request = Request((at,), PduType.GET_BULK, 0, 20).pdu(0x01000001)
        pdu = decode_message(station.answer(Community(Version.V2C, b"public").wrap(request), NOW_S)).pdu
        for oid, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            if tag == ber.END_OF_MIB_VIEW:
                return rows
            rows[format_oid(oid)] = tag, value
            at = oid


def recorded(name: str) -> Rows:
    """A recording, in the same form."""
    path = RECORDINGS / "snmprec" / f"{name}.snmprec"
    if not path.exists():
        pytest.skip(NO_RECORDINGS)
    rows: Rows = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        oid, _, rest = line.partition("|")
        tag, _, value = rest.partition("|")
        number = int(tag.rstrip("x"))
        is_number = number in (INTEGER, COUNTER, GAUGE, TICKS, ber.COUNTER64) and value.lstrip("-").isdigit()
        rows[oid] = number, int(value) if is_number else value
    return rows


def of(rows: Rows, fact: Fact) -> list[tuple[int, object]]:
    return [row for oid, row in rows.items() if oid == fact.oid or oid.startswith(f"{fact.oid}.")]


def holds(fact: Fact, tag: int, value: object) -> bool:
    if tag != fact.tag:
        return False
    if fact.least is None or fact.most is None:
        return True
    return isinstance(value, int) and fact.least <= value / fact.divisor <= fact.most


@pytest.fixture(params=FACTS, scope="module")
def kind(request) -> tuple[str, Facts, Rows]:
    return request.param, FACTS[request.param], walked(request.param)


def test_each_profile_has_its_facts():
    assert set(FACTS) == set(PROFILES)


def test_a_profile_has_each_value_that_the_real_one_has_in_its_type_and_size(kind):
    _, facts, rows = kind
    for fact in facts.values:
        found = of(rows, fact)
        assert found, fact.oid
        for row in found:
            assert holds(fact, *row), (fact, row)


def test_a_profile_names_itself_as_the_real_one_does(kind):
    _, facts, rows = kind
    tag, descr = rows[f"{SYSTEM}.1.0"]
    assert tag == TEXT
    assert re.fullmatch(facts.descr, descr.decode())
    assert rows[f"{SYSTEM}.2.0"] == (ber.OBJECT_IDENTIFIER, parse_oid(facts.object_id))


def test_a_profile_has_the_interfaces_of_the_real_one(kind):
    _, facts, rows = kind
    descrs = {oid.rpartition(".")[2]: value.decode() for oid, (_, value) in rows.items() if oid.startswith(f"{IF_ENTRY}.2.")}
    types = {descr: rows[f"{IF_ENTRY}.3.{index}"][1] for index, descr in descrs.items()}
    assert len(descrs) == facts.interfaces
    assert facts.types.items() <= types.items()
    assert any(oid.startswith(IF_X_ENTRY) for oid in rows) == facts.has_if_x


def test_a_sensor_is_divided_by_what_its_fact_says(kind):
    name, facts, _ = kind
    for sensor in PROFILES[name].sensors:
        fact = next((fact for fact in facts.values if sensor.oid == fact.oid or sensor.oid.startswith(f"{fact.oid}.")), None)
        if fact is not None and fact.oid != "1.3.6.1.2.1.25.2.3.1.6":  # memory, which is shown in another unit
            assert sensor.divisor == fact.divisor, sensor


@pytest.mark.parametrize(("name", "recording"), [(name, each) for name, facts in FACTS.items() for each in facts.recordings])
def test_a_fact_holds_for_the_recording_of_a_real_device(name, recording):
    facts, rows = FACTS[name], recorded(recording)
    met = 0
    for fact in facts.values:
        for row in of(rows, fact):
            assert holds(fact, *row), (fact, row)
            met += 1
    assert met
    assert re.fullmatch(facts.descr, str(rows[f"{SYSTEM}.1.0"][1]))
    assert rows[f"{SYSTEM}.2.0"][1] in (facts.object_id, *facts.object_ids_met)
    assert any(oid.startswith(IF_X_ENTRY) for oid in rows) == facts.has_if_x
    for oid, (_, value) in rows.items():
        if oid.startswith(f"{IF_ENTRY}.2.") and value in facts.types:
            assert rows[f"{IF_ENTRY}.3.{oid.rpartition('.')[2]}"][1] == facts.types[str(value)]


def test_a_device_s_name_place_and_addresses_are_its_own():
    from towerops_lab.simulator.fleet import make_fleet

    stations = make_fleet([PROFILES["mikrotik"]] * 2, 2, "public", NOW_S)
    own = [f"{SYSTEM}.5.0", f"{SYSTEM}.6.0", f"{IF_ENTRY}.6.1", f"{IF_ENTRY}.6.2"]
    request = Community(Version.V2C, b"public").wrap(Request(tuple(map(parse_oid, own))).pdu(0x01000001))
    answers = [decode_message(station.answer(request, NOW_S)).pdu.values for station in stations.values()]
    assert len({value for values in answers for value in values}) == 2 * len(own)


def test_only_what_the_api_polls_is_up_and_named(kind):
    name, _, rows = kind
    for interface in PROFILES[name].equipment("d", "D", "127.0.0.1", 161, "public", 60)["interfaces"]:
        index = interface["if_index"]
        column = f"{IF_X_ENTRY}.1" if PROFILES[name].wide else f"{IF_ENTRY}.2"
        assert rows[f"{column}.{index}"][1] == interface["if_name"].encode()
        assert rows[f"{IF_ENTRY}.8.{index}"][1] == 1
