"""Whether this machine lets the agent ping, and by which socket; what a few pings of a device show.

I/O: ICMP. Times in seconds.
"""

import os
import socket
from collections.abc import Sequence
from typing import Final

from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import GROUP_RANGE, NotSent
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.reasons import Unsent
from towerops_agent.snmp.wire.exchange import Peer
from towerops_agent.text import counted

NAME: Final = "ping"

ECHOES: Final = 3
GAP_S: Final = 0.2
WAIT_S: Final = 2.0

_FAMILIES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}


async def pinged(client: PingClient, peer: Peer, *, until_first: bool = False) -> Tally | NotSent:
    """What came of ECHOES pings of `peer`; or why they could not be sent. `until_first`: one reply is enough."""
    return await client.ask((peer[0], 0, *peer[2:]), ECHOES, GAP_S, WAIT_S, until_first=until_first)


async def pinged_at(client: PingClient, peers: Sequence[Peer]) -> Tally | NotSent:
    """As `pinged`, of the first of a name's addresses that answers; if none does, of the first that could be pinged."""
    tally = await pinged(client, peers[0])
    for peer in peers[1:]:
        if isinstance(tally, Tally) and tally.received:
            break
        other = await pinged(client, peer)
        if isinstance(other, Tally) and (other.received or isinstance(tally, NotSent)):
            tally = other
    return tally


def check_sockets(client: PingClient, devices: int) -> Check:
    """By which socket the agent would ping as this user, and what is missing. `devices`: how many are to be pinged."""
    found = {version: client.try_socket(family) for family, version in _FAMILIES.items()}
    shown = ", ".join(f"{version} {_shown(one)}" for version, one in found.items())
    shown = f"{shown}; {counted(devices, 'device')} to ping"
    reasons = [one.reason for one in found.values() if isinstance(one, NotSent)]
    if Unsent.NO_PERMISSION in reasons:
        whose = f"this process's group is {os.getegid()}, {GROUP_RANGE.name} is {_group_range()}"
        return Check(NAME, Result.FAILED, f"{shown}; {whose}", Unsent.NO_PERMISSION.hint)
    if len(reasons) == len(found):
        return Check(NAME, Result.FAILED, shown, reasons[0].hint)
    return Check(NAME, Result.OK, shown)


def shown_tally(tally: Tally) -> str:
    """As `answers ping in 1.2 ms`, with how many came back if not all did."""
    if not tally.received or tally.rtt_min_us is None:
        return "does not answer ping"
    some = "" if tally.received == tally.sent else f" ({tally.received} of {tally.sent})"
    return f"answers ping in {tally.rtt_min_us / 1000:.1f} ms{some}"


def _shown(one: object) -> str:
    if not isinstance(one, NotSent):
        return f"by {one}"
    return f"{'not permitted' if one.reason is Unsent.NO_PERMISSION else 'not possible'} ({one.detail})"


def _group_range() -> str:
    try:
        return " to ".join(GROUP_RANGE.read_text().split())
    except OSError as error:
        return f"not readable ({error.strerror})"
