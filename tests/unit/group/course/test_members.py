import pytest

from support.beats import beat
from towerops_agent.group.course.members import Heard, Members
from towerops_agent.group.course.wire import Presence


def listening(until: int) -> Members:
    """The members as of `me`, which has heard itself each second."""
    members = Members("me", "mine")
    for second in range(until + 1):
        assert members.hear(beat("me", second, boot="mine"), float(second)) is Heard.OWN
    return members


def go_on(members: Members, since: int, until: int) -> None:
    for second in range(since, until + 1):
        members.hear(beat("me", second, boot="mine"), float(second))


def names(members: Members) -> list[str]:
    return [member.name for member in members]


def test_a_member_is_there_from_its_first_beat_until_nine_silent_seconds():
    members = listening(0)
    assert members.hear(beat("a", 5), 0.5) is Heard.NEWS
    assert names(members) == ["a"]
    go_on(members, 1, 9)
    assert members.take_lost(9.4) == []
    go_on(members, 10, 10)
    assert [member.name for member in members.take_lost(10.0)] == ["a"]
    assert names(members) == []
    assert members.take_lost(30.0) == []


def test_silence_does_not_count_while_the_engine_is_away():
    members = listening(0)
    members.hear(beat("a", 5), 0.0)
    assert not members.engine_is_away(2.4)
    assert members.engine_is_away(2.6)
    assert members.take_lost(1000.0) == []
    members.hear(beat("me", 1, boot="mine"), 1000.0)
    assert not members.engine_is_away(1000.0)
    assert members.take_lost(1000.0) == []
    go_on(members, 1001, 1006)
    assert members.take_lost(1006.0) == [], "the first two and a half seconds of the outage counted"
    go_on(members, 1007, 1007)
    assert [member.name for member in members.take_lost(1007.0)] == ["a"]


def test_nobody_is_lost_before_this_member_hears_itself():
    members = Members("me", "mine")
    members.hear(beat("a"), 0.0)
    assert members.engine_is_away(0.0)
    assert members.listened_s(500.0) == 0
    assert members.take_lost(500.0) == []


def test_an_old_beat_revives_nobody():
    members = listening(0)
    members.hear(beat("a", 5), 0.0)
    assert members.hear(beat("a", 5), 1.0) is Heard.OLD
    go_on(members, 1, 11)
    members.take_lost(11.0)
    assert members.hear(beat("a", 5), 11.0) is Heard.OLD
    assert members.hear(beat("a", 4), 11.0) is Heard.OLD
    assert names(members) == []
    assert members.hear(beat("a", 6), 11.0) is Heard.NEWS


def test_a_beat_of_an_earlier_start_revives_nobody():
    members = listening(0)
    members.hear(beat("a", 5, boot="first"), 0.0)
    members.hear(beat("a", 0, boot="second"), 0.0)
    assert members.hear(beat("a", 6, boot="first"), 0.0) is Heard.OLD
    assert members.hear(beat("a", 1, boot="second"), 0.0) is Heard.NEWS
    for i in range(7):
        members.hear(beat("a", 0, boot=f"third{i}"), 0.0)
    assert members.hear(beat("a", 7, boot="first"), 0.0) is Heard.OLD
    members.hear(beat("a", 0, boot="fourth"), 0.0)
    assert members.hear(beat("a", 7, boot="first"), 0.0) is Heard.NEWS, "so many are not remembered"


@pytest.mark.parametrize("until", ["a twin is silent", "a twin has left"])
def test_who_had_a_twin_is_there_again_after_as_much_as_a_silence_of_its_beats(until: str):
    members = listening(0)
    members.hear(beat("a", 0, boot="its"), 0.0)
    members.hear(beat("a", 0, boot="twin's"), 0.0)
    if until == "a twin has left":
        members.hear(beat("a", 1, boot="twin's", presence=Presence.LEAVING), 0.0)
    else:
        go_on(members, 1, 10)
        members.take_lost(10.0)
    for second in range(11, 21):
        assert members.hear(beat("a", second, boot="its"), float(second)) is Heard.OLD
    for second in range(21, 24):
        assert members.hear(beat("a", second, boot="its"), float(second)) is Heard.NEWS
    assert members.hear(beat("a", 2, boot="twin's"), 24.0) is Heard.OLD


