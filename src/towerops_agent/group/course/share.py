"""Who polls which device: rendezvous hashing, weighted, so that a change of membership moves only the devices that it must.

Each member computes it by itself, from the members that it believes in. Of all that are believed in by anybody, the one with the
highest score for a device has that score in its own view too, so it polls the device whatever the others believe. So members that
disagree can only poll a device twice; a device without a poll needs a dead member that is still believed alive.
Pure.
"""

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

_HASHES: Final = float(1 << 64)


def score(member: str, device: str, weight: float) -> float:
    """How much `member` is to poll `device`, above 0: the highest does. -weight / ln(h) shares devices out by weight."""
    digest = blake2b(f"{member}\0{device}".encode(), digest_size=8).digest()
    return -weight / math.log((int.from_bytes(digest, "big") + 0.5) / _HASHES)


def owner(device: str, weights: Mapping[str, float]) -> str | None:
    """The member that polls `device`, of these members with their weights; None if there is none."""
    return max(weights, key=lambda member: (score(member, device, weights[member]), member), default=None)


def digest_of(devices: Iterable[tuple[str, bytes]]) -> str:
    """A digest of these devices, ids and what each is configured as; in any order."""
    digest = blake2b(digest_size=16)
    for device, configured in sorted(devices):
        digest.update(device.encode() + b"\0" + configured)
    return digest.hexdigest()


class Share:
    """The owners of devices, kept: after a change only the scores that changed are computed.

    benchmarks/group.py has its cost: 18 ms for 10,000 devices and a member more.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._weights: dict[str, float] = {}
        self._best: dict[str, tuple[float, str]] = {}  # device -> (score, member)

    @property
    def weights(self) -> Mapping[str, float]:
        """The members that share the devices, with their weights."""
        return self._weights

    @property
    def known(self) -> int:
        """Of how many devices the owner is kept."""
        return len(self._best)

    def owns(self, device: str) -> bool:
        """Whether this member polls `device`."""
        return self.owner(device) == self._me

    def owner(self, device: str) -> str | None:
        """The member that polls `device`; None if nobody does."""
        if not self._weights:
            return None
        best = self._best.get(device)
        if best is None:
            best = self._best[device] = self._of_all(device)
        return best[1]

    def change(self, weights: Mapping[str, float]) -> None:
        """Share the devices among these members from now on."""
        before = self._weights
        gone = {member for member, weight in before.items() if weights.get(member) != weight}
        come = [member for member, weight in weights.items() if before.get(member) != weight]
        self._weights = dict(weights)
        if not before or not weights:
            self._best.clear()
            return
        for device, best in self._best.items():
            if best[1] in gone:
                self._best[device] = self._of_all(device)
            elif come:
                self._best[device] = max(best, *((score(member, device, weights[member]), member) for member in come))

    def keep(self, devices: Iterable[str]) -> None:
        """Forget all devices but these."""
        self._best = {device: self._best[device] for device in devices if device in self._best}

    def _of_all(self, device: str) -> tuple[float, str]:
        return max((score(member, device, weight), member) for member, weight in self._weights.items())
