"""Columns of many items, compressed until they are wanted: of a day of a device with 1,000 interfaces, 9 million values.

Times and values of items -> boxes of few items, stretch by stretch -> each item's pieces, a box at a time (for series.py).
Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from towerops_agent.model import Number
from towerops_agent.zstd import Frames

ITEMS_TOGETHER: Final = 8
"""So many items are in the open at once, of all times."""

_LEVEL: Final = 1
_MOST_OCTETS: Final = 1 << 28


class ItemStretch(msgspec.Struct, array_like=True, frozen=True):
    """A stretch of an item. `times`: which of its box's times are its own. `divisor`: of its raw readings.

    `columns`: the raw readings, a list for each thing that is read of the item.
    """

    item: int
    times: int
    divisor: float
    columns: Sequence[Sequence[Number | None]]


class _Box(msgspec.Struct, array_like=True, frozen=True):
    times_us: list[Sequence[int]]
    pieces: list[ItemStretch]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Box)

Entry = tuple[str, float, Sequence[int], Sequence[Sequence[Number | None]]]
"""Of an item: its id, its divisor, the times of a stretch, and what was read at these, in columns."""


class Shelf:
    """Items of one kind, in the order in which they came first."""

    def __init__(self) -> None:
        self._frames = Frames(_LEVEL)
        self._places: dict[str, int] = {}
        self._boxes: list[list[bytes]] = []

    def add(self, entries: Iterable[Entry]) -> None:
        """Put a stretch of these items behind those that are there."""
        boxes: dict[int, _Box] = {}
        for item, divisor, times_us, columns in entries:
            number, place = divmod(self._places.setdefault(item, len(self._places)), ITEMS_TOGETHER)
            box = boxes.setdefault(number, _Box([], []))
            if not box.times_us or box.times_us[-1] != times_us:  # items of one reply have one time
                box.times_us.append(times_us)
            box.pieces.append(ItemStretch(place, len(box.times_us) - 1, divisor, columns))
        for number in sorted(boxes):
            while len(self._boxes) <= number:
                self._boxes.append([])
            self._boxes[number].append(self._frames.pack(_encoder.encode(boxes[number])))

    def items(self) -> Iterator[tuple[str, list[Entry]]]:
        """Each item's id, and its stretches in their order."""
        ids = list(self._places)
        for number, packed in enumerate(self._boxes):
            first = number * ITEMS_TOGETHER
            found: list[list[Entry]] = [[] for _ in ids[first : first + ITEMS_TOGETHER]]
            for frame in packed:
                box = _decoder.decode(self._frames.unpack(frame, _MOST_OCTETS))
                for piece in box.pieces:
                    one = ids[first + piece.item], piece.divisor, box.times_us[piece.times], piece.columns
                    found[piece.item].append(one)
            yield from zip(ids[first : first + ITEMS_TOGETHER], found, strict=True)
