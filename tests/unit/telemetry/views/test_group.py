from typing import Any

from towerops_agent.telemetry.views.group import GroupView, MemberView, group_lines, group_remarks
from towerops_agent.telemetry.views.lines import Tone

NOW_US = 1_800_000_000_000_000


def member(name: str, **fields: Any) -> MemberView:
    known = {"presence": "ready", "version": "0.1.0", "configuration": "5f1c09abffff", "owned": 5012, "up": 4998, "down": 14}
    return MemberView(name, **{**known, "backlog": 0, "api_works": True, "heard_s": 0.41, **fields})


def group(*members: MemberView, **fields: Any) -> GroupView:
    known = {"server": "tls://box-1:4222", "reasons": "", "refused": "", "away_us": None, "alone_us": None}
    return GroupView("north", "box-1", members=list(members), **{**known, **fields})


def texts(view: GroupView) -> list[str]:
    return [" " * line.indent + line.text for line in group_lines(view, NOW_US)]


def test_a_healthy_group_is_a_line_for_each_member_by_name():
    view = group(member("box-1", heard_s=None), member("a", owned=7, up=7, down=0, backlog=1200))
    assert texts(view) == [
        "north: box-1 of 2 members",
        "engine works, at tls://box-1:4222",
        "  a      ready      polls 7 (7 up, 0 down)  backlog 1,200  API works  config 5f1c09ab  0.1.0  heard 0.4 s ago",
        "  box-1  ready      polls 5,012 (4,998 up, 14 down)  backlog 0  API works  config 5f1c09ab  0.1.0  this one",
    ]
    assert all(line.tone in (Tone.GOOD, Tone.PLAIN) for line in group_lines(view, NOW_US))
    assert group_remarks(view, NOW_US) == []


def test_an_engine_that_is_away_has_a_reason_and_says_who_polls():
    away = group(member("box-1"), server="", reasons="tls://box-1:4222: Connection refused", away_us=NOW_US - 30_000_000)
    said = "engine has been away for 30 s, this agent keeps its share of the devices: tls://box-1:4222: Connection refused"
    assert texts(away)[1] == said
    assert group_lines(away, NOW_US)[1].tone is Tone.BAD
    assert group_remarks(away, NOW_US) == [f"group: {said}"]
    alone = group(member("box-1"), reasons="x", away_us=NOW_US - 90_000_000, alone_us=NOW_US - 30_000_000)
    assert texts(alone)[1] == "engine has been away for 1 min 30 s, this agent polls all devices: x"


def test_a_permission_that_is_missing_is_said():
    view = group(member("box-1"), refused="permissions violation for publish")
    assert texts(view)[1] == "engine works in part: permissions violation for publish"


def test_a_blind_member_is_said():
    view = group(member("box-1"), member("box-2", presence="blind"))
    assert group_remarks(view, NOW_US) == ["group: box-2 does not reach its devices"]
    assert [line.tone for line in group_lines(view, NOW_US)][2:] == [Tone.GOOD, Tone.BAD]


def test_different_configurations_clocks_and_states_of_the_api_are_seen():
    view = group(
        member("box-1", configuration="", api_works=None, ahead_s=-65.0),
        member("box-2", presence="listening", api_works=False, ahead_s=2.4),
        member("box-3", ahead_s=1.9),
    )
    first, second, third, last = texts(view)[2:]
    assert "API not tried yet  config none  0.1.0  clock 1 min 5 s behind" in first
    assert "listening" in second
    assert "API fails" in second
    assert "clock 2 s ahead" in second
    assert "clock" not in third
    assert last == "members have different configurations: devices may be polled twice"
    tones = [line.tone for line in group_lines(view, NOW_US)]
    assert tones[2:] == [Tone.GOOD, Tone.WARNING, Tone.GOOD, Tone.WARNING]
