"""What the SNMP codec costs: CPU a varbind decoded, and a request encoded.

    python benchmarks/codec.py

Prints the least of five rounds, with the machine and the date. CPU seconds of this process; nothing is sent.
"""

import time
from collections.abc import Callable

import machine

from towerops_agent.polling.course.plan import make_plan
from towerops_agent.polling.course.traits import WIDE
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message
from towerops_agent.snmp.wire.exchange import Transaction
from towerops_agent.snmp.wire.message import Community, Message, Pdu, PduType, Request, Value, Version, decode_usual

VARBINDS = 24
REQUEST_ID = 0x12345678


def least_us(work: Callable[[], object], times: int) -> float:
    """Microseconds of CPU that `work` takes, in the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds.append(time.process_time() - began)
    return min(rounds) / times * 1e6


def usual(names: list[Oid], tags: bytes, values: list[Value], request: Request) -> Callable[[], object]:
    """What decodes such an answer to this request."""
    octets = encode_message(Message(Version.V2C, b"public", Pdu(PduType.RESPONSE, REQUEST_ID, 0, 0, names, tags, values)))
    awaiting = {REQUEST_ID: Transaction(("127.0.0.1", 161), Community(Version.V2C, b"public"), request, (1.0,))}
    assert decode_usual(octets, awaiting) is not None
    return lambda: decode_usual(octets, awaiting)


INTERFACE_VARBINDS = 49


def interfaces() -> Callable[[], object]:
    """The same of eight interfaces, one of which has errors and discards: INTERFACE_VARBINDS in all."""
    request = make_plan([], range(1, 9), bytes((WIDE,)) * 16, 49).asks[0].request
    rows = [(ber.COUNTER64, 2**40 + n * 1_234_567) if n % 6 < 2 else (ber.COUNTER32, n if n < 6 else 0) for n in range(48)]
    tags, values = zip((ber.TIME_TICKS, 123_456_789), *rows, strict=True)
    return usual(list(request.names), bytes(tags), list(values), request)


def main() -> None:
    names = [parse_oid(f"1.3.6.1.2.1.31.1.1.1.6.{n}") for n in range(1, VARBINDS + 1)]
    values = [2**40 + n * 1_234_567 for n in range(VARBINDS)]
    reply = Message(
        Version.V2C, b"public", Pdu(PduType.RESPONSE, REQUEST_ID, 0, 0, names, bytes([ber.COUNTER64]) * VARBINDS, values)
    )
    octets = encode_message(reply)
    request, community = Request(tuple(names)), Community(Version.V2C, b"public")
    machine.heading("the SNMP codec: microseconds of CPU")
    sensors = usual(names, bytes([ber.COUNTER64]) * VARBINDS, [*values], request)
    machine.row("decode, a varbind of a usual answer", f"{least_us(sensors, 5000) / VARBINDS:.2f}")
    machine.row("decode, a varbind of one about interfaces", f"{least_us(interfaces(), 5000) / INTERFACE_VARBINDS:.2f}")
    machine.row("decode, a varbind of any message", f"{least_us(lambda: decode_message(octets), 5000) / VARBINDS:.2f}")
    machine.row(f"encode, a request of {VARBINDS}", f"{least_us(lambda: community.encode(request, REQUEST_ID, 0.0), 20000):.2f}")


if __name__ == "__main__":
    main()
