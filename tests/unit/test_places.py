"""Who leaves a page for the next client."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.places import Doing, Places


class Clients:
    """Numbered clients of a page with three places; `gone`: those that had to leave."""

    def __init__(self) -> None:
        self.places: Places[int] = Places(3)
        self.gone: list[int] = []

    def enters(self, number: int, address: str = "") -> bool:
        return self.places.enter(number, lambda: self.gone.append(number), address)


def test_the_client_that_has_not_asked_for_the_longest_leaves_for_the_next_one():
    clients = Clients()
    assert [clients.enters(number) for number in range(6)] == [True] * 6
    assert clients.gone == [0, 1, 2]


def test_a_client_that_has_been_answered_and_asks_again_is_a_new_one():
    clients = Clients()
    for number in range(3):
        clients.enters(number)
    for doing in (Doing.WAITS, Doing.READS, Doing.ASKS):
        clients.places.does(0, doing)
    clients.enters(3)
    assert clients.gone == [1]


def test_who_reads_leaves_if_nobody_is_still_to_ask_and_who_waits_stays():
    clients = Clients()
    for number in range(3):
        clients.enters(number)
    for number, doing in enumerate((Doing.READS, Doing.WAITS, Doing.READS)):
        clients.places.does(number, doing)
    assert [clients.enters(number) for number in (3, 4)] == [True, True]
    assert clients.gone == [0, 3], "3 had not asked yet"
    clients.places.does(4, Doing.WAITS)
    assert clients.enters(5)
    assert clients.gone == [0, 3, 2]
    clients.places.does(5, Doing.WAITS)
    assert not clients.enters(6)
    clients.places.leave(1)
    assert clients.enters(6)
    assert clients.gone == [0, 3, 2]


def test_an_address_that_takes_all_places_that_it_can_get_has_its_own_clients_leave():
    clients = Clients()
    assert clients.enters(0, "operator")
    assert [clients.enters(number, "guesser") for number in range(1, 6)] == [True] * 5
    assert clients.gone == [1, 2, 3]
    assert clients.enters(6, "other")
    clients.places.does(5, Doing.READS)
    assert clients.enters(7, "guesser")
    assert clients.gone == [1, 2, 3, 4, 5]


DEEDS = st.one_of(st.just("enter"), st.just("leave"), st.sampled_from(Doing))


@given(st.lists(st.tuples(st.integers(0, 9), DEEDS)))
def test_there_are_never_more_than_there_are_places_and_nobody_leaves_twice(deeds):
    clients = Clients()
    there: dict[int, Doing] = {}
    for number, deed in deeds:
        clients.gone.clear()
        if deed == "enter" and number not in there:
            was_full = len(there) == 3
            can_leave = {one for one, doing in there.items() if doing is not Doing.WAITS}
            is_in = clients.enters(number)
            assert is_in == (not was_full or bool(can_leave))
            assert len(clients.gone) == (was_full and is_in)
            assert can_leave.issuperset(clients.gone)
            for one in clients.gone:
                del there[one]
            if is_in:
                there[number] = Doing.ASKS
        elif deed == "leave":
            clients.places.leave(number)
            there.pop(number, None)
        elif isinstance(deed, Doing):
            clients.places.does(number, deed)
            if number in there:
                there[number] = deed
        assert len(there) <= 3
