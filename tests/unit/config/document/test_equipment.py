"""The wire's configuration becomes equipment, and what is bad in it costs nothing else."""

import json

import pytest

from support.configuration import config_of
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.equipment import MOST_REFUSALS, Refusal, read_config
from towerops_agent.config.document.text import SITE, config_text
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import (
    AuthProtocol,
    Credentials,
    Equipment,
    Interface,
    PrivProtocol,
    Secret,
    Sensor,
    SnmpVersion,
    Transport,
    UsmUser,
)
from towerops_agent.snmp.wire.ber import parse_oid

TEMPERATURE = "1.3.6.1.4.1.14988.1.1.3.10.0"
TOWER = {
    "id": "e1",
    "name": "North Tower backhaul",
    "ip_address": "10.0.19.254",
    "snmp": {"enabled": True, "version": "2c", "community": "s3cret", "port": 1161, "transport": "tcp"},
    "poll_interval_seconds": 30,
    "sensors": [
        {
            "id": "s1",
            "type": "temperature",
            "oid": TEMPERATURE,
            "divisor": 10,
            "unit": "C",
            "metadata": {"descr": "board", "deep": [{}]},
        }
    ],
    "interfaces": [{"id": "i1", "if_index": 3, "if_name": "sfp-sfpplus1"}],
}
LEAST = {"id": "e2", "ip_address": "tower.example.net"}
V3 = {"version": "3", "v3_username": "monitor"}
AUTH = V3 | {"v3_auth_protocol": "SHA-256", "v3_auth_password": "correct horse"}
PRIV = AUTH | {"v3_priv_protocol": "AES", "v3_priv_password": "battery staple"}


def config(*equipment: object, **fields: object) -> bytes:
    return json.dumps({"version": "1", "equipment": list(equipment)} | fields).encode()


def read(*equipment: object, **fields: object) -> tuple[list[Equipment], list[Refusal]]:
    result = read_config(config_text(config(*equipment, **fields)))
    return [device for _, device in result.equipment], result.refusals


def read_one(**fields: object) -> Equipment:
    devices, refusals = read(LEAST | fields)
    assert not refusals
    return devices[0]


def refusal_of(**fields: object) -> str:
    """The reason why the equipment with these fields is refused; its neighbours are not."""
    devices, refusals = read(TOWER, {"id": "bad", "ip_address": "10.0.0.1"} | fields, LEAST)
    assert [device.id for device in devices] == ["e1", "e2"]
    assert [(refusal.kind, refusal.item) for refusal in refusals] == [("equipment", "")]
    return refusals[0].reason


def test_every_field_of_the_contract_is_read():
    assert read(TOWER) == (
        [
            Equipment(
                "e1",
                "North Tower backhaul",
                "10.0.19.254",
                1161,
                Transport.TCP,
                Credentials(SnmpVersion.V2C, Secret("s3cret")),
                30,
                (Sensor("s1", parse_oid(TEMPERATURE), 10),),
                (Interface("i1", 3, "sfp-sfpplus1"),),
            )
        ],
        [],
    )


NULLS = dict.fromkeys(("name", "snmp", "poll_interval_seconds", "sensors", "interfaces"))


@pytest.mark.parametrize("fields", [{}, NULLS, {"snmp": dict.fromkeys(TOWER["snmp"])}, {"unknown": {"a": [1]}}])
def test_what_is_absent_or_null_takes_the_contracts_default(fields):
    assert read_one(**fields) == Equipment("e2", "e2", "tower.example.net", 161, Transport.UDP, Credentials(), 60)


def test_an_interval_is_inherited_from_the_top():
    devices, _ = read(LEAST, TOWER, poll_interval_seconds=300)
    assert [device.interval_s for device in devices] == [300, 30]


@pytest.mark.parametrize(
    ("written", "version"),
    [
        *((text, SnmpVersion.V1) for text in ("1", "v1", "V1", 1)),
        *((text, SnmpVersion.V2C) for text in ("2c", "2C", "v2c", "V2C", "2", "v2", 2)),
        *((text, SnmpVersion.V3) for text in ("3", "v3", "V3", 3)),
    ],
)
def test_versions_are_read_as_the_field_writes_them(written, version):
    assert read_one(snmp=V3 | {"version": written}).credentials.version is version


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "::1", "fe80::1%eth0", "2001:db8::1", "tower", "a_b.example.net", "x.example.net."]
)
def test_addresses_and_names_are_hosts(address):
    assert read_one(ip_address=address).host == address


