"""What a device's answers come to, in words."""

import pytest

from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.findings.readings import Gap, Gaps, find_gaps, shown
from towerops_agent.model import Equipment, Interface, Sensor
from towerops_agent.polling.course.news import AnswersElsewhere, ByNext, Moved, OddReplies, Paced, Restarted, WorksAt
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.oddities import Oddity

DEVICE = Equipment(
    "eq",
    "North",
    "10.0.0.1",
    sensors=(Sensor("s0", parse_oid("1.3.6.1.2.1")), Sensor("s1", parse_oid("1.3.6.1.4.1"))),
    interfaces=(Interface("i0", 3, "eth3"), Interface("i1", 4)),
)


def gaps(*reasons, total=4):
    return Gaps(tuple(Gap(f"item {i}", reason) for i, reason in enumerate(reasons)), total)


def test_an_interface_lacks_what_both_its_octets_lack():
    """Values in a poll: two sensors, then six of each interface, octets in and out first."""
    missing = {1: "noSuchObject", 2: "timeout", 3: "genErr", 8: "noSuchName", 10: "null"}
    assert find_gaps(DEVICE, missing) == Gaps(
        (Gap("sensor s1 (1.3.6.1.4.1)", "noSuchObject"), Gap("interface 3 (eth3)", "timeout")), 4
    )
    assert find_gaps(DEVICE, {8: "noSuchName", 9: "noSuchName"}) == Gaps((Gap("interface 4", "noSuchName"),), 4)
    assert find_gaps(DEVICE, {9: "noSuchName"}) == Gaps((), 4)


def test_an_interface_that_is_configured_by_its_name_only_is_called_by_that():
    by_name = Equipment("eq", "North", "10.0.0.1", interfaces=(Interface("i0", 0, "sfp1"),))
    assert find_gaps(by_name, {0: "interface_away", 1: "interface_away"}).gaps == (Gap("interface sfp1", "interface_away"),)


@pytest.mark.parametrize(
    ("found", "mark", "text"),
    [
        (gaps(total=0), Result.OK, "no readings are configured"),
        (gaps(total=1), Result.OK, "the configured reading can be read"),
        (gaps(total=2), Result.OK, "all 2 can be read"),
        (gaps("genErr"), Result.WARNING, "3 of 4 can be read; the device failed to read it (genErr): item 0"),
        (gaps(*["nothing_there"] * 2), Result.OK, f"all 4 can be read; {Reason.NOTHING_THERE.text}: item 0, item 1"),
        (gaps("nothing_there", total=1), Result.OK, f"the configured reading can be read; {Reason.NOTHING_THERE.text}: item 0"),
        (gaps("nothing_there", "null"), Result.WARNING, "3 of 4 can be read; "),
        (gaps("badValue", "genErr", "badValue"), Result.WARNING, "1 of 4 can be read; badValue: item 0, item 2; "),
        (gaps(*["null"] * 3, total=3), Result.FAILED, "0 of 3 can be read; empty: item 0, item 1, item 2"),
        (gaps(*["null"] * 5, total=5), Result.FAILED, "0 of 5 can be read; empty: item 0, item 1, item 2 and 2 more"),
    ],
)
def test_what_can_be_read_is_counted_and_the_rest_listed_by_reason(found, mark, text):
    assert found.result is mark
    assert found.found.startswith(text)
    assert found.found == text or text.endswith("; ")


def test_each_reason_has_its_hint_once():
    assert gaps("genErr").hint == Reason.GEN_ERR.hint
    assert gaps("null", "genErr", "not_a_number").hint == f"{Reason.NULL.hint}; {Reason.GEN_ERR.hint}"
    assert gaps().hint == ""
    assert gaps("badValue").hint == Reason.OTHER.hint


def test_a_device_that_shows_nothing_may_hide_it():
    assert gaps("noSuchObject", "noAccess", total=2).all_hidden
    assert gaps("noSuchObject", total=1).all_hidden
    assert not gaps("noSuchObject", "noAccess", total=3).all_hidden
    assert not gaps("noSuchObject", "genErr", total=2).all_hidden
    assert not gaps(total=0).all_hidden


def test_news_are_from_which_address_it_answers_and_what_has_moved():
    assert shown(iter([])) == []
    assert shown([Restarted()]) == []
    assert shown([AnswersElsewhere("10.0.0.9")]) == ["from another address (10.0.0.9)"]
    assert shown([WorksAt("10.0.0.9")]) == ["at 10.0.0.9, not at an address of its name before it"]
    assert shown([OddReplies(Oddity.EXTRA_ZERO)]) == ["appends a 0 to OIDs"]
    assert shown([ByNext(2)]) == ["only to GETNEXT what it denies by GET"]
    assert shown([Paced(2.04), Paced(None)]) == ["answers one request in 2.0 s"]
    moved = [Moved(f"eth{i}", i, i + 1) for i in range(5)]
    assert shown([*moved[:1], AnswersElsewhere("10.0.0.9")]) == [
        "from another address (10.0.0.9)",
        "has moved interfaces: eth0 at 1 instead of 0",
    ]
    assert shown(moved)[0].endswith("eth2 at 3 instead of 2 and 2 more")
