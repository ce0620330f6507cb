"""Site files become the configuration; each mistake has its file, line and column, and costs no more than it must."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.equipment import read_config
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import PingPlan, SnmpVersion
from towerops_agent.site.document import site
from towerops_agent.site.document.site import Compiled, compile_site

SECRET = "hushhush-5f1c"

SITE = f"""\
credentials:
  radios: {{version: 2c, community: {SECRET}}}
  core:
    version: 3
    username: monitor
    auth: SHA-256
    auth_password_file: core.auth
    priv: AES
    priv_password_env: CORE_PRIV
defaults:
  credentials: radios
  interval: 60
  labels: {{region: north}}
devices:
  - address: 10.1.0.2
    name: north backhaul
    labels: {{site: north}}
  - address: 10.1.0.9
    credentials: core
    port: 1161
    transport: tcp
    interfaces:
      - ether1
      - {{name: sfp1, index: 7}}
      - {{index: 9}}
  - address: radio.example
    interval: 30
    sensors:
      - {{name: tank, oid: .1.3.6.1.4.1.99.1.0, divisor: 10, unit: celsius}}
      - {{name: door, oid: 1.3.6.1.4.1.99.2.0, labels: {{door: front}}}}
"""


def secrets(how: str, name: str) -> str:
    known = {("file", "core.auth"): f"{SECRET}-auth", ("env", "CORE_PRIV"): f"{SECRET}-priv"}
    if (how, name) not in known:
        raise InvalidConfig(f"the {how} {name} is not there")
    return known[how, name]


def compiled(text: str, *more: str) -> Compiled:
    files = [("a.yaml", text.encode()), *((f"{n}.yaml", other.encode()) for n, other in zip("bcd", more, strict=False))]
    return compile_site(files, secrets)


def devices(result: Compiled) -> list[dict]:
    assert result.config is not None
    return [msgspec.json.decode(octets) for octets in result.config.items()]


def test_a_site_is_read_as_a_configuration_of_the_api():
    result = compiled(SITE)
    assert result.config is not None
    assert result.problems == []
    read = read_config(result.config)
    first, second, third = [equipment for _, equipment in read.equipment]
    assert (read.refusals, result.devices, result.sensors, result.interfaces) == ([], 3, 2, 3)
    assert (first.name, first.host, first.port, first.interval_s) == ("north backhaul", "10.1.0.2", 161, 60)
    assert first.credentials.community.reveal() == SECRET
    assert (second.name, second.port, second.transport) == ("10.1.0.9", 1161, "tcp")
    assert second.credentials.version is SnmpVersion.V3
    user = second.credentials.user
    assert user is not None
    assert user.auth is not None
    assert user.priv is not None
    assert (user.auth[1].reveal(), user.priv[1].reveal()) == (f"{SECRET}-auth", f"{SECRET}-priv")
    assert [(one.if_index, one.if_name) for one in second.interfaces] == [(0, "ether1"), (7, "sfp1"), (9, "")]
    assert (third.host, third.interval_s, [sensor.divisor for sensor in third.sensors]) == ("radio.example", 30, [10, 1])
    assert devices(result)[0]["labels"] == {"region": "north", "site": "north"}


PINGED = """\
defaults: {ping: true, interval: 30}
devices:
  - {address: 10.0.0.1}
  - {address: 10.0.0.2, ping: {count: 10}}
  - {address: 10.0.0.3, ping: {interval: 10, count: 2}}
  - {address: 10.0.0.4, ping: No}
  - {address: 10.0.0.5, snmp: false}
