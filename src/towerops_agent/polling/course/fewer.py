"""Values that can't be read, asked again among fewer: some firmware fills a large answer with empty ones behind the first.

What can be read among fewer shows that the request was too large, which is learned (`Traits.fell_silent`). What can't be read by
itself either is encoded wrong, and is not asked again for that in each poll (`Traits.unreadable`; stepping.py lets it be tried
again). If request after request brings nothing, the rest is taken for the same: a device of hundreds of such values would
be asked twice for each. Called by progress.py, in a poll in which a value can't be read. Pure.
"""

from collections.abc import Sequence
from typing import Final

from towerops_agent.polling.course.plan import Ask
from towerops_agent.polling.course.traits import Traits
from towerops_agent.snmp.wire.message import Pdu

MOST_IN_VAIN: Final = 20
"""After so many requests in a row, of one poll, in whose answers nothing could be read either, none is asked again for that."""


class Fewer:
    """The values of one poll that could not be read; a column is `in` it if it was asked again, and not read since."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._sizes: dict[int, int] = {}  # by column, how many varbinds the request had in which it could not be read
        self._spoils_at: int | None = None  # the fewest varbinds of which some could not be read, and could among fewer
        self._in_vain = 0

    def __contains__(self, column: int) -> bool:
        return column in self._sizes

    def unread(self, ask: Ask, pdu: Pdu, tags: Sequence[int]) -> list[int]:
        """The columns whose values in this answer can't be read, and may be among fewer. `tags`: of the poll's columns."""
        bad = {name for name, tag in zip(pdu.names, pdu.tags, strict=True) if not tag} - self._traits.unreadable
        return [column for column, name in zip(ask.columns, ask.request.names, strict=True) if name in bad and not tags[column]]

    def has_read(self, ask: Ask, tags: Sequence[int]) -> bool:
        """Note what an answer has of values that could not be read before; whether it shows that a request was too large."""
        sizes = [self._sizes.pop(column) for column in ask.columns if column in self._sizes and tags[column]]
        if not sizes:
            return False
        self._in_vain = 0
        if self._spoils_at is not None and min(sizes) >= self._spoils_at:
            return False
        self._spoils_at = min(sizes)
        self._traits.fell_silent(self._spoils_at)
        return True

    def parts(self, ask: Ask, unread: Sequence[int]) -> list[Sequence[int]]:
        """In which parts to ask for the columns `unread` of this answer again; none if that would be in vain."""
        count = len(ask.columns)
        if not unread:
            return []
        if len(unread) == count and ask.columns[0] in self._sizes:
            self._in_vain += 1
        if count == 1 or self._in_vain >= MOST_IN_VAIN:
            for name in (name for column, name in zip(ask.columns, ask.request.names, strict=True) if column in unread):
                self._traits.note_unreadable(name)
            return []
        self._sizes.update(dict.fromkeys(unread, count))
        size = len(unread) if len(unread) < count else (count + 1) // 2
        return [unread[i : i + size] for i in range(0, len(unread), size)]
