"""What a device denies by GET, and gives by GETNEXT."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.adversary import Adversary, hold, run_poll
from towerops_agent.polling.course.evidence import unproven
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import SYS_UP_TIME, Ask, Watch, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.stepping import (
    CONTROLS,
    CONTROLS_A_POLL,
    MOST_A_POLL,
    MOST_THAT_HELP,
    TRY_AGAIN_POLLS,
    Steps,
    as_get,
    as_next,
    predecessor,
)
from towerops_agent.polling.course.traits import BY_NAME, Traits
from towerops_agent.polling.course.widths import WIDE
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import encode_oid, format_oid, parse_oid, subidentifiers
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, Pdu, PduType, Request

SENSORS = [parse_oid(f"1.3.6.1.4.1.99999.{table}.{n}") for table in (1, 2) for n in (0, 1, 2, 7)]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_nothing_but_its_own_subtree_is_between_an_oid_and_its_predecessor(rest):
    name = encode_oid((1, 3, *rest))
    before = subidentifiers(predecessor(name))
    assert before < subidentifiers(name)
    assert before == (1, 3, *rest[:-1]) if rest[-1] == 0 else before == (1, 3, *rest[:-1], rest[-1] - 1)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.3"),
        ("1.3.6.1.2.1.2.2.1.10.128", "1.3.6.1.2.1.2.2.1.10.127"),
        ("1.3.6.1.4.1.9.10.0.0.1", "1.3.6.1.4.1.9.10.0.0.0"),
        ("1.0", "1.0"),  # there is none: an OID has two parts at least
    ],
)
def test_it_is_the_object_or_the_instance_before(name, before):
    assert format_oid(predecessor(parse_oid(name))) == before


def given_next(*rows):
    """The answer to a GETNEXT: names, tags and values."""
    names, tags, values = zip(*rows, strict=True)
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, list(names), bytes(tags), list(values)), 0.25, 77, 2)


def test_an_answer_to_a_getnext_is_one_to_the_get_in_whose_place_it_was_sent():
    """What has another name is not there, and what is beyond the end of the answer was not answered."""
    ask = Ask(Request(tuple(SENSORS[:3])), (4, 5, 6), again=True, attempts=2)
    sent = as_next(ask)
    assert sent.request.type is PduType.GET_NEXT
    assert sent.request.names == tuple(map(predecessor, SENSORS[:3]))
    assert (sent.columns, sent.again, sent.attempts, sent.by_next) == ((4, 5, 6), True, 2, True)
    answer = as_get(ask, given_next((SENSORS[0], ber.INTEGER, 7), (SENSORS[5], ber.INTEGER, 8)))
    assert (answer.rtt_s, answer.received_us, answer.attempts) == (0.25, 77, 2)
    pdu = answer.pdu
    assert (pdu.names, pdu.tags, pdu.values) == (tuple(SENSORS[:2]), bytes([ber.INTEGER, ber.NO_SUCH_INSTANCE]), [7, None])


@pytest.mark.parametrize("answer", [NoReply(Reason.TIMEOUT, 2), Reply(Pdu(PduType.RESPONSE, 1, 5, 1), 0.25, 77, 2)])
def test_silence_and_an_error_are_the_same_to_both(answer):
    assert as_get(Ask(Request(tuple(SENSORS[:1])), (1,)), answer) is answer


class Denying(Adversary):
    """A device that denies some OIDs to a GET: in which manner."""

    def __init__(self, denied, manner, there=SENSORS):
        held = {name: hold("integer", n) for n, name in enumerate([SYS_UP_TIME, *there])}
        held[SYS_UP_TIME] = (ber.TIME_TICKS, 4711)
        absent = {name: hold("noSuchInstance", 0) for name in SENSORS if name not in held}
        super().__init__(held | absent, [("honest", 0, 0)])
        self.manner = manner
        self.denied = set(denied) if manner == "absent" else set()
        self._denied = set(denied)
        self.broken = b""  # a GETNEXT of this one is an error

    def answer(self, request):
        if request.type is PduType.GET_NEXT and self.broken in request.names:
            return self._error(list(request.names), ErrorStatus.noSuchName, 1, list(request.names))
        wanted = [name for name in request.names if name in self._denied]
        if request.type is not PduType.GET or not wanted or self.manner == "absent":
            return super().answer(request)
        if self.manner == "silent":
            return NoReply(Reason.TIMEOUT, 3)
        return self._error(list(request.names), self.manner, 1 + request.names.index(wanted[0]), list(request.names))


MANNERS = ("absent", "silent", ErrorStatus.noSuchName, ErrorStatus.genErr)


def polls(device, times):
    """The values of some polls, and what was asked in each."""
    traits = Traits()
    plan = make_plan(SENSORS, [], b"", 24)
    for _ in range(times):
        progress, asked = run_poll(device, plan, traits, 100)
        yield interpret(progress, 1, 0), asked, traits


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("denied", [SENSORS[:1], SENSORS[3:4], SENSORS], ids=["the first", "one", "all"])
def test_each_value_is_there_from_the_first_poll_on(manner, denied):
    device = Denying(denied, manner)
    for result, _, _ in polls(device, 4):
        assert result.missing == {}
        assert list(result.poll.values) == [device.held[name][1] for name in SENSORS]


@pytest.mark.parametrize("manner", MANNERS)
def test_what_was_given_so_twice_is_no_longer_asked_by_get(manner):
    device = Denying(SENSORS[2:5], manner)
    *_, (_, asked, traits) = polls(device, 4 if manner == "silent" else 3)
    assert traits.by_next == frozenset(SENSORS[2:5])
    by_get = {name for request in asked if request.type is PduType.GET for name in request.names}
    by_next = [name for request in asked if request.type is PduType.GET_NEXT for name in request.names]
    assert by_get == {SYS_UP_TIME, *SENSORS} - set(SENSORS[2:5])
    assert by_next == [predecessor(name) for name in SENSORS[2:5]]
    assert traits.mute == traits.refused_names == frozenset()


@pytest.mark.parametrize("manner", MANNERS)
def test_what_is_not_there_either_way_is_asked_so_once_and_keeps_its_reason(manner):
    """What follows it is another OID's value."""
    there = [name for name in SENSORS if name != SENSORS[2]]
    device = Denying(SENSORS[2:3], manner, there)
    (first, asked, _), (second, again, traits) = polls(device, 2)
    reason = {"absent": "noSuchInstance", "silent": "timeout"}.get(manner) or manner.name
    assert first.missing == second.missing == {2: reason}
    assert sum(request.type is PduType.GET_NEXT for request in asked) == 1
    assert all(request.type is PduType.GET for request in again)
    assert traits.not_by_next == frozenset(SENSORS[2:3])


