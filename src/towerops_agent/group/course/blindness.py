"""Whether a member is blind: it can't reach its devices, and a peer can reach its own. Then the peers poll its devices.

Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEAST_DEVICES: Final = 20
"""With fewer it can't be told apart from a mast without power."""

SILENT: Final = 0.9
"""The share of silent devices from which on a member may be blind: a few are reached by another way, or are its own machine."""

PEER_SILENT: Final = 0.5
"""A peer with more silent devices than this does not see more."""

PROBES: Final = 20
"""How many devices a blind member asks to find out whether it can see again."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How many devices a member polls, and how many of them have answered, or were silent, last."""

    owned: int
    up: int
    down: int

    @property
    def is_dark(self) -> bool:
        """Whether so much is silent that it may be blind."""
        return self.owned >= LEAST_DEVICES and self.down >= SILENT * self.owned

    @property
    def is_clear(self) -> bool:
        """Whether it reaches most of its devices."""
        return self.up > 0 and self.down <= PEER_SILENT * (self.up + self.down)


def turns_blind(own: Sight, ready_peers: Iterable[Sight]) -> bool:
    """Whether a member that polls should leave its devices to its peers."""
    return own.is_dark and any(peer.is_clear for peer in ready_peers)


def sees_again(asked: int, answered: int) -> bool:
    """Whether a blind member can poll again: half of the devices that it asked have answered."""
    return asked > 0 and 2 * answered >= asked
