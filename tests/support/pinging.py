"""Pings devices by PingClient, and by fping, in this process's network namespace; run by support.namespace.

`python -m support.pinging WISH`: WISH has `hosts`, `count`, `gap_s` and `wait_s`; `fping`: whether fping pings them as well;
`busy_s`: for how long nothing is read after the first echoes; `distant`: whether 10.9.0.0/24 and fd09::/64 are to be there, as
support.distant makes them. Prints JSON: `socket` by family, `tallies` and `fping` by host, `distant`, and `counters`.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from support.arrivals import kept_times
from support.distant import Distant
from support.hang import HANG_S
from towerops_agent.counters import Count, Counters
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.snmp.session import Resolver


async def pinged(wish: dict[str, Any]) -> dict[str, Any]:
    """The rounds of all hosts at once."""
    counters = Counters()
    resolver = Resolver()
    async with PingClient(counters) as client:
        await kept_times()
        peers = {host: (await resolver.resolve(host, 0))[0] for host in wish["hosts"]}
        asked = asyncio.gather(*(client.ask(peer, wish["count"], wish["gap_s"], wish["wait_s"]) for peer in peers.values()))
        asyncio.get_running_loop().call_soon(time.sleep, wish.get("busy_s", 0.0))
        found = await asked
        sockets = {str(int(family)): sock.kind for family, sock in client.sockets.items()}
        timed = {str(int(family)): sock.has_kernel_times for family, sock in client.sockets.items()}
    tallies = {
        host: asdict(one) if isinstance(one, Tally) else {"reason": one.reason, "detail": one.detail}
        for host, one in zip(peers, found, strict=True)
    }
    counts = {str(count): counters.by_reason(count) for count in (Count.PINGS, Count.PINGS_UNSENT, Count.PINGS_DISCARDED)}
    return {"tallies": tallies, "socket": sockets, "kernel_times": timed, "counters": counts}


def by_fping(wish: dict[str, Any]) -> dict[str, list[float | None]]:
    """The round trip of each echo in milliseconds, None if it was lost, by host."""
    period_ms = max(round(wish["gap_s"] * 1000), 10)
    wait_s = wish["wait_s"] if wish.get("distant") else HANG_S  # it waits so long only for what is lost
    command = ["fping", "-q", "-C", str(wish["count"]), "-p", str(period_ms), "-t", str(round(wait_s * 1000)), "-i", "1"]
    said = subprocess.run([*command, *wish["hosts"]], capture_output=True, text=True, check=False)
    lines = re.findall(r"^(\S+)\s+: ([-\d. ]+)$", said.stderr + said.stdout, re.MULTILINE)
    return {host: [None if word == "-" else float(word) for word in words.split()] for host, words in lines}


def main() -> None:
    wish = json.loads(sys.argv[1])
    distant = Distant(wish["distant"]) if wish.get("distant") else None
    found = asyncio.run(pinged(wish))
    if distant is not None:
        found["distant"] = distant.ended()
    if wish.get("fping"):
        if distant is not None:
            distant.begin_again()
        found["fping"] = by_fping(wish)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
