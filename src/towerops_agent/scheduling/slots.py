"""Places for polls under way: how many there may be, slow ones apart from quick ones.

Pure. Seconds on a monotonic clock.
"""

from typing import Final

SLOW_S: Final = 5.0
"""Longer than a healthy device takes over a bad link: some ten requests, a few of them repeated."""


class Slots:
    """Places for polls under way, with separate ones for slow polls: a slow device never holds the place of a quick one.

    A poll that has lasted SLOW_S returns its place and goes on as a slow one. A device whose last poll was slow starts as one.
    `most`: how many quick polls may be under way at once; `most_slow`: up to how many slow ones may start beside them. More can
    be slow at once, as quick polls turn slow under way. They are limited because each poll has a deadline. Times are seconds
    on a monotonic clock, passed in.
    """

    def __init__(self, most: int, most_slow: int) -> None:
        self._most = most
        self._most_slow = most_slow
        self._quick: dict[str, float] = {}  # device id -> when it began, the oldest first
        self._slow: dict[str, float] = {}
        self._known_slow: set[str] = set()

    def __len__(self) -> int:
        return len(self._quick) + len(self._slow)

    def __contains__(self, key: str) -> bool:
        return key in self._quick or key in self._slow

    def is_full(self, now: float) -> bool:
        """Whether there is no place left for a device that is not known to be slow."""
        for key, began in list(self._quick.items()):
            if began + SLOW_S > now:  # as room_at has it
                break
            self._slow[key] = self._quick.pop(key)
        return len(self._quick) >= self._most

    @property
    def room_at(self) -> float | None:
        """When the oldest poll returns its place at the latest; None if no poll holds one."""
        return next(iter(self._quick.values())) + SLOW_S if self._quick else None

    def take(self, key: str, now: float) -> bool:
        """Whether there is a place for this device. If so, the device holds it from now on."""
        if key in self._known_slow:
            if len(self._slow) >= self._most_slow:
                return False
            self._slow[key] = now
        else:
            self._quick[key] = now
        return True

    def release(self, key: str, now: float) -> None:
        """Note that this device's poll has ended."""
        began = self._quick.pop(key, None)
        if began is None:
            began = self._slow.pop(key)
        if now - began >= SLOW_S:
            self._known_slow.add(key)
        else:
            self._known_slow.discard(key)

    def forget(self, key: str) -> None:
        """Note that this device is no longer polled."""
        self._known_slow.discard(key)

    def clear(self) -> None:
        """Note that no poll is under way."""
        self._quick.clear()
        self._slow.clear()
