"""The truth, kept at the devices: each value that one answered, and when; and what a receiver has, compared with it.

No two values are the same: each names its device, the answer and the column that it is of. So a value of another device or
column, one that is invented, and one that comes twice, are each found by the value itself.
Times are microseconds of this machine's clock, which the agent has too.
"""

import asyncio
import itertools
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_lab.simulator.device import SimulatedDevice, table

COMMUNITY = "truth-community-90c4"
SENSORS = tuple(f"1.3.6.1.4.1.99999.20261126.4000000000.4000000000.{n}.0" for n in range(250))
"""So many, and such long ones, that each poll takes more requests than are under way at once."""

UNDER_WAY = 4
"""Requests to a device that are under way at once, at most."""

LATE_US = 300_000
"""An answer that leaves so long after its request arrived may come after the agent's timeout, which is half a second or more."""

DISTURBED = 8
"""So many answers after a late one may be the second ones to the same question."""

_STAMP = 35
"""SO_TIMESTAMPNS of Linux: when the kernel had a datagram, as seconds and nanoseconds."""

COUNTERS = {
    "snmp_interface_in_octets_total": "1.3.6.1.2.1.31.1.1.1.6",
    "snmp_interface_out_octets_total": "1.3.6.1.2.1.31.1.1.1.10",
    "snmp_interface_in_discards_total": "1.3.6.1.2.1.2.2.1.13",
    "snmp_interface_in_errors_total": "1.3.6.1.2.1.2.2.1.14",
    "snmp_interface_out_discards_total": "1.3.6.1.2.1.2.2.1.19",
    "snmp_interface_out_errors_total": "1.3.6.1.2.1.2.2.1.20",
}
INTERFACES = ("ether1", "ether2")
UPTIME = parse_oid("1.3.6.1.2.1.1.3.0")
_IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"

Series = tuple[int, str]
"""A device, by its number, and an OID."""


@dataclass(slots=True)
class Answer:
    """One answer. `received_us`: the kernel's time of the request. `asked`: its OIDs. `values`: the answer's readings, by OID."""

    received_us: int
    asked: tuple[Oid, ...]
    values: dict[str, int]
    sent_us: int


