"""A device that answers as it likes, but never lies about a value: for the course of a poll, in memory.

It holds one varbind per OID, each value unlike all others, and notes what it gave away and what it refused: so each reading,
and each reason for a missing one, can be held against what the device really said under that name.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import cycle

from hypothesis import strategies as st

from towerops_agent.polling.course.plan import NARROW_OCTETS, SYS_UP_TIME, Plan, Planner, interface_columns
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.stepping import predecessor
from towerops_agent.polling.course.traits import CLEAN_POLLS, STARTING_VARBINDS, UNKNOWN, WIDE, Traits
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, parse_oid, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, Pdu, PduType, Request, Value, error_name

Held = tuple[int, Value]
Behaviour = tuple[str, int, int]

FOREIGN = parse_oid("1.3.6.1.4.1.99999.1")
"""A name that nobody asks for; the device holds a number under it."""

STATUSES = (*(status.value for status in ErrorStatus if status > ErrorStatus.tooBig), 99, -1)


def hold(kind: str, n: int) -> Held:
    """What a device holds: of this kind, and with `n` in it where that is possible, so that no two are alike."""
    return {
        "counter": (ber.COUNTER32, 1000 + n),
        "wide": (ber.COUNTER64, 2**40 + n),
        "integer": (ber.INTEGER, 5000 + n),
        "negative": (ber.INTEGER, -1000 - n),
        "text": (ber.OCTET_STRING, b"%d.25 V" % n),
        "no_text": (ber.OCTET_STRING, b"N/A %d" % n),
        "address": (ber.IP_ADDRESS, bytes((10, 0, n >> 8 & 0xFF, n & 0xFF))),
        "null": (ber.NULL, None),
        "noSuchObject": (ber.NO_SUCH_OBJECT, None),
        "noSuchInstance": (ber.NO_SUCH_INSTANCE, None),
        "endOfMibView": (ber.END_OF_MIB_VIEW, None),
    }[kind]


KINDS = (
    "counter",
    "wide",
    "integer",
    "negative",
    "text",
    "no_text",
    "address",
    "null",
    "noSuchObject",
    "noSuchInstance",
    "endOfMibView",
)

BEHAVIOURS: st.SearchStrategy[Behaviour] = st.one_of(
    st.just(("honest", 0, 0)),
    st.tuples(
        st.sampled_from(
            (
                "honest",
                "silent",
                "unreachable",
                "too_big",
                "too_big_with_varbinds",
                "shuffled",
                "cut",
                "doubled",
                "foreign",
                "renamed",
                "empty",
                "unreadable",
                "spoilt",
            )
        ),
        st.integers(0, 30),
        st.just(0),
    ),
    st.tuples(st.just("error"), st.integers(-1, 30), st.sampled_from(STATUSES)),
)


class Adversary:
    """Answers each request by the next of `behaviours`, which begin again at their end."""

    def __init__(self, held: dict[Oid, Held], behaviours: Iterable[Behaviour]) -> None:
        self.held = held
        self.given: dict[Oid, Held] = {}  # what it said last under each name
        self.refused: defaultdict[Oid, set[str]] = defaultdict(set)  # why it said nothing
        self.unreadable: set[Oid] = set()
        self.told: list[str] = []
        self.denied: set[Oid] = set()  # what it gives by GETNEXT only
        self.passing: list[Oid] = []  # what it has only in its first poll
        self._behaviours: Iterator[Behaviour] = cycle(behaviours)

    def answer(self, request: Request) -> Answer:
        """A reply, or none."""
        kind, n, status = next(self._behaviours)
        self.told.append(kind)
        names = list(request.names)
        if request.type is PduType.GET_NEXT:
            return self._next(names, kind, status)
        if kind in ("silent", "unreachable"):
            reason = "timeout" if kind == "silent" else kind
            self._refuse(names, reason)
            return NoReply(reason, 1)
        if kind == "too_big":
            return self._error(names, ErrorStatus.tooBig, 0, [])
        if kind == "too_big_with_varbinds":
            return self._error(names, ErrorStatus.tooBig, 0, names)
        if kind == "error":
            return self._error(names, status, n, names)
        return self._reply(names, kind, n)

    def _next(self, names: list[Oid], kind: str, status: int) -> Answer:
        """What follows each name of what it has; an error or silence, if that is its behaviour."""
        wanted = [name for name in self.held if predecessor(name) in names]
        if kind in ("silent", "unreachable"):
            self._refuse(wanted, reason := "timeout" if kind == "silent" else kind)
            return NoReply(reason, 1)
        if kind == "error":
            self._refuse(wanted, error_name(status or ErrorStatus.genErr))
            nulls = bytes([ber.NULL]) * len(names), [None] * len(names)
            return Reply(Pdu(PduType.RESPONSE, 1, status or ErrorStatus.genErr, 1, names, *nulls), 0.01, 1)
        there = sorted((name for name, (tag, _) in self.held.items() if tag < ber.NO_SUCH_OBJECT), key=subidentifiers)
        rows: list[tuple[Oid, int, Value]] = []
        for name in names:
            after = next((other for other in there if subidentifiers(other) > subidentifiers(name)), None)
            rows.append((name, ber.END_OF_MIB_VIEW, None) if after is None else (after, *self.held[after]))
            if after in wanted and after is not None:
                self.given[after] = self.held[after]
        self._refuse([name for name in wanted if name not in [row[0] for row in rows]], "noSuchInstance")
        columns = [row[0] for row in rows], bytes(row[1] for row in rows), [row[2] for row in rows]
        return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, *columns), 0.01, 1)

    def _error(self, names: list[Oid], status: int, index: int, back: list[Oid]) -> Reply:
        self._refuse(names, error_name(status))
        nulls = [None] * len(back)
        return Reply(Pdu(PduType.RESPONSE, 1, status, index, back, bytes([ber.NULL]) * len(back), [*nulls]), 0.01, 1)

    def _reply(self, names: list[Oid], kind: str, n: int) -> Reply:
        rows = [(name, *(self.held[name] if name not in self.denied else hold("noSuchInstance", 0))) for name in names]
        at = n % len(rows)
        if kind == "shuffled":
            rows = rows[at:] + rows[:at][::-1]
        elif kind == "cut":
            rows = rows[:at]
        elif kind == "doubled":
            rows.insert(0, rows[at])
        elif kind == "foreign":
            rows.insert(at, (FOREIGN, *self.held[FOREIGN]))
        elif kind == "renamed":
            rows[at] = (FOREIGN, *self.held[FOREIGN])
        elif kind == "empty":
            rows = []
        elif kind == "unreadable":
            rows[at] = (rows[at][0], UNREADABLE, None)
            self.unreadable.add(rows[at][0])
        elif kind == "spoilt":
            self.unreadable.update(name for name, _, _ in rows[n:])
            rows[n:] = [(name, UNREADABLE, None) for name, _, _ in rows[n:]]
        for name, tag, value in rows:
            before = self.given.get(name)
            if tag == UNREADABLE and before is not None:
                continue  # what could be read of it before counts too
            if name not in self.denied or before is None or before[0] == UNREADABLE:  # else a GET verifies what GETNEXT gave
                self.given[name] = (tag, value)
        said = {name for name, _, _ in rows}
        self._refuse([name for name in names if name not in said], "omitted")
        return Reply(
            Pdu(PduType.RESPONSE, 1, 0, 0, [row[0] for row in rows], bytes(row[1] for row in rows), [row[2] for row in rows]),
            0.01,
            1,
        )

    def _refuse(self, names: list[Oid], reason: str) -> None:
        for name in names:
            self.refused[name].add(reason)


def names_of(sensors: Iterable[Oid], if_indexes: Iterable[int]) -> list[Oid]:
    """Each OID that a poll of these may ask for, once."""
    names = [SYS_UP_TIME, *sensors]
    for if_index in if_indexes:
        names += interface_columns(if_index, WIDE, WIDE)
        names += [child(column, if_index) for column in NARROW_OCTETS]
    return list(dict.fromkeys(names))


@st.composite
def devices(draw: st.DrawFn, behaviours: st.SearchStrategy[Behaviour] = BEHAVIOURS) -> tuple[Adversary, Plan, Traits]:
    """A device, a plan that reads it, and what is known of it so far: nothing, and perhaps that it was silent."""
    count = draw(st.integers(0, 12))
    sensors = [child(FOREIGN, 1 + n) for n in range(count)]
    if draw(st.booleans()):
        sensors.insert(draw(st.integers(0, count)), SYS_UP_TIME)
    if_indexes = draw(st.lists(st.integers(1, 5), max_size=4, unique=True))
    kinds = st.sampled_from(draw(st.sampled_from((("counter",), ("counter", "wide", "noSuchInstance"), KINDS))))
    held = {name: hold(draw(kinds), n) for n, name in enumerate(names_of(sensors, if_indexes))}
    held[FOREIGN] = hold("counter", 99_999)
    traits = Traits(
        max_varbinds=draw(st.integers(1, 24)),
        widths=bytes([UNKNOWN]) * (2 * len(if_indexes)),
        answers=draw(st.booleans()),
        hurried=draw(st.booleans()),
    )
    most = traits.max_varbinds
    if draw(st.booleans()):  # it is known, and has several requests under way
        most, traits.max_varbinds, traits.clean_polls, traits.srtt_s = (
            draw(st.integers(1, 8)),
            STARTING_VARBINDS,
            CLEAN_POLLS,
            0.01,
        )
    plan = Planner().plan(sensors, if_indexes, traits.widths, most)
    adversary = Adversary(held, draw(st.lists(behaviours, min_size=1, max_size=25)))
    adversary.denied = set(draw(st.lists(st.sampled_from(sorted(held)), max_size=8))) if draw(st.booleans()) else set()
    adversary.passing = draw(st.lists(st.sampled_from(sorted(held)), max_size=8)) if draw(st.booleans()) else []
    return adversary, plan, traits


def run_poll(device: Adversary, plan: Plan, traits: Traits, most_asks: int) -> tuple[PollProgress, list[Request]]:
    """One poll, to its end; and what it asked."""
    progress = PollProgress(plan, traits)
    asked: list[Request] = []
    while True:
        if together := progress.next_together():
            assert len({name for ask in together for name in ask.request.names}) == sum(len(ask.columns) for ask in together)
            asked += [ask.request for ask in together]
            progress.take_together(together, [device.answer(ask.request) for ask in together])
            for column in (column for ask in together for column in ask.columns if not progress.tags[column]):
                device.given.pop(progress.names[column], None)  # it is asked again
                device.unreadable.discard(progress.names[column])
            continue
        if (ask := progress.next_ask()) is None:
            break
        assert len(asked) < most_asks, f"asked {most_asks} times, and no end: {device.told[-10:]}"
        assert 1 <= len(ask.request.names) <= traits.max_varbinds
        assert len(set(ask.request.names)) == len(ask.request.names)
        asked.append(ask.request)
        progress.take(ask, device.answer(ask.request))
    progress.finish()
    return progress, asked


def replanned(plan: Plan, traits: Traits) -> Plan:
    """The plan of the next poll, as the poller makes it."""
    return Planner().plan(plan.sensors, plan.if_indexes, traits.widths, traits.max_varbinds)
