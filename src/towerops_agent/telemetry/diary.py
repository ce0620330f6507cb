"""The agent's diary: what changes at the site becomes an event of the database, for the page (page/).

fleet, config sync, dealings with the API -> Event -> buffer, which writes it with the polls. Only a service keeps one: `run
--once` may start each minute, and would fill it with its starts.
"""

from collections.abc import Callable, Mapping
from functools import partial

from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.buffer.format.event import FAILS, GONE, STARTED, STOPPED, WORKS, Event, EventKind
from towerops_agent.text import counted


class Diary:
    """What `note` is given are events. Nothing is noted before `begin`."""

    def __init__(self, note: Callable[[Event], None], now_us: Callable[[], int]) -> None:
        self._note = note
        self._now_us = now_us
        self._followed: dict[str, Availability] = {}
        self.is_kept = False
        """Whether it has begun."""

    def begin(self, version: str) -> None:
        """Note that the agent has started; from now on all is noted."""
        self.is_kept = True
        self.note(Event(self._now_us(), EventKind.AGENT, "", STARTED, f"version {version}"))

    def end(self) -> None:
        """Note that the agent stops, the last thing that is noted."""
        self.note(Event(self._now_us(), EventKind.AGENT, "", STOPPED))
        self.is_kept = False

    def note(self, event: Event) -> None:
        """Note this."""
        if self.is_kept:
            self._note(event)

    def configured(self, version: str, devices: int) -> None:
        """Note that a configuration is in use."""
        named = f"version {version}, " if version else ""
        self.note(Event(self._now_us(), EventKind.CONFIG, "", f"{named}{counted(devices, 'device')}"))

    def follow(self, dealings: Mapping[str, Availability]) -> None:
        """Note from now on when one of these dealings, and no other, begins to work, or to fail."""
        for name, dealing in self._followed.items():
            if name not in dealings:
                dealing.on_change = None
                if dealing.works is False:
                    self.note(Event(self._now_us(), EventKind.API, name, GONE))
        self._followed = dict(dealings)
        for name, dealing in dealings.items():
            dealing.on_change = partial(self._changed, name)

    def _changed(self, name: str, works: bool, reason: str, at_us: int) -> None:
        self.note(Event(at_us, EventKind.API, name, WORKS if works else FAILS, reason))
