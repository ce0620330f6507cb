"""The other side of USM, in memory: an authoritative engine with one user, as RFC 3414 §3.2 has it. Time is passed in."""

import hmac
import itertools
from functools import cache

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_pdu, encode_pdu, response
from towerops_agent.snmp.wire.message import Pdu, PduType
from towerops_agent.snmp.wire.usm_keys import AuthScheme, Principal, PrivScheme, derive_keys, password_to_key
from towerops_agent.snmp.wire.usm_privacy import make_privacy
from towerops_agent.snmp.wire.v3message import (
    AUTHENTICATED,
    ENCRYPTED,
    REPORTABLE,
    context_name,
    decode_v3,
    encode_parameters,
    encode_scoped_pdu,
    encode_v3,
    scoped_pdu_at,
)

ENGINE_ID = bytes.fromhex("80001f8880e9630000d61ff449")
UNSUPPORTED_LEVEL, NOT_IN_WINDOW, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, DECRYPTION = range(1, 7)
UNKNOWN_CONTEXTS = parse_oid("1.3.6.1.6.3.12.1.5.0")
USM_STATS = parse_oid("1.3.6.1.6.3.15.1.1")


def user(
    auth=AuthScheme.SHA_256,
    priv=PrivScheme.AES_128,
    *,
    name=b"poller",
    auth_password=b"auth-pass-1",
    priv_password=b"priv-pass-1",
):
    """A user of this security level."""
    return Principal(name, auth, auth_password if auth else b"", priv, priv_password if priv else b"")


key_of = cache(password_to_key)
"""Each password's key, made once for all tests: it costs a hash of a megabyte."""


def keys_of(wanted, engine_id):
    """The user's keys at an engine."""
    return derive_keys(wanted, engine_id, key_of)


def equip(security):
    """Give `security` the keys that it wants, at once."""
    if security.wants_keys:
        security.use(security.derivation()(key_of), 2**64 - 2)


class UsmAgent:
    """Answers each varbind with a number, the next one each time. `boots`, `booted_at`: in the seconds that are passed in.

    `context`: the name of the only one that it has.
    `mute_on_noise`: silent if it can't read what was decrypted, as net-snmp is; else it reports a decryption error.
    """

    def __init__(self, served, engine_id=ENGINE_ID, boots=3, booted_at=-1000.0, *, mute_on_noise=True, context=b""):
        self.user = served
        self.engine_id = engine_id
        self.boots = boots
        self.booted_at = booted_at
        self.mute_on_noise = mute_on_noise
        self.context = context
        self.answered = 0
        self.seen = []  # what each message was: a report's number, or the type of a PDU
        self._salts = itertools.count(7)

    @property
    def level(self):
        return (AUTHENTICATED if self.user.auth else 0) | (ENCRYPTED if self.user.priv else 0)

    def reboot(self, at, boots=None):
        self.boots = self.boots + 1 if boots is None else boots
        self.booted_at = at

    def answer(self, datagram, now):
        """What it sends back; None: nothing."""
        message = decode_v3(datagram)
        assert message.flags & REPORTABLE
        flags = message.flags & (AUTHENTICATED | ENCRYPTED)
        if message.engine_id != self.engine_id:
            return self.report(message, UNKNOWN_ENGINE, now)
        if message.user != self.user.name:
            return self.report(message, UNKNOWN_USER, now)
        if flags & ~self.level:
            return self.report(message, UNSUPPORTED_LEVEL, now)
        if flags & AUTHENTICATED:
            if not self._authentic(message):
                return self.report(message, WRONG_DIGEST, now)
            if message.boots != self.boots or abs(message.time_s - self.time_s(now)) > 150:
                return self.report(message, NOT_IN_WINDOW, now, AUTHENTICATED)
        scoped = message.data
        if flags & ENCRYPTED:
            privacy = make_privacy(self.user.priv, keys_of(self.user, self.engine_id).priv, 0)
            try:
                scoped = privacy.decrypt(scoped, message.boots, message.time_s, message.salt)
                pdu = decode_pdu(scoped, *scoped_pdu_at(scoped))
            except ValueError:
                return None if self.mute_on_noise else self.report(message, DECRYPTION, now)
        else:
            pdu = decode_pdu(scoped, *scoped_pdu_at(scoped))
        if context_name(scoped) != self.context:
            self.seen.append("context")
            pdu = Pdu(PduType.REPORT, pdu.request_id, 0, 0, [UNKNOWN_CONTEXTS], bytes([ber.COUNTER32]), [1])
            return self.message(message.message_id, pdu, now, context=context_name(scoped))
        self.seen.append(PduType(pdu.type))
        return self.respond(message.message_id, pdu, now)

    def respond(
        self,
        message_id,
        asked,
        now,
        *,
        flags=None,
        engine_id=None,
        boots=None,
        time_s=None,
        name=None,
        request_id=None,
        context=None,
    ):
        """The response to `asked`, as it should be but for what is said otherwise."""
        values = []
        for _ in asked.names:
            self.answered += 1
            values.append(self.answered)
        pdu = response(asked, asked.names, bytes([ber.GAUGE32]) * len(values), values)
        pdu.request_id = asked.request_id if request_id is None else request_id
        return self.message(
            message_id, pdu, now, flags=flags, engine_id=engine_id, boots=boots, time_s=time_s, name=name, context=context
        )

    def report(self, message, number, now, flags=0, **otherwise):
        """A report about one of usmStats (RFC 3414 §3.2)."""
        self.seen.append(number)
        pdu = Pdu(PduType.REPORT, 0, 0, 0, [USM_STATS + bytes((number, 0))], bytes([ber.COUNTER32]), [1])
        return self.message(message.message_id, pdu, now, flags=flags, name=message.user, **otherwise)

    def message(self, message_id, pdu, now, *, flags=None, engine_id=None, boots=None, time_s=None, name=None, context=None):
        """`pdu` in a message of this security level, the user's own if not given."""
        flags = self.level if flags is None else flags
        engine_id = self.engine_id if engine_id is None else engine_id
        boots = self.boots if boots is None else boots
        time_s = self.time_s(now) if time_s is None else time_s
        keys = keys_of(self.user, self.engine_id) if self.user.auth else None
        context = ber.encode(ber.OCTET_STRING, self.context if context is None else context)
        data, salt = encode_scoped_pdu(engine_id, encode_pdu(pdu), context), b""
        if flags & ENCRYPTED:
            octets, salt = make_privacy(self.user.priv, keys.priv, next(self._salts)).encrypt(data, boots, time_s)
            data = ber.encode(ber.OCTET_STRING, octets)
        head = ber.encode(ber.OCTET_STRING, engine_id) + ber.encode_integer(boots) + ber.encode_integer(time_s)
        size = self.user.auth.digest_octets if flags & AUTHENTICATED else 0
        parameters = encode_parameters(head, ber.encode(ber.OCTET_STRING, self.user.name if name is None else name), size, salt)
        octets = encode_v3(message_id, flags, parameters, data)
        if not size:
            return octets
        at = decode_v3(octets).digest_at
        digest = hmac.digest(keys.auth, octets, self.user.auth.hash_name)[:size]
        return octets[:at] + digest + octets[at + size :]

    def time_s(self, now):
        return int(now - self.booted_at)

    def _authentic(self, message):
        size = self.user.auth.digest_octets
        at, octets = message.digest_at, message.octets
        blank = octets[:at] + bytes(size) + octets[at + size :]
        return message.digest == hmac.digest(keys_of(self.user, self.engine_id).auth, blank, self.user.auth.hash_name)[:size]