def test_a_device_that_answers_no_get_is_found_by_its_probes_and_read():
    device = Denying([SYS_UP_TIME, *SENSORS], "silent")
    results = list(polls(device, 5))
    read = [n for n, (result, _, _) in enumerate(results) if result.missing == {}]
    assert read == list(range(read[0], 5))
    assert read[0] <= 3
    _, asked, traits = results[-1]
    assert traits.next_only
    assert {request.type for request in asked} == {PduType.GET_NEXT}


@pytest.mark.parametrize("probes", range(1, 7))
def test_a_device_that_comes_back_at_any_probe_is_still_read_by_get(probes):
    class Back(Denying):
        def answer(self, request):
            self.asked = getattr(self, "asked", 0) + 1
            return NoReply(Reason.TIMEOUT, 3) if self.asked < probes else super().answer(request)

    *_, (result, asked, traits) = polls(Back([], "silent"), 8)
    assert result.missing == {}
    assert {request.type for request in asked} == {PduType.GET}
    assert not traits.next_only
    assert traits.by_next == frozenset()


def test_an_error_to_the_getnext_of_several_costs_none_of_the_others():
    """As SNMPv1 answers past the end of the MIB."""
    device = Denying(SENSORS[4:], "absent", SENSORS[:7])
    device.broken = predecessor(SENSORS[7])
    ((result, _, _),) = polls(device, 1)
    assert result.missing == {7: "noSuchInstance"}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("broken", [False, True])
def test_a_getnext_that_is_lost_is_sent_once_more(manner, broken):
    """Of several as of one. `broken`: one of them is an error, so that the others are asked in halves."""
    device, traits = Denying(SENSORS[:7], manner, SENSORS[:7]), Traits()
    device.broken = predecessor(SENSORS[7]) if broken else b""
    progress = PollProgress(make_plan(SENSORS, [], b"", 24), traits)
    while (ask := progress.next_ask()) is not None:
        answer = device.answer(ask.request)
        if ask.by_next:  # the first attempt is lost
            answer = (
                NoReply(Reason.TIMEOUT, 1) if ask.attempts == 1 or isinstance(answer, NoReply) else replace(answer, attempts=2)
            )
        progress.take(ask, answer)
    progress.finish()
    assert interpret(progress, 1, 0).missing == {7: "noSuchInstance"}
    assert traits.not_by_next.isdisjoint(SENSORS[:7])


