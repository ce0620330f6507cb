"""What another writer has made too late is found, all else is stored, and few requests are needed for it."""

import asyncio
import math
import tempfile
import time
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.remote import Remote
from support.strict import Receiver
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.counters import Count
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.course.late import KnownLate, ahead, every, newest
from towerops_agent.destinations.wire.samples import Samples
from towerops_agent.model import Layout, Poll
from towerops_agent.reasons import Loss

SENSORS = 3
DEVICES = 6

times_s = st.integers(1, 30)
present = st.tuples(*[st.sampled_from([True, True, True, False])] * SENSORS)
polls = st.lists(st.tuples(st.integers(0, DEVICES - 1), present), min_size=1, max_size=40)
borders = st.dictionaries(st.tuples(st.integers(0, DEVICES - 1), st.integers(0, SENSORS - 1)), st.integers(-1, 41), max_size=12)
"""Of each series that another writer writes, between which polls its latest sample is."""


def candidate(place: int, device: int, has: tuple[bool, ...]) -> Candidate:
    layout = Layout(f"d{device}", tuple((f"s{n}", 1.0) for n in range(SENSORS)))
    values = tuple(float(place) if one else None for one in has)
    stored = StoredPoll(place, layout, Poll(device, 1000 * (place + 1), values, ((SENSORS, 0),), SENSORS), 0, sum(has))
    heads = [f"{device} {n}".encode() for n in range(SENSORS)]
    samples = Samples.of((n, value, stored.poll.started_at_us) for n, value in enumerate(values) if value is not None)
    return Candidate(stored, (heads, layout, samples))


def is_late(one: Candidate, borders: dict[tuple[int, int], int]) -> bool:
    return any(
        (one.poll.poll.layout, slot) in borders and time_us < 1000 * borders[one.poll.poll.layout, slot] + 1500
        for slot, _, time_us in one.part[2]
    )


def searched(search, borders) -> tuple[list[Candidate], int]:
    """What the search ends in, and how many questions it had."""
    questions = 0
    try:
        question = next(search)
        while True:
            questions += 1
            assert question
            question = search.send(any(is_late(one, borders) for one in question))
    except StopIteration as ended:
        return ended.value, questions


@given(polls, borders)
def test_two_searches_know_all_that_is_too_late_and_nothing_else(made, of):
    candidates = [candidate(place, *one) for place, one in enumerate(made)]
    truth = [one for one in candidates if is_late(one, of)]
    if not truth:
        return
    (first,), questions = searched(newest(candidates), of)
    assert first is truth[-1]
    assert questions <= math.ceil(math.log2(len(candidates)))
    late, _ = searched(every(candidates, first), of)
    known = KnownLate()
    for one in (first, *late):
        known.note(one)
    assert [one for one in candidates if known.covers(one)] == truth


@given(st.integers(0, 86_400), st.integers(0, 86_400))
def test_how_far_another_writer_is_ahead_is_known_to_a_minute_and_never_too_much(border_s, back_s):
    now_us = 86_400_000_000 * 20_000
    late = candidate(0, 0, (True,) * SENSORS).at(now_us - back_s * 1_000_000 - 1)
    late = Candidate(
        StoredPoll(0, late.part[1], Poll(0, now_us - back_s * 1_000_000, (1.0,) * SENSORS, ((SENSORS, 0),), SENSORS), 0, SENSORS),
        late.part,
    )
    border_us = max(now_us - border_s * 1_000_000, late.time_us)
    search, questions = ahead(late, now_us), 0
    try:
        (asked,) = next(search)
        while True:
            questions += 1
            (asked,) = search.send(asked.part[2].times_us[0] <= border_us)
    except StopIteration as ended:
        until_us = ended.value
    assert late.time_us <= until_us <= border_us
    assert until_us > min(border_us, now_us - 120_000_000) - 60_000_000
    assert questions <= 1 + math.ceil(math.log2(86_400 / 60))


