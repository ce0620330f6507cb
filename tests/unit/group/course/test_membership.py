from typing import Any

import pytest

from support.beats import beat
from towerops_agent.group.course.blindness import Sight
from towerops_agent.group.course.members import Heard
from towerops_agent.group.course.membership import (
    Alone,
    Blinded,
    Changed,
    EngineAway,
    EngineBack,
    Event,
    Joined,
    Left,
    Listened,
    Lost,
    Membership,
    Unequal,
)
from towerops_agent.group.course.wire import Presence

CLEAR = Sight(30, 30, 0)
DARK = Sight(30, 0, 30)


class Life:
    """A membership in which seconds pass. `peers`: who beats each second, with what they say. `engine`: whether it works."""

    def __init__(self, me: str = "me") -> None:
        self.now = 0.0
        self.sequence = 0
        self.me = me
        self.membership = Membership(me, "mine", 1.0)
        self.membership.configure("c1")
        self.engine = True
        self.sight = CLEAR
        self.peers: dict[str, dict[str, Any]] = {}

    def pass_by(self, seconds: int) -> list[Event]:
        events: list[Event] = []
        for _ in range(seconds):
            self.now += 1
            self.sequence += 1
            if self.engine:
                self.membership.hear(beat(self.me, self.sequence, boot="mine"), self.now)
                for name, fields in self.peers.items():
                    events += self.membership.hear(beat(name, self.sequence, **fields), self.now)[1]
            events += self.membership.tick(self.sight, self.now)
        return events

    @property
    def sharers(self) -> set[str]:
        return set(self.membership.weights(self.now))


def joined(*peers: str, me: str = "me", **fields: Any) -> Life:
    """A member that polls, beside these."""
    life = Life(me)
    life.peers = {peer: {"owned": 30, "up": 30, **fields} for peer in peers}
    life.pass_by(4)
    assert life.membership.presence is Presence.READY
    return life


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


def test_a_member_listens_before_it_polls():
    life = Life()
    life.peers["a"] = {}
    assert life.sharers == set()
    assert kinds(life.pass_by(3)) == [Joined]
    assert life.membership.presence is Presence.LISTENING
    assert life.sharers == {"a"}
    assert kinds(life.pass_by(1)) == [Listened]
    assert life.sharers == {"a", "me"}


def test_the_weights_are_those_that_members_say():
    life = joined("a", weight=2.5)
    assert life.membership.weights(life.now) == {"a": 2.5, "me": 1.0}


def test_a_member_that_listens_polls_nothing_yet():
    life = joined()
    life.peers["a"] = {"presence": Presence.LISTENING}
    assert kinds(life.pass_by(1)) == [Joined]
    assert life.sharers == {"me"}
    life.peers["a"] = {}
    (event,) = life.pass_by(1)
    assert event == Changed(life.membership.members.get("a"), Presence.LISTENING)
    assert life.sharers == {"me", "a"}


def test_a_silent_member_is_lost():
    life = joined("a", "b")
    del life.peers["a"]
    assert kinds(life.pass_by(9)) == []
    (event,) = life.pass_by(1)
    assert isinstance(event, Lost)
    assert event.member.name == "a"
    assert life.sharers == {"b", "me"}


def test_a_goodbye_is_not_a_loss():
    life = joined("a")
    life.peers["a"] = {"presence": Presence.LEAVING}
    assert life.pass_by(2) == [Left("a")], "said once"
    assert life.sharers == {"me"}


def test_a_member_that_has_started_again_joins_again():
    life = joined("a")
    life.peers["a"] = {"boot": "boot2", "presence": Presence.LISTENING}
    assert kinds(life.pass_by(2)) == [Lost, Joined]