"""


def test_devices_are_pinged_as_they_or_the_defaults_say_and_one_without_snmp_only_that():
    result = compiled(PINGED)
    assert (result.problems, result.config is not None) == ([], True)
    read = read_config(result.config)
    equipment = [one for _, one in read.equipment]
    plans = [PingPlan(5, 30), PingPlan(10, 30), PingPlan(2, 10), None, PingPlan(5, 30)]
    assert [one.ping for one in equipment] == plans
    assert [one.has_snmp for one in equipment] == [True, True, True, True, False]
    assert "reachability" in read.accepts.metric_types


def test_what_is_shown_has_no_secret():
    result = compiled(SITE)
    assert result.shown is not None
    text = b"".join(result.shown.items()).decode()
    assert SECRET not in text + repr(result)
    assert "monitor" in text


def test_ids_stay_when_lines_move_and_names_change():
    before = devices(compiled(SITE))
    lines = SITE.replace("north backhaul", "renamed").replace("name: tank", "name: cistern")
    head, _, rest = lines.partition("devices:\n")
    one, two, three = re.split(r"(?m)^(?=  - address)", rest)[1:]
    after = devices(compiled(f"{head}devices:\n{three}{one}{two}"))

    def ids(items: list[dict]) -> set[str]:
        return {item["id"] for device in items for item in (device, *device["sensors"], *device["interfaces"])}

    assert ids(before) == ids(after)
    assert len(ids(before)) == 8


def test_a_device_that_is_not_touched_keeps_its_octets():
    before, after = compiled(SITE), compiled(SITE.replace("interval: 30", "interval: 31"))
    assert before.config is not None
    assert after.config is not None
    old, new = list(before.config.items()), list(after.config.items())
    assert [a == b for a, b in zip(old, new, strict=True)] == [True, True, False]
    assert before.config.digest != after.config.digest


def test_texts_are_as_they_are_written():
    """YAML would read no as false, 0123 as an octal number and 1.10 as 1.1."""
    text = "credentials: {a: {community: 0123}}\ndefaults: {credentials: a}\n"
    text += "devices: [{address: 10.0.0.1, name: no, interfaces: [1.10, 'null']}]"
    (device,) = devices(compiled(text))
    assert (device["name"], device["snmp"]["community"]) == ("no", "0123")
    assert [one["if_name"] for one in device["interfaces"]] == ["1.10", "null"]


def test_without_credentials_it_is_the_community_public_and_no_warning():
    result = compiled("devices: [{address: 10.0.0.1}]")
    ((_, equipment),) = read_config(result.config).equipment  # type: ignore[arg-type]
    assert equipment.credentials.community.reveal() == "public"
    assert result.warnings == compiled("credentials: {a: {community: public}}").warnings == []


def test_a_secret_in_the_file_is_used_with_a_warning_that_does_not_show_it():
    (warning,) = compiled(SITE).warnings
    assert str(warning) == "a.yaml:2:36: community stands in the file: better community_file or community_env, which keep it out"


def test_several_files_are_read_as_one():
    head, _, rest = SITE.partition("devices:\n")
    both = compiled(f"devices:\n{rest}", head)
    assert both.problems == []
    assert both.config == compiled(SITE).config


D = "devices:\n  - address: 10.0.0.1\n"

W = "remote_write: http://p.example/write"

WXYZ = (
    "wxyz is not a key of a device: expected one of "
    "address, name, credentials, interval, labels, ping, port, profile, snmp, transport, sensors, interfaces"
)
IN_A_SET = "expected it in a set of credentials, and the set's name here: credentials: NAME"
MISTAKES = [
    # the text, where the mistake is, what is said of it, how many devices are left (None: the files can't be used)
    ("", "1:1", "the file is empty: expected devices, credentials, defaults or destinations", None),
    ("- a\n- b\n", "1:1", "a site file is a list: expected a mapping, as in key: value", None),
    ("devices:\n  - address: [10.0.0.1\n", "3:1", "not YAML", None),
    ("devices:\n\t- address: 10.0.0.1\n", "2:1", "not YAML: a tab: expected spaces", None),
    ("\ufeff# é ☃\r\ndevices:\r\n  - address: 10.0.0.1\r\n\tname: x\n", "4:1", "not YAML: a tab: expected spaces", None),
    ("devices:\n  - address: 10.0.0.1\n   name: x\n", "3:4", "not YAML", None),
    ("device:\n  - address: 10.0.0.1\n", "1:1", "device is not a key of a site file: expected devices", None),
    ("devices:\n  address: 10.0.0.1\n", "2:3", "devices is a mapping: expected a list", None),
    (D + "defaults: {interval: soon}\n", "3:22", "interval is 'soon': expected a whole number from 1 to 86400", None),
    (
        D + "defaults:\n  credentials:\n",
        "4:3",
        "credentials is empty: expected the name of a set of credentials",
        None,
    ),
    (
        D + "  - address: 10.0.0.2\n    credentials: ~\n",
        "4:5",
        "credentials is empty: expected the name of a set of credentials",
        1,
    ),
    (D + "defaults:\n  interval: 60\n  intervall: 60\n", "5:3", "intervall is not a key of defaults: expected interval", None),
    (D + "devices: []\n", "3:1", "devices is given twice: it is at line 1 too", None),
    (D + "---\ndevices: []\n", "3:1", "not YAML", None),
    (D + "    name: 'x\x07'\n", "3:13", "a control character, which YAML does not allow", None),
    ("devices:\n  - name: x\n", "2:5", "address is missing: expected an IPv4 address, an IPv6 address or a DNS name", 0),
    (
        D + "  - address: 10.0.0.300\n",
        "3:14",
        "address is '10.0.0.300': expected an IPv4 address, an IPv6 address or a DNS name",
        1,
    ),
    (D + "  - address: 10.0.0.1\n", "3:14", "address is 10.0.0.1, port 161, which the device at a.yaml:2:14 has", 1),
    (
        "devices:\n  - address: 2001:db8::1\n  - address: '[2001:DB8:0::1]'\n",
        "3:14",
        "address is 2001:DB8:0::1, port 161, which the device at a.yaml:2:14 has",
        1,
    ),
    (D + "    port: 70000\n", "3:11", "port is '70000': expected a whole number from 1 to 65535", 0),
    (D + "    transport: sctp\n", "3:16", "transport is 'sctp': expected udp or tcp", 0),
    (D + "    ping: maybe\n", "3:11", "ping is 'maybe': expected true or false", 0),
    (D + "    ping: {count: 21}\n", "3:19", "count is '21': expected a whole number from 1 to 20", 0),
    (D + "    ping: {intervall: 9}\n", "3:12", "intervall is not a key of ping: expected interval", 0),
    (D + "    ping: [1]\n", "3:11", "ping is a list: expected a mapping, as in key: value", 0),
    (D + "    snmp: false\n", "3:11", "snmp is false: expected ping: true, or nothing is asked", 0),
    (
        D + "    snmp: false\n    ping: true\n    interfaces: [ether1]\n",
        "5:17",
        "interfaces of a device whose snmp is false: expected none",
        0,
    ),
    (D + "    interval: 0\n", "3:15", "interval is '0': expected a whole number from 1 to 86400", 0),
    (D + "    adress: 10.0.0.2\n", "3:5", "adress is not a key of a device: expected address", 0),
    (
        D + "    credentials: radio\n",
        "3:18",
        "credentials is 'radio': expected one of the sets of credentials (none are given)",
        0,
    ),
    (D + "    labels: {1st: x}\n", "3:14", "label '1st': expected letters, digits and _, as Prometheus allows", 0),
    (
        D + "    labels: {instance: x}\n",
        "3:14",
        "label instance is one that the agent or Prometheus makes: expected another name",
        0,
    ),
    (D + "    labels: north\n", "3:13", "labels is a text: expected a mapping, as in key: value", 0),
    (
        D + "    sensors:\n      - {name: a, oid: 1.3.x}\n",
        "4:24",
        "oid is '1.3.x': expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0",
        1,
    ),
    (D + "    sensors:\n      - {name: a}\n", "4:9", "oid is missing: expected it in a sensor", 1),
    (D + "    sensors:\n      - {oid: 1.3.6.1.2.1.1.3.0}\n", "4:9", "name is missing: expected it in a sensor", 1),
    (D + "    sensors:\n      - {name: a, oid: 1.3.6.1.2, divisor: ten}\n", "4:44", "divisor is 'ten': expected a number", 1),
    (
        D + "    sensors:\n      - {name: a, oid: 1.3.6.1.2, divisor: 0}\n",
        "4:44",
        "divisor is '0': expected a number other than 0",
        1,
    ),
    (
        D + "    sensors:\n      - {name: a, oid: 1.3.6.1.2}\n      - {name: a, oid: 1.3.6.1.3}\n",
        "5:16",
        "name is 'a', which an earlier sensor of the device has",
        1,
    ),
    (
        D + "    sensors:\n      - {name: a, oid: 1.3.6.1.2}\n      - {name: b, oid: .1.3.6.1.2}\n",
        "5:24",
        "oid is 1.3.6.1.2, which an earlier sensor of the device has",
        1,
    ),
    (D + "    interfaces: [ether1, {indx: 3}]\n", "3:27", "indx is not a key of an interface: expected index", 1),
    (D + "    interfaces: [ether1, Ether1]\n", "3:26", "interface Ether1 is given twice: expected it once", 1),
    (D + "    interfaces: [{index: 0}]\n", "3:26", "index is '0': expected a whole number from 1 to 4294967295", 1),
    (D + "    interfaces: ether1\n", "3:17", "interfaces is a text: expected a list", 0),
    (D + "    name: !north x\n", "3:11", "name begins with !, which YAML takes for a tag: expected it in quotes", 0),
    (D + "credentials: {a: {version: 4}}\n", "3:28", 'version is \'4\': expected "1", "2c" or "3"', 1),
    (D + "credentials: {a: {community_file: lost}}\n", "3:35", "the file lost is not there", 1),
    (
        D + "credentials: {a: {community: x, community_env: X}}\n",
        "3:48",
        "community and community_env are both given: expected one of them",
        1,
    ),
    (
        D + "credentials: {a: {username: u, auth: SHA1, auth_password: short}}\n",
        "3:59",
        "auth_password is too short: expected at least 8 characters (RFC 3414 §11.2)",
        1,
    ),
    (
        D + "credentials: {a: {username: u, auth: SHA3, auth_password: longenough}}\n",
        "3:38",
        "auth is 'SHA3': expected one of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512",
        1,
    ),
    (
        D + "credentials: {a: {version: 2c, username: u}}\n",
        "3:42",
        "username is not of SNMP version 2c: expected it only with the other one",
        1,
    ),
    (D + "credentials:\n  a: {community: x}\n  a: {community: y}\n", "5:3", "a is given twice: it is at line 4 too", None),
    (
        D + f"destinations: [{{{W}}}, {{{W}}}]\n",
        "3:56",
        "the destination at a.yaml:3:16 is called 'p.example' too: expected a name for each",
        None,
    ),
    (D + "destinations: [7]\n", "3:16", "a destination is a text: expected a mapping, as in key: value", None),
    (D + "    interfaces: [{labels: {a: b}}]\n", "3:18", "an interface without name and index: expected one of them, or both", 1),
    (D + "    interfaces: [[1]]\n", "3:18", "an interface is a list: expected a mapping, as in key: value", 1),
    (
        D + "    sensors: [{name: a, oid: 1.3.6.1.2, states: [1]}]\n",
        "3:49",
        "states is a list: expected a mapping, as in key: value",
        1,
    ),
    (
        D + "    sensors: [{name: a, oid: 9.9}]\n",
        "3:30",
        "oid is '9.9' (an OID that begins with 9.9): expected 0.0 to 0.39, 1.0 to 1.39 or 2.x",
        1,
    ),
    (D + "    wxyz: 1\n", "3:5", WXYZ, 0),
    (D + "    community: x\n", "3:5", f"community is not a key of a device: {IN_A_SET}", 0),
    (D + "    username: x\n", "3:5", f"username is not a key of a device: {IN_A_SET}", 0),
    (D + "    auth_password_file: x\n", "3:5", f"auth_password_file is not a key of a device: {IN_A_SET}", 0),
    (D + "defaults: {version: 2c}\n", "3:12", f"version is not a key of defaults: {IN_A_SET}", None),
    ("devices:\n  - hostname: 10.0.0.1\n", "2:5", "hostname is not a key of a device: expected address", 0),
    (D + "interval: 30\n", "3:1", "interval is not a key of a site file: expected it in defaults, or in a device", None),
    (
        D + "community: x\n",
        "3:1",
        "community is not a key of a site file: expected it in a set of credentials: credentials: {NAME: {…}}",
        None,
    ),
]


@pytest.mark.parametrize(("text", "where", "said", "left"), MISTAKES)
def test_a_mistake_is_said_with_its_line_and_column_and_costs_no_more_than_it_must(text, where, said, left):
    result = compiled(text)
    assert [str(problem) for problem in result.problems][:1] == [f"a.yaml:{where}: {result.problems[0].text}"]
    text = result.problems[0].text
    assert text == said or (said == "not YAML" and text.startswith("not YAML: ")), "what is wrong with YAML, its reader says"
    assert len(result.problems) == 1
    assert (result.config is None) == (left is None)
    assert left is None or result.devices == left


def test_a_site_without_measure_is_refused(monkeypatch):
    """A few aliases of YAML can make more sensors than any memory holds."""
    monkeypatch.setattr(site, "MOST_ITEMS", 6)
    sensors = "sensors: [{name: a, oid: 1.3.6.1.1}, {name: b, oid: 1.3.6.1.2}]"
    text = f"devices:\n  - {{address: 10.0.0.1, {sensors}, interfaces: [a]}}\n  - {{address: 10.0.0.2, interfaces: [a]}}\n"
    result = compiled(text)
    assert (result.problems, result.devices, result.sensors, result.interfaces) == ([], 2, 2, 2)
    assert [str(problem) for problem in compiled(text + "  - address: 10.0.0.3\n").problems] == [
        "a.yaml:4:14: more than 6 sensors and interfaces: expected fewer"
    ]
    twice = compiled(text.replace("10.0.0.2", "10.0.0.2, interval: 9"))
    assert twice.sensors == 2


def test_sensors_are_counted_over_all_devices():
    sensors = "sensors: [{name: a, oid: 1.3.6.1.1}, {name: b, oid: 1.3.6.1.2}]"
    result = compiled(f"devices:\n  - {{address: 10.0.0.1, {sensors}}}\n  - {{address: 10.0.0.2, {sensors}}}\n")
    assert (result.devices, result.sensors) == (2, 4)


@pytest.mark.parametrize(("word", "is_pinged"), [("TRUE", True), ("yes", True), ("On", True), ("off", False), ("False", False)])
def test_a_switch_is_a_word_in_any_case(word, is_pinged):
    (device,) = devices(compiled(f"devices:\n  - {{address: 10.0.0.1, ping: {word}}}\n"))
    assert bool(device.get("ping") and device["ping"]["enabled"]) == is_pinged


def test_a_secret_may_go_to_this_machine_in_the_clear_and_influxdbs_token_is_one():
    result = compiled(D + "destinations: [{influxdb: 'http://127.0.0.1:8086', org: o, bucket: b, token_env: CORE_PRIV}]\n")
    assert result.problems == []
    (destination,) = result.destinations
    assert destination.token is not None
    assert destination.token.reveal() == f"{SECRET}-priv"


def test_there_are_thirty_mistakes_at_least():
    assert len(MISTAKES) >= 30


def test_credentials_that_cannot_be_used_cost_the_devices_that_have_them():
    text = "credentials: {a: {version: 4}, b: {community: public}}\ndevices:\n"
    text += "  - {address: 10.0.0.1, credentials: a}\n  - {address: 10.0.0.2, credentials: b}\n"
    result = compiled(text)
    assert [device["ip_address"] for device in devices(result)] == ["10.0.0.2"]
    assert "credentials is 'a', which can't be used: see a.yaml:1:28" in str(result.problems[1])
    read = read_config(result.config)  # type: ignore[arg-type]
    assert [(refusal.kind, refusal.equipment) for refusal in read.refusals] == [("equipment", "10.0.0.1")]
    assert read.refusals[0].reason.startswith("a.yaml:3:38: credentials is 'a'")


@pytest.mark.parametrize(
    ("device", "called"),
    [
        ("{name: mast, address: 1.2.3.400}", "mast"),
        ("{address: 1.2.3.400}", "1.2.3.400"),
        ("{name: , address: 1.2.3.400}", "1.2.3.400"),
        ("{name: ~, address: 1.2.3.400}", "1.2.3.400"),
        ("{name: [x], address: 1.2.3.400}", "1.2.3.400"),
        ('{name: "a\\tb", address: 1.2.3.400}', "1.2.3.400"),
        ("{? [name] : mast, address: 1.2.3.400}", "1.2.3.400"),
        ("{labels: {name: mast}}", "a.yaml:1:11"),
        ("{name: ''}", "a.yaml:1:11"),
        ("mast", "a.yaml:1:11"),
        ("[name, mast]", "a.yaml:1:11"),
    ],
)
def test_a_device_that_is_refused_is_called_by_its_name_else_its_address_else_its_place(device, called):
    result = compiled(f"devices: [{device}]")
    (refusal,) = read_config(result.config).refusals  # type: ignore[arg-type]
    assert (refusal.kind, refusal.equipment, refusal.item) == ("equipment", called, "")
    assert refusal.reason == str(result.problems[0])


def test_a_device_at_an_address_that_is_taken_is_refused_by_its_name_in_any_case_of_the_address():
    text = "devices:\n  - {address: Mast.example}\n  - {name: b, address: mast.EXAMPLE}\n  - {address: mast.example, port: 1}\n"
    result = compiled(text)
    assert [str(problem) for problem in result.problems] == [
        "a.yaml:3:24: address is mast.EXAMPLE, port 161, which the device at a.yaml:2:15 has"
    ]
    assert [device["snmp"]["port"] for device in devices(result)] == [161, 1]
    assert [one.equipment for one in read_config(result.config).refusals] == ["b"]  # type: ignore[arg-type]


def test_credentials_without_a_mapping_are_a_mistake_and_cost_the_devices_that_have_them():
    result = compiled(
        "credentials: {a: 5, b: }\ndevices: [{address: 10.0.0.1, credentials: a}, {address: 10.0.0.2, credentials: b}]\n"
    )
    assert [str(problem) for problem in result.problems] == [
        "a.yaml:1:18: credentials 'a' is a text: expected a mapping, as in key: value",
        "a.yaml:1:21: b is empty: expected a mapping, as in key: value",
        "a.yaml:2:44: credentials is 'a', which can't be used: see a.yaml:1:18",
        "a.yaml:2:81: credentials is 'b', which can't be used: see a.yaml:1:21",
    ]
    assert (result.devices, result.credentials) == (0, {})


def test_credentials_that_are_not_there_are_a_mistake_that_names_those_that_are():
    text = "credentials: {c: {community: public}, b: {version: 9}}\ndevices: [{address: 10.0.0.1, credentials: a}]\n"
    assert str(compiled(text).problems[1]) == "a.yaml:2:44: credentials is 'a': expected one of the sets of credentials (b, c)"


def test_a_mistake_in_one_file_does_not_hide_those_in_the_others():
    result = compiled("defaults: {port: x}\n", "devices: 5\n", "- a\n")
    assert [str(problem).partition(" ")[0] for problem in result.problems] == [
        f"{file}.yaml:1:{at}:" for file, at in zip("abc", ("18", "10", "1"), strict=True)
    ]
    assert (result.config, result.shown, result.destinations) == (None, None, ())


def test_a_name_that_two_files_give_is_an_error_that_names_both_places():
    result = compiled(
        "defaults: {interval: 5}\ncredentials: {a: {community: x}}",
        "defaults: {interval: 6}\n",
        "credentials: {a: {community: y}}",
    )
    assert result.config is None
    assert [str(problem) for problem in result.problems] == [
        "b.yaml:1:1: defaults are given twice: they are at a.yaml:1:11 too",
        "c.yaml:1:18: credentials 'a' are given twice: they are at a.yaml:2:18 too",
    ]


def test_octets_that_are_not_text_have_a_place():
    result = compile_site([("a.yaml", b"devices:\n  - address: caf\xe9\n")], secrets)
    assert str(result.problems[0]) == "a.yaml:2:17: not text in UTF-8: expected the file saved in that"


@pytest.mark.parametrize(
    "community",
    [f"*{SECRET}", f"&{SECRET} x", f"!{SECRET}", f"%{SECRET}", f"@{SECRET}", f'"{SECRET}', f"[{SECRET}", f"!{SECRET}!x y"],
)
def test_a_password_that_is_not_yaml_is_not_shown(community):
    result = compiled(f"credentials: {{a: {{community: {community}}}}}\ndevices: []\n")
    assert result.problems or "&" in community
    assert SECRET not in "".join(map(str, result.problems))


@given(st.binary(max_size=60) | st.text(alphabet="devics:- {}[]\n\t&*!'\"abc#|>", max_size=60).map(str.encode))
def test_whatever_a_file_holds_it_is_compiled_or_refused(octets):
    result = compile_site([("a.yaml", octets)], secrets)
    assert result.config is not None or result.problems


def test_a_destination_is_read_with_its_secrets_and_files():
    text = "destinations:\n  - remote_write: https://p.example:8443/api/v1/write\n    bearer_token_file: core.auth\n"
    text += "    ca_file: ca.pem\n    labels: {agent: a1}\n    headers: {X-Scope-OrgID: north}\n"
    text += "    client_cert: /c\n    client_key: /k\n"
    result = compile_site([("/etc/site/a.yaml", text.encode())], secrets)
    assert result.problems == []
    (one,) = result.destinations
    assert one.bearer is not None
    assert (one.name, one.bearer.reveal(), one.labels) == ("p.example", f"{SECRET}-auth", (("agent", "a1"),))
    assert (one.headers, one.ca_file, one.client_cert, one.client_key) == (
        (("X-Scope-OrgID", "north"),),
        "/etc/site/ca.pem",
        "/c",
        "/k",
    )
    assert SECRET not in repr(one)


def test_other_labels_of_a_destination_are_another_configuration():
    text = "devices: [{address: 10.0.0.1}]\ndestinations: [{remote_write: https://p/, labels: {agent: a1}}]\n"
    before, same, other = compiled(text).config, compiled(text).config, compiled(text.replace("a1", "a2")).config
    assert before == same != other


def test_aliases_may_share_sensors_and_a_loop_of_them_is_refused():
    shared = "devices:\n  - {address: 10.0.0.1, sensors: &s [{name: a, oid: 1.3.6.1.2}]}\n  - {address: 10.0.0.2, sensors: *s}\n"
    assert [len(device["sensors"]) for device in devices(compiled(shared))] == [1, 1]
    loop = compiled("devices: &d\n  - address: 10.0.0.1\n    sensors: *d\n")
    assert loop.problems


@pytest.mark.parametrize(
    ("line", "kind", "url", "fresh_first"),
    [
        ("remote_write: https://p/api/v1/write", "remote_write", "https://p/api/v1/write", False),
        ("remote_write: https://p/api/v1/write, order: any", "remote_write", "https://p/api/v1/write", True),
        ("influxdb: 'https://i:8086/', database: a b", "influxdb", "https://i:8086/write?db=a+b&precision=ns", True),
        (
            "influxdb: https://i/x, database: d, retention_policy: week",
            "influxdb",
            "https://i/x/write?db=d&precision=ns&rp=week",
            True,
        ),
        ("influxdb: https://i, org: o&p, bucket: b", "influxdb", "https://i/api/v2/write?org=o%26p&bucket=b&precision=ns", True),
        ("otlp: https://o:4318", "otlp", "https://o:4318/v1/metrics", True),
        ("otlp: https://o:4318/, order: time", "otlp", "https://o:4318/v1/metrics", False),
        ("otlp: https://o/own/path", "otlp", "https://o/own/path", True),
    ],
)
def test_each_kind_of_destination_has_its_url_and_its_order(line, kind, url, fresh_first):
    result = compile_site([("a.yaml", f"devices: [{{address: 10.0.0.1}}]\ndestinations: [{{{line}}}]\n".encode())], lambda *_: "")
    assert result.problems == []
    assert [(one.kind, one.url, one.fresh_first) for one in result.destinations] == [(kind, url, fresh_first)]


def test_a_header_may_be_a_secret_and_then_is_shown_nowhere():
    text = "destinations: [{otlp: https://o, headers: {X-Key_file: f, X-Scope-OrgID: north}}]\n"
    result = compile_site(
        [("a.yaml", f"devices: [{{address: 10.0.0.1}}]\n{text}".encode())], lambda how, name: f"{how}-{name}-71"
    )
    assert result.problems == []
    (one,) = result.destinations
    assert one.headers == (("X-Scope-OrgID", "north"),)
    assert [(name, value.reveal()) for name, value in one.secret_headers] == [("X-Key", "file-f-71")]
    assert "file-f-71" not in repr(result)


def test_a_states_words_and_the_type_are_metadata():
    """The number is delivered; the words stay with the configuration."""
    sensor = "{name: source, oid: 1.3.6.1, type: state, states: {1: on line, -2: battery}}"
    text = f"devices:\n  - address: 10.0.0.1\n    sensors: [{sensor}]\n"
    ((made,),) = [device["sensors"] for device in devices(compiled(text))]
    assert made["type"] == "state"
    assert made["metadata"] == {"descr": "source", "states": {"1": "on line", "-2": "battery"}}


def test_a_state_that_is_not_a_number_costs_its_sensor():
    text = "devices:\n  - address: 10.0.0.1\n    sensors: [{name: a, oid: 1.3.6.1, states: {up: 1}}, {name: b, oid: 1.3.6.2}]\n"
    result = compiled(text)
    assert [str(problem) for problem in result.problems] == ["a.yaml:3:48: state 'up': expected a whole number"]
    assert [[sensor["metadata"]["descr"] for sensor in device["sensors"]] for device in devices(result)] == [["b"]]


# Devices that are discovered


class FoundThere:
    """What a discovery found."""

    def __init__(self, sensors: list[dict], interfaces: list[dict]) -> None:
        self.sensors = sensors
        self.interfaces = interfaces


def auto_site(text: str, found: FoundThere | None = None) -> Compiled:
    (device,) = compile_site([("a.yaml", text.encode())], lambda how, name: "").auto
    return compile_site([("a.yaml", text.encode())], lambda how, name: "", {device.id: found} if found else {})


def test_a_device_with_profile_auto_gets_what_was_found_of_it():
    found = FoundThere(
        [{"id": "f1", "oid": "1.3.6.9", "metadata": {"descr": "supply"}}], [{"id": "f2", "if_index": 0, "if_name": "ether1"}]
    )
    text = "devices: [{address: 10.0.0.1, profile: auto}]\n"
    assert [(each["sensors"], each["interfaces"]) for each in devices(auto_site(text))] == [([], [])]
    result = auto_site(text, found)
    assert [(each["sensors"], each["interfaces"]) for each in devices(result)] == [(found.sensors, found.interfaces)]
    assert (result.sensors, result.interfaces) == (1, 1)
    assert result.config is not None
    read = read_config(result.config)
    assert [len(equipment.sensors) + len(equipment.interfaces) for _, equipment in read.equipment] == [2]
    assert read.refusals == []


def test_what_the_file_says_comes_before_what_was_found():
    """By OID and by name, so that no two series are alike."""
    text = (
        "devices:\n  - address: 10.0.0.1\n    profile: auto\n    interfaces: [Ether1, {index: 3}]\n"
        "    sensors: [{name: mine, oid: 1.3.6.1}, {name: supply, oid: 1.3.6.2}]\n"
    )
    ((first, second),) = [device["sensors"] for device in devices(auto_site(text))]
    found = FoundThere(
        [
            {"id": first["id"], "oid": "1.3.6.1", "metadata": {"descr": "theirs"}},
            {"id": "f1", "oid": "1.3.6.9", "metadata": {"descr": "supply"}},
            {"id": "f2", "oid": "1.3.6.8", "metadata": {"descr": "other"}},
        ],
        [
            {"id": "f3", "if_index": 0, "if_name": "ether1"},
            {"id": "f4", "if_index": 3},
            {"id": "f5", "if_index": 0, "if_name": "ether2", "seen_at": 2},
            {"id": "f6", "if_index": 0, "if_name": "ether3", "seen_at": 3},  # the file has it by its index
        ],
    )
    ((sensors, interfaces),) = [(each["sensors"], each["interfaces"]) for each in devices(auto_site(text, found))]
    assert sensors == [first, second, found.sensors[2]]
    assert [each.get("if_name") or each["if_index"] for each in interfaces] == ["Ether1", 3, "ether2"]
    assert not any("seen_at" in each for each in interfaces)


def test_profile_may_be_a_default_and_be_taken_back():
    text = "defaults: {profile: auto}\ndevices: [{address: 10.0.0.1}, {address: 10.0.0.2, profile: none}]\n"
    assert [device.host for device in compiled(text).auto] == ["10.0.0.1"]
    wrong = compiled("devices: [{address: 10.0.0.1, profile: mikrotik}]\n")
    assert [str(problem) for problem in wrong.problems] == ["a.yaml:1:40: profile is 'mikrotik': expected auto or none"]
