"""The deliveries to the API and to the destinations beside it, as one."""

import asyncio
from pathlib import Path

from support.remote import Remote
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.destinations.beside import Beside
from towerops_agent.destinations.couriers import Couriers
from towerops_agent.site.document.destination import Destination


async def test_while_the_api_is_down_polls_are_too_many_if_the_destinations_get_them_late(tmp_path: Path, monkeypatch):
    """Else the agent polls all it can, and what it can't deliver to them waits in the database until it expires."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        api = Courier(remote.buffer, None, Counters(), accepts=Accepts)  # type: ignore[arg-type]  # nothing is sent
        couriers = Couriers(
            remote.buffer, Counters(), loop="destinations", sleeper=lambda _: remote.pause, forget=lambda _: None, beside=("",)
        )
        await couriers.use([Destination("p", "http://127.0.0.1:9/")])
        (one,) = couriers.couriers.values()
        one.availability.succeeded(0)
        monkeypatch.setattr(type(one), "is_behind", True)
        both = Beside(api, couriers, asyncio.Event())
        assert not both.is_behind
        api.availability.failed("no connection", 0)
        assert both.is_behind
        api.availability.succeeded(0)
        assert not both.is_behind
