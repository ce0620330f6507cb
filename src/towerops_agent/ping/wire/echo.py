"""ICMP and ICMPv6 echo messages as octets.

An echo request carries 56 octets, as ping's does. They begin with the number of its round and a token that nobody can guess: so
a reply shows which echo it answers, whatever its identifier, which the kernel rewrites for unprivileged sockets.
Pure. Source: RFC 792 (echo), RFC 4443 §4.1 and §4.2, RFC 1071 (checksum).
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

TOKEN_OCTETS: Final = 8
PAYLOAD_OCTETS: Final = 56

_HEADER: Final = Struct(">BBHHH")  # type, code, checksum, identifier, sequence number
_ECHO: Final = Struct(f">BBHHHI{TOKEN_OCTETS}s")  # and the round's number and token
_PAD: Final = bytes(range(_ECHO.size, _HEADER.size + PAYLOAD_OCTETS))
_WORDS: Final = Struct(f">{(_HEADER.size + PAYLOAD_OCTETS) // 2}H")

_REQUEST: Final = (8, 128)  # of ICMP, of ICMPv6
_REPLY: Final = (0, 129)

_IPV4_LEAST_OCTETS: Final = 20


@dataclass(frozen=True, slots=True)
class Echo:
    """One echo. `number`, `token`: of its round; `sequence`: 0..65535, the next one for each echo of a device."""

    number: int
    token: bytes
    sequence: int


def encode_request(echo: Echo, *, is_v6: bool, identifier: int = 0) -> bytes:
    """The ICMP message of this echo request, 64 octets. The kernel replaces an ICMPv6 message's checksum of 0."""
    message = _ECHO.pack(_REQUEST[is_v6], 0, 0, identifier, echo.sequence, echo.number, echo.token) + _PAD
    if is_v6:
        return message
    return _ECHO.pack(_REQUEST[is_v6], 0, _checksum(message), identifier, echo.sequence, echo.number, echo.token) + _PAD


def decode_reply(message: bytes, *, is_v6: bool) -> tuple[int, Echo] | None:
    """The identifier and the echo of an echo reply; None if the message is anything else."""
    if len(message) < _ECHO.size:
        return None
    kind, code, _, identifier, sequence, number, token = _ECHO.unpack_from(message)
    if kind != _REPLY[is_v6] or code:
        return None
    return identifier, Echo(number, token, sequence)


def without_ip_header(packet: bytes) -> bytes:
    """The ICMP message in an IPv4 packet, as a raw socket receives it; b"" if there is none (RFC 791 §3.1)."""
    if len(packet) < _IPV4_LEAST_OCTETS or packet[0] >> 4 != 4:
        return b""
    octets = (packet[0] & 0xF) * 4
    return packet[octets:] if octets >= _IPV4_LEAST_OCTETS else b""


def _checksum(message: bytes) -> int:
    words: tuple[int, ...] = _WORDS.unpack(message)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
