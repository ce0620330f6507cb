"""What the SNMP codec costs: CPU a varbind decoded, and a request encoded.

    python benchmarks/codec.py

Prints the least of five rounds, with the machine and the date. CPU seconds of this process; nothing is sent.
"""

import time
from collections.abc import Callable

import machine

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message
from towerops_agent.snmp.wire.exchange import Transaction
from towerops_agent.snmp.wire.message import Community, Message, Pdu, PduType, Request, Version, decode_usual

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


def main() -> None:
    names = [parse_oid(f"1.3.6.1.2.1.31.1.1.1.6.{n}") for n in range(1, VARBINDS + 1)]
    values = [2**40 + n * 1_234_567 for n in range(VARBINDS)]
    reply = Message(
        Version.V2C, b"public", Pdu(PduType.RESPONSE, REQUEST_ID, 0, 0, names, bytes([ber.COUNTER64]) * VARBINDS, values)
    )
    octets = encode_message(reply)
    request, community = Request(tuple(names)), Community(Version.V2C, b"public")
    machine.heading("the SNMP codec: microseconds of CPU")
    awaiting = {REQUEST_ID: Transaction(("127.0.0.1", 161), community, request, (1.0,))}
    usual = least_us(lambda: decode_usual(octets, awaiting), 5000) / VARBINDS
    machine.row("decode, a varbind of a usual answer", f"{usual:.2f}")
    machine.row("decode, a varbind of any message", f"{least_us(lambda: decode_message(octets), 5000) / VARBINDS:.2f}")
    machine.row(f"encode, a request of {VARBINDS}", f"{least_us(lambda: community.encode(request, REQUEST_ID, 0.0), 20000):.2f}")


if __name__ == "__main__":
    main()
