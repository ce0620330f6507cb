"""What a probe found out, as aligned text and as JSON."""

import json

import pytest

from towerops_agent.snmptool.views.probe_report import Bulk, Limit, ProbeReport, report_json, report_text


def test_a_report_is_aligned_and_calm():
    report = ProbeReport(
        "10.0.0.1:161",
        "North Tower",
        versions={"2c": "answers", "1": "is silent"},
        version="2c",
        system={"sysDescr": "a radio", "sysName": None},
        rtts_s=[0.0012, 0.0014, 0.0031],
        rtt_asks=5,
        get=Limit(40, 41, "tooBig"),
        bulk=[Bulk(10, 10), Bulk(50, 0, "silence")],
        largest_answer_octets=1432,
        if_number=5,
        interfaces=5,
        wide_counters=4,
    )
    assert report_text(report).splitlines() == [
        "North Tower (10.0.0.1:161)",
        "  versions         2c answers, 1 is silent",
        "  sysDescr         a radio",
        "  sysName          not given",
        "  round trip       1.2 ms at least, 1.4 ms median; 3 of 5 answered",
        "  varbinds         40 in a GET; 41 were answered with tooBig",
        "  GETBULK          works: 10 asked, 10 in one answer; 50 asked, not answered, though the device still answers less",
        "  largest answer   1432 octets seen",
        "  interfaces       ifNumber 5, ifTable has 5",
        "  64-bit counters  ifHCInOctets of 4 interfaces",
    ]
    plain = json.loads(report_json(report))
    assert plain["rtt"] == {"asked": 5, "answered": 3, "min_s": 0.0012, "median_s": 0.0014}
    assert plain["get"] == {"accepted": 40, "refused_at": 41, "reason": "tooBig"}


def test_what_was_not_found_out_is_unknown():
    text = report_text(ProbeReport("10.0.0.1:161", version="2c", rtt_asks=5))
    assert "unknown: none of 5 answered" in text
    assert "GETBULK          unknown" in text
    assert "could not be read to its end" in text


def line(label, **fields):
    """The line of a report of a device that speaks 2c, if nothing else is said."""
    lines = report_text(ProbeReport("10.0.0.1:161", **{"version": "2c"} | fields)).splitlines()
    (found,) = (text for text in lines if text.startswith(f"  {label} "))
    return found.removeprefix(f"  {label}").strip()


def test_a_device_that_answers_in_no_version_has_no_more_lines():
    assert report_text(ProbeReport("10.0.0.1:161", versions={"2c": "silent", "1": "silent"})).splitlines() == [
        "10.0.0.1:161",
        "  versions  2c silent, 1 silent",
    ]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (None, "unknown"),
        (Limit(60), "60 in a GET; more were not tried"),
        (Limit(7, 8, "silence"), "7 in a GET; 8 were not answered, though the device still answers less"),
        (Limit(7, 8, "gone"), "7 in a GET; 8 were not answered, and the device answered nothing after it"),
        (Limit(7, 8, "tooBig"), "7 in a GET; 8 were answered with tooBig"),
        (Limit(7, 8, "omitted"), "7 in a GET; 8 were answered in part"),
        (Limit(7, 8, "genErr"), "7 in a GET; 8 were answered with genErr"),
    ],
)
def test_the_limit_of_a_get_has_its_reason(limit, text):
    assert line("varbinds", get=limit) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"version": "1", "bulk": [Bulk(10, 10)]}, "not tried: SNMPv1 lacks it"),
        ({}, "unknown"),
        ({"bulk": [Bulk(10, 1)]}, "does not work: 10 asked, 1 in one answer"),
        ({"bulk": [Bulk(10, 2)]}, "works: 10 asked, 2 in one answer"),
        ({"bulk": [Bulk(10, 0, "genErr")]}, "does not work: 10 asked, genErr"),
    ],
)
def test_getbulk_works_if_one_answer_had_more_than_one_varbind(fields, text):
    assert line("GETBULK", **fields) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"version": "1", "wide_counters": 3}, "none: SNMPv1 has no Counter64"),
        ({}, "unknown: ifHCInOctets could not be read to its end"),
        ({"wide_counters": 0}, "none: no ifHCInOctets"),
        ({"wide_counters": 1}, "ifHCInOctets of 1 interface"),
    ],
)
def test_wide_counters_are_counted_or_missing_for_a_reason(fields, text):
    assert line("64-bit counters", **fields) == text


def test_interfaces_are_those_of_if_number_and_of_the_table():
    assert line("interfaces") == "ifNumber not given, ifTable could not be read to its end"
    assert line("interfaces", if_number=0, interfaces=0) == "ifNumber 0, ifTable has 0"


def test_json_has_each_field_and_round_trips_in_short():
    report = ProbeReport("10.0.0.1:161", versions={"1": "answers"}, bulk=[Bulk(10, 3)], rtt_asks=4)
    assert json.loads(report_json(report)) == {
        "address": "10.0.0.1:161",
        "name": "",
        "versions": {"1": "answers"},
        "version": None,
        "system": {},
        "get": None,
        "bulk": [{"asked": 10, "answered": 3, "reason": ""}],
        "largest_answer_octets": 0,
        "if_number": None,
        "interfaces": None,
        "wide_counters": None,
        "rtt": {"asked": 4, "answered": 0, "min_s": None, "median_s": None},
    }
    assert report_json(report).startswith('{\n  "address"')
    assert "\n    " in report_json(report), "and it is indented"


def test_round_trips_are_in_milliseconds():
    assert line("round trip", rtts_s=[9.0, 8.0, 10.0], rtt_asks=3) == "8000.0 ms at least, 9000.0 ms median; 3 of 3 answered"
