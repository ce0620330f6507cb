"""A set of credentials becomes the contract's fields; what is a secret is known, and no mistake shows it."""

import pytest

from towerops_agent.errors import InvalidConfig
from towerops_agent.site.document.credentials import KEYS, Secrets, SnmpFields, snmp_fields
from towerops_agent.site.document.nodes import Mistake, Problem, Section, compose

HELD = {("file", "c"): "hush-community", ("env", "A"): "hush-auth-1", ("file", "p"): "hush-priv-1"}


def held(how: str, name: str) -> str:
    if (how, name) not in HELD:
        raise InvalidConfig(f"the {how} {name} is not there")
    return HELD[how, name]


def read(text: str, warnings: list[Problem] | None = None, secrets: Secrets = held) -> SnmpFields:
    section = Section("a.yaml", "credentials 'a'", compose("a.yaml", f"{{{text}}}".encode()), KEYS)
    return snmp_fields(section, secrets, [] if warnings is None else warnings)


@pytest.mark.parametrize(
    ("text", "wire", "secret"),
    [
        ("", {}, set()),
        ("community: public", {"community": "public"}, set()),
        ("community: public, username: , level: , auth: , priv: ", {"community": "public"}, set()),
        ("community_file: c", {"community": "hush-community"}, {"community"}),
        ("version: 1, community: x", {"version": "1", "community": "x"}, {"community"}),
        ("username: u", {"version": "3", "v3_username": "u"}, set()),
        ("version: v3, username: u", {"version": "v3", "v3_username": "u"}, set()),
        (
            "username: u, context: x, auth: SHA-256, auth_password_env: A, priv: AES, priv_password_file: p, level: authPriv",
            {
                "version": "3",
                "v3_username": "u",
                "v3_context_name": "x",
                "v3_auth_protocol": "SHA-256",
                "v3_auth_password": "hush-auth-1",
                "v3_priv_protocol": "AES",
                "v3_priv_password": "hush-priv-1",
                "v3_security_level": "authPriv",
            },
            {"v3_auth_password", "v3_priv_password"},
        ),
        (
            "username: u, auth: SHA, auth_password_env: A, priv: AES, level: authNoPriv",
            {
                "version": "3",
                "v3_username": "u",
                "v3_auth_protocol": "SHA",
                "v3_auth_password": "hush-auth-1",
                "v3_priv_protocol": "AES",
                "v3_security_level": "authNoPriv",
            },
            {"v3_auth_password"},
        ),
    ],
)
def test_a_set_is_the_contracts_fields_and_its_secrets_are_known(text, wire, secret):
    fields = read(text)
    assert (fields.wire, fields.secret) == (wire, secret)
    assert repr(fields) == f"SnmpFields({', '.join(fields.wire)})", "their names, and no value"


def test_a_secret_in_a_block_of_yaml_has_no_end_of_line_and_blanks_around_one_are_said():
    warnings: list[Problem] = []
    section = Section("a.yaml", "credentials 'a'", compose("a.yaml", b"community: |\n  hush\n"), KEYS)
    assert snmp_fields(section, held, warnings).wire == {"community": "hush"}
    assert len(warnings) == 1
    assert read("community: ' hush'", warnings := []).wire == {"community": " hush"}
    assert warnings[1].text == "community has blanks around it, which are sent as a part of it: expected none"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("community: hush", "community"),
        ("username: u, auth: SHA, auth_password: hushhush", "auth_password"),
        ("username: u, auth: SHA, auth_password_env: A, priv: AES, priv_password: hushhush", "priv_password"),
        ("username: u, auth: SHA, auth_password: public12", "auth_password"),
    ],
)
def test_a_secret_that_stands_in_the_file_is_used_with_a_warning_at_its_place(text, name):
    warnings: list[Problem] = []
    assert read(text, warnings).secret
    (warning,) = warnings
    assert warning.text == f"{name} stands in the file: better {name}_file or {name}_env, which keep it out"
    assert text[warning.place.column - 2 :] in ("hush", "hushhush", "public12")


def test_a_secret_by_file_or_variable_and_the_community_public_deserve_no_warning():
    warnings: list[Problem] = []
    read("community: public", warnings)
    read("community_file: c", warnings)
    assert warnings == []