@pytest.mark.parametrize(
    "address",
    [
        *(None, 5, "", ".", "a..b", "a b", "a.\n.", "-a.net", "\xe9.net", "x" * 64, "a." * 127 + "b"),
        *("0.0.0.0", "::", "::ffff:0.0.0.0", "0.0.0.0.", "224.0.0.1", "ff02::1", "ff02::1%eth0", "255.255.255.255"),
        *("1", "10.0.1", "10.0.0.256", "0x7f000001", "10.0.0.0/8", "10.0.0.1:161", "http://tower"),
        *(
            "[tower]",
            "[::1",
            "::1]",
            "[[::1]]",
            "[::1]:161",
            "[]",
            "127.000.000.001",
            "::ffff:300.0.0.1",
            "10.0.0.1..",
            " ",
            "[ ::1 ]",
        ),
    ],
)
def test_what_is_not_a_host_is_refused(address):
    assert "ip_address" in refusal_of(ip_address=address)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        *((written, "10.0.0.1") for written in (" 10.0.0.1", "10.0.0.1\n", "\t10.0.0.1 ", "10.0.0.1.", "[10.0.0.1]")),
        *(
            (written, "10.0.0.1")
            for written in ("::ffff:10.0.0.1", "::FFFF:10.0.0.1", "[::ffff:0a00:0001]", "0:0:0:0:0:ffff:a00:1")
        ),
        *((written, "2001:db8::1") for written in ("[2001:db8::1]", " [2001:db8::1] ", "2001:db8::1.")),
        *((written, written.strip()) for written in (" tower.example.net.\n", "LOCALHOST ")),
    ],
)
def test_what_people_write_around_an_address_is_not_part_of_it(written, host):
    assert read_one(ip_address=written).host == host


@pytest.mark.parametrize("if_index", [1, 2**31 - 1, 2**31, 4194305024, 2**32 - 1])
def test_an_if_index_is_an_unsigned_number_of_32_bits(if_index):
    assert read_one(interfaces=[{"id": "i1", "if_index": if_index}]).interfaces == (Interface("i1", if_index),)


@pytest.mark.parametrize("interval", [0, -1, "60", 60.5, 60.0, True, 2**31, 10**30, [], {}])
def test_an_interval_that_is_not_a_positive_integer_is_refused(interval):
    assert "poll_interval_seconds" in refusal_of(poll_interval_seconds=interval)


@pytest.mark.parametrize(
    ("snmp", "field"),
    [
        ("yes", "snmp"),
        ([], "snmp"),
        ({"enabled": "false"}, "snmp.enabled"),
        ({"enabled": 0}, "snmp.enabled"),
        ({"version": "4"}, "snmp.version"),
        ({"version": 2.0}, "snmp.version"),
        ({"version": True}, "snmp.version"),
        ({"port": 0}, "snmp.port"),
        ({"port": 65536}, "snmp.port"),
        ({"port": "161"}, "snmp.port"),
        ({"transport": "sctp"}, "snmp.transport"),
        ({"community": 5}, "snmp.community"),
        ({"version": "3"}, "snmp.v3_username"),
        (AUTH | {"v3_auth_protocol": "SHA-3"}, "snmp.v3_auth_protocol"),
        (AUTH | {"v3_auth_protocol": None}, "snmp.v3_auth_protocol"),
        (AUTH | {"v3_auth_password": "7 chars"}, "snmp.v3_auth_password"),
        (PRIV | {"v3_priv_protocol": "3DES"}, "snmp.v3_priv_protocol"),
        (PRIV | {"v3_priv_password": "short"}, "snmp.v3_priv_password"),
        (PRIV | {"v3_auth_password": None}, "snmp.v3_auth_p"),
        (V3 | {"v3_security_level": "authNoPriv"}, "snmp.v3_auth_protocol"),
        (V3 | {"v3_security_level": "authNoPriv", "v3_auth_protocol": "SHA"}, "snmp.v3_auth_password"),
        (AUTH | {"v3_security_level": "authPriv"}, "snmp.v3_priv_protocol"),
        (AUTH | {"v3_security_level": "secret"}, "snmp.v3_security_level"),
    ],
)
def test_snmp_that_cant_be_used_is_refused(snmp, field):
    assert refusal_of(snmp=snmp).startswith(field)


