"""USM keys: the vectors of RFC 3414, and what users can't be. That longer hashes and keys are right is seen against snmpd."""

import pytest

from towerops_agent import model
from towerops_agent.polling.course.device import make_security
from towerops_agent.snmp.wire.usm_keys import AuthScheme, Principal, PrivScheme, derive_keys, localize, password_to_key

ENGINE_ID = bytes(11) + b"\x02"


@pytest.mark.parametrize(
    ("hash_name", "key", "localized"),
    [
        ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        ("sha1", "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f"),
    ],
)
def test_keys_are_those_of_rfc_3414(hash_name, key, localized):
    """Appendix A.3.1 and A.3.2: the password "maplesyrup"."""
    assert password_to_key(hash_name, b"maplesyrup").hex() == key
    assert localize(hash_name, bytes.fromhex(key), ENGINE_ID).hex() == localized


@pytest.mark.parametrize("auth", AuthScheme)
@pytest.mark.parametrize("priv", PrivScheme)
def test_a_privacy_key_is_as_long_as_its_cipher_wants(auth, priv):
    keys = derive_keys(Principal(b"u", auth, b"one-for-both", priv, b"one-for-both"), ENGINE_ID)
    assert len(keys.priv) == priv.key_octets
    assert keys.auth[: len(keys.priv)] == keys.priv[: len(keys.auth)]  # of one password, before one of them is extended


def test_the_two_extensions_differ_if_a_key_is_extended_and_only_then():
    def key(auth, priv):
        return derive_keys(Principal(b"u", auth, b"auth-pass-1", priv, b"priv-pass-1"), ENGINE_ID).priv

    assert key(AuthScheme.SHA, PrivScheme.AES_256) != key(AuthScheme.SHA, PrivScheme.AES_256_C)
    assert key(AuthScheme.SHA, PrivScheme.AES_256)[:20] == key(AuthScheme.SHA, PrivScheme.AES_256_C)[:20]
    assert key(AuthScheme.SHA_256, PrivScheme.AES_256) == key(AuthScheme.SHA_256, PrivScheme.AES_256_C)


WITHOUT_AUTH = "a user with privacy and without authentication: expected both, only authentication, or neither"
EMPTY = "a protocol with an empty password: expected one"


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        (WITHOUT_AUTH, (None, b"", PrivScheme.AES_128, b"priv-pass-1")),
        (EMPTY, (AuthScheme.SHA, b"")),
        (EMPTY, (AuthScheme.SHA, b"auth-pass-1", PrivScheme.AES_128, b"")),
    ],
)
def test_a_user_who_can_t_be_is_refused(what, arguments):
    with pytest.raises(ValueError, match=f"^{what}$"):
        Principal(b"u", *arguments)


def test_keys_of_a_user_without_authentication_are_refused():
    with pytest.raises(ValueError, match="has no keys"):
        derive_keys(Principal(b"u"), ENGINE_ID)


def test_each_protocol_of_the_configuration_is_the_engine_s_of_that_name():
    """None is left out, and none is another one."""
    assert [protocol.name for protocol in model.AuthProtocol] == [protocol.name for protocol in AuthScheme]
    assert [protocol.name for protocol in model.PrivProtocol] == [protocol.name for protocol in PrivScheme]
    for auth in model.AuthProtocol:
        for priv in model.PrivProtocol:
            user = make_security(credentials(auth, priv)).user
            assert (user.auth.name, user.priv.name) == (auth.name, priv.name)


def credentials(auth=model.AuthProtocol.SHA, priv=model.PrivProtocol.AES_128, *, name="poller", password="auth-pass-1"):
    user = model.UsmUser(name, (auth, model.Secret(password)), (priv, model.Secret("priv-pass-1")))
    return model.Credentials(model.SnmpVersion.V3, user=user)


def test_a_user_s_security_is_kept_as_long_as_nothing_about_the_user_changes():
    before = make_security(credentials())
    assert make_security(credentials(), before) is before
    assert make_security(credentials(password="another-one"), before) is not before
    assert make_security(model.Credentials(model.SnmpVersion.V2C), before) is not before
    with pytest.raises(ValueError, match="without a user"):
        make_security(model.Credentials(model.SnmpVersion.V3))


def test_neither_a_user_nor_keys_nor_a_security_show_a_secret():
    security = make_security(credentials(password="s3cret-s3cret"))
    keys = derive_keys(security.user, ENGINE_ID)
    security.use(keys, 1)
    shown = repr(security) + str(security) + repr(security.user) + repr(keys)
    assert "s3cret" not in shown
    assert "poller" in shown
    assert repr(keys.auth)[2:-1] not in shown