# Interfaces

IF_NAMES = ("ether1", "ether2", "ether3")
WATCH = Watch(bytes([BY_NAME]) * 3, 8)
PLAN = make_plan([], [1, 2, 3], bytes([WIDE]) * 6, 24, watch=WATCH)
COUNTERS = [PLAN.values[n : n + 6] for n in (0, 6, 12)]
NAMES = [parse_oid(f"1.3.6.1.2.1.31.1.1.1.1.{i}") for i in (1, 2, 3)]
ROWS = [name for row in COUNTERS for name in row]


class DenyingRows(Denying):
    """A switch of three interfaces; counters from 1,000 on."""

    def __init__(self, denied, manner):
        super().__init__([], manner, [])
        self.held |= {name: hold("integer", 1_000 + n) for n, name in enumerate(ROWS)}
        self.held |= {oid: (ber.OCTET_STRING, name.encode()) for oid, name in zip(NAMES, IF_NAMES, strict=True)}
        self.denied = set(denied) if manner == "absent" else set()
        self._denied = set(denied)
        self._now_us = 0

    def answer(self, request):
        """Each answer later than the one before it."""
        self._now_us += 1_000
        answer = super().answer(request)
        return answer if isinstance(answer, NoReply) else replace(answer, received_us=self._now_us)


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("size", [24, 3])
@pytest.mark.parametrize(
    "denied",
    [COUNTERS[1], [*COUNTERS[1], NAMES[1]], [*ROWS, *NAMES], [row[0] for row in COUNTERS]],
    ids=["counters", "counters and their name", "all", "one of each"],
)
def test_interface_counters_that_only_getnext_gives_are_there_with_their_proof(denied, size, manner):
    """From the poll on in which there was room to try them: each with its interface's name read with it, or after it."""
    device = DenyingRows(denied, manner)
    traits = Traits(max_varbinds=size)
    plan = make_plan([], [1, 2, 3], bytes([WIDE]) * 6, size, watch=WATCH)
    for n in range(6):
        progress, _ = run_poll(device, plan, traits, 300)
        result = interpret(progress, 1, 0)
        if n >= 2:
            assert result.missing == {}
            assert list(result.poll.values) == [device.held[name][1] for name in ROWS]
            assert unproven(progress, bytes([BY_NAME]) * 3, IF_NAMES) == ([], [])
    assert traits.by_next == frozenset(denied)


def test_a_name_that_was_read_before_a_counter_of_its_interface_is_read_once_more():
    """A counter that is known to be given by GETNEXT only comes after all that GET gives."""
    device = DenyingRows(COUNTERS[1], "absent")
    traits = Traits(by_next=frozenset(COUNTERS[1]))
    progress, asked = run_poll(device, PLAN, traits, 100)
    assert [name for request in asked for name in request.names].count(NAMES[1]) == 2
    assert asked[-1].names == (NAMES[1],)
    assert unproven(progress, bytes([BY_NAME]) * 3, IF_NAMES) == ([], [])


def test_counters_that_are_not_there_either_way_cost_a_getnext_once_and_no_name_is_asked_again():
    device = DenyingRows([], "absent")
    for name in ROWS[::6]:
        device.held[name] = hold("noSuchInstance", 0)
    traits = Traits()
    first, again = (run_poll(device, PLAN, traits, 100)[1] for _ in range(2))
    assert {request.type for request in first} == {PduType.GET, PduType.GET_NEXT}
    assert {request.type for request in again} == {PduType.GET}
    assert traits.by_next == frozenset()
    assert [name for request in first for name in request.names].count(NAMES[0]) == 1


# Silence, on a link that loses


class Lossy(Denying):
    """A device behind a link that loses this share of attempts, as `seed` has it. `denied`: OIDs to whose GET it is silent."""

    def __init__(self, names, loss=0.0, seed=1, denied=()):
        super().__init__(denied, "silent", names)
        self.loss, self.rng = loss, random.Random(seed)

    def attempt(self, ask):
        """The answer to the first attempt that is not lost."""
        for attempts in range(1, ask.attempts + 1):
            if self.rng.random() >= self.loss and isinstance(answer := self.answer(ask.request), Reply):
                return replace(answer, attempts=attempts)
        return NoReply(Reason.TIMEOUT, ask.attempts)

    def poll(self, traits, size=None, *, has_time=True):
        """One poll, to its end; and what was asked in it. `has_time`: to verify what was found."""
        names = list(self.held)[1:]
        progress, asked = PollProgress(make_plan(names, [], b"", size or traits.max_varbinds), traits), []
        while True:
            if together := progress.next_together():
                progress.take_together(together, [self.attempt(ask) for ask in together])
                continue
            if (ask := progress.next_ask()) is None or (progress.is_verifying and not has_time):
                break
            asked.append(ask)
            progress.take(ask, self.attempt(ask))
        progress.finish()
        return progress, asked


