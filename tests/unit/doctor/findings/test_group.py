from support.beats import beat
from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.findings.group import Overheard, judge_members, judge_routes
from towerops_agent.group.course.wire import Presence

A, B = "nats://a:4222", "nats://b:4222"


def overheard(*beats, **fields) -> Overheard:
    return Overheard({one.member: one for one in beats}, **fields)


def said(checks) -> list[tuple[Result, str]]:
    return [(check.result, check.found) for check in checks]


def test_servers_that_pass_all_on_are_fine():
    both = frozenset((A, B))
    assert said(judge_routes([A, B], {A: both, B: both})) == [
        (Result.OK, f"{A} passes messages on"),
        (Result.OK, f"{B} passes messages on"),
    ]


def test_a_route_that_is_missing_is_found():
    checks = judge_routes([A, B], {A: frozenset((A,)), B: frozenset((A, B))})
    assert said(checks) == [(Result.FAILED, f"{A} gets no message from {B}"), (Result.OK, f"{B} passes messages on")]
    assert "routes" in checks[0].hint


def test_a_permission_that_is_missing_is_found():
    (check,) = judge_routes([A], {A: frozenset()})
    assert (check.result, check.found) == (Result.FAILED, f"{A} accepts the connection and passes no message on")
    assert "permissions" in check.hint


def test_a_group_in_order_is_three_lines():
    assert said(judge_members(overheard(beat("b"), beat("a"), ahead_s={"a": 1.9, "b": -1.9}), "c1")) == [
        (Result.OK, "2 members: a ready, b ready"),
        (Result.OK, "the same for all members"),
        (Result.OK, "members' clocks agree with this one"),
    ]


def test_an_agent_with_another_token_is_found():
    assert said(judge_members(overheard(unreadable=3), None)) == [
        (Result.FAILED, "3 messages can't be opened with this token"),
        (Result.WARNING, "no member is heard"),
    ]


def test_a_blind_member_is_found():
    check, *_ = judge_members(overheard(beat("a"), beat("b", presence=Presence.BLIND)), "c1")
    assert (check.result, check.found) == (Result.WARNING, "2 members: a ready, b blind")
    assert "b" in check.hint


def test_members_with_different_configurations_are_found():
    _, check, _ = judge_members(overheard(beat("a"), beat("b", configuration="c2")), None)
    assert (check.result, check.found) == (Result.WARNING, "members have different ones, so that devices are polled twice")
    _, check, _ = judge_members(overheard(beat("a"), beat("b")), "c2")
    assert (check.result, check.found) == (Result.WARNING, "the members' is not the one that was fetched now")


def test_clocks_that_are_apart_are_found():
    *_, one, other = judge_members(overheard(beat("a"), beat("b"), ahead_s={"b": -70.0, "a": 2.4}), "c1")
    assert said([one, other]) == [
        (Result.WARNING, "a is 2 s ahead of this machine"),
        (Result.WARNING, "b is 1 min 10 s behind this machine"),
    ]
