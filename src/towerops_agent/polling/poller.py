"""Poll a device: one reading of it, with a log line for each finding, and missing values counted by reason.

I/O: through reading.py; log lines.
"""

from collections import Counter
from dataclasses import dataclass, field

import structlog

from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.news import (
    Ambiguous,
    AnswersElsewhere,
    Back,
    Gone,
    Moved,
    News,
    OddReplies,
    Restarted,
    WorksAt,
)
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import DeviceAsker, Reader

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll: a Reading, with the missing values counted by reason."""

    poll: Poll | None
    missing: Counter[str] = field(default_factory=Counter)
    silence: str = ""
    detail: str = ""
    rtt_s: float | None = None


class Poller:
    """Polls devices, any number at once."""

    def __init__(self, client: DeviceAsker, planner: Planner) -> None:
        self._reader = Reader(client, planner)

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Read `device` once, as Reader.read does."""
        reading = await self._reader.read(device, within_s)
        for news in reading.news:
            _log(device, news)
        return PollResult(reading.poll, Counter(reading.missing.values()), reading.silence, reading.detail, reading.rtt_s)


def _log(device: Device, news: News) -> None:
    line = log.bind(device=device.name, address=device.address)
    match news:
        case AnswersElsewhere(address):
            line.warning("device answers from another address than it is asked at, accepted from now on", answers_from=address)
        case WorksAt(address):
            line.info("device answers at another address of its name, asked there from now on", answers_at=address)
        case OddReplies(oddity):
            line.warning("device's replies are odd, accepted from now on", oddity=oddity, text=f"it {oddity.text}")
        case Restarted():
            line.info("device has restarted, its interfaces are looked up again")
        case Gone(name, if_index, there):
            line.warning("interface is gone, left out until it is back", if_name=name, if_index=if_index, named_there=there)
        case Ambiguous(name, if_indexes):
            line.warning("several interfaces have this name, left out until one stands out", if_name=name, if_indexes=if_indexes)
        case Moved(name, before, now):
            line.warning("interface has moved, read at its new index", if_name=name, if_index_before=before, if_index=now)
        case Back(name, if_index):
            line.info("interface is back", if_name=name, if_index=if_index)
