"""Copies quarantined files into the database that is in use, between the writer's jobs: polls are stored and delivered meanwhile.

quarantine.py's note -> a Salvage for each file, the oldest first. A small file is copied at once. A large one, which may take an
hour on a flash card, waits only for its layouts and kept values; the rest is copied a step at a time, what is undelivered first.
While the disk lacks room that waits, and what was delivered before is left behind.
Synchronous, for the writer's thread. Seconds on the monotonic clock (`_s`); octets.
"""

import errno
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog

from towerops_agent.buffer import quarantine, retention
from towerops_agent.buffer.database import FAILURES, Database, is_corruption, octets_on_disk
from towerops_agent.buffer.elsewhere import Elsewhere
from towerops_agent.buffer.ids import begin_ids_at, last_id
from towerops_agent.buffer.lanes import next_poll_id
from towerops_agent.buffer.place import sync
from towerops_agent.buffer.remains import lacks_roots, readable, roots_of
from towerops_agent.buffer.room import Room
from towerops_agent.buffer.salvage import OCTETS_PER_STEP, Salvage
from towerops_agent.buffer.store import Store
from towerops_agent.errors import BufferFailure
from towerops_agent.text import size

log = structlog.get_logger()

AT_ONCE_OCTETS = 16 << 20
"""Files of so much are copied before the database is in use: seconds, on a flash card too, unless it is failing."""
AGAIN_S = 5.0
"""How soon a step that failed, or lacks room, is tried again."""
NEEDED_OCTETS = 4 * OCTETS_PER_STEP
"""What is to be free for a step, beyond what is kept free for others: the journal and the file both get it."""
WITH_LAYOUTS = frozenset({"layouts", "meta"})
"""The tables of the layouts and of what is kept beside them."""


