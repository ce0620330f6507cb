"""Which device HOST means, and whose credentials it is asked with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.kept import NoKeptDevices
from towerops_agent.errors import SettingsError
from towerops_agent.model import AuthProtocol, Credentials, Equipment, PrivProtocol, Secret, SnmpVersion, Transport, UsmUser
from towerops_agent.polling.course.device import make_security
from towerops_agent.snmptool.choice import choose_target
from towerops_agent.snmptool.credentials import CredentialOptions, CredentialSource
from towerops_agent.snmptool.target import Place, parse_place, target_at, target_of

CONFIGURED = Credentials(SnmpVersion.V1, Secret("from-config"))
USER = UsmUser("noc", (AuthProtocol.SHA_256, Secret("auth-config")), (PrivProtocol.AES_128, Secret("priv-config")))
DEVICES = [
    Equipment("id-1", "North Tower", "10.0.0.1", 1161, credentials=CONFIGURED),
    Equipment("id-2", "Twin", "10.0.0.2"),
    Equipment("id-3", "Twin", "tower-3.example.net", transport=Transport.TCP),
    Equipment("id-4", "Secure", "2001:db8::4", credentials=Credentials(SnmpVersion.V3, user=USER)),
    Equipment("id-5", "10.0.0.5", "10.0.0.6"),
]


def asked_for(wanted):
    return [device for device in DEVICES if wanted(device)]


def unreadable(_):
    raise NoKeptDevices("there is no database /data/agent.db: give the agent's")


def never(_):
    raise AssertionError("the kept configuration was looked at")


def source(environ=None, typed="", **options):
    return CredentialSource(CredentialOptions(**options), environ or {}, lambda _: typed)


def choose(text, environ=None, port=None, transport=None, devices=asked_for, **options):
    return choose_target(text, port, transport, source(environ, **options), devices)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1", Place("10.0.0.1")),
        ("10.0.0.1:1161", Place("10.0.0.1", 1161)),
        ("::1", Place("::1")),
        ("[::1]", Place("::1")),
        ("[::1]:161", Place("::1", 161)),
        ("[::ffff:10.0.0.1]:161", Place("10.0.0.1", 161)),
        (" 10.0.0.1 ", Place("10.0.0.1")),
        ("tower-7.example.net", Place("tower-7.example.net")),
        ("tower-7:162", Place("tower-7", 162)),
    ],
)
def test_an_address_is_read_with_its_port(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.1:0", "10.0.0.1:65536", "[::1", "[::1]:x", "a b", "udp:10.0.0.1:161", "[a]b"]
)
def test_what_is_not_an_address_is_refused_with_what_is_wanted(text):
    with pytest.raises(SettingsError, match="expected"):
        parse_place(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text):
    try:
        place = parse_place(text)
    except SettingsError:
        return
    assert place.host
    assert place.port is None or 1 <= place.port <= 65535


def test_an_address_with_a_community_from_the_environment_is_asked_as_it_is():
    """The kept configuration is not even looked at."""
    target = choose("10.0.0.1:1161", {"SNMP_COMMUNITY": "from-env"}, devices=never)
    assert (target.host, target.port, target.transport, target.name) == ("10.0.0.1", 1161, Transport.UDP, "")
    assert target.credentials == Credentials(SnmpVersion.V2C, Secret("from-env"))


def test_a_configured_device_is_asked_with_its_own_credentials():
    """By its name in any case, or by its id; a community in the environment, there for other devices, changes nothing."""
    for text in ("North Tower", "north tower", "id-1"):
        target = choose(text, {"SNMP_COMMUNITY": "from-env"})
        assert target == target_of(DEVICES[0])
        assert target.credentials.community.reveal() == "from-config"


def test_an_address_without_credentials_is_asked_with_those_of_the_configured_device_there():
    assert choose("10.0.0.1").name == "North Tower"
    assert choose("10.0.0.1:1161").credentials == CONFIGURED
    assert choose("TOWER-3.example.net.").name == "Twin"
    assert choose("2001:0db8:0:0::4").name == "Secure"


def test_a_device_whose_snmp_is_switched_off_is_not_asked_by_its_name():
    only_pinged = replace(DEVICES[0], has_snmp=False)
    with pytest.raises(SettingsError, match="expected"):
        choose(only_pinged.name, devices=lambda wanted: [device for device in [only_pinged] if wanted(device)])


def test_another_port_is_another_agent():
    with pytest.raises(SettingsError, match="no community"):
        choose("10.0.0.1:161")


def test_the_command_line_wins_over_the_configuration(tmp_path):
    file = tmp_path / "community"
    file.write_text("from-file\n")
    target = choose("North Tower", port=99, transport=Transport.TCP, version=SnmpVersion.V2C, community_file=file)
    assert (target.host, target.port, target.transport) == ("10.0.0.1", 99, Transport.TCP)
    assert target.credentials == Credentials(SnmpVersion.V2C, Secret("from-file"))
    assert choose("North Tower", version=SnmpVersion.V2C).credentials == Credentials(SnmpVersion.V2C, Secret("from-config"))


def test_a_name_that_two_devices_have_needs_the_id():
    with pytest.raises(SettingsError, match=r"2 configured devices.*id-2, id-3"):
        choose("twin")
    assert choose("id-2").host == "10.0.0.2"


def test_a_device_that_is_named_like_an_address_is_found_by_it():
    assert choose("10.0.0.5").host == "10.0.0.6"


def test_without_a_kept_configuration_the_error_says_why_it_was_not_asked():
    with pytest.raises(SettingsError, match=r"(?s)no community: set SNMP_COMMUNITY.*there is no database"):
        choose("10.0.0.1", devices=unreadable)
    with pytest.raises(SettingsError, match=r"(?s)no configured device has the name or id 'North Tower'.*there is no database"):
        choose("North Tower", devices=unreadable)
    assert "no database" in choose("tower-7", {"SNMP_COMMUNITY": "x"}, devices=unreadable).doubt


def test_two_ports_are_refused():
    with pytest.raises(SettingsError, match="port 161 and --port 162"):
        choose("10.0.0.9:161", {"SNMP_COMMUNITY": "x"}, port=162)


def test_a_prompted_community_wins_over_the_environment():
    assert source({"SNMP_COMMUNITY": "e"}, typed="typed", ask=True).of_options().community.reveal() == "typed"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"x" * 5000])
def test_a_file_that_holds_no_single_secret_is_refused_without_showing_it(tmp_path, content):
    file = tmp_path / "community"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="holds only the secret") as raised:
        source(community_file=file).of_options()
    assert "two" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"--community-file is .*absent.*No such file"):
        source(community_file=tmp_path / "absent").of_options()


def test_a_user_of_snmpv3_is_made_of_options_and_secrets_from_elsewhere(tmp_path):
    file = tmp_path / "auth"
    file.write_text("auth-secret\n")
    made = source(
        {"SNMP_PRIV_PASSWORD": "priv-secret"},
        user="noc",
        auth_protocol="sha-256",
        priv_protocol="aes",
        auth_password_file=file,
    ).of_options()
    auth, priv = (AuthProtocol.SHA_256, Secret("auth-secret")), (PrivProtocol.AES_128, Secret("priv-secret"))
    assert made.version is SnmpVersion.V3
    assert made.user == UsmUser("noc", auth, priv)


def test_the_passwords_of_snmpv3_are_prompted_for_as_the_level_wants_them():
    asked = []

    def prompt(text):
        asked.append(text)
        return "typed-secret"

    def read(**options):
        asked.clear()
        return CredentialSource(CredentialOptions(ask=True, user="noc", **options), {}, prompt).of_options().user

    assert read(level="noAuthNoPriv") == UsmUser("noc")
    assert asked == []
    assert read(level="authNoPriv", auth_protocol="SHA").priv is None
    assert asked == ["Authentication password"]
    assert read(auth_protocol="SHA", priv_protocol="AES").priv == (PrivProtocol.AES_128, Secret("typed-secret"))
    assert asked == ["Authentication password", "Privacy password"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"version": SnmpVersion.V3}, "--user"),
        ({"user": "noc", "version": SnmpVersion.V2C}, "--version 3"),
        ({"level": "authPriv"}, "--level without --user"),
        ({"user": "noc", "level": "most"}, "--level is 'most'"),
        ({"user": "noc", "level": "authNoPriv"}, "--auth-protocol is absent"),
        ({"user": "noc", "level": "authNoPriv", "auth_protocol": "SHA"}, "SNMP_AUTH_PASSWORD"),
    ],
)
def test_what_is_missing_of_a_user_is_named_by_its_option(options, wanted):
    with pytest.raises(SettingsError) as raised:
        source(**options).of_options()
    assert wanted in str(raised.value)
    assert "snmp." not in str(raised.value)


def test_a_configured_user_of_snmpv3_is_kept():
    assert choose("Secure").credentials.user == USER


def test_a_configured_user_is_not_asked_over_v2c_with_a_made_up_community():
    with pytest.raises(SettingsError, match="no community"):
        choose("Secure", version=SnmpVersion.V2C)


def test_a_community_of_any_octets_reaches_the_wire():
    """The environment hands over octets that are not UTF-8 as surrogates."""
    credentials = source({"SNMP_COMMUNITY": b"\xff\xfe".decode("utf-8", "surrogateescape")}).of_options()
    assert b"\xff\xfe" in make_security(credentials).wrap(b"")


def test_an_address_is_shown_with_its_port():
    assert target_at(Place("::1"), Credentials(), None).address == "[::1]:161"
    assert target_at(Place("10.0.0.1", 7), Credentials(), None).address == "10.0.0.1:7"
