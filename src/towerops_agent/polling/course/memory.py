"""The learned traits of devices as octets: those of all, kept over restarts in the database; those of one, for another agent.

A power cut restarts the agent together with the devices: without the time at which a device had started, the agent would not
notice that its interfaces may have moved. Round trips are not kept.
Pure. Microseconds (`_us`) on the machine's own clock, which a BootClock names.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

import msgspec

from towerops_agent.polling.course.device import Device, replan
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.traits import BootClock, Traits
from towerops_agent.snmp.wire.oddities import Oddity

MEMORY_KEY: Final = "learned"
"""Under which the database keeps it."""

_MEMORY_VERSION: Final = 2
_ODDITIES: Final = frozenset(Oddity)
_BOOT_STEP_US: Final = 10_000_000  # less than CLOCK_SLACK_US


class _Learned(msgspec.Struct, array_like=True):
    """One device. `digest`: of the configuration in use when it was learned; with another one it is not used.

    `boot`, `ahead_us`: the BootClock of `booted_at_us`; of an earlier version's memory it is the wall clock. `by_its_if_name`:
    Traits.by_if_name as octets, the lowest first: an integer of MessagePack has 64 bits, and a device may have more interfaces.
    """

    digest: bytes
    max_varbinds: int
    most_answered: int
    refused_at: int | None
    widths: bytes
    standings: bytes
    check: bool
    booted_at_us: int | None
    mute: frozenset[bytes]
    any_address: bool
    last_change: int | None
    riding: bool
    bulk: bool
    refused_names: frozenset[bytes]
    index_lies: bool
    absence_holds: bool
    if_indexes: tuple[int, ...]
    units: tuple[str, ...] = ()
    odd_replies: frozenset[str] = frozenset()
    gap_s: float = 0.0
    by_next: frozenset[bytes] = frozenset()
    next_only: bool = False
    boot: bytes = b""
    ahead_us: int = 0
    hurried: bool = False
    by_its_if_name: bytes = b""


_KEPT: Final = tuple(name for name in _Learned.__struct_fields__ if name in {trait.name for trait in fields(Traits)})


@dataclass(frozen=True, slots=True)
class Memory:
    """The learned traits from an earlier run, by device id."""

    _learned: dict[str, _Learned]

    def units(self, digests: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
        """In which unit the text of each sensor was first read, of devices with these digests by id; see interpret.Scales."""
        learned = {key: self._learned[key] for key in self._learned.keys() & digests.keys()}
        return {key: each.units for key, each in learned.items() if each.units and each.digest == digests[key]}

    def recall(self, device: Device, planner: Planner, clock: BootClock) -> None:
        """Give a new `device` the traits that were learned with the same configuration."""
        learned = self._learned.get(device.id)
        if learned is not None:
            _recall(device, planner, learned, clock)


def _recall(device: Device, planner: Planner, learned: _Learned, clock: BootClock) -> None:
    if learned.digest != device.digest or len(learned.standings) != len(device.if_indexes):
        return
    device.traits = Traits(**{name: getattr(learned, name) for name in _KEPT})
    device.traits.by_if_name = int.from_bytes(learned.by_its_if_name, "little")
    if learned.booted_at_us is not None:
        device.traits.booted_at_us = clock.of_another(learned.booted_at_us, BootClock(learned.boot, learned.ahead_us))
    device.traits.units = planner.shared_units(learned.units)
    if learned.gap_s:
        device.traits.spacing = Spacing.recalled(learned.gap_s)
    device.accept_odd(Oddity(word) for word in learned.odd_replies if word in _ODDITIES)
    replan(device, planner, learned.if_indexes)


def _learned_of(device: Device, clock: BootClock) -> _Learned:
    by_if_name = device.traits.by_if_name
    return _Learned(
        digest=device.digest,
        if_indexes=device.plan.if_indexes,
        odd_replies=frozenset(map(str, device.odd_replies)),
        gap_s=device.traits.gap_s,
        boot=clock.boot,
        ahead_us=clock.ahead_us,
        by_its_if_name=by_if_name.to_bytes((by_if_name.bit_length() + 7) // 8, "little"),
        **{name: getattr(device.traits, name) for name in _KEPT},
    )


def encode_traits(device: Device, clock: BootClock) -> bytes:
    """The learned traits of one device, for another agent; the same octets if there is nothing new."""
    wall = BootClock()
    learned = _learned_of(device, wall)
    if learned.booted_at_us is not None:  # it is computed at each poll, and differs by milliseconds
        booted_at_us = wall.of_another(learned.booted_at_us, clock)
        learned.booted_at_us = booted_at_us - booted_at_us % _BOOT_STEP_US
    return bytes([_MEMORY_VERSION]) + msgspec.msgpack.encode(learned, order="deterministic")


def recall_traits(device: Device, planner: Planner, octets: bytes, clock: BootClock) -> bool:
    """Whether these octets were understood; then `device` has the traits in them, if they are of the same configuration."""
    if not octets or octets[0] != _MEMORY_VERSION:
        return False
    try:
        _recall(device, planner, msgspec.msgpack.decode(octets[1:], type=_Learned), clock)
    except msgspec.MsgspecError:
        return False
    return True


def encode_memory(devices: Iterable[Device], clock: BootClock) -> bytes:
    """The learned traits of `devices`; the same octets if there is nothing new."""
    learned = {device.id: _learned_of(device, clock) for device in devices if device.state is not None}
    return bytes([_MEMORY_VERSION]) + zlib.compress(msgspec.msgpack.encode(learned, order="deterministic"), 1)


def decode_memory(octets: bytes | None) -> Memory:
    """The memory in `octets`; an empty one if they are not valid, or of another version: it is then learned again."""
    if not octets or octets[0] != _MEMORY_VERSION:
        return Memory({})
    try:
        return Memory(msgspec.msgpack.decode(zlib.decompress(octets[1:]), type=dict[str, _Learned]))
    except (zlib.error, msgspec.MsgspecError):
        return Memory({})
