"""What the members learn of devices, and keep for each other: sizes, counter widths, confirmed interfaces.

Without it a member that takes a device over would have to learn it again, and read its interfaces at their configured indexes.
Pure.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from towerops_agent.group.course.wire import Learned
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.memory import encode_traits, recall_traits
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import BootClock

AT_ONCE: Final = 200
"""Devices in one message: some 60 KB."""

MOST_OCTETS: Final = 256 * 1024
"""Of their traits: the engine accepts 1 MB, and one device with thousands of interfaces has 10 KB for each thousand."""


class SharedTraits:
    """The learned traits of the devices that other members poll, and what of this member's own they know."""

    def __init__(self, me: str, planner: Planner) -> None:
        self._me = me
        self._planner = planner
        self._others: dict[str, bytes] = {}
        self._sent: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._others)

    def keep(self, device_ids: Collection[str]) -> None:
        """Forget all devices but these."""
        self._others = {key: octets for key, octets in self._others.items() if key in device_ids}
        self._sent = {key: sent for key, sent in self._sent.items() if key in device_ids}

    def take(self, learned: Learned, wanted: Collection[str]) -> None:
        """Keep what another member has learned of the wanted devices."""
        self._others.update((key, octets) for key, octets in learned.devices.items() if key in wanted)

    def recall(self, devices: Iterable[Device], clock: BootClock) -> None:
        """Give these devices, which are taken over, what others have learned of them. `clock`: this machine's."""
        for device in devices:
            octets = self._others.pop(device.id, None)
            if octets is not None and recall_traits(device, self._planner, octets, clock):
                device.distrust()

    def news(self, polled: Iterable[Device], clock: BootClock, *, all_of_it: bool = False) -> Iterator[Learned]:
        """What this member has learned of the devices that it polls, and has not sent; `all_of_it`: sent or not."""
        some: dict[str, bytes] = {}
        size = 0
        for device_id, octets in self._fresh(polled, clock, all_of_it):
            if some and (len(some) >= AT_ONCE or size + len(octets) > MOST_OCTETS):
                yield Learned(self._me, some)
                some, size = {}, 0
            some[device_id] = octets
            size += len(octets)
        if some:
            yield Learned(self._me, some)

    def _fresh(self, polled: Iterable[Device], clock: BootClock, all_of_it: bool) -> Iterator[tuple[str, bytes]]:
        for device in polled:
            if device.state is None:
                continue  # not polled here yet
            octets = encode_traits(device, clock)
            sent = hash(octets)
            if all_of_it or self._sent.get(device.id) != sent:
                self._sent[device.id] = sent
                yield device.id, octets