def many(count):
    return [parse_oid(f"1.3.6.1.4.1.99999.3.{n}") for n in range(1, count + 1)]


@pytest.mark.parametrize(("sensors", "loss", "day"), [(20, 0.3, 0), (20, 0.3, 1), (3, 0.3, 9), (3, 0.5, 1), (3, 0.5, 2)])
def test_in_a_day_on_a_lossy_link_nothing_is_taken_for_given_by_getnext_only(sensors, loss, day):
    device, traits = Lossy(many(sensors), loss, day), Traits()
    for _ in range(1440):
        device.poll(traits)
        assert traits.by_next == frozenset()


@pytest.mark.parametrize("seed", range(10))
def test_what_is_given_by_getnext_only_is_learned_on_a_link_that_loses_a_little_and_never_given_up(seed):
    """In all polls but those in which its GETNEXT is lost there is a value."""
    device, traits = Lossy(SENSORS, 0.05, seed, SENSORS[3:4]), Traits()
    for _ in range(100):
        device.poll(traits)
    assert traits.by_next == frozenset(SENSORS[3:4])
    assert traits.not_by_next == frozenset()


def test_a_denial_that_a_later_get_contradicts_does_not_count():
    """Here a row that is away when it is asked by GET, and is back when it is asked by GETNEXT, each second poll."""
    device, traits = Denying([], "absent"), Traits()
    plan = make_plan(SENSORS, [], b"", 24)
    for n in range(6):
        device.denied = set() if n % 2 else {SENSORS[2]}
        run_poll(device, plan, traits, 100)
        assert traits.once_by_next == ({} if n % 2 else {SENSORS[2]: 0})
    assert traits.by_next == frozenset()


def controlled(device, traits, lost=range(100), denial=None, ends=100):
    """What is asked for an OID once GETNEXT has given it again and GET has not; `lost`: which of the requests after that.

    `denial`: the answer to the GETs among these. `ends`: the number of the request for which there is no time.
    """
    names = list(device.held)[1:]
    progress, asks = PollProgress(make_plan(names, [], b"", traits.max_varbinds), traits), []
    while (ask := progress.next_ask()) is not None:
        late = None
        if list(ask.columns) == [4]:
            late = len(asks) - 2  # behind the GET in vain and the GETNEXT
            assert progress.is_verifying is (late >= 0)
            if late >= ends:
                break
            asks.append("GETNEXT" if ask.by_next else "GET")
        if late == -2 or (late in lost and not ask.by_next) or (late, True) in lost:
            progress.take(ask, NoReply(Reason.TIMEOUT, 1))
        elif denial is not None and late is not None and late >= 0 and not ask.by_next:
            progress.take(ask, denial(ask.request))
        else:
            progress.take(ask, device.attempt(ask))
    progress.finish()
    assert progress.tags[4] == ber.INTEGER
    return asks


def suspected(gets=0):
    """A device that has lost all GETs of an OID once, and so many since."""
    device, traits = Lossy(SENSORS), Traits(mute=frozenset(SENSORS[3:4]), once_by_next={SENSORS[3]: gets})
    return device, traits


def test_before_it_is_believed_that_silence_denies_it_is_asked_by_get_some_more_times_a_poll_and_by_getnext_behind_each():
    """And no more often than is still needed."""
    device, traits = suspected()
    a_poll = 1 + CONTROLS_A_POLL
    for gets in range(a_poll, CONTROLS, a_poll):
        assert controlled(device, traits) == ["GET", "GETNEXT"] * a_poll
        assert traits.by_next == frozenset()
        assert traits.once_by_next == {SENSORS[3]: gets}
    traits.once_by_next = {SENSORS[3]: CONTROLS - 2}
    assert controlled(device, traits) == ["GET", "GETNEXT"] * 2
    assert (traits.by_next, traits.once_by_next) == (frozenset(SENSORS[3:4]), {})


