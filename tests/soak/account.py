"""The account of a soak: what was sent by the devices = delivered + counted with a reason + in memory at a kill or a stop."""

import time
from pathlib import Path

from devices import PORT
from ledger import VALUES, Ledger
from process import Agent

IN_MEMORY_S = 8.0
"""A value that was sent so long before a kill is on disk, or counted: 5 s by the docs, and the rest for a loaded machine."""


def account(ledger: Ledger, agent: Agent, lost_datagrams: int) -> list[str]:
    """Print the account of all values; what is wrong with it."""
    counted = agent.counted
    losses: dict[str, int] = {}
    for (name, reason), count in counted.items():
        match name:
            case "metrics_dropped" | "metrics_expired":
                losses[f"{name} {reason}"] = count
            case "metrics_evicted" if reason != "delivered":
                losses[f"{name} {reason}"] = count
            case "snmp_datagrams_discarded" if reason in ("late", "unknown_id"):
                losses[f"{name} {reason}, {VALUES} values each"] = count * VALUES
    if lost_datagrams:
        losses[f"lost by the agent's socket, {VALUES} values each"] = lost_datagrams * VALUES
    sent, taken = ledger.sent_count, ledger.taken_count
    rest = sent - taken - sum(losses.values())
    most = sum(ledger.missing_between(from_s - IN_MEMORY_S, to_s + IN_MEMORY_S) for _, from_s, to_s in agent.ends)
    print(f"\n{sent:>12,} values sent by the devices\n{taken:>12,} delivered, each once")
    for name, count in sorted(losses.items()):
        print(f"{count:>12,} {name}")
    kills, stops = (sum(way == wanted for way, *_ in agent.ends) for wanted in ("kill", "stop"))
    print(f"{rest:>12,} in memory at one of {kills} kills or {stops} stops (at most {most:,})")
    wrong = [*ledger.wrong, *agent.failures, *agent.bugs()]
    if not 0 <= rest <= most:
        wrong.append(f"{rest} values are unaccounted for: expected 0 to {most}")
        wrong += [
            f"sent {time.strftime('%H:%M:%S', time.localtime(at_s))}, not delivered: {n}"
            for at_s, n in ledger.missing_by_second()
        ]
    if not taken:
        wrong.append("nothing was delivered")
    return wrong


def lost_datagrams() -> int:
    """How many datagrams the sockets of this network namespace lost for want of room, those of the devices left out."""
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    every = int(rows[1][rows[0].index("RcvbufErrors")])
    sockets = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return every - sum(int(row[-1]) for row in sockets if row[1].endswith(f":{PORT:04X}"))
