"""The truth of a soak, kept outside of the agent: each value that a device sent, and each that the server acknowledged.

A value names the device, the answer and the sensor that it is of, so that a delivered one is found among those that were sent:
a value of another device, a made-up one, one that comes twice or at another time is wrong.
"""

from array import array
from bisect import bisect_right
from collections import Counter

VALUES = 3
"""Of each answer: two sensors, and the interface by its octets in."""

LATEST_S = 20.0
"""How long after it was sent a value may be received, on a loaded machine."""


TURN_S = 1.0
"""How long a turn of the agent's loop lasts at most, on a loaded machine: what is received in it has the time of its start."""

POLL_S = 10.0
"""How long a poll lasts at most, on a loaded machine."""


def code(device: int, answer: int, value: int) -> int:
    """The value that device sends: unlike any other one, and growing, as a counter does."""
    return (device + 1) * 10_000_000 + answer * 10 + value


class Clock:
    """The agent's wall clock: how far it is ahead of the true one, since when."""

    def __init__(self) -> None:
        self._since = [0.0]
        self._ahead_s = [0]

    @property
    def ahead_s(self) -> int:
        """Now."""
        return self._ahead_s[-1]

    def set(self, ahead_s: int, now_s: float) -> None:
        """Note a step."""
        self._since.append(now_s)
        self._ahead_s.append(ahead_s)

    def may_show(self, shown_s: float, sent_s: float) -> bool:
        """Whether the clock showed this when a value arrived that was sent at `sent_s`, true time.

        If it is set back during a poll, no reading of the poll is older than its start.
        """
        first = bisect_right(self._since, sent_s - POLL_S) - 1
        last = bisect_right(self._since, sent_s + LATEST_S)
        earliest_s = -TURN_S if last - first == 1 else -POLL_S
        return any(earliest_s <= shown_s - ahead_s - sent_s <= LATEST_S for ahead_s in self._ahead_s[first:last])


class Ledger:
    """`wrong`: what is wrong with values that were delivered. True time, seconds since 1970."""

    def __init__(self, devices: int, clock: Clock) -> None:
        self._clock = clock
        self._sent_s = [array("d") for _ in range(devices)]
        self._sent = [bytearray() for _ in range(devices)]  # VALUES octets an answer: how often each was sent
        self._taken = [bytearray() for _ in range(devices)]
        self.wrong: list[str] = []

    def begin(self, device: int) -> int:
        """The number of the device's next answer."""
        self._sent_s[device].append(0.0)
        self._sent[device].extend(bytes(VALUES))
        self._taken[device].extend(bytes(VALUES))
        return len(self._sent_s[device]) - 1

    def sent(self, device: int, answer: int, values: set[int], now_s: float) -> None:
        """Note that an answer left the device."""
        self._sent_s[device][answer] = self._sent_s[device][answer] or now_s
        for value in values:
            self._sent[device][answer * VALUES + value] += 1

    def take(self, device: int, value: int, got: int, shown_s: float) -> None:
        """Note that the server has this value, with this time."""
        answer, rest = divmod(got - code(device, 0, value), 10)
        place = answer * VALUES + value
        if rest or not 0 <= answer < len(self._sent_s[device]) or not self._sent[device][place]:
            self.wrong.append(f"device {device} never sent {got} as its value {value}")
        elif self._taken[device][place]:
            self.wrong.append(f"value {value} of answer {answer} of device {device} was delivered twice")
        else:
            self._taken[device][place] = 1
            sent_s = self._sent_s[device][answer]
            if not self._clock.may_show(shown_s, sent_s):
                self.wrong.append(f"value {value} of answer {answer} of device {device}, sent {sent_s}, is shown as of {shown_s}")

    @property
    def sent_count(self) -> int:
        """How many values were sent, each as often as it was sent."""
        return sum(sum(sent) for sent in self._sent)

    @property
    def taken_count(self) -> int:
        """How many values were delivered."""
        return sum(sum(taken) for taken in self._taken)

    def missing_between(self, from_s: float, to_s: float) -> int:
        """How many values that were sent in this time were not delivered, each as often as it was sent but once if delivered."""
        count = 0
        for times, sent, taken in zip(self._sent_s, self._sent, self._taken, strict=True):
            for answer in range(len(times) - 1, -1, -1):
                if times[answer] and times[answer] < from_s - 60:
                    break
                if from_s <= times[answer] <= to_s:
                    part = slice(answer * VALUES, (answer + 1) * VALUES)
                    count += sum(sent[part]) - sum(taken[part])
        return count

    def missing_by_second(self) -> list[tuple[int, int]]:
        """When values were sent that were not delivered, to the second, and how many."""
        found: Counter[int] = Counter()
        for times, sent, taken in zip(self._sent_s, self._sent, self._taken, strict=True):
            for answer, at_s in enumerate(times):
                part = slice(answer * VALUES, (answer + 1) * VALUES)
                found[int(at_s)] += sum(sent[part]) - sum(taken[part])
        return sorted((at_s, count) for at_s, count in found.items() if count)