def test_no_reason_shows_a_secret():
    for snmp in (
        AUTH | {"v3_auth_password": "sh0rt"},
        PRIV | {"v3_priv_password": "sh0rt"},
        PRIV | {"v3_priv_password": ["sh0rt"]},
        {"community": ["sh0rt"]},
    ):
        assert "sh0rt" not in refusal_of(snmp=snmp)
    assert "public" not in repr(read_one())


@pytest.mark.parametrize(
    ("snmp", "user"),
    [
        (V3, UsmUser("monitor")),
        (AUTH, UsmUser("monitor", (AuthProtocol.SHA_256, Secret("correct horse")))),
        (
            PRIV,
            UsmUser("monitor", (AuthProtocol.SHA_256, Secret("correct horse")), (PrivProtocol.AES_128, Secret("battery staple"))),
        ),
        (PRIV | {"v3_security_level": "noAuthNoPriv"}, UsmUser("monitor")),
        (PRIV | {"v3_security_level": "AuthNoPriv"}, UsmUser("monitor", (AuthProtocol.SHA_256, Secret("correct horse")))),
    ],
)
def test_the_security_level_is_as_given_else_as_the_passwords_make_it(snmp, user):
    assert read_one(snmp=snmp).credentials.user == user


def spellings(name):
    """The names of a protocol that people write."""
    squeezed = name.replace("-", "")
    return {
        name,
        name.lower(),
        squeezed,
        squeezed.lower(),
        squeezed.title(),
        name.replace("-", "_"),
        name.replace("-", " "),
        f" {name} ",
    }


@pytest.mark.parametrize("protocol", AuthProtocol)
def test_every_authentication_protocol_is_known_as_people_write_it(protocol):
    names = spellings(str(protocol)) | ({"SHA1", "sha-1"} if protocol is AuthProtocol.SHA else set())
    for name in names | {f"HMAC-{name}" for name in names} | {f"hmac{name}" for name in names}:
        assert read_one(snmp=AUTH | {"v3_auth_protocol": name}).credentials.user.auth[0] is protocol, name


@pytest.mark.parametrize("protocol", PrivProtocol)
def test_every_privacy_protocol_is_known_as_people_write_it(protocol):
    for name in spellings(str(protocol)) | ({"AES", "aes"} if protocol is PrivProtocol.AES_128 else set()):
        assert read_one(snmp=PRIV | {"v3_priv_protocol": name}).credentials.user.priv[0] is protocol, name


@pytest.mark.parametrize("name", ["SHA-2", "SHA2", "SHA-25", "AES-128", "HMAC", "", "256", 256, ["SHA"], True])
def test_a_name_of_no_protocol_is_refused_with_the_list(name):
    assert "one of MD5, SHA, SHA-224" in refusal_of(snmp=AUTH | {"v3_auth_protocol": name})


def test_a_context_belongs_to_snmpv3():
    assert read_one(snmp=V3 | {"v3_context_name": "vlan-1030"}).credentials.context_name == "vlan-1030"
    assert read_one(snmp=V3 | {"v3_context_name": "\u00fc" * 127}).credentials.context_name == "\u00fc" * 127
    for absent in ({}, {"v3_context_name": None}, {"v3_context_name": ""}):
        assert read_one(snmp=V3 | absent).credentials.context_name == ""
    assert read_one(snmp={"version": "2c", "v3_context_name": 5}).credentials == Credentials()


@pytest.mark.parametrize("context", [5, ["vlan-1030"], "x" * 256, "\u00fc" * 128])
def test_a_context_that_cant_be_asked_is_refused(context):
    assert refusal_of(snmp=V3 | {"v3_context_name": context}).startswith("snmp.v3_context_name")


