"""One simulated device: a profile's values, with a community or a v3 user, a start, and the faults that can be set.

datagram -> security (community, or USM) -> Mib.respond -> datagram. Switched off it is silent; rebooted it starts again.
No I/O and no clock: the wall clock's seconds are passed in, and so is the randomness.
"""

from collections.abc import Callable
from random import Random

from towerops_agent.errors import InvalidOid, MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Version
from towerops_agent.snmp.wire.usm_keys import Principal
from towerops_lab.simulator.device import answer_community
from towerops_lab.simulator.engine import USER, Engine
from towerops_lab.simulator.mib import Mib
from towerops_lab.simulator.world import NOBODY, Identity, Moment, World

MAX_OCTETS = 1472
"""The largest answer: one that fits an Ethernet frame (RFC 3417 §3.2 asks for 484 at least)."""

BOOT_S = 20.0
"""How long a reboot takes: the device is silent."""


class Station:
    """A device. `is_on`: else it is silent; `loss`: the share of requests that get lost on their way, 0 to 1.

    `asked`: how many requests were sent to it while some got lost; `lost`: how many of them were.

    `old_s`: how long it has been running when the simulation begins.
    """

    def __init__(
        self,
        mib: Mib[Moment],
        world: World,
        started_s: float,
        *,
        community: str = "public",
        seed: float = 0.0,
        old_s: float = 1_000_000.0,
        rng: Random | None = None,
        engine_id: bytes = b"",
        user: Principal = USER,
        identity: Identity = NOBODY,
    ) -> None:
        """`engine_id`: for SNMPv3, which it uses if there is a `user`; `identity`: the name and the rest that are its own."""
        self.mib = mib
        self.is_on = True
        self.loss = 0.0
        self.asked = self.lost = 0
        self.first = True
        self.seed = seed
        self.booted_s = started_s - old_s
        self._world = world
        self._identity = identity
        self._community = community.encode()
        self._engine = Engine(engine_id, self.booted_s, user) if engine_id else None
        self._rng = rng or Random(seed)  # noqa: S311 - it decides which packets get lost

    def reboot(self, now_s: float) -> None:
        """Restart it: silent for BOOT_S, then with an uptime and counters that start at zero."""
        self.is_on = True
        self.first = False
        self.booted_s = now_s + BOOT_S
        if self._engine is not None:
            self._engine.restart(self.booted_s)

    def lose(self, share: float) -> None:
        """Lose this share of the requests from now on, and count them from the start."""
        self.loss, self.asked, self.lost = share, 0, 0

    def hears(self, now_s: float) -> bool:
        """Whether a request that is sent now reaches it."""
        if not self.is_on or now_s < self.booted_s:
            return False
        if not self.loss:
            return True
        is_lost = self._rng.random() < self.loss
        self.asked += 1
        self.lost += is_lost
        return not is_lost

    def answer(self, datagram: bytes, now_s: float) -> bytes | None:
        """The response to a request; None if a real device stays silent: off, no SNMP, a wrong community or user."""
        if not self.hears(now_s):
            return None
        if self._engine is not None and _is_v3(datagram):
            try:
                return self._engine.answer(datagram, now_s, self.respond, MAX_OCTETS)
            except (MalformedMessage, InvalidOid):
                return None

        def respond(version: int, pdu: bytes, max_octets: int) -> bytes | None:
            return self.respond(version, pdu, now_s, max_octets)

        return answer_community(datagram, self._community, respond, MAX_OCTETS)

    def respond(self, version: int, pdu: bytes, now_s: float, max_octets: int) -> bytes | None:
        """The PDU that answers `pdu`, whatever the message around it. Raises MalformedMessage, InvalidOid."""
        moment = self._world.moment(now_s, self.booted_s, self.seed, self.first, self._identity)
        return self.mib.respond(version, pdu, moment, max_octets)


def _is_v3(datagram: bytes) -> bool:
    try:
        start, end = ber.read_contents(datagram, 0, len(datagram), ber.SEQUENCE)
        return ber.read_integer(datagram, start, end)[0] == Version.V3
    except MalformedMessage:
        return False


Answers = Callable[[bytes, float], bytes | None]
"""A device on the network: a datagram and the wall clock's seconds -> its answer, if any."""
