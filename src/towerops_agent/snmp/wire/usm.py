"""The User-based Security Model: wraps a device's SNMPv3 messages, and decides which answers are the device's own.

One UsmSecurity per device (address and user), never shared by engine ID: devices cloned from one image have the same. It learns
the engine by discovery (RFC 3414 §4), keeps its time, and starts again by itself when the device restarted or was replaced.
It trusts a response only at the user's own security level, authenticated and in the time window. It trusts an unauthenticated
report, as most have to be, only as an answer to a message of ours (its message ID is random), and the report can only make us ask
again, or end this one request with its reason if no authentic answer follows (exchange.py). An engine that was authentic once is
not replaced because of such a report, but found again by a discovery.
Pure: `now` is passed in, and so are keys (snmp/engines.py makes them) and the random start of the salts.
Source: RFC 3414 §3 and §4, RFC 3412 §7.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from towerops_agent.errors import MalformedMessage
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_pdu
from towerops_agent.snmp.wire.message import Community, Message, Pdu, PduType, Request, Version
from towerops_agent.snmp.wire.usm_engine import Engine, EngineChange
from towerops_agent.snmp.wire.usm_keys import KeyOfPassword, LocalizedKeys, Principal, derive_keys
from towerops_agent.snmp.wire.v3message import (
    AUTHENTICATED,
    ENCRYPTED,
    REPORTABLE,
    V3Message,
    context_name,
    encode_parameters,
    encode_scoped_pdu,
    encode_v3,
    scoped_pdu_at,
)

if TYPE_CHECKING:
    from towerops_agent.snmp.wire.usm_privacy import Privacy

ENGINE_ID_OCTETS: Final = range(1, 33)  # RFC 3411 §5 requires at least 5; some firmware has fewer


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The device's engine data is noted: the same request, sent again now, may be answered.

    `reason`: for NoReply if that does not help. `authenticated`: whether it was certainly the device.
    `news`: whether it is new. If not, a request that was sent again since need not be sent once more.
    """

    reason: Reason
    authenticated: bool
    news: bool = True


Verdict = Pdu | Discard | AskAgain | Reason
"""The meaning of a message: a response, to be matched by its request-id; not a reply, and why; or why there is no reply."""

_USM_STATS: Final = parse_oid("1.3.6.1.6.3.15.1.1")
_REPORTS: Final[dict[Oid, Reason]] = {
    _USM_STATS + bytes((number, 0)): reason
    for number, reason in (
        (1, Reason.UNSUPPORTED_SECURITY_LEVEL),
        (2, Reason.NOT_IN_TIME_WINDOW),
        (3, Reason.UNKNOWN_USER),
        (4, Reason.UNKNOWN_ENGINE_ID),
        (5, Reason.WRONG_AUTH_PASSWORD),
        (6, Reason.WRONG_PRIV),
    )
} | dict.fromkeys(map(parse_oid, ("1.3.6.1.6.3.12.1.4.0", "1.3.6.1.6.3.12.1.5.0")), Reason.UNKNOWN_CONTEXT)
"""usmStats (RFC 3414 §5), snmpUnavailableContexts and snmpUnknownContexts (RFC 3413 §3.2), as the reasons of NoReply."""

_NOTHING: Final = Request(())
_UNKNOWN_ENGINE: Final = b"\x04\x00\x02\x01\x00\x02\x01\x00"


