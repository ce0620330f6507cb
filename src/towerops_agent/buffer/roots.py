"""The root pages that tables of a damaged file have lost, made again.

A disk loses 4,096 octets at least. The tables' roots lie side by side at the file's beginning, and all rows of a table are out of
reach without its root, though their own pages are there. Which pages a root leads to is also in the pointer maps
(https://sqlite.org/fileformat2.html, 1.8), a page for each 102. Pages of a map that is lost too are known by what their rows are.
A descriptor of the file -> pages. Nothing is written. Synchronous, for the writer's thread.
"""

import re
from collections.abc import Iterator, Mapping
from struct import iter_unpack, pack, unpack_from
from typing import Final

from towerops_agent.buffer.place import PAGE_OCTETS, octets_at

_INTERIOR, _LEAF = 5, 13
_CHILD = 5
"""What a pointer map calls a page that has a parent in a tree."""

_MAPPED: Final = PAGE_OCTETS // 5
_DEEPEST: Final = 20

_ROWS: Final = {
    "layouts": re.compile("nbb[ni]i"),
    "polls": re.compile("niiii"),
    "bodies": re.compile("nb"),
    "ranges": re.compile("ni"),
    "packs": re.compile("niiib"),
}
"""Of tables that may have many pages: what their columns are on the disk; the first one, which is the row's id, is NULL there.
Their rows do not change, so one that is found on a page that is no longer in use does no harm."""


