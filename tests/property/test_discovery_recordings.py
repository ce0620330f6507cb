"""What discovery finds in recordings of 120 real devices, given nothing but the answers: the measurement.

The recordings are not part of the project: a checkout without the folder `shared` beside it skips these tests.
"""

import pytest

from support.recordings import Measured, measure_all
from support.skips import NO_RECORDINGS, RECORDINGS
from towerops_agent.discovery.library import load_profiles

pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason=NO_RECORDINGS)

STANDARD = ("UPS-MIB", "ENTITY-SENSOR", "HOST-RESOURCES", "UCD")


@pytest.fixture(scope="module")
def measured() -> list[Measured]:
    library = load_profiles()
    assert library.problems == []
    return measure_all(list(library.profiles.values()))


def share(measured: list[Measured], vendors: tuple[str, ...]) -> float:
    """Of the expected values of these vendors' MIBs, those that were found."""
    expected = sum(each.of_vendor.get(vendor, 0) for each in measured for vendor in vendors)
    return 1 - sum(miss.vendor in vendors for each in measured for miss in each.misses) / expected


def test_nine_of_ten_expected_values_of_the_standard_mibs_are_found(measured: list[Measured]):
    assert share(measured, STANDARD) >= 0.9


def test_the_ports_that_have_octets_are_found(measured: list[Measured]):
    """But for those that are left out on purpose: loopback, administratively down."""
    missing = [port for each in measured for port in each.no_ports]
    assert len(missing) <= 0.05 * sum(each.ports for each in measured), missing


def test_each_value_is_the_one_of_the_recording(measured: list[Measured]):
    assert [(each.device, each.wrong) for each in measured if each.wrong] == []


def test_no_two_series_of_a_device_have_one_name(measured: list[Measured]):
    assert [each.device for each in measured if each.alike] == []


def test_a_device_is_asked_at_most_40_times(measured: list[Measured]):
    """At the 95th percentile."""
    requests = sorted(each.discovery.requests for each in measured)
    assert requests[int(0.95 * len(requests))] <= 40


def test_each_device_is_read_to_the_end(measured: list[Measured]):
    assert [(each.device, each.discovery.broken) for each in measured if each.discovery.broken] == []
