"""What members learn of devices and keep for each other."""

import pytest

from support import devices
from towerops_agent.group.course.learned import AT_ONCE, MOST_OCTETS, SharedTraits
from towerops_agent.group.course.wire import Learned, encode_message
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.memory import encode_traits
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import BootClock

CLOCK = BootClock(b"boot", 1000)
PLANNER = Planner()


def polled(device_id, varbinds=7):
    """A device that was polled here, and can be asked for so many at once."""
    device = devices.device(PLANNER, equipment_id=device_id)
    device.state = DeviceState(State.UP, "", 0)
    device.traits.max_varbinds = varbinds
    return device


def said(shared, *of, **how):
    """The ids in each message."""
    return [(learned.member, sorted(learned.devices)) for learned in shared.news(of, CLOCK, **how)]


def test_news_of_a_device_is_sent_once_and_again_when_it_has_changed():
    shared, first, second = SharedTraits("me", PLANNER), polled("a"), polled("b")
    assert said(shared, first, second) == [("me", ["a", "b"])]
    assert said(shared, first, second) == []
    second.traits.max_varbinds = 3
    assert said(shared, first, second) == [("me", ["b"])]
    assert said(shared, first, second, all_of_it=True) == [("me", ["a", "b"])]
    (learned,) = shared.news([first], CLOCK, all_of_it=True)
    assert learned.devices == {"a": encode_traits(first, CLOCK)}


def test_what_was_not_polled_here_yet_is_not_sent_and_holds_up_nothing():
    new = devices.device(PLANNER, equipment_id="new")
    assert said(SharedTraits("me", PLANNER), new, polled("a")) == [("me", ["a"])]


def test_a_message_is_of_so_many_devices():
    many = [polled(f"dev-{n}") for n in range(AT_ONCE + 1)]
    assert [len(ids) for _, ids in said(SharedTraits("me", PLANNER), *many)] == [AT_ONCE, 1]


def test_a_message_of_devices_with_thousands_of_interfaces_is_one_that_the_engine_accepts():
    """1 MB, with what is around it."""
    many = [polled(f"dev-{n}") for n in range(100)]
    for device in many:
        device.traits.widths = device.traits.standings = bytes(10_000)
    messages = list(SharedTraits("me", PLANNER).news(many, CLOCK))
    assert [device_id for learned in messages for device_id in learned.devices] == [device.id for device in many]
    assert all(len(encode_message(learned)) <= MOST_OCTETS + 20_000 for learned in messages)
    assert len(messages) < 12


def test_a_device_that_is_taken_over_has_what_others_learned_and_once_only():
    theirs, shared = polled("a"), SharedTraits("me", PLANNER)
    shared.take(Learned("other", {"a": encode_traits(theirs, CLOCK), "b": b"another's"}), {"a"})
    assert len(shared) == 1
    mine, unknown = (devices.device(PLANNER, equipment_id=name) for name in ("a", "b"))
    shared.recall([unknown, mine], CLOCK)
    assert mine.traits.max_varbinds == 7
    assert unknown.traits.max_varbinds != 7
    assert len(shared) == 0
    again = devices.device(PLANNER, equipment_id="a")
    shared.recall([again], CLOCK)
    assert again.traits.max_varbinds != 7


@pytest.mark.parametrize("octets", [b"", b"of a later version"])
def test_what_is_not_understood_changes_nothing(octets):
    shared, device = SharedTraits("me", PLANNER), devices.device(PLANNER, equipment_id="a")
    before = encode_traits(device, CLOCK)
    shared.take(Learned("other", {"a": octets}), {"a"})
    shared.recall([device], CLOCK)
    assert encode_traits(device, CLOCK) == before


def test_devices_that_left_the_configuration_are_forgotten():
    shared, mine = SharedTraits("me", PLANNER), polled("mine")
    shared.take(Learned("other", {"a": b"1", "b": b"2", "c": b"3"}), {"a", "b", "c"})
    said(shared, mine)
    shared.keep({"b", "c", "mine"})
    assert len(shared) == 2
    assert said(shared, mine) == []
    shared.keep({"b"})
    assert said(shared, mine) == [("me", ["mine"])]


HOUR_US = 3_600_000_000


def test_when_a_device_started_is_on_the_clock_of_the_machine_that_takes_it_over():
    """Theirs is seven hours behind the wall clock, mine two."""
    theirs = polled("a")
    theirs.traits.booted_at_us = -HOUR_US
    sender, shared = SharedTraits("other", PLANNER), SharedTraits("me", PLANNER)
    for learned in sender.news([theirs], BootClock(b"a", 7 * HOUR_US)):
        shared.take(learned, {"a"})
    mine = devices.device(PLANNER, equipment_id="a")
    shared.recall([mine], BootClock(b"b", 2 * HOUR_US))
    assert mine.traits.booted_at_us is not None
    assert abs(mine.traits.booted_at_us - 4 * HOUR_US) <= 10_000_000
