"""What was found and what was expected are told apart where they are, and nowhere else."""

import pytest

from towerops_agent.doctor.findings.check import split_expected


@pytest.mark.parametrize(
    ("text", "found", "wanted"),
    [
        ("oid is 'x': expected digits and dots", "oid is 'x'", "digits and dots"),
        ("oid is 'x: expected y': expected digits", "oid is 'x: expected y'", "digits"),
        ('oid is "it\'s: expected y": expected digits', 'oid is "it\'s: expected y"', "digits"),
        ("the device's port can't be 0: expected 1 to 65535", "the device's port can't be 0", "1 to 65535"),
        ("it is refused", "it is refused", ""),
        ("a is 1: expected 2; b is 3: expected 4", "a is 1: expected 2; b is 3: expected 4", ""),
    ],
)
def test_found_and_expected_are_split_once_outside_quotation_marks(text, found, wanted):
    assert split_expected(text) == (found, wanted)