def test_fields_of_another_version_are_not_looked_at():
    assert read_one(snmp={"version": "1", "v3_auth_protocol": 5, "v3_username": []}).credentials == Credentials(SnmpVersion.V1)
    assert read_one(snmp=V3 | {"community": 5}).credentials.user == UsmUser("monitor")


def test_equipment_with_snmp_switched_off_is_skipped_and_no_refusal():
    result = read_config(config_text(config({"snmp": {"enabled": False}}, LEAST)))
    assert [device.id for _, device in result.equipment] == ["e2"]
    assert (result.disabled, result.refusals) == (1, [])


@pytest.mark.parametrize(("divisor", "read_as"), [(None, 1), (0, 1), (0.0, 1), (-0.0, 1), (1, 1), (10, 10), (0.1, 0.1), (-2, -2)])
def test_a_divisor_of_0_null_or_1_means_as_read(divisor, read_as):
    assert read_one(sensors=[{"id": "s", "oid": TEMPERATURE, "divisor": divisor}]).sensors[0].divisor == read_as


def read_site(*sensors: dict[str, object]) -> tuple[Equipment, list[Refusal]]:
    """The device of a site file that has these sensors."""
    result = read_config(config_of({SITE: b"[]"}, [json.dumps(LEAST | {"sensors": sensors}).encode()]))
    ((_, device),) = result.equipment
    return device, result.refusals


def test_of_a_site_file_a_sensor_has_the_numbers_that_mean_nothing():
    sensors = (
        {"id": "a", "oid": TEMPERATURE, "skip": [-1, 2**64 - 1, 0.5]},
        {"id": "b", "oid": TEMPERATURE, "skip": []},
        {"id": "c", "oid": TEMPERATURE},
    )
    device, refusals = read_site(*sensors)
    assert refusals == []
    assert [sensor.skip for sensor in device.sensors] == [frozenset({-1, 2**64 - 1, 0.5}), frozenset(), frozenset()]


@pytest.mark.parametrize("skip", [-1, "n/a", {}, [None], ["1"], [True], [10**400], None])
def test_skip_is_not_a_field_of_the_contract_and_ignored_whatever_it_is(skip):
    assert read_one(sensors=[{"id": "s", "oid": TEMPERATURE, "skip": skip}]).sensors[0].skip == frozenset()


@pytest.mark.parametrize("skip", [-1, "n/a", {}, [None], ["1"], [True]])
def test_of_a_site_file_a_sensor_is_refused_whose_skip_can_not_be_read(skip):
    device, (refusal,) = read_site({"id": "s", "oid": TEMPERATURE, "skip": skip})
    assert device.sensors == ()
    assert refusal.reason.startswith("skip ")


@pytest.mark.parametrize(
    ("sensor", "field"),
    [
        ({"oid": "1.3.x"}, "oid"),
        ({"oid": ""}, "oid"),
        ({"oid": None}, "oid"),
        ({"oid": 1.3}, "oid"),
        ({"oid": "1." + "9" * 5000}, "oid"),
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"id": ""}, "id"),
        ({"id": "good"}, "id"),
        ({"divisor": "10"}, "divisor"),
        ({"divisor": False}, "divisor"),
        ({"divisor": 1e-300}, "divisor"),
        ({"divisor": 10**400}, "divisor"),
    ],
)
def test_of_a_bad_sensor_only_the_sensor_is_refused(sensor, field):
    good = {"id": "good", "oid": "." + TEMPERATURE}
    last = {"id": "last", "oid": TEMPERATURE, "metadata": 5, "type": 5, "unit": []}
    (device,), refusals = read(LEAST | {"sensors": [good, {"id": "bad", "oid": TEMPERATURE} | sensor, last]})
    assert [sensor.id for sensor in device.sensors] == ["good", "last"]
    assert len({sensor.oid for sensor in device.sensors}) == 1
    assert [(refusal.kind, refusal.equipment) for refusal in refusals] == [("sensor", "e2")]
    assert refusals[0].reason.startswith(field)


