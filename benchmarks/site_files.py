"""How long it takes to compile site files: 1,000 devices of 20 sensors and 48 interfaces.

.venv/bin/python benchmarks/site_files.py
"""

import time

from towerops_agent.site.document.site import compile_site


def main() -> None:
    sensors = ", ".join(f"{{name: s{n}, oid: 1.3.6.1.4.1.99.{n}.0, divisor: 10}}" for n in range(20))
    ports = ", ".join(f"ether{n}" for n in range(48))
    lines = [f"  - {{address: 10.{n >> 8}.{n & 255}.2, sensors: [{sensors}], interfaces: [{ports}]}}" for n in range(1000)]
    octets = "\n".join(["devices:", *lines]).encode()
    best = min(timed(octets) for _ in range(3))
    print(f"{len(octets) / 1e6:.1f} MB of YAML, 1,000 devices, 68,000 items: {best:.2f} s")


def timed(octets: bytes) -> float:
    began = time.perf_counter()
    compiled = compile_site([("site.yaml", octets)], lambda *_: "")
    assert compiled.devices == 1000
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