async def delivered(receiver: Receiver, made, of: dict[int, int], most: int) -> Remote:
    """Of each device in `of` the receiver has a later sample of each sensor than the polls up to that place."""
    now_s = time.time() - 3000
    with tempfile.TemporaryDirectory() as folder:
        async with Remote(Path(folder) / "agent.db", "http://127.0.0.1:9/", DEVICES, SENSORS, max_metrics=most) as remote:
            remote.client = receiver
            for device in of:
                remote.add(device, now_s, 7.5)
            assert await remote.deliver()
            for labels, values in receiver.stored.items():
                border = of[int(dict(labels)["device"][1:])]
                receiver.stored[labels] = [(round((now_s + border + 0.5) * 1000), values[0][1])]
            receiver.requests = 0
            for place, device in enumerate(made):
                remote.add(device, now_s + place, 1000.0 + place)
            assert await remote.deliver()
            assert (await remote.buffer.pending("test")).metrics == 0
        names = {dict(labels)["__name__"] for labels in receiver.stored}
        assert names <= {"snmp_sensor"}, "no question is stored, whatever kind of receiver it is"
        return remote


def values_of(receiver: Receiver) -> list[float]:
    """Which of the polls it has; of each all sensors."""
    found: dict[float, int] = {}
    for labels, values in receiver.stored.items():
        for _, value in values:
            place = value - 1000 - int(dict(labels).get("sensor", "s0")[1:])
            if place >= 0:
                found[place] = found.get(place, 0) + 1
    assert all(count == SENSORS for count in found.values())
    return sorted(found)


writers = st.dictionaries(st.integers(0, DEVICES - 1), st.integers(-1, 41), max_size=DEVICES)


@settings(max_examples=60)
@given(st.lists(st.integers(0, DEVICES - 1), min_size=1, max_size=40), writers, st.sampled_from([9, 30, 2000]), st.booleans())
@example([0, 1, 2, 3] * 8, {0: 16, 1: 16, 2: 16, 3: 16}, 2000, True)
def test_a_receiver_has_all_that_it_can_have_and_the_rest_is_counted(made, of, most, bounded):
    """Whatever other writers have written later, and whether it can be asked."""
    receiver = Receiver(bounded)
    remote = asyncio.run(delivered(receiver, made, of, most))
    good = [place for place, device in enumerate(made) if place > of.get(device, -1)]
    assert values_of(receiver) == good
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == SENSORS * (len(made) - len(good))
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == SENSORS * (len(of) + len(good))


@settings(max_examples=40)
@given(st.lists(st.integers(0, DEVICES - 1), min_size=6, max_size=40), st.integers(-1, 41))
def test_what_is_too_late_of_one_device_is_found_in_few_requests(made, border):
    receiver = Receiver()
    asyncio.run(delivered(receiver, made, {0: border}, 2000))
    assert receiver.requests - 1 <= 2 * math.log2(len(made)) + 1  # but for that which asks for the time


@settings(max_examples=20)
@given(st.lists(st.integers(0, DEVICES - 1), min_size=1, max_size=40), writers)
def test_a_receiver_that_stores_what_it_can_has_all_that_it_can_have(made, of):
    receiver = Receiver(whole=False)
    remote = asyncio.run(delivered(receiver, made, of, 2000))
    assert values_of(receiver) == [place for place, device in enumerate(made) if place > of.get(device, -1)]
    total = remote.counters.total(Count.METRICS_DELIVERED) + remote.counters.total(Count.METRICS_DROPPED)
    assert total == SENSORS * (len(of) + len(made))


def test_a_backlog_of_which_others_have_later_values_is_given_up_with_few_requests():
    """Of each device the first batch shows that it is too late, and the second one until when."""
    receiver = Receiver()
    made = [place % DEVICES for place in range(600)]
    asyncio.run(delivered(receiver, made, dict.fromkeys(range(DEVICES), 601), SENSORS * DEVICES))
    assert values_of(receiver) == []
    assert receiver.requests <= 150
