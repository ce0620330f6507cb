"""Why an item of the configuration is refused, word for word: what it is, what was expected, never a secret."""

import json

import pytest

from support.configuration import config_of
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text, decode_config, encode_config

NORTH = {"id": "e", "name": "North", "ip_address": "10.0.0.1"}


def reasons(**fields):
    """What is refused of a device with these fields: kind, device, item, reason."""
    read = read_config(config_text(json.dumps({"equipment": [{**NORTH, **fields}]}).encode()))
    assert len(list(read.equipment)) <= 1
    return [(refusal.kind, refusal.equipment, refusal.item, refusal.reason) for refusal in read.refusals]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (
            {
                "sensors": [
                    {"id": "s", "oid": "x", "type": "t"},
                    {"divisor": "a", "id": "t", "oid": "1.3.6"},
                    {"oid": "1.3"},
                    7,
                    {"divisor": -1, "id": "u", "oid": "1.3.6.1"},
                    {"id": "u2", "oid": 7},
                    {"id": "v", "oid": "1.3.6.1.1"},
                    {"id": "v", "oid": "1.3.6.1.2"},
                ]
            },
            [
                ("sensor", "North", "s", "oid is 'x': expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0"),
                ("sensor", "North", "t", "divisor is 'a': expected a finite number, at least 1e-280 away from 0, or 0"),
                ("sensor", "North", "#3", "id is absent: expected a text"),
                ("sensor", "North", "#4", "sensor is 7: expected a JSON object"),
                ("sensor", "North", "u2", "oid is 7: expected a text"),
                ("sensor", "North", "v", "id is 'v', which an earlier one has: expected each id once; the earlier one is used"),
            ],
        ),
        (
            {"interfaces": {}, "sensors": 7},
            [
                ("sensor", "North", "#1", "sensors is 7: expected a list"),
                ("interface", "North", "#1", "interfaces is an object: expected a list"),
            ],
        ),
        (
            {
                "interfaces": [
                    {"id": "i", "if_index": 0},
                    {"id": "j"},
                    {"if_index": 1},
                    {"id": "k", "if_index": 2, "if_name": 7},
                    "x",
                    {"id": "l", "if_index": 3},
                    {"id": "l", "if_index": 4},
                ]
            },
            [
                ("interface", "North", "i", "if_index is 0: expected an integer from 1 to 4294967295"),
                ("interface", "North", "j", "if_index is absent: expected an integer from 1 to 4294967295"),
                ("interface", "North", "#3", "id is absent: expected a text"),
                ("interface", "North", "k", "if_name is 7: expected a text"),
                ("interface", "North", "#5", "interface is a text: expected a JSON object"),
                (
                    "interface",
                    "North",
                    "l",
                    "id is 'l', which an earlier one has: expected each id once; the earlier one is used",
                ),
            ],
        ),
        (
            {"poll_interval_seconds": 0},
            [("equipment", "North", "", "poll_interval_seconds is 0: expected an integer from 1 to 2147483647")],
        ),
        ({"id": ""}, [("equipment", "North", "", "id is '': expected a text")]),
        (
            {"ip_address": None},
            [("equipment", "North", "", "ip_address is absent: expected an IPv4 address, an IPv6 address or a DNS name")],
        ),
        ({"snmp": 7}, [("equipment", "#1", "", "snmp is 7: expected a JSON object")]),
        ({"snmp": {"version": "9"}}, [("equipment", "North", "", 'snmp.version is \'9\': expected "1", "2c" or "3"')]),
        ({"snmp": {"community": 7, "version": "2c"}}, [("equipment", "North", "", "snmp.community is not one: expected a text")]),
        ({"snmp": {"port": 70000}}, [("equipment", "North", "", "snmp.port is 70000: expected an integer from 1 to 65535")]),
        ({"snmp": {"transport": "x"}}, [("equipment", "North", "", 'snmp.transport is \'x\': expected "udp" or "tcp"')]),
        ({"snmp": {"enabled": "x"}}, [("equipment", "North", "", "snmp.enabled is 'x': expected true or false")]),
        ({"snmp": {"version": "3"}}, [("equipment", "North", "", "snmp.v3_username is absent: expected a text")]),
        (
            {"snmp": {"v3_security_level": "x", "v3_username": "u", "version": "3"}},
            [("equipment", "North", "", "snmp.v3_security_level is 'x': expected noAuthNoPriv, authNoPriv or authPriv")],
        ),
        (
            {"snmp": {"v3_security_level": "authPriv", "v3_username": "u", "version": "3"}},
            [
                (
                    "equipment",
                    "North",
                    "",
                    "snmp.v3_auth_protocol is absent: expected one of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512",
                )
            ],
        ),
        (
            {"snmp": {"v3_auth_password": "hush-hush", "v3_auth_protocol": "x", "v3_username": "u", "version": "3"}},
            [
                (
                    "equipment",
                    "North",
                    "",
                    "snmp.v3_auth_protocol is 'x': expected one of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512",
                )
            ],
        ),
        (
            {"snmp": {"v3_auth_password": "short", "v3_auth_protocol": "SHA", "v3_username": "u", "version": "3"}},
            [("equipment", "North", "", "snmp.v3_auth_password is too short: expected at least 8 characters (RFC 3414 §11.2)")],
        ),
        (
            {"snmp": {"v3_auth_password": 7, "v3_auth_protocol": "SHA", "v3_username": "u", "version": "3"}},
            [("equipment", "North", "", "snmp.v3_auth_password is not one: expected a text")],
        ),
        (
            {"snmp": {"v3_context_name": 7, "v3_username": "u", "version": "3"}},
            [("equipment", "North", "", "snmp.v3_context_name is 7: expected a text")],
        ),
    ],
)
def test_a_bad_field_is_refused_in_these_words(fields, refused):
    assert reasons(**fields) == refused


