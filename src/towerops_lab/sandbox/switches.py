"""Switches on the page, for the API and for whatever else the sandbox was given (see demo/).

Each is independent; `turn` carries it out, `note` says what it has come to. Used on one event loop's thread.
"""

from collections.abc import Callable
from dataclasses import dataclass

from towerops_lab.sandbox.faults import Fault, Faults

SLOW_S = 4.0


@dataclass(slots=True)
class Switch:
    """`group`: "api", "site" or a device's id. `momentary`: a push button, which does not stay on.

    `note`: what is to be said of it now, beside its explanation; "" for nothing.
    """

    id: str
    group: str
    label: str
    explanation: str
    turn: Callable[[bool], None]
    momentary: bool = False
    is_on: bool = False
    note: Callable[[], str] = lambda: ""

    def set(self, on: bool) -> None:
        """Turn it on or off; a push button is only pushed."""
        if on != self.is_on:
            self.turn(on)
            self.is_on = on and not self.momentary


def api_switches(faults: Faults) -> list[Switch]:
    """The switches of the API."""

    def fault(begin: Callable[[], Fault]) -> Callable[[bool], None]:
        active: list[Fault] = []

        def turn(on: bool) -> None:
            for each in active:
                each.clear()
            active.clear()
            if on:
                active.append(begin())

        return turn

    return [
        Switch(
            "api-cut",
            "api",
            "Cut the API",
            "No request gets an answer. The agent polls on and keeps the values.",
            fault(lambda: faults.cut(taken=False)),
        ),
        Switch(
            "api-slow",
            "api",
            "Slow the API",
            f"Every answer takes {SLOW_S:g} seconds.",
            fault(lambda: faults.delay(SLOW_S)),
        ),
        Switch(
            "api-refuse",
            "api",
            "Refuse the token",
            "Every request is answered with 401: the token was revoked.",
            fault(faults.refuse_token),
        ),
    ]
