"""Which devices are polled here, and which by other agents of a group. Pure."""

from typing import Protocol


class Ownership(Protocol):
    """Which devices are polled here, and which by other agents of a group."""

    def owns(self, device_id: str) -> bool:
        """Whether the device of this id is polled here."""

    def doubts(self) -> bool:
        """Whether silent devices may be silent only to this agent, so that none is down before one of them answers."""


class Everything:
    """All devices are polled here: the agent is not in a group."""

    def owns(self, _device_id: str) -> bool:
        """Yes."""
        return True

    def doubts(self) -> bool:
        """No: nobody else would know."""
        return False
