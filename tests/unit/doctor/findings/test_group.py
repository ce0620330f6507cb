from support.beats import beat
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.group import Overheard, judge_members, judge_routes
from towerops_agent.group.course.wire import Presence

A, B, C = "nats://a:4222", "nats://b:4222", "nats://c:4222"


def overheard(*beats, **fields) -> Overheard:
    return Overheard({one.member: one for one in beats}, **fields)


OK, WARNING, FAILED = Result.OK, Result.WARNING, Result.FAILED
HERE, SAME = (
    Check("group's clocks", OK, "members' clocks agree with this one"),
    Check("group's configuration", OK, "the same for all members"),
)


def test_servers_that_pass_all_on_are_fine():
    both = frozenset((A, B))
    assert judge_routes([A, B], {A: both, B: both}) == [
        Check("NATS server", OK, f"{A} passes messages on"),
        Check("NATS server", OK, f"{B} passes messages on"),
    ]


def test_routes_that_are_missing_are_found():
    hint = "look at `cluster` and `routes` in the servers' configurations, and at port 6222 between them"
    heard = {A: frozenset((A,)), B: frozenset((A, B)), C: frozenset((A, B, C))}
    assert judge_routes([A, B, C], heard) == [
        Check("NATS server", FAILED, f"{A} gets no message from {B}, {C}", hint),
        Check("NATS server", FAILED, f"{B} gets no message from {C}", hint),
        Check("NATS server", OK, f"{C} passes messages on"),
    ]


def test_a_permission_that_is_missing_is_found():
    hint = "the user needs the permissions to publish and to subscribe on towerops.<GROUP_NAME>.here and .learned"
    assert judge_routes([A], {A: frozenset()}) == [
        Check("NATS server", FAILED, f"{A} accepts the connection and passes no message on", hint)
    ]


def test_a_group_in_order_is_three_lines():
    """Clocks may be two seconds apart."""
    assert judge_members(overheard(beat("b"), beat("a"), ahead_s={"a": 2.0, "b": -2.0}), "c1") == [
        Check("group", OK, "2 members: a ready, b ready"),
        SAME,
        HERE,
    ]


def test_an_agent_with_another_token_is_found():
    hint = "give all agents of the group the same token; other groups on these servers need another GROUP_NAME"
    refused = Check("group", FAILED, "3 messages can't be opened with this token", hint)
    assert judge_members(overheard(unreadable=3), None) == [
        refused,
        Check("group", WARNING, "no member is heard", "start the agents of the group"),
    ]
    assert judge_members(overheard(beat("a"), unreadable=3), None) == [
        refused,
        Check("group", OK, "1 member: a ready"),
        SAME,
        HERE,
    ]


def test_blind_members_are_found():
    blind = [beat(name, presence=Presence.BLIND) for name in "bc"]
    assert judge_members(overheard(beat("a"), *blind), "c1") == [
        Check("group", WARNING, "3 members: a ready, b blind, c blind", "look at the way of b, c to the devices"),
        SAME,
        HERE,
    ]


def test_members_with_different_configurations_are_found():
    _, check, _ = judge_members(overheard(beat("a"), beat("b", configuration="c2")), None)
    assert check == Check(
        *("group's configuration", WARNING, "members have different ones, so that devices are polled twice"),
        "members that do not reach the API keep an old one: `towerops-agent status` shows which",
    )
    _, check, _ = judge_members(overheard(beat("a"), beat("b")), "c2")
    assert check == Check(
        *("group's configuration", WARNING, "the members' is not the one that was fetched now"),
        "they fetch it each CONFIG_REFRESH_SECONDS; if it stays so, one agent's token is of another configuration",
    )


def test_clocks_that_are_apart_are_found():
    *_, one, other = judge_members(overheard(beat("a"), beat("b"), ahead_s={"b": -70.0, "a": 2.4}), "c1")
    assert one == Check("group's clocks", WARNING, "a is 2 s ahead of this machine", "have NTP set both")
    assert other == Check("group's clocks", WARNING, "b is 1 min 10 s behind this machine", "have NTP set both")
