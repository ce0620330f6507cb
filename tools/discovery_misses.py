#!/usr/bin/env python3
"""What discovery does not find in the recordings of real devices: `tools/discovery_misses.py [VENDOR…] [--device NAME]`.

For each vendor's MIB how many of the expected values are found, and of the vendors or devices that are named the missing ones:
OID, type, divisor, the expected value, and what was found instead. Needs ../shared/recordings beside the checkout.
"""

import argparse
import statistics
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.recordings import WISP, measure_all
from support.skips import RECORDINGS
from towerops_agent.discovery.library import load_profiles


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vendors", nargs="*", metavar="VENDOR")
    parser.add_argument("--device", action="append", default=[])
    parser.add_argument("--cases", type=Path, default=RECORDINGS)
    arguments = parser.parse_args()
    library = load_profiles()
    for problem in library.problems:
        print(problem)
    measured = measure_all(list(library.profiles.values()), arguments.cases)
    expected: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for each in measured:
        expected.update(each.of_vendor)
        missed.update(miss.vendor for miss in each.misses)
        if each.device in arguments.device:
            print(f"{each.device}: {each.discovery.vendor} {each.discovery.model}, {', '.join(each.discovery.profiles)}")
            for sensor in each.discovery.sensors:
                print(f"  {sensor.name} = {sensor.value / sensor.divisor:g} {sensor.unit}")
            for left in each.discovery.left_out:
                print(f"  left out: {left.what}: {left.why}")
        for miss in each.misses:
            if miss.vendor in arguments.vendors or miss.device in arguments.device:
                instead = "" if miss.found is None else f", found {miss.found:g}"
                print(f"{miss.device} {miss.oid} /{miss.divisor:g} {miss.type} = {miss.expected:g}{instead}")
    for vendor in sorted(expected, key=lambda vendor: -expected[vendor]):
        found = expected[vendor] - missed[vendor]
        print(f"{vendor:16} {found:5} of {expected[vendor]:5}  {found / expected[vendor]:6.1%}")
    wisp = sum(expected[vendor] for vendor in WISP)
    found = wisp - sum(missed[vendor] for vendor in WISP)
    ports, lost = sum(each.ports for each in measured), sum(len(each.no_ports) for each in measured)
    requests = sorted(each.discovery.requests for each in measured)
    print(
        f"WISP vendors: {found} of {wisp}, {found / wisp:.1%}; ports: {ports - lost} of {ports}, {(ports - lost) / ports:.1%}; ",
        end="",
    )
    print(f"ports left out as intended: {sum(len(each.left_out) for each in measured)}")
    at_95 = requests[int(0.95 * len(requests))]
    print(f"requests: median {statistics.median(requests):g}, 95th percentile {at_95}, most {requests[-1]}")
    print(f"wrong: {sum(len(each.wrong) for each in measured)}, alike: {sum(each.alike for each in measured)}")


if __name__ == "__main__":
    main()
