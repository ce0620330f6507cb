"""The learned traits of all devices, as octets: kept in the database, so that a restart does not have to learn them again.

A power cut restarts the agent together with the devices: without the time at which a device had started, the agent would not
notice that it has started again, and that its interfaces may have moved.
Pure. Round trips are not kept: they are learned from the first reply.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from towerops_agent.polling.course.device import Device, replan
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import Traits
from towerops_agent.snmp.wire.oddities import Oddity

_VERSION: Final = 2
_ODDITIES: Final = frozenset(Oddity)


class _Learned(msgspec.Struct, array_like=True):
    """One device. `digest`: of the configuration in use when it was learned; with another one it is not used."""

    digest: bytes
    max_varbinds: int
    borne: int
    refused_at: int | None
    widths: bytes
    marks: bytes
    check: bool
    booted_at_us: int | None
    mute: list[bytes]
    any_address: bool
    last_change: int | None
    restless: bool
    bulk: bool
    refused_names: list[bytes]
    index_lies: bool
    absence_holds: bool
    if_indexes: list[int]
    units: list[str] = []
    odd_replies: list[str] = []


@dataclass(frozen=True, slots=True)
class Memory:
    """The learned traits from an earlier run, by device id."""

    _learned: dict[str, _Learned]

    def recall(self, device: Device, planner: Planner) -> None:
        """Give a new `device` the traits that were learned with the same configuration."""
        learned = self._learned.get(device.id)
        if learned is None or learned.digest != device.digest or len(learned.marks) != len(device.if_indexes):
            return
        device.traits = Traits(
            max_varbinds=learned.max_varbinds,
            borne=learned.borne,
            refused_at=learned.refused_at,
            widths=learned.widths,
            marks=learned.marks,
            check=learned.check,
            booted_at_us=learned.booted_at_us,
            mute=frozenset(learned.mute),
            any_address=learned.any_address,
            units=planner.names(learned.units),
            last_change=learned.last_change,
            restless=learned.restless,
            bulk=learned.bulk,
            refused_names=frozenset(learned.refused_names),
            index_lies=learned.index_lies,
            absence_holds=learned.absence_holds,
        )
        device.accept_odd(Oddity(word) for word in learned.odd_replies if word in _ODDITIES)
        replan(device, planner, learned.if_indexes)


def encode_memory(devices: Iterable[Device]) -> bytes:
    """The learned traits of `devices`; the same octets if there is nothing new."""
    learned = {
        device.id: _Learned(
            device.digest,
            device.traits.max_varbinds,
            device.traits.borne,
            device.traits.refused_at,
            device.traits.widths,
            device.traits.marks,
            device.traits.check,
            device.traits.booted_at_us,
            sorted(device.traits.mute),
            device.traits.any_address,
            device.traits.last_change,
            device.traits.restless,
            device.traits.bulk,
            sorted(device.traits.refused_names),
            device.traits.index_lies,
            device.traits.absence_holds,
            list(device.plan.if_indexes),
            list(device.traits.units),
            sorted(device.odd_replies),
        )
        for device in devices
        if device.state is not None
    }
    return bytes([_VERSION]) + zlib.compress(msgspec.msgpack.encode(learned), 1)


def decode_memory(octets: bytes | None) -> Memory:
    """The memory in `octets`; an empty one if they are not valid, or of another version: it is then learned again."""
    if not octets or octets[0] != _VERSION:
        return Memory({})
    try:
        return Memory(msgspec.msgpack.decode(zlib.decompress(octets[1:]), type=dict[str, _Learned]))
    except (zlib.error, msgspec.MsgspecError):
        return Memory({})