def test_a_configuration_of_parts_is_the_one_of_the_text():
    """And another one has another digest, wherever the difference is."""
    whole = config_text(b'{"version":"7","equipment":[{"id":"a"},{"id":"b"}]}')
    made = config_of({"version": b'"7"'}, [b'{"id":"a"}', b'{"id":"b"}'])
    assert made.members == whole.members
    assert list(made.items()) == list(whole.items())
    assert decode_config(encode_config(made)) == made
    others = [
        config_of({"version": b'"8"'}, [b'{"id":"a"}', b'{"id":"b"}']),
        config_of({"v": b'ersion"7"'}, [b'{"id":"a"}', b'{"id":"b"}']),
        config_of({"version": b'"7"'}, [b'{"id":"a"}', b'{"id":"c"}']),
        config_of({"version": b'"7"'}, [b'{"id":"a"}{"id":"b"}']),
        config_of({}, []),
    ]
    assert len({config.digest for config in (made, *others)}) == 6
    assert len(made.digest) == 16


def refused(document: dict[str, object], members: dict[str, bytes] | None = None) -> list[tuple[str, str, str, str]]:
    """What is refused of a whole configuration."""
    text = config_text(json.dumps(document).encode())
    read = read_config(config_of(text.members | (members or {}), text.items()))
    list(read.equipment)
    return [(refusal.kind, refusal.equipment, refusal.item, refusal.reason) for refusal in read.refusals]


def test_what_is_wrong_at_the_top_is_refused_in_these_words():
    accepts = {"max_metrics": 0, "max_body_bytes": True, "content_encodings": "gzip", "metric_types": [7]}
    body, encodings = "accepts.max_body_bytes is True", "accepts.content_encodings is 'gzip'"
    types = "['sensor_reading', 'interface_stat']"
    assert refused({"poll_interval_seconds": "soon", "accepts": accepts}) == [
        ("config", "", "", "poll_interval_seconds is 'soon': expected an integer from 1 to 2147483647; used 60"),
        ("config", "", "", f"{encodings}: expected a list of texts; used []"),
        ("config", "", "", "accepts.max_metrics is 0: expected an integer of at least 1; used 1000"),
        ("config", "", "", f"{body.replace('True', 'true')}: expected an integer of at least 4096; used 1048576"),
        ("config", "", "", f"accepts.metric_types is a list: expected a list of texts; used {types}"),
    ]
    assert refused({"accepts": 7}) == [("config", "", "", "accepts is 7: expected a JSON object")]


def test_a_device_without_a_name_is_refused_by_its_id_and_without_an_id_by_its_place():
    devices = [{**NORTH, "ip_address": None} | change for change in ({}, {"name": None}, {"name": None, "id": None})]
    assert [device for _, device, _, _ in refused({"equipment": devices})] == ["North", "e", "#3"]


def test_a_device_that_is_only_pinged_needs_an_address_too():
    device = {**NORTH, "ip_address": 7, "snmp": {"enabled": False}, "ping": {"enabled": True}}
    ((_, _, _, reason),) = refused({"equipment": [device]})
    assert reason == "ip_address is 7: expected an IPv4 address, an IPv6 address or a DNS name"


def test_a_list_that_is_null_is_empty_also_if_another_field_is_wrong():
    device = {**NORTH, "sensors": None, "interfaces": 7, "ping": None, "snmp": None}
    assert refused({"equipment": [device]}) == [("interface", "North", "#1", "interfaces is 7: expected a list")]


@pytest.mark.parametrize(
    ("oid", "reason"),
    [
        ("x: expected y", "oid is 'x: expected y': expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0"),
        ("9.9", "oid is '9.9' (an OID that begins with 9.9): expected 0.0 to 0.39, 1.0 to 1.39 or 2.x"),
    ],
)
def test_what_is_wrong_with_an_oid_is_said_once_whatever_is_in_it(oid, reason):
    assert reasons(sensors=[{"id": "s", "oid": oid}]) == [("sensor", "North", "s", reason)]


@pytest.mark.parametrize("absent", [None, ""])
def test_a_password_that_is_absent_is_refused_with_the_level_that_needs_it(absent):
    snmp = {"version": "3", "v3_username": "u", "v3_auth_protocol": "SHA", "v3_priv_protocol": "AES"}
    for level, known, field in [
        ("authNoPriv", {}, "snmp.v3_auth_password"),
        ("authPriv", {"v3_auth_password": "long enough"}, "snmp.v3_priv_password"),
    ]:
        snmp |= {"v3_security_level": level.casefold(), field.removeprefix("snmp."): absent, **known}
        wanted = f"{field} is absent: expected a password, as the security level is {level}"
        assert reasons(snmp=snmp) == [("equipment", "North", "", wanted)]
    del snmp["v3_security_level"], snmp["v3_auth_password"]
    snmp["v3_priv_password"] = "long enough"
    (missing,) = reasons(snmp=snmp)
    assert missing[3] == "snmp.v3_auth_password is absent: expected a password, as the security level is authPriv"


def test_what_the_compiler_of_site_files_has_refused_already_is_among_the_refusals():
    """Only in its configuration may an interface have the index 0: it is where its name is."""
    device = {**NORTH, "interfaces": [{"id": "i", "if_index": 0, "if_name": "eth0"}, {"id": "j", "if_index": 0}]}
    nameless = ("interface", "North", "j", "if_index is 0: expected an integer from 1 to 4294967295")
    assert refused({"equipment": [device]}) == [(*nameless[:2], "i", nameless[3]), nameless]
    site = {"site": b'[["sensor","North","s1","a reason"]]'}
    assert refused({"equipment": [device]}, site) == [("sensor", "North", "s1", "a reason"), nameless]