@pytest.mark.parametrize(
    ("secret", "around"), [('"hush"', "quotes"), ("'hush'", "quotes"), (" hush", "blanks"), ("hush\r", "blanks")]
)
def test_quotes_and_blanks_around_a_secret_are_sent_with_a_warning(secret, around):
    """Docker's --env-file leaves them in a variable: the device is silent to such a community, and nothing else says why."""
    warnings: list[Problem] = []
    assert read("community_env: RADIOS", warnings, lambda *_: secret).wire == {"community": secret}
    (warning,) = warnings
    assert warning.text == f"community has {around} around it, which are sent as a part of it: expected none"
    assert warning.place.column == 17


@pytest.mark.parametrize("secret", ["hu'sh", "hush'", '"', "hu sh"])
def test_a_quote_or_blank_within_a_secret_deserves_no_warning(secret):
    warnings: list[Problem] = []
    assert read("community_env: RADIOS", warnings, lambda *_: secret).wire == {"community": secret}
    assert warnings == []


# The text, and of its mistake the text at its place, and what is said.
MISTAKES = {
    "comunity: x": ("comunity", "comunity is not a key of credentials 'a': expected community"),
    "version: 4": ("4", 'version is \'4\': expected "1", "2c" or "3"'),
    "version: 3": ("{", "username is absent: expected a text"),
    "community: ": ("community", "community is empty: expected a text"),
    "community: ~": ("community", "community is empty: expected a text"),
    "version: , username: , context: ~": (
        "{",
        "credentials 'a': each field is empty: expected a community, or a username",
    ),
    "community_file: ": ("community_file", "community_file is empty: expected a text"),
    "username: u, auth_password_env: null": ("auth_password_env", "auth_password_env is empty: expected a text"),
    **{
        f"username: u, {key}: !hush-hush ": (
            "!hush",
            f"{key} begins with !, which YAML takes for a tag: expected it in quotes",
        )
        for key in ("context", "auth_password", "priv_password_file")
    },
    "community: [hush]": ("[hush", "community is a list: expected a text"),
    "community_file: lost": ("lost", "the file lost is not there"),
    "community_env: c": ("c}", "the env c is not there"),
    "community_file: c, community_env: A": ("A}", "community_file and community_env are both given: expected one of them"),
    "community_env: A, community: hush": ("A, ", "community and community_env are both given: expected one of them"),
    "username: u, auth: SHA, auth_password: hush": (
        "hush",
        "auth_password is too short: expected at least 8 characters (RFC 3414 §11.2)",
    ),
    "username: u, auth: SHA3, auth_password_env: A": (
        "SHA3",
        "auth is 'SHA3': expected one of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512",
    ),
    "username: u, level: authPriv, auth: SHA, auth_password_env: A, priv: AES": (
        "{",
        "priv_password is absent: expected a password, as the security level is authPriv",
    ),
    "username: u, level: high": ("high", "level is 'high': expected noAuthNoPriv, authNoPriv or authPriv"),
    "username: u, auth: SHA": ("SHA", "auth is given without auth_password: expected both, or neither"),
    "username: u, auth: SHA, auth_password_env: A, priv: AES": (
        "AES",
        "priv is given without priv_password: expected both, or neither",
    ),
    "version: 2c, username: u": ("u}", "username is not of SNMP version 2c: expected it only with the other one"),
    "version: 1, priv_password_file: p": (
        "p}",
        "priv_password_file is not of SNMP version 1: expected it only with the other one",
    ),
    "username: u, community_file: c": ("c}", "community_file is not of SNMP version 3: expected it only with the other one"),
    "version: 3, username: u, community: hush": (
        "hush",
        "community is not of SNMP version 3: expected it only with the other one",
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_of_credentials_is_one_sentence_at_its_place_without_a_secret(text):
    with pytest.raises(Mistake) as caught:
        read(text)
    begin, said = MISTAKES[text]
    problem = caught.value.problem
    assert problem.text == said
    assert f"{{{text}}}"[problem.place.column - 1 :].startswith(begin)
    assert "hush" not in str(caught.value)
