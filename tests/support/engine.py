"""An engine of a group in memory, for virtual time: it passes messages on to whoever it reaches."""

import asyncio
from collections.abc import Callable


class Engine:
    """`buses`: by member. `cut`: pairs of members of which neither hears the other; a member with itself: it has no engine.

    `late_s`: how long what a member says is on its way, if not LATENCY_S.
    """

    LATENCY_S = 0.002

    def __init__(self) -> None:
        self.buses: dict[str, FakeBus] = {}
        self.cut: set[frozenset[str]] = set()
        self.late_s: dict[str, float] = {}

    def bus_of(self, member: str) -> Callable[[list[str], Callable[[str, bytes], None], Callable[[], None]], "FakeBus"]:
        def make(subjects, hear, changed):
            self.buses[member] = FakeBus(self, member, hear, changed)
            return self.buses[member]

        return make

    def reaches(self, one: str, other: str) -> bool:
        return not ({frozenset((one, other)), frozenset((one,)), frozenset((other,))} & self.cut)

    def part(self, *members: str) -> None:
        """These hear each other and nobody else."""
        self.cut = {frozenset((one, other)) for one in members for other in self.buses if other not in members}

    def stop(self) -> None:
        self.cut = {frozenset((member,)) for member in self.buses}
        self._changed()

    def heal(self) -> None:
        self.cut = set()
        self._changed()

    def _changed(self) -> None:
        for bus in self.buses.values():
            bus.changed()


class FakeBus:
    """As Bus. A member that is dead neither speaks nor hears."""

    def __init__(self, engine: Engine, member: str, hear: Callable[[str, bytes], None], changed: Callable[[], None]) -> None:
        self._engine = engine
        self._member = member
        self.hear = hear
        self.changed = changed
        self.is_dead = False
        self.server = "memory"
        self.reasons = self.refused = ""

    @property
    def is_connected(self) -> bool:
        return self._engine.reaches(self._member, self._member)

    async def publish(self, subject: str, octets: bytes) -> bool:
        if self.is_dead or not self.is_connected:
            return False
        for member, bus in self._engine.buses.items():
            if self._engine.reaches(self._member, member):
                latency_s = self._engine.late_s.get(self._member, Engine.LATENCY_S)
                asyncio.get_running_loop().call_later(latency_s, self._deliver, bus, subject, octets)
        return True

    @staticmethod
    def _deliver(bus: "FakeBus", subject: str, octets: bytes) -> None:
        if not bus.is_dead:
            bus.hear(subject, octets)

    async def flush(self, within_s: float) -> bool:
        return self.is_connected

    async def run(self) -> None:
        self.changed()
        await asyncio.Event().wait()
