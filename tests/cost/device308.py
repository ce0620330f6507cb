"""The device of the benchmarks: 20 sensors and 48 interfaces, 308 values a poll, 68 metrics; and what answers for it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from support.devices import LAYOUT, equipment
from towerops_agent.model import Interface
from towerops_agent.polling.course.device import make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.simulator.device import SimulatedDevice

SENSORS, INTERFACES = 20, 48
VALUES = SENSORS + 6 * INTERFACES
METRICS = SENSORS + INTERFACES

OIDS = [f"1.3.6.1.4.1.99999.1.{i}.0" for i in range(1, SENSORS + 1)]


def equipment308(n: int = 1, port: int = 161):
    unnamed = equipment(equipment_id=f"eq-{n}", host="127.0.0.1", port=port, sensors=OIDS)
    return replace(unnamed, interfaces=tuple(Interface(f"i{i}", i, f"Gi0/{i}") for i in range(1, INTERFACES + 1)))


def device308(planner: Planner, port: int = 161):
    return make_device(equipment308(port=port), LAYOUT, b"digest", planner)


def simulated308() -> SimulatedDevice:
    values = {parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, 123_456)}
    values |= {parse_oid(oid): (ber.GAUGE32, 20_000 + i) for i, oid in enumerate(OIDS)}
    for i in range(1, INTERFACES + 1):
        values |= {parse_oid(f"1.3.6.1.2.1.31.1.1.1.{c}.{i}"): (ber.COUNTER64, (1 << 40) + i) for c in (6, 10)}
        values[parse_oid(f"1.3.6.1.2.1.31.1.1.1.1.{i}")] = (ber.OCTET_STRING, b"Gi0/%d" % i)
        values |= {parse_oid(f"1.3.6.1.2.1.2.2.1.{c}.{i}"): (ber.COUNTER32, 1000 * c + i) for c in (13, 14, 19, 20)}
    return SimulatedDevice(values)


@contextmanager
def answering_elsewhere() -> Iterator[int]:
    """The device at a UDP port, in a thread of its own: what it does is nobody's cost."""
    simulated = simulated308()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                datagram, peer = sock.recvfrom(4096)
                if not datagram:
                    return
                sock.sendto(simulated.answer(datagram, 1.0), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            sock.sendto(b"", sock.getsockname())
            thread.join()
