"""Which polls of a batch can be sent now, and which never: candidates with their samples, and losses by reason.

    stored polls + labels + what is known to be too late -> Candidate …, Loss …

Pure. Microseconds since 1970 (`_us`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.destinations.wire.remote_write import STALE, is_writable
from towerops_agent.destinations.wire.samples import Part, Samples, samples_of
from towerops_agent.reasons import Loss


@dataclass(frozen=True, slots=True)
class Candidate:
    """A poll that may be sent: as it is stored, and its samples."""

    poll: StoredPoll
    part: Part

    @property
    def metrics(self) -> int:
        """How many of its metrics are in the batch."""
        return _metrics(self.poll)

    @property
    def time_us(self) -> int:
        """The time of its last reply."""
        return self.poll.poll.started_at_us + max(offset_us for _, offset_us in self.poll.poll.times)

    @property
    def device(self) -> str:
        """Whose it is."""
        return self.part[1].equipment_id

    @property
    def labels(self) -> int:
        """A digest of its series' labels: by what is constant of them, and not by ids, which may become another layout's."""
        return hash(tuple(self.part[0]))

    @property
    def slots(self) -> int:
        """Which of the series it has samples of, a bit each."""
        found = 0
        for slot in self.part[2].slots:
            found |= 1 << slot
        return found

    def only(self, slots: int) -> "Candidate":
        """The same with the samples of these series only, a bit each."""
        heads, layout, samples = self.part
        return Candidate(self.poll, (heads, layout, Samples.of(one for one in samples if slots >> one[0] & 1)))

    def at(self, time_us: int) -> "Candidate":
        """The same series at another time, to ask about it: without a value, as nothing was read then."""
        heads, layout, samples = self.part
        count = len(samples.slots)
        return Candidate(self.poll, (heads, layout, Samples(samples.slots, [STALE] * count, [time_us] * count)))


def fit_of(
    polls: Iterable[StoredPoll],
    heads: Mapping[int, Sequence[bytes]],
    latest_us: int,
    is_late: Callable[[Candidate], bool],
) -> tuple[list[Candidate], Counter[Loss]]:
    """The polls that can be sent, and how many metrics of others can't, by reason.

    `heads`: by layout, those whose labels are known. `latest_us`: what is later is of a clock that was wrong.
    """
    fit: list[Candidate] = []
    lost: Counter[Loss] = Counter()
    for poll in polls:
        layout = poll.poll.layout
        if layout not in heads:
            lost[Loss.UNLABELLED] += _metrics(poll)
        elif poll.poll.started_at_us > latest_us or not is_writable(poll.poll.started_at_us // 1000):
            lost[Loss.TIME_AHEAD] += _metrics(poll)
        else:
            samples = samples_of(poll.layout, poll.poll, poll.first_metric, poll.stop_metric)
            one = Candidate(poll, (heads[layout], poll.layout, samples))
            if is_late(one):
                lost[Loss.TOO_LATE] += one.metrics
            else:
                fit.append(one)
    return fit, lost


def latest_of(key_of: Callable[[Sequence[bytes], int], bytes], parts: Sequence[Part]) -> list[Part]:
    """The last sample of each series of the parts. `key_of`: the octets that only samples of one series have (ReceiverKind's)."""
    seen: set[bytes] = set()
    latest: list[Part] = []
    for heads, layout, samples in reversed(parts):
        kept = Samples.of(sample for sample in samples if key_of(heads, sample[0]) not in seen)
        seen.update(key_of(heads, slot) for slot in kept.slots)
        latest.append((heads, layout, kept))
    return latest[::-1]


def _metrics(poll: StoredPoll) -> int:
    return poll.stop_metric - poll.first_metric