def test_without_time_for_that_it_is_found_by_the_gets_that_are_sent_anyway():
    device, traits = suspected()
    for _ in range(CONTROLS):
        assert traits.by_next == frozenset()
        assert controlled(device, traits, ends=0) == ["GET", "GETNEXT"]
    assert traits.by_next == frozenset(SENSORS[3:4])


@pytest.mark.parametrize("ends", range(2 * CONTROLS_A_POLL))
def test_a_get_behind_which_there_is_no_time_for_a_getnext_does_not_count(ends):
    """Perhaps the link went down."""
    device, traits = suspected()
    controlled(device, traits, ends=ends)
    assert traits.once_by_next == {SENSORS[3]: 1 + ends // 2}


@pytest.mark.parametrize("gets", [0, CONTROLS - 3])
def test_if_one_of_these_is_answered_it_was_loss(gets):
    """All that was counted before is forgotten."""
    device, traits = suspected(gets)
    assert controlled(device, traits, [0]) == ["GET", "GETNEXT", "GET", "GETNEXT", "GET"]
    assert traits.by_next == traits.not_by_next == frozenset()
    assert traits.once_by_next == {}


def test_a_get_that_is_answered_in_a_poll_in_between_makes_the_count_start_again():
    device, traits = suspected(CONTROLS - 1)
    device.poll(traits)
    assert traits.once_by_next == {}


@pytest.mark.parametrize("gets", [0, CONTROLS - 3])
def test_if_the_getnext_behind_a_get_is_not_answered_the_link_was_down(gets):
    device, traits = suspected(gets)
    assert controlled(device, traits, [0, 2, (3, True)]) == ["GET", "GETNEXT"] * 3
    assert (traits.by_next, traits.once_by_next, traits.not_by_next) == (frozenset(), {SENSORS[3]: gets + 2}, frozenset())


def denied(request):
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, list(request.names), bytes([ber.NO_SUCH_OBJECT]), [None]), 0.01, 1)


def refused(status):
    def answer(request):
        return Reply(Pdu(PduType.RESPONSE, 1, status, 1, list(request.names), bytes([ber.NULL]), [None]), 0.01, 1)

    return answer


@pytest.mark.parametrize("denial", [denied, refused(ErrorStatus.noSuchName), refused(ErrorStatus.genErr)])
def test_a_denial_in_place_of_a_value_is_what_was_suspected(denial):
    """The GET is answered, and what GETNEXT gives before and behind it is not what it says."""
    device, traits = suspected()
    assert controlled(device, traits, [0], denial) == ["GET", "GETNEXT"] * 3
    assert (traits.by_next, traits.once_by_next) == (frozenset(SENSORS[3:4]), {})


def test_a_denial_behind_which_getnext_denies_it_too_is_true():
    """The row has gone while the poll was under way."""
    device, traits = suspected()

    def gone(request):
        device.held[SENSORS[3]] = hold("noSuchInstance", 0)
        return denied(request)

    assert controlled(device, traits, (), gone) == ["GET", "GETNEXT"] * 2
    assert traits.by_next == frozenset()
    assert traits.once_by_next == {}


@pytest.mark.parametrize(
    "answer",
    [
        refused(ErrorStatus.noAccess),
        refused(ErrorStatus.authorizationError),
        refused(ErrorStatus.tooBig),
        lambda request: denied(replace(request, names=SENSORS[:1])),
        lambda request: Reply(Pdu(PduType.RESPONSE, 1, 0, 0, [], b"", []), 0.01, 1),
    ],
    ids=["noAccess", "authorizationError", "tooBig", "of another OID", "without varbinds"],
)
def test_an_answer_that_denies_nothing_is_an_answer_to_a_get(answer):
    device, traits = suspected(CONTROLS - 2)
    assert controlled(device, traits, (), answer) == ["GET", "GETNEXT", "GET"]
    assert traits.by_next == traits.not_by_next == frozenset()
    assert traits.once_by_next == {}


def test_what_getnext_has_given_stays_suspected_if_the_time_is_up_behind_it():
    """It is not what GET has given."""
    device, traits = Lossy(SENSORS, denied=SENSORS[2:4]), Traits(mute=frozenset(SENSORS[2:4]))
    progress, steps = PollProgress(make_plan(SENSORS, [], b"", 24), traits), 0
    while (ask := progress.next_ask()) is not None:
        steps += ask.by_next
        if steps == 2:
            progress.stop(Reason.DEADLINE)
            continue
        progress.take(ask, device.attempt(ask))
    progress.finish()
    assert traits.once_by_next == {SENSORS[2]: 0}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, CONTROLS, MOST_A_POLL])
