"""The messages of a group, as octets: beats, and the learned traits of devices.

Value -> MessagePack -> sealed -> published, and back. A later version may append fields to a message: an
earlier one ignores them. No credential of a device is ever in one.
Pure. Seconds, unless a name says otherwise.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

MOST_NAME: Final = 253
"""Octets of a member's name: a host's name fits."""

_FAR_S: Final = 1e12
"""No clock of a member shows more: 30,000 years."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Number = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Seat:
    """A member's place in a group: the names of both, and its weight, by which it gets its share of the devices."""

    group: str
    member: str
    weight: float = 1.0

    @property
    def here(self) -> str:
        """The subject of beats."""
        return f"towerops.{self.group}.here"

    @property
    def learned(self) -> str:
        """The subject of the learned traits of devices."""
        return f"towerops.{self.group}.learned"


class Presence(StrEnum):
    """`LISTENING`: it has just started, and finds out who is there. `READY`: it polls its share. `BLIND`: it can't reach its
    devices, so that the others poll them. `LEAVING`: it stops.
    """

    LISTENING = "listening"
    READY = "ready"
    BLIND = "blind"
    LEAVING = "leaving"


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """What a member says of itself each second.

    `boot`: drawn at its start. `sequence`: grows with each beat of a boot. `clock_s`, `wall_us`: its phase clock (phase.py) and
    its wall clock, when it was sent. `configuration`: a digest of its devices. `owned`: how many devices it polls; `up`, `down`:
    how many of them have answered or were silent last. `backlog`: its metrics that are late. `api_works`: None: not tried yet.
    `clock_sets`: how often its phase clock was set; an earlier version does not say it.
    """

    member: Name
    boot: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    sequence: Number
    presence: Presence
    weight: Weight
    clock_s: Annotated[float, msgspec.Meta(ge=-_FAR_S, le=_FAR_S)]
    wall_us: Number
    version: Annotated[str, msgspec.Meta(max_length=64)]
    configuration: Annotated[str, msgspec.Meta(max_length=64)]
    owned: Number
    up: Number
    down: Number
    backlog: Number
    api_works: bool | None
    clock_sets: Number = 0


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag="wanted"):
    """A member that has just started asks for the learned traits of the devices."""

    member: Name


class Learned(msgspec.Struct, frozen=True, array_like=True, tag="learned"):
    """What a member has learned of some of its devices: their traits as polling/course/memory.py encodes them, by id."""

    member: Name
    devices: dict[str, bytes]


class Probe(msgspec.Struct, frozen=True, array_like=True, tag="probe"):
    """A message of the doctor to itself: whether it may publish. Members ignore it."""

    nonce: str


Message = Beat | Wanted | Learned | Probe

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """`message` as octets."""
    return _encoder.encode(message)


def decode_message(octets: bytes) -> Message | None:
    """The message; None if this version does not understand it."""
    try:
        return _decoder.decode(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