def test_while_the_engine_is_away_a_member_keeps_its_share_for_a_minute_and_then_polls_everything():
    life = joined("a")
    life.engine = False
    assert kinds(life.pass_by(3)) == [EngineAway]
    assert life.pass_by(57) == []
    assert life.sharers == {"a", "me"}
    assert not life.membership.is_alone
    assert kinds(life.pass_by(1)) == [Alone]
    assert life.membership.is_alone
    assert life.sharers == {"me"}
    life.engine = True
    assert kinds(life.pass_by(1)) == [Joined, EngineBack]
    assert life.membership.is_alone is False
    assert life.sharers == {"a", "me"}


def test_who_has_died_during_an_outage_is_not_believed_alive_after_it():
    life = joined("a", "b")
    life.engine = False
    life.pass_by(61)
    life.engine = True
    del life.peers["a"]
    assert kinds(life.pass_by(1)) == [Joined, EngineBack]
    assert life.sharers == {"b", "me"}


def test_a_member_that_hears_others_and_not_itself_polls_everything():
    """It may not publish: nobody knows of it, so it can rely on nobody."""
    membership = Membership("me", "mine", 1.0)
    membership.configure("c1")
    events = []
    for second in range(1, 12):
        events += membership.hear(beat("a", second), float(second))[1]
        events += membership.tick(CLEAR, float(second))
    assert kinds(events) == [Joined, EngineAway, Alone]
    assert set(membership.weights(11.0)) == {"me"}


def test_without_an_engine_at_the_start_it_polls_everything_after_ten_seconds():
    life = Life()
    life.engine = False
    assert kinds(life.pass_by(10)) == [EngineAway]
    assert life.sharers == set()
    assert kinds(life.pass_by(1)) == [Alone]
    assert life.sharers == {"me"}
    assert life.membership.presence is Presence.READY


def test_an_engine_that_comes_while_it_listens_is_not_news():
    life = Life()
    life.engine = False
    assert life.pass_by(2) == []
    life.engine = True
    assert kinds(life.pass_by(4)) == [Listened]


def test_a_process_that_stood_still_blames_nobody():
    life = joined("a")
    life.now += 500
    assert life.membership.tick(CLEAR, life.now) == []
    assert life.sharers == {"a", "me"}
    assert life.pass_by(1) == []


def test_a_member_that_reaches_none_of_its_devices_leaves_them_to_a_peer_that_does():
    life = joined("a", "b")
    life.sight = DARK
    assert life.pass_by(1) == [Blinded(DARK)]
    assert life.membership.presence is Presence.BLIND
    assert life.sharers == {"a", "b"}
    life.sight = Sight(0, 0, 0)
    assert life.pass_by(5) == []
    life.membership.see_again()
    assert life.sharers == {"a", "b", "me"}
    life.membership.leave()
    life.membership.see_again()
    assert life.membership.presence is Presence.LEAVING


def test_if_all_are_blind_all_poll():
    life = joined("a")
    life.sight = DARK
    life.pass_by(1)
    life.peers["a"] = {"presence": Presence.BLIND}
    assert kinds(life.pass_by(1)) == [Changed]
    assert life.sharers == {"a", "me"}


@pytest.mark.parametrize(
    "peer", [{"owned": 30, "down": 30, "up": 0}, {"presence": Presence.BLIND}, {"presence": Presence.LISTENING}]
)
def test_without_a_peer_that_sees_a_member_goes_on(peer: dict[str, Any]):
    life = joined("a")
    life.peers["a"] |= peer
    life.pass_by(1)
    life.sight = DARK
    assert life.pass_by(3) == []
    assert "me" in life.sharers


def test_a_single_member_is_not_blind():
    life = joined("a")
    life.engine = False
    life.pass_by(61)
    life.sight = DARK
    assert life.pass_by(3) == []
    assert life.sharers == {"me"}


