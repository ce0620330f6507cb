"""A session with a device whose name has several addresses, of which not all work."""

import pytest

from support import asking
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire.exchange import NoReply, Reply

DEAD, WORKS, ALSO_WORKS = ("2001:db8::1", 161, 0, 0), ("192.0.2.1", 161), ("192.0.2.2", 161)
REQUEST = asking.request("1.3.6.1.2.1.1.3.0")


class Network:
    """Devices at some addresses. `says`: the answer by address, else silence."""

    def __init__(self, **says):
        self.says = says
        self.asked = []

    async def ask(self, peer, security, request, timeouts_s, *, over_tcp=False, from_any=False):
        self.asked.append(peer[0])
        return self.says.get(peer[0], NoReply("timeout", len(timeouts_s)))


def session(network, *peers):
    return Session(network, peers[0], asking.security(), others=peers[1:])


@pytest.mark.parametrize("reason", ["timeout", "unreachable", "refused"])
async def test_each_address_is_tried_and_the_one_that_works_is_kept(reason):
    reply = Reply(None, 0.1, 0)
    network = Network(**{DEAD[0]: NoReply(reason, 1), WORKS[0]: reply, ALSO_WORKS[0]: reply})
    asked = session(network, DEAD, WORKS, ALSO_WORKS)
    assert await asked.ask(REQUEST) is reply
    assert asked.peer == WORKS
    network.says.clear()
    assert isinstance(await asked.ask(REQUEST), NoReply)
    assert network.asked == [DEAD[0], WORKS[0], WORKS[0]]


async def test_an_address_that_answers_is_not_left():
    for answer in (Reply(None, 0.1, 0), NoReply("unknown_user", 1)):
        network = Network(**{WORKS[0]: answer})
        asked = session(network, WORKS, ALSO_WORKS)
        assert await asked.ask(REQUEST) is answer
        network.says.clear()
        await asked.ask(REQUEST)
        assert network.asked == [WORKS[0]] * 2
        assert asked.peer == WORKS


async def test_if_all_are_silent_the_first_says_why_and_they_are_tried_once():
    network = Network(**{DEAD[0]: NoReply("unreachable", 1)})
    asked = session(network, DEAD, WORKS, ALSO_WORKS)
    assert await asked.ask(REQUEST) == NoReply("unreachable", 1)
    assert await asked.ask(REQUEST) == NoReply("unreachable", 1)
    assert network.asked == [DEAD[0], WORKS[0], ALSO_WORKS[0], DEAD[0]]
    assert asked.peer == DEAD