def test_several_that_are_not_answered_confirm_each_other(count):
    """All are found together, and in few polls; each poll asks for each of them as often, and together not many times more."""
    names = many(count)
    device, traits = Lossy([*SENSORS, *names], denied=names), Traits()
    gets = 0
    for n in range(5):
        assert traits.by_next == (frozenset(names) if gets >= CONTROLS else frozenset())
        _, asked = device.poll(traits)
        by_get = Counter(ask.request.names[0] for ask in asked if not ask.by_next and set(ask.request.names) <= set(names))
        if n and gets < CONTROLS:
            assert set(by_get) == set(names)
            assert sum(by_get.values()) <= count + CONTROLS_A_POLL
            gets += sum(by_get.values())
    assert gets >= CONTROLS
    assert traits.by_next == frozenset(names)


def test_one_that_a_link_has_lost_is_not_confirmed_by_one_that_is_never_answered():
    """However often that was."""
    device, traits = Lossy(SENSORS, denied=SENSORS[2:4]), Traits(mute=frozenset(SENSORS[2:4]))
    traits.once_by_next = {SENSORS[2]: CONTROLS - 3, SENSORS[3]: 0}
    device.poll(traits)
    assert traits.by_next == {SENSORS[2]}
    assert traits.once_by_next == {SENSORS[3]: 2}


class Flaky(Lossy):
    """A device on a sound link that leaves a third of the attempts by GET of one OID unanswered."""

    def attempt(self, ask):
        self.loss = 1 / 3 if SENSORS[3] in ask.request.names and ask.request.type is PduType.GET else 0.0
        return super().attempt(ask)


@pytest.mark.parametrize("has_time", [True, False])
def test_an_oid_whose_get_is_not_always_answered_is_suspected_and_never_taken_for_given_by_getnext_only(has_time):
    """In a day, asked once in each poll, as if it had been lost before. `has_time`: to verify a suspicion."""
    device, traits, suspicions, most = Flaky(SENSORS), Traits(), 0, 0
    for _ in range(1440):
        before, traits.mute = traits.once_by_next, frozenset(SENSORS[3:4])
        device.poll(traits, has_time=has_time)
        assert traits.by_next == frozenset()
        suspicions += bool(traits.once_by_next) and not before
        most = max(most, *traits.once_by_next.values(), 0)
    assert suspicions > 100
    assert most > 1


# Tried again


def test_what_getnext_did_not_give_as_it_was_lost_twice_is_not_missing_for_good():
    device, traits = Lossy(SENSORS, denied=SENSORS[3:4]), Traits()
    traits.not_by_next = traits.mute = frozenset(SENSORS[3:4])
    read = [device.poll(traits)[0].tags[4] != 0 for _ in range(TRY_AGAIN_POLLS)]
    assert read.index(True) == TRY_AGAIN_POLLS - 1 - 4  # in turn, by its column
    assert all(read[read.index(True) :])


@pytest.mark.parametrize("manner", ["absent", ErrorStatus.noSuchName])
def test_what_was_given_neither_way_and_is_there_later_is_found(manner):
    """A module that is plugged in while the agent runs."""
    device = Denying(SENSORS[2:4], manner, [name for name in SENSORS if name not in SENSORS[2:4]])
    for n, (result, asked, traits) in enumerate(polls(device, TRY_AGAIN_POLLS + 3), 1):
        if n == 2:
            assert traits.not_by_next == frozenset(SENSORS[2:4])
            device.held |= {name: hold("integer", 50) for name in SENSORS[2:4]}
        assert result.missing.keys() == ({2, 3} if n < TRY_AGAIN_POLLS else set())
        assert sum(request.type is PduType.GET_NEXT for request in asked) == (n == 1 or n >= TRY_AGAIN_POLLS)


def test_what_is_given_neither_way_costs_a_getnext_once_in_many_polls():
    """Those that the device is silent to each in a poll of its own, as each takes some timeouts."""
    names = many(MOST_A_POLL)
    device, traits = Lossy(SENSORS, denied=names[::2]), Traits()
    device.held |= {name: hold("noSuchInstance", 0) for name in names}
    steps = []
    for _ in range(2 * TRY_AGAIN_POLLS):
        _, asked = device.poll(traits)
        steps.append([ask for ask in asked if ask.by_next])
    later = steps[len(names) + len(SENSORS) :]  # the turn of some comes soon
    tried = Counter([*device.held][column] for asks in later for ask in asks for column in ask.columns)
    assert set(tried) == set(names)
    assert set(tried.values()) <= {1, 2}
    assert sum(map(len, later)) == sum(tried[name] for name in names[::2]) + 2
    assert max(map(len, later)) <= 2
    assert traits.not_by_next == frozenset(names)


