"""Cuts the octets of a TCP connection into SNMP messages: each is one BER value, whose length says where the next begins.

Pure. Sizes in octets. Source: RFC 3430 §2.1.
"""

from typing import Final

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber

MAX_MESSAGE_OCTETS: Final = 1 << 16
"""More than any answer to our requests (RFC 3430 §2.1: at least 8,192); a message that claims more ends the connection."""


class Framer:
    """One connection's incoming octets. After MalformedMessage the start of the next message is unknown: close the connection."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """The messages that are complete now. Raises MalformedMessage if no message begins there, or it is too large.

        The messages before it are lost too.
        """
        rest = self._rest
        rest += octets
        messages = []
        while (size := _size(rest)) and size <= len(rest):
            messages.append(bytes(rest[:size]))
            del rest[:size]
        return messages


def _size(octets: bytearray) -> int:
    """The size of the message that begins here; 0 while it is not known."""
    if octets and octets[0] != ber.SEQUENCE:
        raise MalformedMessage(f"tag 0x{octets[0]:02x}, expected a message", 0)
    if len(octets) < 2:
        return 0
    length, start = octets[1], 2
    if length > 0x7F:
        start = 2 + (length & 0x7F)
        if length == 0x80 or start > 2 + 8:
            raise MalformedMessage(f"length octet 0x{length:02x}", 1)
        if len(octets) < start:
            return 0
        length = int.from_bytes(octets[2:start], "big")
    if start + length > MAX_MESSAGE_OCTETS:
        raise MalformedMessage(f"a message of {start + length} octets: expected at most {MAX_MESSAGE_OCTETS}", 1)
    return start + length
