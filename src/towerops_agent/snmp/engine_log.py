"""Tells and counts what changed about devices' SNMP engines."""

from collections.abc import Callable
from typing import Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.wire.exchange import Exchanges, Peer
from towerops_agent.text import address

log = structlog.get_logger()

_WARNINGS: Final = {
    "boots_reset": "SNMP engine's boots or time went back: it lost count of its restarts; accepted",
    "replaced": "SNMP engine has another ID: the device was replaced or set up again; accepted",
}


NameOf = Callable[[Peer], str]
"""What people call the device at an address; "" where they don't."""


def tell_changes(exchanges: Exchanges, counters: Counters, name_of: NameOf) -> None:
    """Take out what changed; what should not happen to a healthy device is a warning."""
    for peer, change in exchanges.changes:
        counters.add(Count.SNMP_ENGINES, change.kind)
        where = log.bind(device=name_of(peer), address=address(peer[0], peer[1]), before=change.before, after=change.after)
        if change.kind in _WARNINGS:
            where.warning(_WARNINGS[change.kind])
        else:
            where.debug("SNMP engine is new" if change.kind == "discovered" else "SNMP engine restarted")
    exchanges.changes.clear()