@pytest.mark.parametrize(
    "interface",
    [
        {"if_index": 0},
        {"if_index": -1},
        {"if_index": "3"},
        {"if_index": None},
        {"if_index": 2**32},
        {"id": None},
        {"if_name": 5},
        {"id": "good"},
    ],
)
def test_of_a_bad_interface_only_the_interface_is_refused(interface):
    good = {"id": "good", "if_index": 1, "if_name": None}
    (device,), refusals = read(LEAST | {"interfaces": [good, {"id": "bad", "if_index": 2} | interface]})
    assert device.interfaces == (Interface("good", 1),)
    assert [refusal.kind for refusal in refusals] == ["interface"]


def test_an_item_that_is_not_an_object_is_all_that_is_refused():
    (device,), refusals = read(5, [], LEAST | {"sensors": ["x", {"id": "s", "oid": "1.3"}], "interfaces": {"a": 1}}, None)
    assert [sensor.id for sensor in device.sensors] == ["s"]
    assert [(refusal.kind, refusal.equipment, refusal.item) for refusal in refusals] == [
        ("equipment", "#1", ""),
        ("equipment", "#2", ""),
        ("sensor", "e2", "#1"),
        ("interface", "e2", "#1"),
        ("equipment", "#4", ""),
    ]


def test_octets_that_are_not_json_cost_only_their_item():
    sensors = b'[{"id":"a","oid":"1.3","divisor":1e999},{"id":"b\xff","oid":"1.3"},{"id":"c","oid":"1.3","unit":"\xff"}]'
    body = b'{"equipment":[{"id":"e","ip_address":"::1","name":"\xff","sensors":' + sensors + b'},{"id":"\xff"}]}'
    result = read_config(config_text(body))
    devices = [device for _, device in result.equipment]
    assert [(device.name, [sensor.id for sensor in device.sensors]) for device in devices] == [("e", ["c"])]
    assert [(refusal.kind, refusal.item) for refusal in result.refusals] == [("sensor", "a"), ("sensor", "#2"), ("equipment", "")]


def test_a_member_that_has_no_name_to_be_read_is_not_one_of_ours():
    result = read_config(config_text(b'{"\xff":{"equipment":[5]},"":1,"equipment":[{"id":"e","ip_address":"::1"}]}'))
    assert [device.id for _, device in result.equipment] == ["e"]
    assert result.refusals == []


def test_half_a_surrogate_pair_costs_nothing():
    r"""A name that was cut within an emoji; `\\ud83d`, in JSON, is a backslash and five characters."""
    names = rb'{"id":"e","ip_address":"::1","name":"a\ud83d"},{"id":"f","ip_address":"::2","name":"\ud83d\ude00\\ud83d"}'
    assert [device.name for _, device in read_config(config_text(b'{"equipment":[' + names + b"]}")).equipment] == [
        "a\ufffd",
        "\U0001f600\\ud83d",
    ]


def test_of_two_with_one_id_the_first_that_can_be_used_is_used():
    devices, refusals = read(LEAST | {"ip_address": "?"}, LEAST, LEAST | {"ip_address": "10.0.0.9", "name": "Twin"})
    assert [device.host for device in devices] == ["tower.example.net"]
    assert [refusal.equipment for refusal in refusals] == ["e2", "Twin"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"5", b"null", b"{", b"<html>", b"\xff", b'{"equipment": {}}', b"[" * 100_000]
)
def test_a_body_that_is_not_a_configuration_raises(body):
    with pytest.raises(InvalidConfig):
        read_config(config_text(body))


@pytest.mark.parametrize("equipment", [[], None])
def test_a_configuration_may_hold_no_equipment(equipment):
    result = read_config(config_text(json.dumps({"equipment": equipment}).encode()))
    assert list(result.equipment) == []
    assert result.version == ""
    assert list(read_config(config_text(b"{}")).equipment) == []


def test_bad_fields_at_the_top_cost_no_equipment():
    devices, refusals = read(LEAST, poll_interval_seconds="soon", accepts={"max_metrics": 0, "content_encodings": "gzip"})
    assert [device.interval_s for device in devices] == [60]
    assert [refusal.kind for refusal in refusals] == ["config"] * 3


