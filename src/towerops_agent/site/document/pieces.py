"""A site file's text cut into its devices: one at a time is in memory, and each is known again by its text.

A file's octets -> SiteText: what is at its top, and its devices' places. The text is read twice, as a device can't be read
before `defaults` and `credentials`, which may stand behind it. A file with anchors is composed as a whole, as its devices may
refer to each other; so is one with a mistake in YAML itself, which is then found.
Pure. Lines and columns from 1.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import yaml
from yaml import events

from towerops_agent.site.document.nodes import DEEPEST, TEXT_TAG, Loader, Location, compose, place_of, text_of

LIST: Final = "devices"
"""The list at a file's top whose items are cut out."""

_BEGINS: Final = (events.MappingStartEvent, events.SequenceStartEvent)
_ENDS: Final = (events.MappingEndEvent, events.SequenceEndEvent)

_DIRECTIVE: Final = re.compile(r"^%", re.MULTILINE)
"""A %TAG could change what a device's text means."""

Event = Any
"""One of PyYAML's, whose attributes depend on its kind."""

Next = Callable[[], Event]
"""The next event of a document."""


class _NotPlain(Exception):
    """The file can't be cut into devices."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A device's text. `digest`: of all that it says; None if it may say more than its text does."""

    place: Location
    digest: bytes | None


class SiteText:
    """One file. `top`: its document, in which the list of devices is empty. `pieces`: the devices, in order. Raises Mistake."""

    def __init__(self, file: str, octets: bytes) -> None:
        self._file = file
        self._text = text_of(file, octets)
        self._nodes: list[yaml.Node] | None = None
        self.pieces: list[Piece] = []
        self.top: yaml.Node
        try:
            self._cut()
        except (_NotPlain, yaml.YAMLError):
            self.top = compose(file, octets)
            self._take_out()

    def nodes(self, wanted: Collection[int]) -> Iterator[yaml.Node]:
        """The devices at these places of `pieces`, in order."""
        if self._nodes is not None:
            yield from (node for place, node in enumerate(self._nodes) if place in wanted)
        elif wanted:
            last = max(wanted)
            for place, (event, following) in enumerate(self._devices()):
                if place in wanted:
                    yield _composed(event, following)
                    if place == last:
                        return
                else:
                    _skip(event, following)

    def _devices(self) -> Iterator[tuple[Event, Next]]:
        """The first event of each device, and those that follow, which are to be read to the device's end."""
        following = Loader(self._text).get_event
        for _ in range(3):  # of the stream, of the document, of its mapping
            following()
        while not isinstance(key := following(), _ENDS):
            if key.value == LIST:
                following()  # of the list
                while not isinstance(event := following(), _ENDS):
                    yield event, following
                return
            _skip(following(), following)

    def _cut(self) -> None:
        """Find `top` and `pieces`. Raises _NotPlain, yaml.YAMLError."""
        following = Loader(self._text).get_event
        following()  # of the stream
        following()  # of the document; of none at all the stream's end, behind which nothing follows
        begin = following()
        if not isinstance(begin, events.MappingStartEvent) or _DIRECTIVE.search(self._text):
            raise _NotPlain
        members: list[tuple[yaml.Node, yaml.Node]] = []
        names = set()
        while not isinstance(event := following(), _ENDS):
            key = _composed(event, following)
            if not isinstance(key, yaml.ScalarNode) or key.value in names:
                raise _NotPlain
            names.add(key.value)
            event = following()
            if key.value == LIST and isinstance(event, events.SequenceStartEvent):
                self._cut_list(following)
                members.append((key, _sequence(event, [])))
            else:
                members.append((key, _composed(event, following)))
        if not isinstance(following(), events.DocumentEndEvent) or not isinstance(following(), events.StreamEndEvent):
            raise _NotPlain
        self.top = _mapping(begin, members)

    def _cut_list(self, following: Next) -> None:
        while not isinstance(event := following(), _ENDS):
            stop = _skip(event, following)
            start = event.start_mark
            text = f"{start.column} {self._text[start.index : stop.index]}"
            digest = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
            self.pieces.append(Piece(Location(self._file, start.line + 1, start.column + 1), digest))

    def _take_out(self) -> None:
        """Take the devices out of the top of a file that is composed as a whole."""
        self._nodes = []
        for place, (key, value) in enumerate(self.top.value if isinstance(self.top, yaml.MappingNode) else ()):
            if isinstance(key, yaml.ScalarNode) and key.value == LIST and isinstance(value, yaml.SequenceNode):
                self._nodes += value.value
                self.top.value[place] = key, yaml.SequenceNode(value.tag, [], value.start_mark)
        self.pieces = [Piece(place_of(self._file, node), None) for node in self._nodes]


def _tag(event: Event) -> str:
    return TEXT_TAG if event.tag is None or event.tag == "!" else str(event.tag)


def _sequence(begin: Event, items: list[yaml.Node]) -> yaml.Node:
    return yaml.SequenceNode(_tag(begin), items, begin.start_mark)


def _mapping(begin: Event, pairs: list[tuple[yaml.Node, yaml.Node]]) -> yaml.Node:
    return yaml.MappingNode(_tag(begin), pairs, begin.start_mark)


def _skip(event: Event, following: Next) -> Event:
    """Read the node that begins with `event` to its end; the mark of that. Raises _NotPlain."""
    depth = 0
    while True:
        if getattr(event, "anchor", None) is not None:
            raise _NotPlain
        kind = type(event)
        if kind in _BEGINS:
            depth += 1
        elif kind in _ENDS:
            depth -= 1
        if not depth:
            return event.end_mark
        if depth > DEEPEST:
            raise _NotPlain
        event = following()


def _composed(event: Event, following: Next, depth: int = 0) -> yaml.Node:
    """The node that begins with `event`. Raises _NotPlain."""
    if getattr(event, "anchor", None) is not None or depth > DEEPEST:
        raise _NotPlain
    kind = type(event)
    if kind is events.ScalarEvent:
        return yaml.ScalarNode(_tag(event), event.value, event.start_mark, style=event.style)
    if kind is events.SequenceStartEvent:
        items = []
        while type(item := following()) is not events.SequenceEndEvent:
            items.append(_composed(item, following, depth + 1))
        return _sequence(event, items)
    pairs = []
    while type(item := following()) is not events.MappingEndEvent:
        key = _composed(item, following, depth + 1)
        pairs.append((key, _composed(following(), following, depth + 1)))
    return _mapping(event, pairs)