def test_a_member_with_another_configuration_is_relied_on_for_ten_seconds():
    life = joined("a", "b")
    life.peers["a"]["configuration"] = "c2"
    assert kinds(life.pass_by(1)) == [Unequal]
    assert life.pass_by(10) == []
    assert life.sharers == {"a", "b", "me"}
    assert life.pass_by(1) == []
    assert life.sharers == {"b", "me"}
    life.membership.configure("c2")
    assert life.sharers >= {"a", "me"}
    (event,) = life.pass_by(1)
    assert isinstance(event, Unequal)
    assert event.member.name == "b"
    life.peers["b"]["configuration"] = "c3"
    assert kinds(life.pass_by(1)) == [Unequal], "another one again"
    life.peers["b"]["configuration"] = "c2"
    life.pass_by(1)
    assert life.pass_by(30) == []
    assert life.sharers == {"a", "b", "me"}


def test_a_member_whose_configuration_keeps_changing_is_relied_on_for_ten_seconds_too():
    """As while it discovers devices: it may lack one of ours all that time."""
    life = joined("a")
    for n in range(12):
        life.peers["a"]["configuration"] = f"c{n + 2}"
        assert kinds(life.pass_by(1)) == [Unequal]
    assert life.sharers == {"me"}
    life.peers["a"]["configuration"] = "c1"
    life.pass_by(1)
    assert life.sharers == {"a", "me"}
    life.peers["a"]["configuration"] = "c2"
    assert kinds(life.pass_by(1)) == [Unequal]
    assert life.sharers == {"a", "me"}


def test_a_member_that_has_no_configuration_yet_does_not_have_another_one():
    life = joined("b")
    life.peers["a"] = {"presence": Presence.LISTENING, "configuration": ""}
    assert kinds(life.pass_by(12)) == [Joined]
    life.peers["a"] = {"presence": Presence.READY, "configuration": "c1"}
    assert kinds(life.pass_by(1)) == [Changed]
    assert life.sharers == {"a", "b", "me"}
    life.peers["a"] = {"presence": Presence.READY, "configuration": ""}
    assert kinds(life.pass_by(1)) == [Unequal], "one that polls has to have it"


def test_a_lost_members_configuration_is_forgotten():
    life = joined("a")
    life.peers["a"]["configuration"] = "c2"
    life.pass_by(1)
    peer = life.peers.pop("a")
    life.pass_by(12)
    life.peers["a"] = peer
    assert kinds(life.pass_by(1)) == [Joined, Unequal]
    assert life.sharers == {"a", "me"}


def test_the_lowest_name_leads_and_sends_the_heartbeat():
    life = joined("b", "z")
    assert life.membership.leader == "b"
    assert not life.membership.sends_heartbeat
    life.peers["b"]["api_works"] = False
    life.pass_by(1)
    assert life.membership.leader == "b"
    assert life.membership.sends_heartbeat, "the lower one does not reach the API"
    life.peers["b"] |= {"presence": Presence.LISTENING, "api_works": None}
    life.pass_by(1)
    assert life.membership.leader == "me"
    assert life.membership.sends_heartbeat


def test_a_member_that_listens_follows_those_that_poll():
    life = Life("a")
    assert life.membership.leader == "a"
    assert life.membership.sends_heartbeat
    life.peers["b"] = {}
    life.pass_by(1)
    assert life.membership.leader == "b"
    assert not life.membership.sends_heartbeat
    life.pass_by(4)
    assert life.membership.leader == "a"
    assert life.membership.sends_heartbeat


def test_a_member_that_began_without_an_engine_follows_those_that_it_finds_once_and_leads_then():
    life = Life("a")
    life.engine = False
    life.pass_by(11)
    assert life.membership.leader == "a"
    life.engine = True
    life.peers["b"] = {}
    life.pass_by(1)
    assert life.membership.leader == "b"
    life.membership.followed()
    assert life.membership.leader == "a"


def test_a_member_that_listens_leads_nobody_though_it_follows():
    life = Life("a")
    life.peers["b"] = {}
    life.pass_by(1)
    life.membership.followed()
    assert life.membership.leader == "b"


def test_a_member_that_leaves_owns_nothing_and_watches_nothing():
    life = joined("a")
    life.membership.leave()
    assert life.sharers == {"a"}
    life.engine = False
    assert life.pass_by(100) == []


