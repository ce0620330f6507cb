"""Serve up to 10,000 simulated devices, each at its own address 127.x.y.z, from one UDP socket bound to the loopback interface.

The kernel reports the destination of a datagram, and the answer is sent from it (IP_PKTINFO): no socket for each device, no limit
on open files, one wake-up for many datagrams. Linux: the whole of 127.0.0.0/8 is the loopback's.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from random import Random
from typing import Any, Final

from towerops_lab.simulator.engine import address_engine_id
from towerops_lab.simulator.profiles.profile import Profile
from towerops_lab.simulator.station import Station
from towerops_lab.simulator.world import Identity, World

MAX_DEVICES: Final = 10_000
FIRST_ADDRESS: Final = IPv4Address("127.1.0.1")

_AT_ONCE: Final = 64
"""How many datagrams are answered before the event loop gets its turn."""
_BUFFER_OCTETS: Final = 1 << 25
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_SO_RCVBUFFORCE: Final = 33


def make_fleet(profiles: Sequence[Profile], count: int, community: str, now_s: float) -> dict[bytes, Station]:
    """This many devices, of the profiles in turn, by their packed addresses from FIRST_ADDRESS on."""
    world = World(now_s)
    rng = Random(1)  # noqa: S311 - what gets lost, and how devices of a kind differ
    stations = {}
    for i in range(count):
        mib, address = profiles[i % len(profiles)].mib, (FIRST_ADDRESS + i).packed
        seed, old_s, engine_id = rng.random(), 1e6 * rng.random(), address_engine_id(address)
        identity = Identity(f"{profiles[i % len(profiles)].name}-{i + 1:05}", f"Site {i + 1}", b"\x02" + address[1:] + bytes(2))
        stations[address] = Station(
            *(mib, world, now_s),
            community=community,
            seed=seed,
            old_s=old_s,
            rng=rng,
            engine_id=engine_id,
            identity=identity,
        )
    return stations


def fleet_config(
    profiles: Sequence[Profile], count: int, community: str, port: int, interval_s: int, version: str | None = None
) -> dict[str, Any]:
    """The API's configuration for the devices of make_fleet. `version`: of SNMP; None: the usual one of each kind."""
    equipment = []
    for i in range(count):
        profile = profiles[i % len(profiles)]
        name = f"{profile.title} {i + 1}"
        equipment.append(profile.equipment(f"sim-{i + 1:05}", name, str(FIRST_ADDRESS + i), port, community, interval_s, version))
    return {"version": "simulated", "poll_interval_seconds": interval_s, "equipment": equipment}


class FleetServer:
    """Answers for the stations. `answered`: how many requests were answered."""

    def __init__(self, stations: Mapping[bytes, Station]) -> None:
        self.answered = 0
        self._stations = stations

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[int]:
        """Answer at this port of each station's address until the block ends; the block gets the port (a free one for 0).

        Raises OSError if the port is not available, or the socket can't be bound only to the loopback interface.
        """
        loop = asyncio.get_running_loop()
        with _socket(port) as listener:
            loop.add_reader(listener, self._drain, listener)
            try:
                yield listener.getsockname()[1]
            finally:
                loop.remove_reader(listener)

    def _drain(self, listener: socket.socket) -> None:
        now_s = time.time()
        stations = self._stations
        for _ in range(_AT_ONCE):
            try:
                datagram, ancillary, _, peer = listener.recvmsg(65_535, 64)
            except OSError:  # no more datagrams, or an ICMP error of an earlier answer
                return
            if not ancillary:
                continue
            station = stations.get(ancillary[0][2][8:12])  # in_pktinfo: interface index, local address, destination
            answer = None if station is None else station.answer(datagram, now_s)
            if answer is not None:
                self.answered += 1
                source = struct.pack("=I4s4s", 0, ancillary[0][2][8:12], b"\0\0\0\0")
                with suppress(OSError):  # a full buffer: lost, as on a real network
                    listener.sendmsg([answer], [(socket.IPPROTO_IP, _IP_PKTINFO, source)], 0, peer)


def _socket(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        listener.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        with suppress(OSError):  # only root may exceed the system's limit
            listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
        listener.bind(("0.0.0.0", port))  # noqa: S104 - bound to the loopback interface above
    except OSError:
        listener.close()
        raise
    return listener
