"""A sweep with more sets of credentials than an address sees in a day: each has its turn, and what was not asked is said."""

import asyncio
from collections.abc import Sequence

from support.fake_client import FakeClient
from support.mib import FewValues, port
from support.virtual_time import run
from towerops_agent.discovery.course.tries import DAY_S, Tries
from towerops_agent.discovery.sweep import CredentialSet, Sweep, Visited
from towerops_agent.model import Credentials, Secret
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Community, Request

NOW = 1_800_000_000.0
HOST = "192.0.2.1"
SETS = [CredentialSet(f"set-{n}", Credentials(community=Secret(f"community-{n}"))) for n in range(1, 6)]


class OneCommunity(FakeClient):
    """A device that answers to one community, and is silent to all others."""

    def __init__(self, community: bytes) -> None:
        super().__init__()
        self.community = community
        self.answers = FewValues(port(1, "ether1"))

    async def reply(self, host: str, security: Community, request: Request, timeouts_s: Sequence[float]) -> Answer:
        if self.community in security.head:
            return self.answers.answer(request)
        await asyncio.sleep(sum(timeouts_s))
        return NoReply(Reason.TIMEOUT, len(timeouts_s))


async def visit(tries: Tries, community: bytes, from_s: float) -> Visited:
    """One sweep over the address, begun at this time of the wall clock."""
    began_s = asyncio.get_running_loop().time()

    def clock() -> float:
        return from_s + asyncio.get_running_loop().time() - began_s

    (visited,) = await Sweep(OneCommunity(community), SETS, [], tries, clock=clock).run([HOST])
    return visited


def test_a_set_for_which_no_message_was_left_is_said_and_is_tried_first_another_day():
    """Before, the fourth community of a site was never tried at a device that is silent to three, and nothing said so."""
    tries = Tries()
    first = run(visit(tries, b"community-5", NOW))
    assert (first.found, first.tried) == (None, ["set-1", "set-2", "set-3"])
    assert first.silence.startswith(
        "timeout; not asked as set-4, set-5: 3 messages without an answer today; the next one in 23 h"
    )
    assert first.silence.endswith("or at once with `discover --forget`")
    again = run(visit(tries, b"community-5", NOW + 7200))
    assert (again.found, again.tried) == (None, [])
    assert again.silence.startswith("not asked: 3 messages without an answer today; the next one in 22 h")
    kept = Tries(tries.merged({}, NOW + DAY_S))
    second = run(visit(kept, b"community-5", NOW + DAY_S + 300))
    assert (second.found is not None, second.tried, second.silence) == (True, ["set-4", "set-5"], "")
    assert second.credentials == SETS[4]
    assert run(visit(kept, b"community-5", NOW + DAY_S + 600)).tried == ["set-5"], "what has worked is first"


def test_three_sets_have_a_message_each_and_none_is_left_out():
    tries = Tries()
    visited = run(visit(tries, b"community-3", NOW))
    assert (visited.tried, visited.silence) == (["set-1", "set-2", "set-3"], "")
    assert tries.known[f"{HOST} 161"].owed == []
