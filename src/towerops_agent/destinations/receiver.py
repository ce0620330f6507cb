"""The receiver of a destination, for as long as a step of its delivery lasts: what can be sent to it, and how.

I/O: the receiver. Microseconds since 1970 (`_us`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.destinations.course.fit import Candidate, fit_of
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.lateness import Send
from towerops_agent.destinations.wire.answers import WriteOutcome
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import Destination


@dataclass(frozen=True, slots=True)
class Receiver:
    """`send` sends a body to it. `latest_us`: nothing later is sent, nor what `is_late`, as far as is known."""

    destination: Destination
    send: Send
    latest_us: int
    is_late: Callable[[Candidate], bool]

    def fit(self, polls: Iterable[StoredPoll], heads: Mapping[int, Sequence[bytes]]) -> tuple[list[Candidate], Counter[Loss]]:
        """The polls that can be sent to it, and how many metrics of others can't, by reason; `heads` as `fit_of` has them."""
        return fit_of(polls, heads, self.latest_us, self.is_late)

    async def send_one(self, one: Candidate) -> WriteOutcome:
        """What came of one poll by itself."""
        return await self.send(KINDS[self.destination.kind].pack([one.part]).body)