def test_what_is_not_news_changes_nothing():
    life = joined("a")
    assert life.membership.hear(beat("a", 1, configuration="c9"), life.now) == (Heard.OLD, [])
    assert life.membership.hear(beat("me", 1, boot="other"), life.now) == (Heard.NAMESAKE, [])
    assert life.membership.hear(beat("q", 1, presence=Presence.LEAVING), life.now) == (Heard.NEWS, [])


def test_a_member_without_a_configuration_does_not_join():
    """It would have the others leave it devices that it does not know."""
    life = Life()
    life.membership.configure("")
    assert life.pass_by(30) == []
    life.membership.configure("c1")
    assert kinds(life.pass_by(1)) == [Listened]


def test_a_member_without_engine_and_configuration_listens_again_once_the_engine_is_there():
    life = Life()
    life.membership.configure("")
    life.engine = False
    assert kinds(life.pass_by(15)) == [EngineAway, Alone]
    assert life.sharers == {"me"}
    life.engine = True
    life.peers["a"] = {}
    life.pass_by(20)
    assert life.membership.presence is Presence.LISTENING
    assert life.sharers == {"a"}
    life.membership.configure("c1")
    assert kinds(life.pass_by(1)) == [Listened]


def test_a_member_without_engine_polls_once_it_has_its_configuration_and_says_so_once_the_engine_is_there():
    life = Life()
    life.membership.configure("")
    life.engine = False
    life.pass_by(15)
    life.membership.configure("c1")
    assert life.pass_by(1) == []
    life.engine = True
    life.pass_by(1)
    assert life.membership.presence is Presence.READY
    assert life.sharers == {"me"}


def test_time_before_it_listens_does_not_count():
    membership = Membership("me", "mine", 1.0)
    membership.configure("c1")
    membership.begin(5000.0)
    assert membership.tick(CLEAR, 5001.0) == []


def test_who_said_goodbye_with_another_configuration_is_relied_on_when_it_is_back():
    life = joined("a")
    life.peers["a"]["configuration"] = "c2"
    life.pass_by(12)
    assert life.sharers == {"me"}
    life.peers["a"]["presence"] = Presence.LEAVING
    life.pass_by(1)
    life.peers["a"]["presence"] = Presence.READY
    assert kinds(life.pass_by(1)) == [Joined, Unequal]
    assert life.sharers == {"a", "me"}


def test_an_event_has_the_member_as_it_is_or_was():
    life = joined("a")
    before = life.membership.members.get("a")
    life.peers["a"] = {"boot": "boot2"}
    assert life.pass_by(1) == [Lost(before), Joined(life.membership.members.get("a"))]


def test_a_blind_member_says_so_once_and_polls_by_its_weight_if_nobody_sees():
    life = joined("a")
    life.sight = DARK
    assert life.pass_by(1) == [Blinded(DARK)]
    assert life.pass_by(3) == []
    life.peers["a"] = {"presence": Presence.BLIND, "weight": 2.5}
    life.pass_by(1)
    assert life.membership.weights(life.now) == {"a": 2.5, "me": 1.0}


def test_an_engine_that_goes_away_after_the_process_stood_still_is_noticed_as_ever():
    life = joined("a")
    life.now += 500
    life.membership.tick(CLEAR, life.now)
    life.engine = False
    assert kinds(life.pass_by(3)) == [EngineAway]


def test_while_a_member_listens_the_engine_is_away_after_three_seconds():
    life = Life()
    life.engine = False
    assert life.pass_by(2) == []
    assert kinds(life.pass_by(1)) == [EngineAway]


def test_a_member_that_has_just_been_made_has_its_boot_and_no_configuration_and_listens():
    membership = Membership("me", "mine", 1.0)
    assert (membership.boot, membership.configuration, membership.is_alone) == ("mine", "", False)
    assert membership.presence is Presence.LISTENING