def test_of_three_of_one_name_one_is_there_again_though_another_one_speaks_too():
    members = listening(0)
    for boot in ("its", "twin's", "third's"):
        members.hear(beat("a", 0, boot=boot), 0.0)
    go_on(members, 1, 10)
    members.take_lost(10.0)
    heard = [members.hear(beat("a", n, boot=boot), float(n)) for n in range(11, 24) for boot in ("its", "twin's")]
    assert heard == [Heard.OLD] * 20 + [Heard.NEWS, Heard.OLD] * 3


def test_who_goes_on_from_an_earlier_moment_is_there_again():
    """As a virtual machine does that is set back to a snapshot."""
    members = listening(0)
    members.hear(beat("a", 5000), 0.0)
    go_on(members, 1, 10)
    members.take_lost(10.0)
    assert [members.hear(beat("a", second), float(second)) for second in range(11, 23)] == [Heard.OLD] * 10 + [Heard.NEWS] * 2


@pytest.mark.parametrize("bursts", [1, 3])
def test_a_queue_of_old_beats_revives_nobody_however_long_it_is(bursts: int):
    members = listening(0)
    members.hear(beat("a", 0, boot="first"), 0.0)
    members.hear(beat("a", 0, boot="second"), 0.0)
    go_on(members, 1, 10)
    members.take_lost(10.0)
    for burst in range(bursts):
        for n in range(100):
            assert members.hear(beat("a", 100 * burst + n, boot="first"), 11.0 + 5 * burst + n / 50) is Heard.OLD


def test_beats_that_were_not_heard_are_counted():
    """Of a member that is new here too, as of the first one of its start."""
    members = listening(0)

    def missed(sequence: int, boot: str = "first") -> int:
        assert members.hear(beat("a", sequence, boot=boot), 0.0) is Heard.NEWS
        return members.get("a").missed  # type: ignore[union-attr]  # it is there

    assert [missed(3), missed(4), missed(7), missed(8)] == [2, 0, 2, 0]
    assert [missed(1, "second"), missed(2, "second"), missed(5, "third")] == [0, 0, 4]


def test_a_member_that_says_goodbye_is_gone_at_once():
    members = listening(0)
    members.hear(beat("a", 1), 0.0)
    assert members.hear(beat("a", 2, presence=Presence.LEAVING), 0.0) is Heard.NEWS
    assert members.hear(beat("b", 2, presence=Presence.LEAVING), 0.0) is Heard.NEWS
    assert names(members) == []
    assert len(members) == 0


def test_another_agent_with_the_same_name_is_found_out():
    members = listening(3)
    assert members.hear(beat("me", 9, boot="other"), 3.0) is Heard.NAMESAKE
    assert members.hear(beat("me", 3, boot="mine"), 3.0) is Heard.OLD
    assert names(members) == []


def test_time_in_which_the_process_stood_still_does_not_count():
    members = listening(0)
    members.hear(beat("a", 1), 0.0)
    members.pass_over(100.0, 101.0)
    assert members.listened_s(101.0) == 1
    assert not members.engine_is_away(101.0)
    assert members.take_lost(101.0) == []


def test_who_heard_itself_before_it_saw_that_it_had_stood_still_finds_the_dead_as_soon_as_at_any_time():
    """After a pause the messages that wait are read first, or the clock is: both happen."""
    members = listening(0)
    members.hear(beat("a", 1), 0.0)
    assert members.hear(beat("me", 1, boot="mine"), 101.0) is Heard.OWN
    listened_s = members.listened_s(101.0)
    members.pass_over(100.0, 101.0)
    assert members.listened_s(101.0) == listened_s
    for second in range(102, 110):
        members.hear(beat("me", second, boot="mine"), float(second))
    assert [member.name for member in members.take_lost(109.0)] == ["a"]
    assert members.engine_is_away(112.0)


def test_all_are_forgotten():
    members = listening(0)
    members.hear(beat("a", 1), 0.0)
    members.forget()
    assert members.get("a") is None
    assert members.hear(beat("a", 1), 0.0) is Heard.OLD
    members.hear(beat("a", 2), 3.0)
    member = members.get("a")
    assert member is not None
    assert member.heard_at == 3
