"""What remote write costs: CPU to encode and compress polls of 20 sensors and 48 interfaces, and octets a value.

.venv/bin/python benchmarks/destinations.py
"""

import time

from towerops_agent.destinations.courier import compress
from towerops_agent.destinations.wire.remote_write import encode_labels, samples_of, write_request
from towerops_agent.destinations.wire.series import in_order, series_of
from towerops_agent.model import INTERFACE_COLUMNS, Layout, Poll

SENSORS, INTERFACES, POLLS = 20, 48, 100
NOW_US = 1_767_986_535_000_000


def main() -> None:
    device = {
        "id": "e",
        "name": "north tower switch",
        "ip_address": "10.1.0.2",
        "snmp": {"port": 161},
        "labels": {"site": "north", "region": "brook county"},
        "sensors": [{"id": f"s{n}", "unit": "celsius", "metadata": {"descr": f"sensor {n}"}} for n in range(SENSORS)],
        "interfaces": [{"id": f"i{n}", "if_index": 0, "if_name": f"sfp-sfpplus{n}"} for n in range(INTERFACES)],
    }
    layout = Layout("e", tuple((f"s{n}", 10.0) for n in range(SENSORS)), tuple(f"i{n}" for n in range(INTERFACES)))
    heads = [encode_labels(labels) for labels in in_order(layout, series_of(device, {"agent": "a1"}))]
    count = SENSORS + INTERFACES * len(INTERFACE_COLUMNS)
    polls = [
        Poll(1, NOW_US + n * 60_000_000, tuple((n * 7919 + k) ** 2 for k in range(count)), ((SENSORS + INTERFACES, 1500),), 68)
        for n in range(POLLS)
    ]
    best_s = {"encode": 1e9, "compress": 1e9}
    for _ in range(5):
        began = time.process_time()
        body = write_request((heads, samples_of(layout, poll)) for poll in polls)
        encoded = time.process_time()
        packed = compress(body)
        ended = time.process_time()
        best_s["encode"] = min(best_s["encode"], encoded - began)
        best_s["compress"] = min(best_s["compress"], ended - encoded)
    values = count * POLLS
    for what, seconds in best_s.items():
        print(f"{what}: {seconds / values * 1e6:.2f} ms of CPU per 1,000 values")
    print(f"{len(body) / values:.0f} octets a value, {len(packed) / values:.1f} compressed")


if __name__ == "__main__":
    main()
