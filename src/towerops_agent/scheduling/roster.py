"""Applies a configuration: makes the devices that the fleet polls, or keeps them as they are.

ConfigRead -> layouts in the buffer, devices in the fleet. A device whose part of the configuration is unchanged stays the same
object, with its time, its layout and its learned traits. Equipment is read, planned and dropped a few devices at a time.
"""

from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Final

import structlog

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.equipment import ConfigRead
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Equipment, Layout, LayoutKind
from towerops_agent.polling.course.device import Device, layout_of, make_device
from towerops_agent.polling.course.memory import MEMORY_KEY, Memory, decode_memory, encode_memory
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.interfaces import boot_clock
from towerops_agent.scheduling.fleet import Fleet

AT_ONCE: Final = 200
"""How many decoded devices of a new configuration are in memory at once: memory follows devices, not their sensors."""

REMEMBER_EACH_S: Final = 600.0
"""How often the learned traits of the devices are written down, if they have changed."""

STATE_METRIC: Final = "equipment_status"
PING_METRIC: Final = "reachability"

log = structlog.get_logger()


class Roster:
    """Applies configurations to `fleet`, and remembers the learned traits of its devices from run to run.

    `memory`: the traits of an earlier run, for devices that are new to this one. `with_states`: store the states of devices, and
    pings, whatever the server accepts.
    """

    def __init__(self, fleet: Fleet, buffer: Buffer, planner: Planner, *, with_states: bool = False) -> None:
        self._with_states = with_states
        self._fleet = fleet
        self._buffer = buffer
        self._planner = planner
        self.memory = Memory({})
        self._remembered = b""

    async def apply(self, read: ConfigRead) -> None:
        """Have the fleet poll the configured devices. Raises BufferFailure if its layouts can't be stored.

        If nothing is polled yet, the first devices start while the others are still read; else all change at once.
        """
        is_first = not self._fleet.devices
        with_states = self._with_states or STATE_METRIC in read.accepts.metric_types
        with_pings = self._with_states or PING_METRIC in read.accepts.metric_types
        devices: list[Device] = []
        try:
            while some := list(islice(read.equipment, AT_ONCE)):
                made = await self._make(some)
                await self._lay_out_states(made, with_states)
                await self._lay_out_pings(made, with_pings)
                devices += made
                if is_first:
                    self._fleet.add(made)
        except BaseException:
            if is_first:
                self._fleet.replace(())
            raise
        self._fleet.replace(devices)
        await self._buffer.use_layouts(self._fleet.layouts)

    async def _make(self, some: Iterable[tuple[bytes, Equipment]]) -> list[Device]:
        """The devices of these, each kept as it is if its part of the configuration is the same."""
        devices: list[Device] = []
        fresh = []
        clock = boot_clock()
        for digest, equipment in some:
            before = self._fleet.devices.get(equipment.id)
            if before is not None and before.digest == digest:
                devices.append(before)
            else:
                fresh.append((digest, equipment, before))
        layouts = await self._buffer.register_all([layout_of(equipment) for _, equipment, _ in fresh])
        for (digest, equipment, before), layout in zip(fresh, layouts, strict=True):
            device = make_device(equipment, layout, digest, self._planner, before)
            if before is None:
                self.memory.recall(device, self._planner, clock)
            devices.append(device)
        return devices

    def forget_layouts(self) -> None:
        """The buffer has lost its layouts: the next configuration, even the same one, gives each device a new one."""
        for device in self._fleet.devices.values():
            device.digest, device.state_layout, device.ping_layout = b"", None, None

    async def _lay_out_states(self, devices: list[Device], wanted: bool) -> None:
        """Store the devices' states too, if the server accepts them."""
        if not wanted:
            for device in devices:
                device.state_layout = None
            return
        lacking = [device for device in devices if device.state_layout is None]
        layouts = await self._buffer.register_all([Layout(device.id, kind=LayoutKind.STATE) for device in lacking])
        for device, layout in zip(lacking, layouts, strict=True):
            device.state_layout = layout

    async def _lay_out_pings(self, devices: list[Device], wanted: bool) -> None:
        """Store the devices' rounds of pings too, if the server accepts them."""
        pinged = [device for device in devices if device.ping is not None and wanted]
        lacking = [device for device in pinged if device.ping_layout is None]
        layouts = await self._buffer.register_all([Layout(device.id, kind=LayoutKind.PINGS) for device in lacking])
        for device, layout in zip(lacking, layouts, strict=True):
            device.ping_layout = layout
        if len(pinged) < len(devices):
            for device in devices:
                device.ping_layout = device.ping_layout if device.ping is not None and wanted else None

    async def recall(self) -> None:
        """Read the learned traits of an earlier run."""
        try:
            self.memory = decode_memory(await self._buffer.get_meta(MEMORY_KEY))
        except BufferFailure as error:
            log.error("buffer can't be read, the traits of the devices are learned again", error=str(error))

    async def remember(self) -> None:
        """Write down the learned traits of the devices, if they have changed."""
        learned = encode_memory(self._fleet.devices.values(), boot_clock())
        if learned == self._remembered:
            return
        try:
            await self._buffer.put_meta(MEMORY_KEY, learned)
            self._remembered = learned
        except BufferFailure as error:
            log.warning("learned traits of the devices could not be stored, a restart learns them again", reason=str(error))

    async def remember_for_good(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Write them down again and again. Runs for good."""
        while True:
            await sleep(REMEMBER_EACH_S)
            await self.remember()
