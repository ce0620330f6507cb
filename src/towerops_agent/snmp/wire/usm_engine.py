"""A device's SNMP engine: its ID, its boots and its time, and which messages are timely.

Its time runs on with ours. An unauthenticated message's values are provisional, until an authenticated one confirms them.
Pure: `now` is passed in, in seconds of any monotonic clock. Source: RFC 3414 §2.2, §2.3 and §3.2 step 7.
"""

from dataclasses import dataclass
from typing import Final

TIME_WINDOW_S: Final = 150
HIGHEST: Final = 0x7FFFFFFF
"""The maximum of boots and time. An engine with maximum boots is in no time window until it is set up again."""


@dataclass(frozen=True, slots=True)
class EngineChange:
    """A change of an engine. `kind` is one of:

    `discovered`: its ID is known now · `replaced`: another ID than before · `restarted`: its boots have grown ·
    `boots_reset`: its boots, or with the same boots its time, went back, so it lost count of its restarts. Accepted, since
    it comes with an authenticated answer to a message of ours, but worth a look.
    `before` and `after`: the ID in hexadecimal, or "boots/time".
    """

    kind: str
    before: str
    after: str


class Engine:
    """One engine, from its discovery on. `changes`: the changes to log, to be taken by the caller.

    `verified`: whether boots and time are from an authenticated message.
    """

    __slots__ = ("_at", "_time_s", "_told", "boots", "changes", "id", "verified")

    def __init__(self) -> None:
        self.id = b""
        self.boots = 0
        self.changes: list[EngineChange] = []
        self._time_s = 0
        self._at = 0.0
        self.verified = False
        self._told: tuple[int, int, float] | None = None  # from the last authenticated message, and when

    def time_s(self, now: float) -> int:
        """Its time, in seconds since its last boot."""
        return min(self._time_s + int(now - self._at), HIGHEST)

    def identify(self, engine_id: bytes) -> None:
        """Note the ID that it reports."""
        if engine_id != self.id:
            self.changes.append(EngineChange("replaced" if self.id else "discovered", self.id.hex(), engine_id.hex()))
            self.id = engine_id
            self.verified = False
            self._told = None

    def doubt(self) -> None:
        """Note that it is silent: when it answers again, it may be another one, or restarted."""
        self.verified = False

    def suppose(self, boots: int, time_s: int, now: float) -> None:
        """Note values of an unauthenticated message. They count only until an authenticated one arrives."""
        if not self.verified:
            self._set(boots, time_s, now)

    def hear(self, boots: int, time_s: int, now: float) -> bool:
        """Note the values of an authenticated message: whether it is timely (RFC 3414 §3.2 step 7b)."""
        if not self.verified:
            self.accept(boots, time_s, now)
        elif boots > self.boots or (boots == self.boots and time_s > self._time_s):
            self._tell(boots, time_s, now)
            self._set(boots, time_s, now)
        return boots == self.boots < HIGHEST and time_s >= self.time_s(now) - TIME_WINDOW_S

    def accept(self, boots: int, time_s: int, now: float) -> None:
        """Adopt the values of an authenticated answer to our own message, timely or not."""
        self._tell(boots, time_s, now)
        self._set(boots, time_s, now)
        self.verified = True

    def _set(self, boots: int, time_s: int, now: float) -> None:
        self.boots = boots
        self._time_s = time_s
        self._at = now

    def _tell(self, boots: int, time_s: int, now: float) -> None:
        if self._told is not None:
            before, was_s, at = self._told
            was_s += int(now - at)
            if boots > before:
                self.changes.append(EngineChange("restarted", f"{before}/{was_s}", f"{boots}/{time_s}"))
            elif boots < before or time_s < was_s - TIME_WINDOW_S:
                self.changes.append(EngineChange("boots_reset", f"{before}/{was_s}", f"{boots}/{time_s}"))
        self._told = boots, time_s, now