class Recovery:
    """The copying of the files in quarantine whose content `database` lacks. Begun before there is a Store of it.

    Until somebody resets them: `lost_metrics`, how many are lost; `left_metrics`, how many that were delivered are left behind.
    `layouts_lost`: whether layouts are lost, or what is kept beside them. `state`: for the operator; "" if nothing is to be done.
    """

    def __init__(
        self,
        database: Database,
        room: Room,
        lines: Collection[str],
        beyond: Callable[[int], int],
        elsewhere: Elsewhere,
    ) -> None:
        """`lines`: the destinations that there are. `beyond`: an id that no row has, and that is greater than this one.

        `elsewhere`: what is delivered of the files' batches.
        """
        assert database.path is not None, "memory has no predecessor"  # noqa: S101
        self.path = database.path
        self.state = ""
        self.lost_metrics = self.left_metrics = 0
        self.layouts_lost = False
        self.due_s = 0.0
        self._database = database
        self._room = room
        self._lines = lines
        self._beyond = beyond
        self._elsewhere = elsewhere
        self._open = ExitStack()
        self._has_waited = False
        self._salvages: list[tuple[Path, Salvage, int]] = []

    def begin(self, files: Sequence[Path], *, in_memory: Collection[str]) -> None:
        """Copy what the database can't be used without. `in_memory`: names of files whose tails are in memory too.

        Raises FAILURES if the database can't be written, BufferFailure if a file can't be read just now.
        """
        for file in files:
            source = self._source(file)
            if source is None:
                self._give_up(file)
                continue
            salvage = Salvage(
                *(source, self._database.connection),
                name=file.name,
                in_use=file.name in in_memory,
                lines=self._lines,
                beyond=self._beyond,
                elsewhere=self._elsewhere,
            )
            if salvage.is_foreign():
                log.error("corrupt database is not copied into another agent's", path=str(self.path), corrupt=str(file))
                continue
            salvage.begin()
            self.layouts_lost = self.layouts_lost or bool(salvage.damaged & WITH_LAYOUTS)
            self._salvages.append((file, salvage, octets_on_disk(file)))
        self._follow_earlier()
        self._describe()

    def _follow_earlier(self) -> None:
        """Of files that were being copied into one that is corrupt by now too: that one knew what is delivered of them."""
        earlier = [salvage.of_predecessors() for _, salvage, _ in self._salvages]
        for file, salvage, _ in self._salvages:
            for progress in (known[file.name] for known in earlier if file.name in known):
                salvage.follow(progress)

    def end_small(self, store: Store, is_in_time: Callable[[], bool]) -> None:
        """Copy the files that are small, as far as there is room and time; not to the end before the tails' polls are stored.

        `is_in_time` is asked before each step.
        """
        while self._salvages and self._salvages[0][2] <= AT_ONCE_OCTETS and self.due_s <= 0.0 and is_in_time():
            if self.needs_tail and self._salvages[0][1].is_at_end:
                return
            self.step(store, 0.0)

    @property
    def needs_tail(self) -> bool:
        """Whether the tails' polls are in memory, and nobody has noted yet that they are stored."""
        return any(salvage.in_use and not salvage.progress.has_tail for _, salvage, _ in self._salvages)

    @property
    def stored_tails(self) -> list[str]:
        """The names of the files of which it is noted that the polls of their tails are stored in the database."""
        return [file.name for file, salvage, _ in self._salvages if salvage.progress.has_tail]

    def note_tail(self) -> None:
        """Note that the polls that were in memory too are stored: no other agent is to copy them. Raises FAILURES."""
        for _, salvage, _ in self._salvages:
            salvage.note_tail()

    def close(self) -> None:
        """Leave the rest to the next start."""
        for _, salvage, _ in self._salvages:
            with suppress(*FAILURES):
                salvage.note_sent()
        self._open.close()
        self._salvages.clear()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be copied."""
        return not self._salvages

    def step(self, store: Store, now_s: float) -> None:
        """Copy a bounded part, if there is room. Raises FAILURES if the database is corrupt."""
        file, salvage, _ = self._salvages[0]
        self.due_s = now_s
        try:
            for _, one, _ in self._salvages:  # what is noted with this one only goes with its note
                one.note_sent()
            if not self._has_room(store, salvage, now_s):
                return
            if salvage.step():
                self._describe()
                return
            self._end(file, salvage)
        except (*FAILURES, OSError) as error:
            if is_corruption(error):
                raise
            self._wait(now_s, str(error))
            return
        del self._salvages[0]
        self._describe()

    def _has_room(self, store: Store, salvage: Salvage, now_s: float) -> bool:
        if salvage.progress.is_done:
            return True
        missing = self._room.missing_on_disk(store) + NEEDED_OCTETS
        if missing > 0 and quarantine.remove_copied(self.path):
            missing = self._room.missing_on_disk(store) + NEEDED_OCTETS
        if (missing > 0 or self._room.is_over(store)) and salvage.is_at_delivered:
            if not salvage.progress.leaves_delivered:
                log.warning("no room for what is delivered of the corrupt database, it is left there", path=str(self.path))
                salvage.leave_delivered()
            return True
        if missing <= 0:
            return True
        self._wait(now_s, f"the disk has no room for it, {size(missing)} are missing")
        return False

    def _wait(self, now_s: float, reason: str) -> None:
        if not self._has_waited:  # once: with little room it may wait after each step
            self._has_waited = True
            log.warning("the corrupt database can't be copied now, will retry", path=str(self.path), reason=reason)
        self.due_s = now_s + AGAIN_S
        self._describe(reason)

    def _describe(self, waits_because: str = "") -> None:
        if not self._salvages:
            self.state = ""
            return
        file, salvage, octets = self._salvages[0]
        waits = f"; it waits: {waits_because}" if waits_because else ""
        self.state = (
            f"the corrupt database {file.name} is being copied into the new one, {size(salvage.progress.octets)} of at most"
            f" {size(octets)}; what is undelivered in it follows when that is done{waits}"
        )

    def _end(self, file: Path, salvage: Salvage) -> None:
        """Note that all has been copied. May be repeated."""
        retention.checkpoint(self._database.connection)
        self._sync()  # before the note goes: what was copied is on the disk
        quarantine.end(self.path, file)
        salvage.forget()
        self._note_losses(file, salvage.lost_metrics, knows_losses=salvage.knows_losses)
        self.left_metrics += salvage.progress.left_metrics
        log.info(
            "readable part of the corrupt database is in the new one",
            path=str(file),
            lost_metrics=salvage.lost_metrics,
            **salvage.copied,
        )

    def _sync(self) -> None:
        """Have the journal on the disk: it is not folded in while somebody reads an earlier state of the database."""
        assert self._database.journal is not None, "a file has one"  # noqa: S101
        sync(self._database.journal)

    def _give_up(self, file: Path) -> None:
        connection = self._database.connection
        if next_poll_id(connection) == 1:  # else it is in use since then
            begin_ids_at(connection, self._beyond(last_id(connection)))
        self.layouts_lost = True
        quarantine.end(self.path, file)
        self._note_losses(file, 0, knows_losses=False)

    def _note_losses(self, file: Path, metrics: int, *, knows_losses: bool) -> None:
        self.lost_metrics += max(metrics, not knows_losses)
        if not knows_losses:
            log.error("more metrics may be lost with the corrupt database than are counted", path=str(file))

    def _source(self, file: Path) -> sqlite3.Connection | None:
        """The file to be read, from behind another schema if its own does not lead to its tables; None: nothing can be read."""
        try:
            source = readable(file)
            if source is None and quarantine.cut_journal(file):
                log.warning("journal of the corrupt database can't be read to its end, what follows is left out", path=str(file))
                self._note_losses(file, 0, knows_losses=False)
                source = readable(file)
            if source is None:
                self._open.enter_context(quarantine.another_schema(file))
                source = readable(file)
            if source is not None and lacks_roots(source):
                tables = roots_of(source)
                source.close()
                self._open.enter_context(quarantine.other_roots(file, tables))
                source = readable(file)
            reason = "it lacks the agent's tables"
        except (*FAILURES, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise BufferFailure(f"the corrupt database {file} can't be read: {error}") from error
            source, reason = None, str(error)
        if source is None:
            log.warning("nothing could be read of the corrupt database", path=str(file), reason=reason)
        else:
            self._open.callback(source.close)
        return source
