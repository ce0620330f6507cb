"""How long a sweep takes: a /24 of which 40 addresses have a simulated device, on the loopback.

.venv/bin/python benchmarks/discovery.py
The pace of 50 addresses a second takes 5.1 s of it, and the wait for the last silent address 3 s.
"""

import asyncio
import random
import resource
import time

from towerops_agent.counters import Counters
from towerops_agent.discovery.course.ranges import addresses_in
from towerops_agent.discovery.course.tries import Tries
from towerops_agent.discovery.library import load_profiles
from towerops_agent.discovery.sweep import CredentialSet, Sweep
from towerops_agent.model import Credentials, Secret
from towerops_agent.snmp.client import SnmpClient
from towerops_lab.simulator.fleet import FleetServer, make_fleet
from towerops_lab.simulator.profiles import PROFILES

COMMUNITY = "benchmark"


async def main() -> None:
    stations = make_fleet(list(PROFILES.values()), 254, COMMUNITY, time.time())
    some = dict(random.Random(7).sample(sorted(stations.items(), key=lambda each: each[0]), 40))
    profiles = list(load_profiles().profiles.values())
    sets = [CredentialSet("benchmark", Credentials(community=Secret(COMMUNITY)))]
    async with FleetServer(some).serve() as port, SnmpClient(Counters()) as client:
        began, cpu = time.monotonic(), time.process_time()
        visited = await Sweep(client, sets, profiles, Tries(), port).run(addresses_in(["127.1.0.0/24"]))
        lasted, cpu = time.monotonic() - began, time.process_time() - cpu
    found = [each.found for each in visited if each.found is not None]
    requests = sum(each.requests for each in found)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(visited)} addresses, {len(found)} devices: {lasted:.1f} s; {requests / len(found):.1f} requests a device")
    print(f"{cpu:.2f} s of CPU, simulated devices included; {memory:.0f} MB resident")


if __name__ == "__main__":
    asyncio.run(main())
