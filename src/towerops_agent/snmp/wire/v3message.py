"""SNMPv3 messages with USM's security parameters: octets <-> header and data, nothing verified and nothing decrypted.

Pure. Offsets are octets from the start of the message. Source: RFC 3412 §6 and §7, RFC 3414 §2.4.
"""

from dataclasses import dataclass
from typing import Final

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber

AUTHENTICATED: Final = 0x01
ENCRYPTED: Final = 0x02
REPORTABLE: Final = 0x04
"""msgFlags (RFC 3412 §6.4)."""

USM: Final = 3
"""msgSecurityModel of USM (RFC 3411 §5)."""

_VERSION: Final = b"\x02\x01\x03"
_LARGEST: Final = ber.encode_integer(65_507)  # msgMaxSize: the most that a UDP datagram holds
_USM: Final = ber.encode_integer(USM)


@dataclass(slots=True)
class V3Message:
    """A received message. `octets`: only the message, without octets after it.

    `digest_at`: where msgAuthenticationParameters begin. `data`: the scoped PDU's octets: the whole SEQUENCE, or, if
    `flags` say ENCRYPTED, its encrypted contents.
    """

    octets: bytes
    message_id: int
    flags: int
    engine_id: bytes
    boots: int
    time_s: int
    user: bytes
    digest_at: int
    digest: bytes
    salt: bytes
    data: bytes


def decode_v3(datagram: bytes) -> V3Message:
    """One SNMPv3 message under USM (RFC 3412 §6, RFC 3414 §2.4). Octets after it are ignored, as in net-snmp.

    Raises MalformedMessage, also for flags that ask for privacy without authentication (RFC 3412 §7.2 step 5d), and
    for another security model, whose parameters can't be read here.
    """
    at, end = _contents(datagram, 0, len(datagram), ber.SEQUENCE)
    version, at = _integer(datagram, at, end)
    if version != 3:
        raise MalformedMessage(f"version {version}, expected 3", 0)
    start, stop = _contents(datagram, at, end, ber.SEQUENCE)
    message_id, start = _integer(datagram, start, stop)
    _, start = _integer(datagram, start, stop)  # msgMaxSize: our requests are smaller than the least allowed
    start, at = _contents(datagram, start, stop, ber.OCTET_STRING)
    if at - start != 1:
        raise MalformedMessage(f"flags of {at - start} octets, expected 1", start)
    flags = datagram[start]
    if flags & ENCRYPTED and not flags & AUTHENTICATED:
        raise MalformedMessage("flags that ask for privacy without authentication", start)
    model, _ = _integer(datagram, at, stop)
    if model != USM:
        raise MalformedMessage(f"security model {model}, expected {USM}", at)
    start, data_at = _contents(datagram, stop, end, ber.OCTET_STRING)
    at, stop = _contents(datagram, start, data_at, ber.SEQUENCE)
    start, at = _contents(datagram, at, stop, ber.OCTET_STRING)
    engine_id = datagram[start:at]
    boots, at = _integer(datagram, at, stop)
    time_s, at = _integer(datagram, at, stop)
    if not (0 <= boots < 1 << 31 and 0 <= time_s < 1 << 31):
        raise MalformedMessage(f"engine boots {boots} and time {time_s}: out of range", at)
    start, at = _contents(datagram, at, stop, ber.OCTET_STRING)
    user = datagram[start:at]
    digest_at, at = _contents(datagram, at, stop, ber.OCTET_STRING)
    digest = datagram[digest_at:at]
    start, at = _contents(datagram, at, stop, ber.OCTET_STRING)
    salt = datagram[start:at]
    start, stop = _contents(datagram, data_at, end, ber.OCTET_STRING if flags & ENCRYPTED else ber.SEQUENCE)
    data = datagram[start if flags & ENCRYPTED else data_at : stop]
    octets = datagram if end == len(datagram) else datagram[:end]
    return V3Message(octets, message_id, flags, engine_id, boots, time_s, user, digest_at, digest, salt, data)


def _contents(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Like ber.read_contents, which handles the unusual cases: a header has 14 values, and this halves their cost."""
    if at + 2 <= end and data[at] == tag and data[at + 1] < 0x80:
        stop = at + 2 + data[at + 1]
        if stop <= end:
            return at + 2, stop
    return ber.read_contents(data, at, end, tag)


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """As ber.read_integer."""
    if at + 2 <= end and data[at] == ber.INTEGER and 1 <= data[at + 1] <= 8:
        stop = at + 2 + data[at + 1]
        if stop <= end:
            return int.from_bytes(data[at + 2 : stop], "big", signed=True), stop
    return ber.read_integer(data, at, end)


def scoped_pdu_at(scoped: bytes) -> tuple[int, int]:
    """Where the PDU in a scoped PDU begins, and where the scoped PDU ends (RFC 3412 §6.8). Raises MalformedMessage.

    Context engine ID and name are skipped: the message's security covers them.
    """
    at, end = _contents(scoped, 0, len(scoped), ber.SEQUENCE)
    _, at = _contents(scoped, at, end, ber.OCTET_STRING)
    _, at = _contents(scoped, at, end, ber.OCTET_STRING)
    return at, end


def context_name(scoped: bytes) -> bytes:
    """The name of a scoped PDU's context. Raises MalformedMessage."""
    at, end = _contents(scoped, 0, len(scoped), ber.SEQUENCE)
    _, at = _contents(scoped, at, end, ber.OCTET_STRING)
    start, stop = _contents(scoped, at, end, ber.OCTET_STRING)
    return scoped[start:stop]


def encode_v3(message_id: int, flags: int, parameters: bytes, data: bytes) -> bytes:
    """A message. `message_id`: 0x01000000 to 0x7fffffff; `parameters`: from encode_parameters; `data`: as sent."""
    head = b"\x02\x04" + message_id.to_bytes(4, "big") + _LARGEST + bytes((0x04, 0x01, flags)) + _USM
    body = _VERSION + b"\x30" + bytes((len(head),)) + head + parameters + data
    return b"\x30" + ber.encode_length(len(body)) + body


def encode_parameters(engine: bytes, user: bytes, digest_octets: int = 0, salt: bytes = b"") -> bytes:
    """USM's security parameters, with zeros for the digest.

    `engine`: msgAuthoritativeEngineID, -Boots and -Time, encoded; `user`: msgUserName, encoded.
    """
    end = bytes((0x04, digest_octets)) + bytes(digest_octets) + bytes((0x04, len(salt))) + salt
    return ber.encode(ber.OCTET_STRING, ber.encode(ber.SEQUENCE, engine + user + end))


def encode_scoped_pdu(engine_id: bytes, pdu: bytes, context: bytes = b"\x04\x00") -> bytes:
    """`pdu` in a context of the engine `engine_id`. `context`: its name, encoded; by default the default context."""
    return ber.encode(ber.SEQUENCE, ber.encode(ber.OCTET_STRING, engine_id) + context + pdu)