def test_if_a_getnext_is_lost_of_what_is_known_to_be_given_so_it_is_asked_so_once_more_and_no_more_often():
    """Poll after poll, and it stays what is known."""
    device, traits = Lossy(SENSORS, denied=SENSORS[3:4]), Traits(by_next=frozenset(SENSORS[3:4]))
    for _ in range(5):
        progress, asked, lost = PollProgress(make_plan(SENSORS, [], b"", 24), traits), 0, 0
        while (ask := progress.next_ask()) is not None:
            is_it = list(ask.columns) == [4]
            asked += is_it
            assert asked <= 3
            is_lost = is_it and not progress.failures
            lost += is_lost
            progress.take(ask, NoReply(Reason.TIMEOUT, ask.attempts) if is_lost else device.attempt(ask))
        progress.finish()
        assert asked == lost + 1
        assert progress.tags[4] == ber.INTEGER
        assert (traits.by_next, traits.once_by_next, traits.not_by_next) == (frozenset(SENSORS[3:4]), {}, frozenset())


@pytest.mark.parametrize("reason", [Reason.DEADLINE, Reason.UNREACHABLE])
def test_a_getnext_that_has_not_reached_the_device_shows_nothing(reason):
    """As when the time was up before it was its turn."""
    traits, tags = Traits(), bytearray((ber.TIME_TICKS, ber.NO_SUCH_INSTANCE))
    steps = Steps(traits)
    steps.begin([1], [b"", SENSORS[0]], tags, {})
    assert list(steps.take(steps.next(), NoReply(reason, 0), is_lossy=False)) == []
    assert traits.not_by_next == frozenset()


def test_if_the_time_is_up_before_a_finding_is_verified_nothing_is_missing():
    """A counter that GETNEXT gave has its interface's name read behind it, and stays what it was."""
    (counter,) = COUNTERS[1][:1]
    device, traits = DenyingRows([counter], "silent"), Traits(once_by_next={counter: 0}, mute=frozenset([counter]))
    progress, controls = PollProgress(PLAN, traits), 0
    while (ask := progress.next_ask()) is not None:
        controls += counter in ask.request.names and not ask.by_next
        if controls == 3:
            progress.stop(Reason.DEADLINE)
            assert progress.next_ask() is None
            break
        progress.take(ask, device.answer(ask.request))
    progress.finish()
    assert interpret(progress, 1, 0).missing == {}
    assert unproven(progress, bytes([BY_NAME]) * 3, IF_NAMES) == ([], [])


def test_if_the_time_is_up_while_silent_oids_are_asked_by_getnext_no_interface_is_missing():
    """A counter that came late, as it was lost at first, has its interface's name read behind it by then."""
    device, traits = DenyingRows([], "absent"), Traits(mute=frozenset([ROWS[0], ROWS[-1]]))
    progress = PollProgress(PLAN, traits)
    while (ask := progress.next_ask()) is not None:
        if ask.by_next:
            progress.stop(Reason.DEADLINE)
            continue
        progress.take(ask, NoReply(Reason.TIMEOUT, 1) if ROWS[-1] in ask.request.names else device.answer(ask.request))
    progress.finish()
    assert set(interpret(progress, 1, 0).missing.values()) == {Reason.TIMEOUT}
    assert unproven(progress, bytes([BY_NAME]) * 3, IF_NAMES) == ([], [])


def test_what_the_device_says_it_lacks_is_tried_before_what_it_is_silent_to():
    columns = range(1, 2 * MOST_A_POLL + 1)
    names = [b"", *many(len(columns))]
    tags = bytearray(len(names))
    failures = {column: Reason.TIMEOUT if column <= MOST_A_POLL else Reason.NO_SUCH_NAME for column in columns}
    steps = Steps(Traits())
    steps.begin(columns, names, tags, failures)
    asks = list(iter(steps.next, None))
    assert [column for ask in asks for column in ask.columns] == list(columns)[MOST_A_POLL:]