def rebuilt(place: int, roots: Mapping[str, int], size: int) -> dict[int, bytes]:
    """Those of the tables' roots that are damaged, as they may have been, by number from 1 on. `size`: the file's octets."""
    return _Pages(place, size // PAGE_OCTETS).rebuilt(roots)


class _Pages:
    def __init__(self, place: int, count: int) -> None:
        self._place = place
        self._count = count

    def rebuilt(self, roots: Mapping[str, int]) -> dict[int, bytes]:
        lost = {root: table for table, root in roots.items() if table in _ROWS and not self._tree_page(root)}
        if not lost:
            return {}
        children: dict[int, list[int]] = {root: [] for root in lost}
        parents = set(roots.values())
        unmapped: set[int] = set()
        for first, entries in self._maps():
            if entries is None:
                unmapped.update(range(first, min(first + _MAPPED, self._count + 1)))
                continue
            for page, (kind, parent) in enumerate(entries, first):
                if kind == _CHILD:
                    parents.add(parent)
                    if parent in children:
                        children[parent].append(page)
        for page in self._orphans(unmapped - set(roots.values()), parents):
            shape = self._shape(page)
            for root in (root for root, table in lost.items() if _ROWS[table].fullmatch(shape)):
                children[root].append(page)
        made = ((root, self._root_of(pages)) for root, pages in children.items())
        return {root: page for root, page in made if page}

    def _maps(self) -> Iterator[tuple[int, list[tuple[int, int]] | None]]:
        """The pointer maps: the first page of each, and what it says of the pages from there on; None: it is damaged."""
        for page in range(2, self._count + 1, _MAPPED + 1):
            entries = list(iter_unpack(">BI", self._page(page)[: 5 * _MAPPED]))
            yield page + 1, entries if entries and 1 <= entries[0][0] <= _CHILD else None

    def _orphans(self, pages: set[int], parents: set[int]) -> list[int]:
        """Those of the pages that are of a tree and that no other page leads to."""
        found = {page for page in pages if self._tree_page(page)}
        for page in {*parents, *found} if found else ():
            octets = self._tree_page(page)
            if octets and octets[0] == _INTERIOR:
                found.difference_update(_children(octets))
        return sorted(found)

    def _root_of(self, pages: list[int]) -> bytes:
        """A root that leads to these pages; nothing if there are none. Those that come first are believed."""
        chosen: list[tuple[int, int, int]] = []
        for page in pages:
            first, last = self._edge(page, is_last=False), self._edge(page, is_last=True)
            if first is not None and last is not None and not any(first <= end and begin <= last for begin, end, _ in chosen):
                chosen.append((first, last, page))
        if not chosen:
            return b""
        chosen.sort()
        rightmost = chosen.pop()[2]
        if not chosen:  # a root with one child is not one
            return self._page(rightmost)
        cells = [pack(">I", page) + _varint(last) for _, last, page in chosen]
        while 12 + sum(len(cell) + 2 for cell in cells) > PAGE_OCTETS:
            del cells[0]  # the oldest
        content = b"".join(cells)
        begin = PAGE_OCTETS - len(content)
        offsets = [begin + sum(map(len, cells[:count])) for count in range(len(cells))]
        head = pack(f">BHHHBI{len(cells)}H", _INTERIOR, 0, len(cells), begin, 0, rightmost, *offsets)
        return head + bytes(begin - len(head)) + content

    def _edge(self, page: int, *, is_last: bool) -> int | None:
        """The greatest id of the rows below the page, or the least; None: it can't be found."""
        octets = self._leaf(page, is_last=is_last)
        if not octets:
            return None
        _, at = _number(octets, _cells(octets)[-1 if is_last else 0])
        return _number(octets, at)[0]

    def _shape(self, page: int) -> str:
        """What the columns of the first row below the page are: n(ull), i(nteger), b(lob), or another letter."""
        octets = self._leaf(page, is_last=False)
        return _columns(octets, _cells(octets)[0]) if octets else ""

    def _leaf(self, page: int, *, is_last: bool) -> bytes:
        """The last leaf below the page, or the first; nothing if it can't be found, or has no rows."""
        for _ in range(_DEEPEST):
            octets = self._tree_page(page)
            if not octets or octets[0] == _LEAF:
                return octets if octets and _cells(octets) else b""
            page = _children(octets)[-1 if is_last else 0]
        return b""

    def _tree_page(self, page: int) -> bytes:
        """The page, if it is one of a table's tree; else nothing."""
        octets = self._page(page)
        if len(octets) < PAGE_OCTETS or octets[0] not in (_INTERIOR, _LEAF):
            return b""
        cells, content = unpack_from(">HH", octets, 3)
        if not _head_octets(octets) + 2 * cells <= content <= PAGE_OCTETS:
            return b""
        return octets if all(content <= offset <= PAGE_OCTETS - 4 for offset in _cells(octets)) else b""

    def _page(self, page: int) -> bytes:
        at = (page - 1) * PAGE_OCTETS
        octets = octets_at(self._place, at, PAGE_OCTETS)
        return octets or octets_at(self._place, at, PAGE_OCTETS) or b""  # that it did not answer may have been the disk


def _head_octets(page: bytes) -> int:
    return 12 if page[0] == _INTERIOR else 8


def _cells(page: bytes) -> tuple[int, ...]:
    """Where the page's cells are, in their order."""
    (count,) = unpack_from(">H", page, 3)
    return unpack_from(f">{count}H", page, _head_octets(page))


def _children(interior: bytes) -> list[int]:
    pages = [unpack_from(">I", interior, cell)[0] for cell in _cells(interior)]
    return [*pages, unpack_from(">I", interior, 8)[0]]


def _columns(leaf: bytes, at: int) -> str:
    for _ in range(2):  # the row's length, and its id
        _, at = _number(leaf, at)
    octets, begin = _number(leaf, at)
    end, at = at + octets, begin
    kinds = ""
    while at < min(end, len(leaf)):
        kind, at = _number(leaf, at)
        kinds += "n" if kind == 0 else "f" if kind == 7 else "bt"[kind % 2] if kind >= 12 else "i"
    return kinds


def _number(octets: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (1.5 there), and where the next octet is; what a page's end cuts off is 0."""
    value = 0
    for count in range(9):
        octet = octets[at] if at < len(octets) else 0
        at += 1
        if count == 8:
            return value << 8 | octet, at
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            break
    return value, at


def _varint(value: int) -> bytes:
    """`value`, below 2^56, as _number reads it."""
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(value & 0x7F | 0x80)
    return bytes(reversed(octets))