class Witness:
    """A device, which notes each of its answers."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers: list[Answer] = []
        self._started_s = time.time()
        columns = [*SENSORS, *(f"{oid}.{at}" for at in range(1, len(INTERFACES) + 1) for oid in COUNTERS.values())]
        self._columns = {parse_oid(oid): (place, oid) for place, oid in enumerate(columns)}
        rows = [(UPTIME, ber.TIME_TICKS, lambda uptime_s: int(uptime_s * 100))]
        rows += [(parse_oid(f"{_IF_NAME}.{at}"), ber.OCTET_STRING, name.encode()) for at, name in enumerate(INTERFACES, start=1)]
        for oid, (place, text) in self._columns.items():
            tag = ber.GAUGE32 if text in SENSORS else ber.COUNTER64 if text.startswith("1.3.6.1.2.1.31.") else ber.COUNTER32
            rows.append((oid, tag, lambda _, place=place: self._value(place)))
        self._device = SimulatedDevice(table(rows), COMMUNITY.encode())

    def _value(self, place: int) -> int:
        return (self.number + 1) * 100_000_000 + len(self.answers) * 1000 + place

    def answer(self, datagram: bytes, received_us: int) -> bytes:
        """Answer and note it: as sent just before it is."""
        asked = tuple(decode_message(datagram).pdu.names)
        octets = self._device.answer(datagram, received_us / 1e6 - self._started_s)
        assert octets is not None
        assert not decode_message(octets).pdu.error_status, "all that is asked fits an answer"
        values = {self._columns[oid][1]: self._value(self._columns[oid][0]) for oid in asked if oid in self._columns}
        self.answers.append(Answer(received_us, asked, values, time.time_ns() // 1000))
        return octets

    def latest_us(self, place: int) -> int:
        """When the agent had read the answer at `place` at the latest: it sent one request more than are under way at once."""
        own = self.answers[place].asked
        later = (answer.received_us for answer in self.answers[place + 1 :] if answer.asked != own)
        return next(itertools.islice(later, UNDER_WAY - 1, None), time.time_ns() // 1000)

    def may_be_late(self, place: int) -> bool:
        """Whether the answer left late, or one shortly before it did: then the agent has asked again, and uses one of the two."""
        return any(
            answer.sent_us - answer.received_us >= LATE_US for answer in self.answers[max(0, place - DISTURBED) : place + 1]
        )

    def runs(self, kills_us: Sequence[int]) -> list[list[list[int]]]:
        """The places of the answers, by the kills between them, and by polls: each begins with sysUpTime and values."""
        runs: list[list[list[int]]] = [[]]
        for place, answer in enumerate(self.answers):
            while len(runs) <= len(kills_us) and answer.received_us > kills_us[len(runs) - 1]:
                runs.append([])
            if (UPTIME in answer.asked and answer.values) or not runs[-1]:
                runs[-1].append([])
            runs[-1][-1].append(place)
        return runs


@asynccontextmanager
async def answering(count: int) -> AsyncIterator[list[tuple[Witness, int]]]:
    """So many devices, each with its port, until the block ends."""
    with ExitStack() as stack:
        witnesses = [Witness(number) for number in range(count)]
        yield [(one, stack.enter_context(_served(one))) for one in witnesses]


@contextmanager
def _served(witness: Witness) -> Iterator[int]:
    """Its port."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _STAMP, 1)

        def answer() -> None:
            datagram, extra, _, peer = sock.recvmsg(2000, 64)
            ((_, _, stamp),) = extra
            seconds, nanoseconds = struct.unpack("@qq", stamp[:16])
            sock.sendto(witness.answer(datagram, seconds * 1_000_000 + nanoseconds // 1000), peer)

        loop.add_reader(sock, answer)
        try:
            yield sock.getsockname()[1]
        finally:
            loop.remove_reader(sock)


def site_of(devices: Sequence[tuple[Witness, int]], destinations: str) -> str:
    """A site file of these devices, polled each second. `destinations`: as the file has them."""
    sensors = ", ".join(f"{{name: s{n}, oid: {oid}}}" for n, oid in enumerate(SENSORS))
    ports = ", ".join(f"{{name: {name}, index: {at}}}" for at, name in enumerate(INTERFACES, start=1))
    lines = [f"credentials: {{a: {{community: {COMMUNITY}}}}}", "defaults: {credentials: a, interval: 1}", "devices:"]
    lines += [
        f"  - {{address: 127.0.0.1, port: {port}, name: d{one.number}, sensors: [{sensors}], interfaces: [{ports}]}}"
        for one, port in devices
    ]
    return "\n".join([*lines, f"destinations: [{destinations}]", ""])


def series_of(name: str, labels: Mapping[str, str]) -> Series:
    """What a series with this name and these labels is of."""
    number = int(labels["device"].removeprefix("d"))
    if name == "snmp_sensor":
        return number, SENSORS[int(labels["sensor"].removeprefix("s"))]
    return number, f"{COUNTERS[name]}.{INTERFACES.index(labels['ifName']) + 1}"


@dataclass(slots=True)
class Account:
    """What came of the answered values. `wrong`: what may never be. `late_ms`: how long after it was sent each is dated."""

    answered: int = 0
    delivered: int = 0
    repeated: int = 0
    unfinished: int = 0
    killed: int = 0
    most_killed: int = 0
    late_ms: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        near = sum(late <= 1 for late in self.late_ms)
        return (
            f"{self.answered} values answered: {self.delivered} delivered, each once, {near} of them within 1 ms; "
            f"{self.repeated} asked again, as their device was slow; {self.unfinished} of polls under way at the stop; "
            f"{self.killed} killed before they were stored, "
            f"the answers of {self.most_killed} polls of a device at most"
        )


def account(
    witnesses: Sequence[Witness], found: Mapping[Series, Sequence[tuple[int, float]]], kills_us: Sequence[int] = ()
) -> Account:
    """Compare what was answered with what a receiver has: by series, times in milliseconds and values.

    `kills_us`: when the agent was killed, before which the latest polls may be missing, each as a whole. At last it was stopped,
    which ends a poll that is under way.
    """
    result = Account()
    for (number, oid), samples in found.items():
        result.wrong += _wrong(witnesses[number], oid, samples, result.late_ms)
    result.delivered = len(result.late_ms)
    for witness in witnesses:
        there = {value for series, samples in found.items() if series[0] == witness.number for _, value in samples}
        for kill, run in enumerate(witness.runs(kills_us)):
            _find_missing(witness, run, there, result, is_killed=kill < len(kills_us))
    return result


def _wrong(witness: Witness, oid: str, samples: Sequence[tuple[int, float]], late_ms: list[int]) -> list[str]:
    """What is wrong with the samples of one series; for each good one how late it is."""
    places = {answer.values[oid]: place for place, answer in enumerate(witness.answers) if oid in answer.values}
    about = f"device {witness.number}, {oid}"
    wrong = [f"{about}: {value:.0f} is there {n} times" for value, n in Counter(value for _, value in samples).items() if n > 1]
    for at_ms, value in samples:
        if value not in places:
            wrong.append(f"{about}: {value:.0f} was never answered")
            continue
        place = places[int(value)]
        first_ms, last_ms = witness.answers[place].sent_us // 1000, witness.latest_us(place) // 1000
        if not first_ms <= at_ms <= last_ms:
            wrong.append(f"{about}: {value:.0f} is dated {at_ms}, and was received between {first_ms} and {last_ms}")
        late_ms.append(at_ms - first_ms)
    return wrong


def _find_missing(witness: Witness, polls: list[list[int]], there: set[float], result: Account, *, is_killed: bool) -> None:
    """Count what is missing of one run of the agent, by its reason; what has no reason is wrong."""
    lost_polls = 0
    for poll in polls:
        may_be_lost = is_killed or poll is polls[-1]
        values = lost = 0
        for place in poll:
            of_answer = list(witness.answers[place].values.values())
            missing = sum(value not in there for value in of_answer)
            result.answered += len(of_answer)
            if missing and witness.may_be_late(place):
                result.repeated += missing
            else:
                values, lost = values + len(of_answer), lost + missing
        about = f"device {witness.number}, answers {poll[0]} to {poll[-1]}: {lost} of {values} values are missing"
        if lost_polls and lost < values:
            result.wrong.append(f"{about}, and a poll before them in the same run is")
        elif lost and (lost < values or not may_be_lost):
            result.wrong.append(about)
        elif is_killed:
            result.killed += lost
        else:
            result.unfinished += lost
        lost_polls += bool(lost_polls or lost)
    if is_killed:
        result.most_killed = max(result.most_killed, lost_polls)