def begun(failures, traits=None, tags=None):
    """The steps of a poll in which these columns have failed, and the requests that they are tried by."""
    names = [b"", *many(len(failures))]
    steps = Steps(Traits() if traits is None else traits)
    steps.begin(range(len(names)), names, bytearray(len(names)) if tags is None else tags, failures)
    return steps, list(iter(steps.next, None))


@pytest.mark.parametrize(
    ("reason", "is_tried"),
    [
        (Reason.TIMEOUT, True),
        (Reason.NO_SUCH_NAME, True),
        (Reason.GEN_ERR, True),
        ("error-99", True),
        (Reason.DEADLINE, False),
        (Reason.UNREADABLE, False),
        (Reason.OMITTED, False),
        (Reason.TOO_BIG, False),
        (Reason.NO_ACCESS, False),
        (Reason.AUTHORIZATION_ERROR, False),
    ],
)
def test_what_getnext_would_not_give_either_is_not_tried(reason, is_tried):
    _, asks = begun({1: reason})
    assert [list(ask.columns) for ask in asks] == [[1]] * is_tried


@pytest.mark.parametrize(
    ("traits", "most"),
    [
        (Traits(), MOST_A_POLL),
        (Traits(not_by_next=frozenset([b"\x2b"])), MOST_A_POLL),
        (Traits(by_next=frozenset([b"\x2b"])), MOST_THAT_HELP),
        (Traits(once_by_next={b"\x2b": 0}), MOST_THAT_HELP),
        (Traits(next_only=True), 0),
    ],
)
@pytest.mark.parametrize("silent", [0, 5, MOST_THAT_HELP + 2])
def test_more_is_tried_of_a_device_of_which_it_is_known_that_this_helps(traits, most, silent):
    """One that answers no GET was asked so for all. What it was silent to comes last."""
    columns = range(1, MOST_THAT_HELP + 3)
    failures = {column: Reason.TIMEOUT if column <= silent else Reason.NO_SUCH_NAME for column in columns}
    _, asks = begun(failures, replace(traits))
    assert [column for ask in asks for column in ask.columns] == [*columns[silent:], *columns[:silent]][:most]
    assert max((len(ask.columns) for ask in asks), default=1) <= traits.max_varbinds


@pytest.mark.parametrize(("tag", "gives"), [(ber.NULL, []), (ber.NO_SUCH_OBJECT, []), (UNREADABLE, [(1, UNREADABLE, None)])])
def test_a_name_without_a_value_is_not_given_and_one_with_an_unreadable_one_is(tag, gives):
    """The reason is then that."""
    traits = Traits()
    steps, (ask,) = begun({1: Reason.NO_SUCH_NAME}, traits)
    answer = as_get(ask, given_next((*many(1), tag, None)))
    assert list(steps.take(ask, answer, is_lossy=False)) == gives
    assert (traits.not_by_next, set(traits.once_by_next)) == (frozenset(many(1 - len(gives))), set(many(len(gives))))


def test_a_value_that_getnext_gives_once_more_is_the_one_that_it_gave_first():
    """That one has its interface's name read behind it."""
    (name,), traits = many(1), Traits(once_by_next=dict.fromkeys(many(1), 0))
    steps, (ask,) = begun({1: Reason.TIMEOUT}, traits)
    assert list(steps.take(ask, as_get(ask, given_next((name, ber.COUNTER32, 7))), is_lossy=False)) == [(1, ber.COUNTER32, 7)]
    control = steps.next_control()
    assert (control.request.names, control.by_next, control.attempts) == ((name,), False, 1)
    steps.take_control(control, NoReply(Reason.TIMEOUT, 1))
    behind = steps.next_control()
    assert (behind.request.names, behind.by_next, behind.attempts) == ((name,), True, 1)
    assert list(steps.take(behind, as_get(behind, given_next((name, ber.COUNTER32, 8))), is_lossy=False)) == []
    assert traits.once_by_next == {name: 2}


@pytest.mark.parametrize("reason", [Reason.DEADLINE, Reason.UNREACHABLE])
def test_a_get_that_has_not_reached_the_device_verifies_nothing(reason):
    (name,), traits = many(1), Traits(once_by_next=dict.fromkeys(many(1), 0))
    steps, (ask,) = begun({1: Reason.TIMEOUT}, traits)
    list(steps.take(ask, as_get(ask, given_next((name, ber.COUNTER32, 7))), is_lossy=False))
    steps.take_control(steps.next_control(), NoReply(reason, 0))
    assert steps.next_control() is None
    assert traits.once_by_next == {name: 1}