def test_what_the_server_accepts_is_read_and_bounded():
    said = {"content_encodings": ["gzip"], "max_metrics": 10**9, "max_body_bytes": 8192, "metric_types": ["sensor_reading"]}
    accepts = read_config(config_text(config(accepts=said))).accepts
    assert (accepts.content_encodings, accepts.max_metrics, accepts.max_body_octets) == (("gzip",), 10_000, 8192)
    silent = read_config(config_text(config(accepts=None))).accepts
    assert (silent.content_encodings, silent.max_metrics, silent.max_body_octets) == ((), 1000, 1 << 20)
    assert silent.metric_types == ("sensor_reading", "interface_stat")


@pytest.mark.parametrize(("written", "version"), [("1", "1"), (7, "7"), (None, ""), ([], ""), (1.5, "")])
def test_the_version_is_a_text_or_a_number(written, version):
    assert read_config(config_text(config(version=written))).version == version


def test_the_least_and_other_types_of_what_the_server_accepts():
    said = {"max_metrics": 1, "max_body_bytes": 4096, "metric_types": ["reachability"], "content_encodings": ["zstd"]}
    accepts = read_config(config_text(config(accepts=said)))
    assert accepts.refusals == []
    assert accepts.accepts == Accepts(("zstd",), 1, 4096, ("reachability",), is_stated=True)
    most = read_config(config_text(config(accepts={"max_body_bytes": 10**9}))).accepts
    assert (most.max_body_octets, most.is_stated) == (16 << 20, True)
    assert not read_config(config_text(config(accepts=None))).accepts.is_stated


def test_devices_share_the_oids_that_they_have_in_common():
    one, other = read({**TOWER, "id": "a"}, {**TOWER, "id": "b"})[0]
    assert one.sensors[0].oid == parse_oid(TEMPERATURE)
    assert one.sensors[0].oid is other.sensors[0].oid


@pytest.mark.parametrize("context", ["x" * 255, "\u00fc" * 127])
def test_a_context_of_255_octets_can_be_asked(context):
    assert read_one(snmp=V3 | {"v3_context_name": context}).credentials.context_name == context


def digests(*equipment: object, **fields: object) -> list[bytes]:
    return [digest for digest, _ in read_config(config_text(config(*equipment, **fields))).equipment]


def test_the_digest_changes_with_the_device_and_with_what_it_inherits():
    assert digests(LEAST, TOWER) == digests(LEAST, TOWER)
    assert digests(LEAST, TOWER)[1] == digests(LEAST | {"name": "x"}, TOWER)[1]
    assert digests(LEAST)[0] != digests(LEAST | {"name": "x"})[0]
    assert digests(LEAST)[0] != digests(LEAST, poll_interval_seconds=61)[0]
    assert {len(digest) for digest in digests(LEAST, TOWER)} == {16}


def test_equipment_is_decoded_only_when_it_is_asked_for():
    result = read_config(config_text(config(LEAST, 5, TOWER)))
    assert next(result.equipment)[1].id == "e2"
    assert result.refusals == []
    assert next(result.equipment)[1].id == "e1"
    assert len(result.refusals) == 1


def test_a_flood_of_refusals_is_counted_and_not_kept():
    result = read_config(config_text(config(*[5] * (MOST_REFUSALS + 7))))
    assert list(result.equipment) == []
    assert len(result.refusals) == MOST_REFUSALS
    assert result.refused["equipment"] == MOST_REFUSALS + 7


DEEP = b"[" * 3000 + b"]" * 3000


def test_metadata_that_is_nested_without_measure_costs_its_device_only():
    device = b'{"id":"%d","ip_address":"192.0.2.%d","sensors":[{"id":"s","oid":"1.3.6.1.2.1.1.3.0","metadata":%s}]}'
    items = b",".join(device % (n, n, metadata) for n, metadata in ((1, b"{}"), (2, b'{"a":%s}' % DEEP), (3, b"{}")))
    read = read_config(config_text(b'{"version":"1","equipment":[%s]}' % items))
    used = {equipment.id for _, equipment in read.equipment}
    refused = {refusal.equipment for refusal in read.refusals}
    assert (used, refused) in (({"1", "3"}, {"#2"}), ({"1", "2", "3"}, set())), "how deep is too deep differs between Pythons"
