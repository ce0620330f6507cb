"""A million mutated replies: none raises, none is taken for another's, none makes a value that the device does not hold.

20,000 in the usual run; all of them with `-m slow`. The seed is in each failure's message.
"""

import random

import pytest

from support import asking
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import SYS_UP_TIME, interface_columns, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import UNKNOWN, Traits
from towerops_agent.reasons import Discard
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import encode_message
from towerops_agent.snmp.wire.exchange import Exchanges, Reply, Transaction
from towerops_agent.snmp.wire.message import HIGHEST_ID, LOWEST_ID, Message, Pdu, PduType, Request, Version

PEER = ("192.0.2.1", 161)
SENSORS = [parse_oid(f"1.3.6.1.4.1.99999.1.{n}.0") for n in range(8)]
NAMES = (SYS_UP_TIME, *SENSORS, *interface_columns(3, UNKNOWN, UNKNOWN))
TAGS = bytes(
    (ber.TIME_TICKS, ber.INTEGER, ber.OCTET_STRING, ber.OPAQUE, ber.GAUGE32, ber.COUNTER32, ber.NO_SUCH_INSTANCE)
) + bytes((ber.IP_ADDRESS, ber.NULL, ber.COUNTER64, ber.COUNTER64, ber.COUNTER32, ber.COUNTER32, ber.COUNTER32, ber.COUNTER32))
VALUES = [
    4711,
    -61,
    b"12.4 V",
    b"\x9f\x78\x04\x41\x48\x00\x00",
    650,
    4_000_000_000,
    None,
    b"\x0a\0\0\1",
    None,
    2**40,
    2**41,
    0,
    1,
    2,
    3,
]


def mutated(rng: random.Random, octets: bytes) -> bytes:
    """Some octets changed, cut out, put in twice or from elsewhere; now and then 60,000 more, or none left."""
    out = bytearray(octets)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(8):
            case 0 | 1 | 2 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 3 if at < len(out):
                out[at] = rng.choice((0, 1, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF, 0x30, 0x02, 0x06))
            case 4:
                del out[at : at + rng.randrange(1, 9)]
            case 5:
                out[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 6:
                out[at:at] = out[at : at + rng.randrange(1, 40)]
            case _:
                del out[at:]
        if not out:
            return b""
    if rng.random() < 0.001:
        out += bytes(60_000)
    return bytes(out)


def run(rng: random.Random, count: int) -> None:
    """Poll a device whose replies are all mutated, and look at what is made of each."""
    plan = make_plan(SENSORS, [3], bytes(2), 24)
    request = Request(NAMES)
    assert plan.asks[0].request == request
    exchanges = Exchanges(lambda: rng.randint(LOWEST_ID, HIGHEST_ID))
    heard = 0
    for n in range(count):
        security = asking.security("1" if n % 5 == 0 else "2c")
        transaction = Transaction(PEER, security, request, (1.0,))
        exchanges.attempt(transaction, 0.0)
        (request_id,) = transaction.sent_at
        version = Version.V1 if n % 5 == 0 else Version.V2C
        reply = Message(version, b"public", Pdu(PduType.RESPONSE, request_id, 0, 0, list(NAMES), TAGS, list(VALUES)))
        octets = mutated(rng, encode_message(reply))
        outcome = exchanges.receive(octets, PEER, 0.1, 5)
        if isinstance(outcome, Discard):
            exchanges.give_up(transaction)
            continue
        answered, answer = outcome
        assert answered is transaction
        if isinstance(answer, Reply):
            heard += 1
            progress = PollProgress(plan, Traits(widths=bytes(2), standings=b"\0"))
            asks = 0
            while (ask := progress.next_ask()) is not None:  # the same mutant is the answer to whatever is asked
                progress.take(ask, answer)
                asks += 1
                assert asks < 200, "a poll that goes on and on"
            poll = interpret(progress, 1, 0).poll
            assert all(value is None or isinstance(value, int | float) for value in poll.values)
    assert len(exchanges) == 0
    assert heard > count // 20, "too few mutants were let through to mean anything"


def test_mutated_replies_are_discarded_or_read_and_nothing_else():
    seed = random.SystemRandom().randrange(1 << 32)
    try:
        run(random.Random(seed), 20_000)
    except Exception as error:
        raise AssertionError(f"seed {seed}") from error


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_mutated_replies_are_discarded_or_read_and_nothing_else():
    run(random.Random(20261123), 1_000_000)
