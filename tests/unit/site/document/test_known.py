"""Devices of an earlier reading are taken in their order, each with its own JSON."""

from support.configuration import config_of
from towerops_agent.site.document.known import Earlier, KnownDevice


def known(place: int, *, found: object = None, is_auto: bool = False) -> KnownDevice:
    return KnownDevice(place, "a", 0, 1, str(place), "a", "10.0.0.1", 161, 0, 0, is_auto, found)  # type: ignore[arg-type]


CONFIG, SHOWN = (config_of({}, [b"%s%d" % (word, n) for n in range(4)]) for word in (b"item", b"masked"))
KNOWN = {b"%d" % n: known(n) for n in range(4)}


def test_each_is_its_own_and_one_that_is_behind_is_not_taken():
    earlier = Earlier(CONFIG, SHOWN, KNOWN)
    planned = [earlier.plan(digest, {}) for digest in (b"1", None, b"new", b"0", b"1", b"3", b"2")]
    assert [one and one.place for one in planned] == [1, None, None, None, None, 3, None]
    assert [earlier.take(one) for one in planned if one] == [(b"item1", b"masked1"), (b"item3", b"masked3")]


def test_without_an_earlier_configuration_nothing_is_taken():
    assert Earlier(None, None, KNOWN).plan(b"1", {}) is None


def test_a_device_of_which_something_else_was_discovered_is_not_taken():
    found = object()
    devices = {b"a": known(0, found=found, is_auto=True), b"b": known(1, is_auto=True)}
    for additions, taken in (({}, [False, True]), ({"0": found}, [True, True]), ({"0": object(), "1": found}, [False, False])):
        earlier = Earlier(CONFIG, SHOWN, devices)
        assert [earlier.plan(digest, additions) is not None for digest in (b"a", b"b")] == taken  # type: ignore[arg-type]
