"""The octets by which a device answers a request for sysUpTime."""

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import Message


def answer(datagram: bytes, ticks: int = 4711, community: bytes | None = None) -> bytes:
    """The answer to this request. `community`: another one than that of the request."""
    message = decode_message(datagram)
    pdu = response(message.pdu, message.pdu.names, bytes([ber.TIME_TICKS]), [ticks])
    return encode_message(Message(message.version, community or message.community, pdu))
