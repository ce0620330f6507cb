"""What must hold of a group whatever its members believe."""

from hypothesis import given
from hypothesis import strategies as st

from support.beats import beat
from towerops_agent.group.course.blindness import Sight
from towerops_agent.group.course.membership import Membership
from towerops_agent.group.course.share import Share, owner
from towerops_agent.group.course.wire import Message, Presence, decode_message, encode_message

NAMES = [f"box-{i}" for i in range(6)]
DEVICES = [f"device {i}" for i in range(40)]
weights_of = st.fixed_dictionaries({name: st.sampled_from([0.5, 1.0, 3.0]) for name in NAMES})
some = st.sets(st.sampled_from(NAMES))


@given(weights_of, st.dictionaries(st.sampled_from(NAMES), some, min_size=1), st.sampled_from(DEVICES))
def test_whatever_the_members_believe_no_device_is_without_an_owner_unless_a_dead_one_is_believed_alive(weights, beliefs, device):
    """`beliefs`: of each living member, in whom it believes; it believes in itself."""
    views = {me: {name: weights[name] for name in {*others, me}} for me, others in beliefs.items()}
    owners = {owner(device, view) for me, view in views.items()}
    who_polls = {me for me, view in views.items() if owner(device, view) == me}
    dead = owners - views.keys()
    assert who_polls or dead
    everybody = {name: weight for view in views.values() for name, weight in view.items()}
    highest = owner(device, everybody)
    assert (highest in who_polls) == (highest in views), "the highest of all that anybody believes in polls, if it lives"


@given(weights_of, some, some)
def test_a_change_of_membership_moves_only_the_devices_that_it_must(weights, before, after):
    """Each device that moves has lost its owner, or goes to a member that has come."""
    for device in DEVICES:
        was = owner(device, {name: weights[name] for name in before})
        now = owner(device, {name: weights[name] for name in after})
        if was in after:
            assert now == was or now in after - before
        elif was is not None and after:
            assert now in after


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.5, 1.0, 3.0])), max_size=8), st.data())
def test_a_share_that_is_kept_is_the_one_that_would_be_computed(changes, data):
    share = Share("box-0")
    for weights in changes:
        share.change(weights)
        for device in data.draw(st.sets(st.sampled_from(DEVICES))):
            assert share.owner(device) == owner(device, weights)
    last = changes[-1] if changes else {}
    assert [share.owner(device) for device in DEVICES] == [owner(device, last) for device in DEVICES]


class _Living:
    """Living members, each with beliefs of its own; what one says reaches whom the engine lets it reach."""

    def __init__(self, names: set[str]) -> None:
        self.now = 0.0
        self.memberships = {name: Membership(name, f"boot of {name}", 1.0) for name in names}
        self.sequence = 0
        for membership in self.memberships.values():
            membership.configure("c1")

    def second(self, heard: set[tuple[str, str]], sights: dict[str, Sight]) -> None:
        """`heard`: (who, by whom)."""
        self.now += 1
        self.sequence += 1
        for name, membership in self.memberships.items():
            membership.tick(sights.get(name, Sight(0, 0, 0)), self.now)
        for name, membership in self.memberships.items():
            fields = {"boot": f"boot of {name}", "presence": membership.presence}
            for other, listener in self.memberships.items():
                if (name, other) in heard:
                    listener.hear(beat(name, self.sequence, owned=30, up=30, **fields), self.now)


def ways(names: list[str]) -> st.SearchStrategy[set[tuple[str, str]]]:
    return st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names)))


@given(
    st.lists(st.tuples(ways(NAMES[:3]), st.integers(1, 15)), min_size=1, max_size=6),
    st.sets(st.sampled_from(NAMES[:3]), min_size=1),
)
def test_whatever_of_their_beats_is_lost_the_living_poll_every_device(engine, names):
    """In each second after the start, whoever hears whom and for how long: no member is dead, so no device is missed."""
    group = _Living(names)
    everything = {(a, b) for a in names for b in names}
    for _ in range(5):
        group.second(everything, {})
    for heard, seconds in engine:
        for _ in range(seconds):
            group.second(heard, {})
            for device in DEVICES[:10]:
                assert any(
                    owner(device, membership.weights(group.now)) == name for name, membership in group.memberships.items()
                ), device


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_not(octets):
    message = decode_message(octets)
    assert message is None or isinstance(message, Message)
    assert message is None or decode_message(encode_message(message)) == message


@given(st.sampled_from(list(Presence)), st.text(min_size=1, max_size=60), st.integers(0, 1 << 62), st.floats(-1e12, 1e12))
def test_a_beat_arrives_as_it_was_sent(presence, name, number, clock_s):
    said = beat(name, number, presence=presence, clock_s=clock_s, owned=number)
    assert decode_message(encode_message(said)) == said
