"""Asks a device that is not there twice, by SnmpClient in this process's network namespace; run by support.namespace.

`python -m support.gone WISH`: WISH has its `host`. Prints JSON: the reason and detail of the `first` answer, what was `discarded`
then, and the `next` answer.
"""

import asyncio
import json
import sys
from typing import Any

from support import asking
from support.hang import HANG_S
from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.exchange import NoReply


class Listened(Counters):
    """Counters that say when something was discarded."""

    def __init__(self) -> None:
        super().__init__()
        self.has_discarded = asyncio.Event()

    def add(self, name: Count, reason: str = "", n: int = 1) -> None:
        super().add(name, reason, n)
        if name is Count.SNMP_DISCARDED:
            self.has_discarded.set()


async def asked(host: str) -> dict[str, Any]:
    """The two answers; the second request is sent once the system has said what became of the first."""
    counters = Listened()
    async with SnmpClient(counters) as client:

        async def ask() -> list[str]:
            answer = await client.ask((host, 161), asking.security(), asking.request("1.3.6.1.2.1.1.3.0"), (0.01,))
            assert isinstance(answer, NoReply)
            return [answer.reason, answer.detail]

        first = await ask()
        await asyncio.wait_for(counters.has_discarded.wait(), HANG_S)
        return {"first": first, "discarded": ", ".join(counters.by_reason(Count.SNMP_DISCARDED)), "next": await ask()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(asked(json.loads(sys.argv[1])["host"]))))