class UsmSecurity:
    """The SNMPv3 security of one device. `user`: its user; `context`: the name of the context that is asked."""

    __slots__ = (
        "_context",
        "_digest",
        "_doubtful",
        "_engine",
        "_engine_head",
        "_flags",
        "_keys",
        "_privacy",
        "_private_once",
        "_user_head",
        "context",
        "user",
    )

    version: ClassVar[Version] = Version.V3
    head: ClassVar[bytes] = b""
    """There is no community: no answer is a usual one of decode_usual."""

    def __init__(self, user: Principal, context: bytes = b"") -> None:
        self.user = user
        self.context = context
        self._context = ber.encode(ber.OCTET_STRING, context)
        self._engine = Engine()
        self._keys: LocalizedKeys | None = None
        self._digest: hmac.HMAC | None = None
        self._privacy: Privacy | None = None
        self._doubtful = True
        self._private_once = False
        self._flags = (AUTHENTICATED if user.auth else 0) | (ENCRYPTED if user.priv else 0)
        self._user_head = ber.encode(ber.OCTET_STRING, user.name)
        self._engine_head = b""

    def __repr__(self) -> str:
        return f"UsmSecurity({self.user.name!r}, ***)"

    # Keys

    @property
    def wants_keys(self) -> bool:
        """Whether it knows the engine, but not the user's keys there: `derivation` then makes them."""
        engine_id = self._engine.id
        return bool(engine_id and self.user.auth and (self._keys is None or self._keys.engine_id != engine_id))

    def derivation(self) -> Callable[[KeyOfPassword], LocalizedKeys]:
        """Makes the needed keys. Call it off the event loop: it takes milliseconds, and does not touch this object."""
        return partial(derive_keys, self.user, self._engine.id)

    def use(self, keys: LocalizedKeys, salt: int) -> None:
        """Use these keys. `salt`: a random number of 64 bits."""
        if self.user.auth is None:
            return
        self._keys = keys
        self._digest = hmac.new(keys.auth, digestmod=self.user.auth.hash_name)
        if self.user.priv is None:
            self._privacy = None
            return
        from towerops_agent.snmp.wire.usm_privacy import make_privacy  # noqa: PLC0415 -- 8 MB that few agents need

        self._privacy = make_privacy(self.user.priv, keys.priv, salt)

    # Requests

    def encode(self, request: Request, message_id: int, now: float) -> bytes:
        """The message with `request`; until the engine and its keys are known, the one that asks for the engine."""
        if self._doubtful or self.wants_keys:
            return self.encode_discovery(message_id)
        engine = self._engine
        boots, time_s = engine.boots, engine.time_s(now)
        data, salt = encode_scoped_pdu(engine.id, request.pdu(message_id), self._context), b""
        if self._privacy is not None:
            encrypted, salt = self._privacy.encrypt(data, boots, time_s)
            data = ber.encode(ber.OCTET_STRING, encrypted)
        return self._authenticated(message_id, self._flags | REPORTABLE, boots, time_s, salt, data)

    def encode_discovery(self, message_id: int) -> bytes:
        """The message that asks for the engine's ID, boots and time: without user and content (RFC 3414 §4)."""
        parameters = encode_parameters(_UNKNOWN_ENGINE, b"\x04\x00")
        return encode_v3(message_id, REPORTABLE, parameters, encode_scoped_pdu(b"", _NOTHING.pdu(message_id)))

    def encode_synchronisation(self, message_id: int) -> bytes:
        """The message that asks for boots and time: authenticated, without content (RFC 3414 §4). So is its answer."""
        if self._doubtful or self.wants_keys:
            return self.encode_discovery(message_id)
        data = encode_scoped_pdu(self._engine.id, _NOTHING.pdu(message_id), self._context)
        return self._authenticated(message_id, self._flags & AUTHENTICATED | REPORTABLE, 0, 0, b"", data)

    def _authenticated(self, message_id: int, flags: int, boots: int, time_s: int, salt: bytes, data: bytes) -> bytes:
        engine = self._engine_head + ber.encode_integer(boots) + ber.encode_integer(time_s)
        if self._digest is None or self.user.auth is None:
            return encode_v3(message_id, flags, encode_parameters(engine, self._user_head), data)
        size = self.user.auth.digest_octets
        octets = encode_v3(message_id, flags, encode_parameters(engine, self._user_head, size, salt), data)
        digest = self._digest.copy()
        digest.update(octets)
        end = len(octets) - len(data) - len(salt) - 2  # the digest is before salt and data
        return octets[: end - size] + digest.digest()[:size] + octets[end:]

    # Answers

    def refuses(self, message: Message) -> Discard | None:  # noqa: ARG002 - as Community has it
        """Why an SNMPv1 or v2c message does not answer one of ours."""
        return Discard.WRONG_VERSION

    def open(self, message: V3Message, now: float) -> Verdict:
        """The meaning of `message`, which has the ID of one of ours and came from the device. Raises MalformedMessage."""
        authenticated = bool(message.flags & AUTHENTICATED)
        if authenticated:
            if message.engine_id != self._engine.id or self._keys is None or self.wants_keys:
                return Discard.FOREIGN_ENGINE
            if message.user != self.user.name:
                return Discard.WRONG_USER
            if not self._is_authentic(message):
                return Discard.WRONG_DIGEST
            if not self._engine.hear(message.boots, message.time_s, now):
                self._engine.accept(message.boots, message.time_s, now)
                return AskAgain(Reason.NOT_IN_TIME_WINDOW, True)
        scoped = message.data
        if message.flags & ENCRYPTED:
            if self._privacy is None:
                return Discard.WRONG_SECURITY_LEVEL
            try:
                scoped = self._privacy.decrypt(scoped, message.boots, message.time_s, message.salt)
                at, end = scoped_pdu_at(scoped)
            except MalformedMessage:
                return Reason.WRONG_PRIV  # the device's, but noise with our key
        else:
            at, end = scoped_pdu_at(scoped)
        pdu = decode_pdu(scoped, at, end)
        if pdu.type == PduType.REPORT:
            return self._take_report(pdu, message, authenticated, now)
        if pdu.type != PduType.RESPONSE:
            return Discard.NOT_A_RESPONSE
        if message.flags & (AUTHENTICATED | ENCRYPTED) != self._flags:
            return Discard.WRONG_SECURITY_LEVEL
        if message.engine_id != self._engine.id:
            return Discard.FOREIGN_ENGINE
        if message.user != self.user.name:
            return Discard.WRONG_USER
        if self.context and context_name(scoped) != self.context:
            return Discard.WRONG_CONTEXT
        self._doubtful = False
        self._private_once = self._private_once or self.user.priv is not None
        return pdu

    def _is_authentic(self, message: V3Message) -> bool:
        if self._digest is None or self.user.auth is None:
            return False
        size = self.user.auth.digest_octets
        if len(message.digest) != size:
            return False
        octets, at = message.octets, message.digest_at
        digest = self._digest.copy()
        digest.update(octets[:at] + bytes(size) + octets[at + size :])
        return hmac.compare_digest(digest.digest()[:size], message.digest)

    def _take_report(self, pdu: Pdu, message: V3Message, authenticated: bool, now: float) -> Verdict:
        """Reports with the ID of a message of ours are trusted as described above (RFC 3414 §3.2, RFC 3412 §7.1 step 3)."""
        reason = _REPORTS.get(pdu.names[0]) if pdu.names else None
        if reason is None:
            return Discard.UNKNOWN_REPORT
        if reason is Reason.UNKNOWN_ENGINE_ID or self._doubtful:  # some answer a discovery with another report, which is as good
            if len(message.engine_id) not in ENGINE_ID_OCTETS:
                return Discard.NO_ENGINE_ID
            if message.engine_id == self._engine.id and not self._doubtful:
                return AskAgain(Reason.UNKNOWN_ENGINE_ID, authenticated, news=False)  # another discovery was answered first
            if self._engine.verified and not self._doubtful:
                return Reason.UNKNOWN_ENGINE_ID
            self._know(message, now)
            return AskAgain(Reason.UNKNOWN_ENGINE_ID, authenticated)
        if message.engine_id != self._engine.id:
            return Discard.FOREIGN_ENGINE
        if reason is Reason.NOT_IN_TIME_WINDOW:
            self._engine.suppose(message.boots, message.time_s, now)
            return AskAgain(reason, authenticated)
        return reason

    def _know(self, message: V3Message, now: float) -> None:
        if message.engine_id != self._engine.id:
            self._private_once = False
        self._engine.identify(message.engine_id)
        self._engine.suppose(message.boots, message.time_s, now)
        self._engine_head = ber.encode(ber.OCTET_STRING, message.engine_id)
        self._doubtful = False

    # What is known

    @property
    def suspects_privacy(self) -> bool:
        """Whether the engine is known and no encrypted answer was ever read: silence may mean a wrong privacy key."""
        return self.user.priv is not None and not self._private_once and not self._doubtful

    def forget(self) -> None:
        """The device is silent: start with a discovery the next time. The keys are kept, for an engine of the same ID."""
        self._doubtful = True
        self._private_once = False
        self._engine.doubt()

    def take_changes(self) -> list[EngineChange]:
        """The changes of the engine since the last call."""
        changes, self._engine.changes = self._engine.changes, []
        return changes


Security = Community | UsmSecurity
"""How messages to and from a device are secured. A union, not an interface: v1 and v2c have no counterpart of v3's reports, keys
and engine time. Both have a `version`, `encode` a request with an ID at a time, say whether they need keys, and refuse the
other's messages."""
