"""The database as another process sees it: read-only, while the agent runs and after.

Path -> DatabaseReader (for status, history, doctor). Takes no lock, writes nothing. What it raises is NotReadable.
Times are microseconds since 1970-01-01 UTC (`_us`).
"""

import sqlite3
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from towerops_agent.buffer import events, refused, schema
from towerops_agent.buffer.database import FAILURES, Corruption, as_text, is_corruption, lacks_room_beside
from towerops_agent.buffer.format.batch import Pending, RefusedMetric, StoredPoll
from towerops_agent.buffer.format.codec import PollRow, decode_poll
from towerops_agent.buffer.format.event import Event
from towerops_agent.buffer.lanes import Lanes, next_poll_id, open_batches, open_lines, stretches
from towerops_agent.buffer.lookup import Newest, newest, polls_of
from towerops_agent.buffer.place import beside, is_foreign
from towerops_agent.buffer.store import Polls
from towerops_agent.buffer.tail import left_behind, read_tail
from towerops_agent.buffer.values import kept_value
from towerops_agent.errors import BufferFailure
from towerops_agent.model import LayoutKind

BUSY_S = 2.0

KnownLayouts = dict[tuple[int, bytes], tuple[str, LayoutKind, bool]]
"""Of layouts, by id and digest: whose each is, of which kind, and whether it has items."""


class NotReadable(BufferFailure):
    """The database can't be read. The text says why, and what to do."""


def _advice(version: int) -> str:
    """What to do about a database of another version."""
    if version > schema.VERSION:
        return "use the version of the agent that wrote it"
    if version:
        return "start this version of the agent, which brings it up, or use the version that wrote it"
    return "no agent has written to it yet: start the agent, or correct DATABASE_PATH"


