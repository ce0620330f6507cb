"""What a sweep found, as tables for a terminal: devices, what each leaves out, neighbours, and who did not answer. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from towerops_agent.discovery.report.entry import Discovered
from towerops_agent.discovery.report.summary import left_out_texts, polled, what_it_is
from towerops_agent.text import address, counted, printable

_MOST_LEFT_OUT: Final = 8
_GAP: Final = "  "


def report_lines(entries: Sequence[Discovered], silent: Iterable[str]) -> Iterator[str]:
    """All of it. `silent`: for each address without a device why there is none."""
    if entries:
        rows: list[tuple[str, ...]] = [("address", "name", "device", "polled", "requests")]
        for entry in entries:
            found = entry.found
            cells = (_at(entry), found.system.name, what_it_is(found), polled(found), str(found.requests))
            rows.append(cells)
        yield from aligned(rows)
    for entry in entries:
        texts = left_out_texts(entry.found)
        if texts or entry.also_at:
            yield ""
            yield f"{_at(entry)} {entry.found.system.name}".rstrip()
        for other in entry.also_at:
            yield f"  also answers at {other}"
        for text in texts[:_MOST_LEFT_OUT]:
            yield f"  left out: {printable(text)}"
        if len(texts) > _MOST_LEFT_OUT:
            yield f"  and for {counted(len(texts) - _MOST_LEFT_OUT, 'more reason')}"
    heard = [(entry, neighbour) for entry in entries for neighbour in entry.found.neighbours]
    if heard:
        yield ""
        rows = [("device", "port", "neighbour", "its port", "by", "what it is")]
        for entry, neighbour in heard:
            who = entry.found.system.name or entry.host
            rows.append((who, neighbour.port, neighbour.name, neighbour.their_port, neighbour.protocol, neighbour.platform[:60]))
        yield from aligned(rows)
    reasons = Counter(silent)
    if entries:
        yield ""
    yield f"{counted(len(entries), 'device')} found"
    for why, count in reasons.most_common():
        yield f"{count:,} without one: {why}"


def _at(entry: Discovered) -> str:
    return entry.host if entry.port == 161 else address(entry.host, entry.port)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows, their cells below each other."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
