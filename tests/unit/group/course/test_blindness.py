from towerops_agent.group.course.blindness import Sight, sees_again, turns_blind

CLEAR = Sight(30, 30, 0)


def test_a_member_whose_devices_are_silent_while_a_peer_reaches_its_own_is_blind():
    assert turns_blind(Sight(20, 2, 18), [CLEAR])
    assert not turns_blind(Sight(20, 3, 17), [CLEAR]), "some answer"
    assert not turns_blind(Sight(19, 0, 19), [CLEAR]), "it may be one mast"
    assert not turns_blind(Sight(20, 0, 17), [CLEAR]), "three were not asked yet"


def test_without_a_peer_that_sees_nobody_is_blind():
    dark = Sight(20, 0, 20)
    assert not turns_blind(dark, [])
    assert not turns_blind(dark, [dark, Sight(20, 9, 11), Sight(0, 0, 0)])
    assert turns_blind(dark, [dark, Sight(20, 10, 10)])


def test_a_blind_member_sees_again_when_half_answer():
    assert sees_again(20, 10)
    assert not sees_again(20, 9)
    assert sees_again(1, 1)
    assert not sees_again(0, 0)
