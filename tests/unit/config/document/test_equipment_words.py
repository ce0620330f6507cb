"""Why an item of the configuration is refused, word for word: what it is, what was expected, never a secret."""

import json

import pytest

from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_of, config_text, decode_config, encode_config

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
