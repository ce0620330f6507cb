"""What discovery finds in recordings of 120 real devices, given nothing but the answers: the measurement.

The recordings are not part of the project: a checkout without the folder `shared` beside it skips these tests.
"""

from math import inf

import pytest

from support.recordings import WISP, Measured, measure_all
from support.skips import NO_RECORDINGS, RECORDINGS
from towerops_agent.discovery.course.findings import FoundSensor
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


@pytest.mark.parametrize("vendor", WISP)
def test_nine_of_ten_expected_values_of_each_vendor_are_found(measured: list[Measured], vendor: str):
    expected = sum(each.of_vendor.get(vendor, 0) for each in measured)
    missed = [miss.oid for each in measured for miss in each.misses if miss.vendor == vendor]
    assert len(missed) <= 0.1 * expected, missed


PLAUSIBLE = {
    "celsius": (-60, 150),
    "fahrenheit": (-60, 300),
    "volts": (-100, 1_000),
    "amperes": (-1_000, 2_000),
    "watts": (-100_000, 1_000_000),
    "hertz": (0, 1_000),
    "MHz": (0, 100_000),
    "dBm": (-150, 60),
    "dB": (-100, 150),
    "rpm": (0, 30_000),
    "bps": (0, 100e9),
    "minutes": (0, 60 * 24 * 366 * 20),
}
"""What a value of a real device can be, by its unit: a wrong divisor would be outside, mostly."""

PLAUSIBLE_BY_NAME = {"carrier offset": (-200_000, 200_000)}
"""Of values that are not what their unit is mostly for: hertz are a supply's, this one is how far a radio is off its channel."""


def _is_plausible(sensor: FoundSensor) -> bool:
    """Also if it has a unit that is not in the table."""
    least, most = PLAUSIBLE_BY_NAME.get(sensor.name) or PLAUSIBLE.get(sensor.unit) or (-inf, inf)
    return least <= sensor.value / sensor.divisor <= most


def test_values_are_plausible_in_their_units(measured: list[Measured]):
    odd = [
        f"{each.device}: {sensor.name} = {sensor.value / sensor.divisor:g} {sensor.unit} ({sensor.source})"
        for each in measured
        for sensor in each.discovery.sensors
        if not _is_plausible(sensor)
    ]
    assert odd == []
