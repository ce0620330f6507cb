from collections import Counter

from towerops_agent.group.course.share import Share, digest_of, owner, score

SCORE = 0.9991545712436171
DIGEST = "d33c40ed5f7cd0bacc8c6d52aeb44596"
DEVICES = [f"d{i}" for i in range(3000)]


def test_devices_are_shared_out_by_weight():
    counts = Counter(owner(device, {"a": 1.0, "b": 1.0, "c": 2.0}) for device in DEVICES)
    assert 650 < counts["a"] < 850
    assert 650 < counts["b"] < 850
    assert 1400 < counts["c"] < 1600


def test_a_score_never_changes():
    """It is part of what the members of different versions agree on."""
    assert score("box-1", "5b1f0c9e-0d8e-4c3e-9f55-2f4b5a0f6c11", 1.0) == SCORE
    assert score("box-1", "5b1f0c9e-0d8e-4c3e-9f55-2f4b5a0f6c11", 2.0) == 2 * SCORE


def test_names_that_run_into_each_other_are_different():
    assert score("a", "bc", 1.0) != score("ab", "c", 1.0)


def test_nobody_owns_a_device_of_no_members():
    assert owner("d1", {}) is None
    share = Share("a")
    assert share.owner("d1") is None
    assert not share.owns("d1")
    share.change({"a": 1.0})
    assert share.owns("d1")
    share.change({})
    assert share.owner("d1") is None


def test_devices_that_are_gone_are_forgotten():
    share = Share("a")
    share.change({"a": 1.0})
    share.owner("d1")
    share.owner("d2")
    share.keep(["d2", "d3"])
    assert share.known == 1
    assert share.owns("d1")


def test_of_two_members_only_the_owner_owns_a_device():
    weights = {"a": 1.0, "b": 1.0}
    shares = [Share(member) for member in weights]
    for share in shares:
        share.change(weights)
    for device in DEVICES[:50]:
        assert [share.owns(device) for share in shares] == [owner(device, weights) == member for member in weights]


def test_the_digest_is_of_ids_and_configurations_in_any_order():
    """It is compared between members of different versions."""
    assert digest_of([]) == "cae66941d9efbd404e4d88758ea67670"
    assert digest_of([("b", b"2"), ("a", b"1")]) == digest_of([("a", b"1"), ("b", b"2")]) == DIGEST
    assert digest_of([("a", b"1"), ("b", b"3")]) != DIGEST
