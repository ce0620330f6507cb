"""What hypothesis draws from: OIDs, values, messages."""

from hypothesis import strategies as st

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import MAX_SUBIDENTIFIER, encode_oid
from towerops_agent.snmp.wire.message import Message, Pdu, PduType

SUBIDENTIFIERS = st.one_of(
    st.integers(0, 200), st.sampled_from((127, 128, 16383, 16384, MAX_SUBIDENTIFIER)), st.integers(0, MAX_SUBIDENTIFIER)
)
HEADS = st.one_of(st.tuples(st.integers(0, 1), st.integers(0, 39)), st.tuples(st.just(2), SUBIDENTIFIERS))


@st.composite
def oid_numbers(draw, max_size=20):
    """The sub-identifiers of an OID."""
    return (*draw(HEADS), *draw(st.lists(SUBIDENTIFIERS, max_size=max_size)))


def oids(max_size=20):
    """OIDs, as octets."""
    return oid_numbers(max_size).map(encode_oid)


UNSIGNED_32 = st.integers(0, 2**32 - 1)

VALUES = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from((ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS, ber.UINTEGER32)), UNSIGNED_32),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, 2**64 - 1)),
    st.tuples(st.sampled_from((ber.OCTET_STRING, ber.OPAQUE, ber.NSAP_ADDRESS)), st.binary(max_size=300)),
    st.tuples(st.just(ber.IP_ADDRESS), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(ber.OBJECT_IDENTIFIER), oids()),
    st.tuples(st.sampled_from((ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW)), st.none()),
)
"""(tag, value), of each type that SNMP has."""


@st.composite
def pdus(draw):
    """Responses, and the requests that are built as they are."""
    varbinds = draw(st.lists(st.tuples(oids(), VALUES), max_size=12))
    return Pdu(
        draw(st.sampled_from(PduType)),
        draw(st.integers(-(2**31), 2**31 - 1)),
        draw(st.integers(0, 18)),
        draw(st.integers(0, 2**31 - 1)),
        [name for name, _ in varbinds],
        bytes(tag for _, (tag, _) in varbinds),
        [value for _, (_, value) in varbinds],
    )


def messages():
    """SNMPv1 and v2c messages."""
    return st.builds(Message, st.sampled_from((0, 1)), st.binary(max_size=200), pdus())


@st.composite
def mutated(draw, octets):
    """`octets` with a few changed, left out, repeated or put in, as a faulty device or network would."""
    data = bytearray(draw(octets))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("set", "flip", "cut", "delete", "insert", "repeat"))):
            case "set" if data:
                data[at] = draw(st.integers(0, 255))
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "delete":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "repeat":
                data += data[at : at + 40]
    return bytes(data)
