"""The SNMPv3 side of a simulated device: an authoritative engine with one user.

message -> engine, user, level, digest, time, decryption -> PDU -> Station.respond -> message; a failure is answered with a
report. Pure: the wall clock's seconds are passed in. Source: RFC 3414 §3.1 and §3.2 (the order of the checks), §4 (discovery).
"""

import hmac
from collections.abc import Callable
from functools import cache
from typing import Final

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_pdu
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Version
from towerops_agent.snmp.wire.usm_engine import TIME_WINDOW_S
from towerops_agent.snmp.wire.usm_keys import AuthScheme, LocalizedKeys, Principal, PrivScheme, derive_keys, password_to_key
from towerops_agent.snmp.wire.usm_privacy import Privacy, make_privacy
from towerops_agent.snmp.wire.v3message import (
    AUTHENTICATED,
    ENCRYPTED,
    REPORTABLE,
    V3Message,
    context_name,
    decode_v3,
    encode_parameters,
    encode_scoped_pdu,
    encode_v3,
    scoped_pdu_at,
)

USER: Final = Principal(b"towerops", AuthScheme.SHA_256, b"towerops-auth", PrivScheme.AES_128, b"towerops-priv")
"""The default user of a simulated device. Public."""

_LEVEL: Final = 1
_TIME: Final = 2
_USER: Final = 3
_ENGINE_ID: Final = 4
_DIGEST: Final = 5
_DECRYPTION: Final = 6
_CONTEXT: Final = 7
_STATS: Final = {number: parse_oid(f"1.3.6.1.6.3.15.1.1.{number}.0") for number in range(1, 7)} | {
    _CONTEXT: parse_oid("1.3.6.1.6.3.12.1.5.0")
}
"""usmStats (RFC 3414 §5), and snmpUnknownContexts (RFC 3413 §4.1.2): the subjects of a report."""

Respond = Callable[[int, bytes, float, int], bytes | None]
"""As Station.respond."""


@cache
def _key(hash_name: str, password: bytes) -> bytes:
    """Ku, made once for all devices: it costs a millisecond."""
    return password_to_key(hash_name, password)


def address_engine_id(packed: bytes) -> bytes:
    """An engine ID made of an IPv4 address (RFC 3411 §5, format 1; the enterprise is net-snmp's)."""
    return b"\x80\x00\x1f\x88\x01" + packed