class DatabaseReader:
    """The database at `path`, read-only. A context manager; each method sees it as it is at the time."""

    def __init__(self, path: Path, known: KnownLayouts | None = None) -> None:
        """`known`: layouts that an earlier one has read, and gets those that this one reads: 10,000 take 0.2 s."""
        self._path = path
        self._known = {} if known is None else known

    def __enter__(self) -> Self:
        """Open it. Raises NotReadable if there is none, this user may not look at it, or it has another version."""
        self._check_place()
        # Without a -wal file nobody writes: immutable lays no files beside the database, and needs no right to.
        at_rest = not beside(self._path, "-wal").exists()
        with self._mapped():
            try:
                version = self._open("&immutable=1" if at_rest else "")
            except sqlite3.Error as error:
                if at_rest or not lacks_room_beside(error):
                    raise
                version = self._open("&vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE")
        try:
            if version != schema.VERSION:
                raise NotReadable(
                    f"the database {self._path} has version {version}: expected {schema.VERSION}; {_advice(version)}"
                )
        except BaseException:
            self.connection.close()
            raise
        self._polls = Polls(self.connection)
        return self

    def _open(self, how: str, *pragmas: str) -> int:
        """Open it in this way; its version. Raises FAILURES.

        On a disk that is read-only or full the journal's index has to be in memory if it is not there: nobody writes then.
        """
        uri = f"file:{quote(str(self._path.absolute()))}?mode=ro{how}"
        self.connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            self.connection.text_factory = as_text
            for pragma in pragmas:
                self._one(pragma)
            (version,) = self._one("PRAGMA user_version")
        except BaseException:
            self.connection.close()
            raise
        return int(version)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close it."""
        self.connection.close()

    def _check_place(self) -> None:
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise NotReadable(
                f"there is no database {self._path}: give the agent's with DATABASE_PATH or --database-path"
            ) from None
        except OSError as error:  # a folder that only the agent's user may enter, as systemd makes it
            raise NotReadable(
                f"the database {self._path} can't be looked at ({error.strerror}): run this as the agent's user"
            ) from error
        if not stat.S_ISREG(mode):
            raise NotReadable(f"the database {self._path} is not a file: give the path of the file itself in DATABASE_PATH")

    def pending(self) -> Pending:
        """What is not delivered: to the API; without it, to the destination that lacks most."""
        with self._mapped(), self._snapshot():
            lines = open_lines(self.connection)
            waiting = [Lanes(self.connection).pending(line) for line in ([""] if "" in lines else lines)]
        return max(waiting, key=lambda one: one.metrics, default=Pending(0, 0, None))

    def refused(self, limit: int = 100) -> list[RefusedMetric]:
        """The metrics that the server refused, the latest first."""
        with self._mapped():
            return refused.latest(self.connection, limit)

    def meta(self, key: str) -> bytes | None:
        """What the agent keeps under `key`; None: nothing."""
        with self._mapped(), self._snapshot():  # all pieces of a large value, though it is replaced meanwhile
            return kept_value(self.connection, key)

    def newest_poll_us(self) -> int | None:
        """When the poll that was stored last was started; None: there is none."""
        with self._mapped(), self._snapshot():
            if tail := self._tail():
                return tail[-1][1][1]
            row = self._one("SELECT started_at_us FROM polls ORDER BY id DESC LIMIT 1")
        return row[0] if row is not None and type(row[0]) is int else None

    def last_poll_us(self, before_us: int) -> int | None:
        """When the last poll before this time was started; None: there is none. By halves: ids go with the time of a poll.

        Of the latest polls, which the tables do not have yet, none counts.
        """
        found = None
        with self._mapped(), self._snapshot():
            low, high = self._one("SELECT (SELECT min(id) FROM polls), (SELECT max(id) FROM polls)")
            while low is not None and low <= high:
                middle = (low + high) // 2
                poll, at_us = self._one("SELECT id, started_at_us FROM polls WHERE id <= ? ORDER BY id DESC LIMIT 1", middle)
                if poll < low:
                    low = middle + 1
                elif type(at_us) is int and at_us < before_us:
                    found, low = at_us, middle + 1
                else:
                    high = poll - 1
        return found

    def latest(self, layouts: Mapping[str, Sequence[int]], paced: Collection[str] = ()) -> dict[str, Newest]:
        """By device, its newest poll, of those that have one. `layouts`: of each device.

        `paced`: the devices of which two polls are looked for, so that their distance is known.
        """
        devices = {layout: device for device, some in layouts.items() for layout in some}
        with self._mapped(), self._snapshot():
            found: dict[str, Newest] = {}
            for _, (layout, started_at_us, _, _) in self._tail():
                if (device := devices.get(layout)) is not None:
                    one = Newest(started_at_us, started_at_us)
                    found[device] = found[device].with_others(one) if device in found else one
            return newest(self.connection, devices, found, paced)

    def undelivered(self) -> list[tuple[int, int]]:
        """The polls of which not all is delivered everywhere: [first id, end), sorted; they may overlap."""
        with self._mapped(), self._snapshot():
            end = next_poll_id(self.connection) + len(self._tail())
            ranges = []
            for line in open_lines(self.connection):
                ranges += [(batch.start.poll, batch.last_poll + 1) for batch in open_batches(self.connection, line)]
                ranges += [(one.first.poll, one.end_poll or end) for one in stretches(self.connection, line)]
        return sorted((first, stop) for first, stop in ranges if first < stop)

    def equipment(self, kind: LayoutKind | None = None) -> dict[str, list[int]]:
        """The equipment of which there are layouts: its id -> the layouts' ids; all of them, or those of this kind with items."""
        found: dict[str, list[int]] = {}
        there: KnownLayouts = {}
        with self._mapped():
            for key in sorted(self._all("SELECT id, digest FROM layouts")):
                about = self._known.get(key) or self._about(key[0])
                if about is not None:
                    there[key] = about
        self._known.clear()
        self._known.update(there)
        for (layout, _), (equipment_id, its_kind, has_items) in there.items():
            if kind is None or (its_kind is kind and has_items):
                found.setdefault(equipment_id, []).append(layout)
        return found

    def _about(self, layout: int) -> tuple[str, LayoutKind, bool] | None:
        """What KnownLayouts has of a layout; None if it is damaged."""
        try:
            decoded = self._polls.layouts.read(layout)
        except BufferFailure:
            return None
        return decoded.equipment_id, decoded.kind, decoded.item_count > 0

    def polls(self, equipment_id: str, since_us: int) -> Iterator[StoredPoll]:
        """The equipment's polls that were started from `since_us` on, in the order of their arrival; damaged ones are left out.

        Costs a look at each pack of it, and at the heads of all polls that are not packed yet.
        """
        layouts = self.equipment().get(equipment_id, [])
        with self._mapped(), self._snapshot():
            stored_since_us = since_us - max((late_us for _, _, late_us in self._polls.moved), default=0)
            for _, poll in self._polls.decode(polls_of(self.connection, self._polls, layouts, min(stored_since_us, since_us))):
                if isinstance(poll, StoredPoll) and poll.poll.started_at_us >= since_us:
                    yield poll
            for poll_id, row in self._tail():
                if row[0] in layouts and row[1] >= since_us:
                    with suppress(BufferFailure):
                        layout = self._polls.layouts.read(row[0])
                        yield StoredPoll(poll_id, layout, decode_poll(row, layout), 0, row[2])

    def _tail(self) -> list[tuple[int, PollRow]]:
        """The latest polls, which the tables do not have yet, with their ids; none of a tail that is damaged."""
        try:
            return left_behind(read_tail(self.connection), next_poll_id(self.connection))[0]
        except Corruption:
            return []

    def events(self) -> list[Event]:
        """What changed at the site, in its order."""
        with self._mapped():
            return events.kept(self.connection)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.ProgrammingError):  # closed before an iterator was run to its end
                self.connection.execute("ROLLBACK")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            corrupt = not isinstance(error, sqlite3.Error) or is_corruption(error)
            if corrupt and is_foreign(self._path):
                wanted = "give the agent's with DATABASE_PATH or --database-path"
                raise NotReadable(f"{self._path} is not a database: {wanted}") from error
            hint = (
                "the agent quarantines it and saves what it can" if corrupt else "check its mode, or run this as the agent's user"
            )
            raise NotReadable(f"the database {self._path} can't be read ({error}): {hint}") from error

    def _one(self, sql: str, *parameters: object) -> Any:  # noqa: ANN401 -- a row is what the SQL says
        return self.connection.execute(sql, parameters).fetchone()

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()