class Engine:
    """An engine with this ID and user. `boots` and `started_s`: how often it has started, and when last."""

    def __init__(self, engine_id: bytes, started_s: float, user: Principal = USER) -> None:
        self.boots = 1
        self.started_s = started_s
        self._id = engine_id
        self._user = user
        self._level = (AUTHENTICATED if user.auth else 0) | (ENCRYPTED if user.priv else 0)
        self._keys: LocalizedKeys | None = None
        self._privacy: Privacy | None = None
        self._reported = dict.fromkeys(_STATS, 0)

    def restart(self, now_s: float) -> None:
        """Start again, and count that."""
        self.boots += 1
        self.started_s = now_s

    def answer(self, datagram: bytes, now_s: float, respond: Respond, max_octets: int) -> bytes | None:
        """The message that answers a request's; None if there is none. Raises MalformedMessage."""
        message = decode_v3(datagram)
        problem = self._problem(message, now_s)
        if problem is not None:
            return self._report(message, problem, now_s)
        scoped = message.data
        if message.flags & ENCRYPTED:
            try:
                scoped = self._ciphers().decrypt(scoped, message.boots, message.time_s, message.salt)
                at, end = scoped_pdu_at(scoped)
            except MalformedMessage:
                return self._report(message, _DECRYPTION, now_s)
        at, end = scoped_pdu_at(scoped)
        if context_name(scoped):  # all values are in the default one, which has no name
            return self._report(message, _CONTEXT, now_s)
        request = scoped[at:end]
        if message.flags & (AUTHENTICATED | ENCRYPTED) != self._level:
            pdu = _refusal(request)
        else:
            found = respond(Version.V2C, request, now_s, max_octets - 160)
            if found is None:
                return None
            pdu = found
        return self._encode(message.message_id, message.flags & (AUTHENTICATED | ENCRYPTED), pdu, now_s)

    def _problem(self, message: V3Message, now_s: float) -> int | None:
        """Which of usmStats counts the message, in the order of RFC 3414 §3.2; None for one to be answered."""
        if message.engine_id != self._id:
            return _ENGINE_ID
        if message.user != self._user.name:
            return _USER
        if message.flags & (AUTHENTICATED | ENCRYPTED) & ~self._level:
            return _LEVEL
        if not message.flags & AUTHENTICATED:
            return None
        if not self._is_authentic(message):
            return _DIGEST
        late_s = abs(message.time_s - self._time_s(now_s))
        return _TIME if message.boots != self.boots or late_s > TIME_WINDOW_S else None

    def _report(self, message: V3Message, number: int, now_s: float) -> bytes | None:
        """A report (RFC 3414 §3.2): not authenticated, except for what is found after the sender was: the time and the context.

        The sender then can trust it. One about a context is encrypted as well if the request was (RFC 3413 §3.2).
        """
        if not message.flags & REPORTABLE:
            return None
        self._reported[number] += 1
        try:
            request_id = decode_pdu(message.data, *scoped_pdu_at(message.data)).request_id if not message.flags & ENCRYPTED else 0
        except MalformedMessage:
            request_id = 0
        name = ber.encode(ber.OBJECT_IDENTIFIER, _STATS[number])
        varbind = ber.encode(ber.SEQUENCE, name + ber.encode_integer(self._reported[number], ber.COUNTER32))
        body = ber.encode_integer(request_id) + b"\x02\x01\x00\x02\x01\x00" + ber.encode(ber.SEQUENCE, varbind)
        flags = {_TIME: AUTHENTICATED, _CONTEXT: message.flags & (AUTHENTICATED | ENCRYPTED)}.get(number, 0)
        return self._encode(message.message_id, flags, ber.encode(PduType.REPORT, body), now_s, message.user)

    def _encode(self, message_id: int, flags: int, pdu: bytes, now_s: float, user: bytes | None = None) -> bytes:
        time_s = self._time_s(now_s)
        engine = ber.encode(ber.OCTET_STRING, self._id) + ber.encode_integer(self.boots) + ber.encode_integer(time_s)
        name = ber.encode(ber.OCTET_STRING, self._user.name if user is None else user)
        data, salt = encode_scoped_pdu(self._id, pdu), b""
        if flags & ENCRYPTED:
            encrypted, salt = self._ciphers().encrypt(data, self.boots, time_s)
            data = ber.encode(ber.OCTET_STRING, encrypted)
        auth = self._user.auth
        if not flags & AUTHENTICATED or auth is None:
            return encode_v3(message_id, flags, encode_parameters(engine, name), data)
        size = auth.digest_octets
        octets = encode_v3(message_id, flags, encode_parameters(engine, name, size, salt), data)
        end = len(octets) - len(data) - len(salt) - 2  # the digest is before salt and data
        return octets[: end - size] + self._digest(octets)[:size] + octets[end:]

    def _is_authentic(self, message: V3Message) -> bool:
        size = self._user.auth.digest_octets if self._user.auth else 0
        at = message.digest_at
        blank = message.octets[:at] + bytes(size) + message.octets[at + size :]
        return len(message.digest) == size and hmac.compare_digest(self._digest(blank)[:size], message.digest)

    def _digest(self, octets: bytes) -> bytes:
        auth = self._user.auth
        return hmac.digest(self._localized().auth, octets, auth.hash_name) if auth else b""

    def _ciphers(self) -> Privacy:
        if self._privacy is None:
            if self._user.priv is None:
                raise MalformedMessage("an encrypted message to a user without privacy", 0)
            self._privacy = make_privacy(self._user.priv, self._localized().priv, int(self.started_s * 1e6))
        return self._privacy

    def _localized(self) -> LocalizedKeys:
        if self._keys is None:
            self._keys = derive_keys(self._user, self._id, _key)
        return self._keys

    def _time_s(self, now_s: float) -> int:
        return max(0, int(now_s - self.started_s))


def _refusal(request: bytes) -> bytes:
    """authorizationError: the user may read, but not at this level (RFC 3413 §3.2)."""
    body = ber.encode_integer(decode_pdu(request, 0, len(request)).request_id)
    return ber.encode(PduType.RESPONSE, body + ber.encode_integer(ErrorStatus.authorizationError) + b"\x02\x01\x00\x30\x00")
