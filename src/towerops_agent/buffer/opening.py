"""Which Store the writer works on: the file's; a new file's if that is corrupt; one in memory while neither can be had.

Opening -> Store, one after the other. What a corrupt file still has is copied into its successor (recovery.py), what gathered in
memory into the file, and ids stay valid through both.
Synchronous, for the writer's thread. Microseconds (`_us`), or seconds on the monotonic clock (`_s`), which are passed in.
"""

from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

import structlog

from towerops_agent.buffer import quarantine, retention
from towerops_agent.buffer.absence import Absence, Away
from towerops_agent.buffer.database import FAILURES, Database, is_corruption
from towerops_agent.buffer.elsewhere import Elsewhere
from towerops_agent.buffer.format.batch import OPEN_END, AgeClock
from towerops_agent.buffer.ids import agree, begin_ids_at, id_beyond, last_id
from towerops_agent.buffer.layouts import BESIDE_LAYOUTS, equipment_in
from towerops_agent.buffer.place import empty, followed, release, sync
from towerops_agent.buffer.recovery import WITH_LAYOUTS, Recovery
from towerops_agent.buffer.remains import kept_in
from towerops_agent.buffer.room import Room
from towerops_agent.buffer.salvage import PROGRESS, Salvage
from towerops_agent.buffer.store import Store
from towerops_agent.errors import BufferFailure, DatabaseBusy, DatabaseTooNew

log = structlog.get_logger()

RENEWED_EVERY_US = 60_000_000
"""A disk that spoils each new file at once gets one a minute: each is copied, and quarantined."""
AT_ONCE_US = 30_000_000
"""How long small corrupt files are copied before the database is in use. A failing disk may take that long for a few looks, and
whoever starts the agent waits for some minutes only."""
REOPEN_S = 5.0
"""How often a file that could not be opened is tried again."""
LONGEST_AWAY_DOUBLINGS = 4
"""A file that could be written for a short while only is tried again after twice as long, up to 80 s: each return writes all that
is in memory, and three log lines."""
SETTLED_S = 300.0
"""How long a file has to be used for that to be over."""
LOOK_EACH_S = 5.0
"""How often to check that the file is still the one at its path."""


class Opening:
    """Opens the database at `path`, again and again if need be.

    `store`: the one to work on, once it was opened. Until somebody resets them: `lost_metrics`, how many were lost with the
    databases before it, `left_metrics`, how many that were delivered are left there, and `layouts_lost`, whether layouts have, or
    what is kept beside them, or none are in use. `due_s`: when `look` is due, and `recovery_due_s`, when `go_on_recovering` is.
    """

    store: Store

    def __init__(
        self,
        path: Path,
        room: Room,
        wall_us: Callable[[], int],
        monotonic_us: Callable[[], int],
        first_id: Callable[[], int],
    ) -> None:
        """`first_id`: the first id of a database that is begun at the start."""
        self.path = followed(path)
        self._first_id = first_id
        self._room = room
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        self._renewed_us: int | None = None
        self._reopen_s = 0.0
        self._look_s = 0.0
        self._returned_s = -inf  # when the file came into use again, the last time
        self._short_returns = 0  # how often in a row it had to be left soon after that
        self.due_s = 0.0
        self._absence: Absence | None = None  # while the Store is not the file's
        self._elsewhere = Elsewhere()
        self._clock: AgeClock | None = None  # of the Store
        self.replaced: Path | None = None
        self.layouts_lost = False
        self.lost_metrics = self.left_metrics = 0
        self.moved: Callable[[], None] = lambda: None  # called at each step of what may take long
        self._recovery: Recovery | None = None
        # By quarantined file: whether this run had in memory what is in its tail, or it is stored in the file that came after it.
        self._tails: dict[str, bool] = {}
        self.recovery_due_s = inf
        self.lines: tuple[str, ...] = ()  # the destinations' lines; none: those that a database has

    @property
    def in_memory_because(self) -> str:
        """Why polls go on in memory, for the operator; "": they do not."""
        absence = self._absence  # asked for by other threads too
        return "" if absence is None else str(absence)

    @property
    def _has_tail(self) -> bool:
        """Whether what is in memory has the tail of the file that is at the path."""
        return self._absence is not None and self._absence.why is Away.CORRUPT

    def _use(self, store: Store, absence: Absence | None = None) -> None:
        """Work on this Store from now on: the file's, or one in memory during its absence."""
        self.store, self._absence, self._clock = store, absence, store.clock
        self._note_what_is_here()

    def _note_what_is_here(self) -> None:
        """If the file is in use, and has all of its predecessors, no batch that somebody may have under way is elsewhere."""
        if self._absence is None and self._recovery is None:
            self.store.elsewhere = None
            self._elsewhere.sent.clear()

    def open(self, now_s: float) -> None:
        """Work on the file, or in memory if it can't be opened. Raises DatabaseBusy and DatabaseTooNew."""
        self._reopen_s = now_s + REOPEN_S
        try:
            self._use(self._open_file(first_id=self._first_id()))
        except (DatabaseBusy, DatabaseTooNew):
            raise
        except BufferFailure as error:
            log.error("buffer can't be opened, polls stay in memory; will retry", reason=str(error))
            self._use(self._with_values_of_file(), Absence(Away.UNOPENED, str(error)))

    def _with_values_of_file(self) -> Store:
        """A Store in memory that knows what the file keeps, if that can be read: the configuration is among it."""
        kept, last = kept_in(self.path)
        memory = self._in_memory(last)
        # Without what says how far a copy into the file has come, and what goes with layouts, which are others in memory.
        memory.earlier = {key: value for key, value in kept.items() if not key.startswith((PROGRESS, BESIDE_LAYOUTS))}
        if memory.earlier:
            log.info("database can be read: what it keeps is used, as the last configuration is", path=str(self.path))
        return memory

    def look(self, now_s: float, *, at_stop: bool) -> None:
        """See whether the file is still in its place, and follow if it is not; if in memory, try to open it when due."""
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_EACH_S
            change = self.store.database.change()
            if change is not None:  # nobody would find what is written into it
                self._follow(change, now_s)
        if self._absence is not None and (now_s >= self._reopen_s or at_stop):
            self._reopen_s = now_s + REOPEN_S
            if self._return_to_file(self._absence, at_stop=at_stop):
                self._returned_s = now_s
        self.due_s = self._look_s if self._absence is None else min(self._look_s, self._reopen_s)

    def _return_to_file(self, absence: Absence, *, at_stop: bool) -> bool:
        if absence.why is Away.UNWRITABLE:
            while not retention.remove_sent(self.store.connection, OPEN_END).done:
                pass
            if not at_stop and not self._room.fits(self.store, self.path):
                return False
        return self._reopen(absence)

    def _reopen(self, absence: Absence) -> bool:
        """Work on the file, with all that is in memory, if it can be opened; in a new one if it turns out to be corrupt now.

        Whether it is in use now.
        """
        memory = self.store
        store = None
        try:
            store = self._open_file(memory)
            try:
                polls = self._store_memory(store)
            except FAILURES as error:
                if not is_corruption(error) or not self._may_renew():
                    raise
                self._end_recovery()
                store = self._prepare(store.database.begin_anew(self._wall_us(), str(error)), in_use=False)
                polls = self._store_memory(store)
        except (BufferFailure, *FAILURES) as error:
            self._stay_away(absence, error)
            self._end_recovery()
            if store is not None:
                store.database.close()
            return False
        # Nothing is polled yet: the file may keep by what that can be.
        self.layouts_lost = self.layouts_lost or not memory.layouts.in_use()
        memory.database.close()
        log.info("buffer opened, the polls in memory are stored", path=str(self.path), polls=polls)
        self._use(store)  # by their ids, polls that are still in its tail and were in memory are void now
        return True

    def _stay_away(self, absence: Absence, error: BaseException) -> None:
        reason = str(error)
        if reason not in (absence.because, absence.still_because):  # each 5 s
            log.warning("buffer can't store the polls in memory; will retry", path=str(self.path), reason=reason)
        absence.still_because = reason

    def _store_memory(self, store: Store) -> int:
        """Copy all that is in memory into the file's Store: how many polls. Raises FAILURES, which are the file's.

        Raises BufferFailure if the file is another one, in which the layouts and batches in use would be other ones.
        """
        memory = self.store
        self._check_agreement(memory, store.database)
        lead_s = store.age_s - memory.age_s
        salvage = Salvage(memory.connection, store.connection, age_lead_s=lead_s, in_use=True, is_later=True)
        salvage.run(self.moved)
        if in_use := set(memory.layouts.in_use()):
            store.layouts.use_too(in_use)
            store.layouts.use_only(in_use, store.age_s)  # each start in memory brings layouts of its own, with other ids
        for batch, age_s in self._elsewhere.sent.items():
            store.note_sent(batch, age_s + lead_s)
        return salvage.copied.get("polls", 0)

    def _may_renew(self) -> bool:
        """Whether a corrupt file may be replaced, which is noted: one a minute."""
        now_us = self._monotonic_us()
        if self._renewed_us is not None and now_us < self._renewed_us + RENEWED_EVERY_US:
            return False
        self._renewed_us = now_us
        return True

    def leave_full_disk(self, now_s: float) -> bool:
        """Whether polls go on in memory, with the layouts in use, as the disk has no room at all: there they can be delivered.

        What is in the file waits there.
        """
        path = self.store.database.path
        while path is not None and self._room.is_out(path):
            if not quarantine.remove_copied(path):
                log.error("disk is full, polls stay in memory until it has room", path=str(self.path))
                self._leave_file(f"disk full: the database {self.path} can't be written", now_s)
                return True
        return False

    def leave_unwritable(self, error: BaseException, now_s: float) -> bool:
        """Whether polls go on in memory as by `leave_full_disk`, as the disk accepts no writes, for this reason."""
        if self.store.database.path is None:
            return False
        log.error("buffer still can't be written, polls go on in memory until it can", path=str(self.path), error=str(error))
        self._leave_file(f"the database {self.path} can't be written: {error}", now_s)
        return True

    def _leave_file(self, reason: str, now_s: float) -> None:
        store = self.store
        memory, layouts_lost = self._with_layouts_of(store)
        self._end_recovery()
        with suppress(*FAILURES):
            store.close()
        self._go_on_in(memory, layouts_lost, Absence(Away.UNWRITABLE, reason), now_s)

    def _go_on_in(self, memory: Store, layouts_lost: bool, absence: Absence, now_s: float) -> None:
        absence.devices = frozenset(equipment_in(memory.connection))
        self._use(memory, absence)
        self.layouts_lost = self.layouts_lost or layouts_lost
        is_soon = now_s < self._returned_s + SETTLED_S
        self._short_returns = min(self._short_returns + 1, LONGEST_AWAY_DOUBLINGS) if is_soon else 0
        self._reopen_s = self.due_s = now_s + REOPEN_S * 2**self._short_returns

    def _with_layouts_of(self, store: Store) -> tuple[Store, bool]:
        """A Store in memory that has the layouts of the other one, so that its polls can be delivered; and if some are lost."""
        memory = self._in_memory(last_id(store.connection))
        salvage = Salvage(store.connection, memory.connection)
        salvage.copy_layouts()
        return memory, bool(salvage.damaged & WITH_LAYOUTS)

    def _follow(self, change: str, now_s: float) -> None:
        """Work on the file that is now at the path, or in memory, with all that was in the file that is gone from there."""
        log.error("database file is gone from its place, its polls are copied", path=str(self.path), change=change)
        store = self.store
        memory, salvage = self._passing_copy(store)
        if salvage is None or not salvage.knows_losses:
            log.error("more metrics may be lost with the corrupt database than are counted", path=str(self.path))
        self.lost_metrics += max(salvage.lost_metrics, not salvage.knows_losses) if salvage else 1
        self.layouts_lost = self.layouts_lost or salvage is None or bool(salvage.damaged & WITH_LAYOUTS)
        is_recovering = self._recovery is not None
        is_whole = salvage is not None and not (salvage.damaged or salvage.lost_metrics or is_recovering)
        covered = store.database.covered() if is_whole else None
        self._end_recovery()
        # Before there is another: with the file SQLite removes the journal that has its name.
        with suppress(*FAILURES):
            store.database.close()
        absence = Absence(Away.GONE, f"the database {self.path} is gone: {change}")
        self._use(memory, absence)
        self._reopen_s = now_s + REOPEN_S
        self._reopen(absence)
        if is_recovering and self._recovery is None and self._absence is None:  # the note is gone too
            self.lost_metrics += 1
            log.error("more metrics may be lost with the corrupt database than are counted", path=str(self.path))
        if covered is not None:
            self._leave_covered(covered)

    def _leave_covered(self, covered: int) -> None:
        """Empty a file over which a disk was mounted, once the disk has all of it: the next boot may find it before the disk."""
        database = self.store.database
        try:
            if database.path is not None and database.journal is not None:
                retention.checkpoint(database.connection)
                for file in (database.journal, database.path.parent):
                    sync(file)
                empty(covered)
                log.info("database over which a disk was mounted is emptied, the disk has all of it", path=str(self.path))
        except (*FAILURES, OSError) as error:
            log.warning("database over which a disk was mounted can't be emptied", path=str(self.path), error=str(error))
        finally:
            release(covered)

    def _passing_copy(self, store: Store) -> tuple[Store, Salvage | None]:
        """A Store that needs no file at the path, with all that is in the other: on the disk if it can be, as it may be large.

        And how it was copied; None: it could not be.
        """
        last = last_id(store.connection)
        try:
            memory = self._without_file(Database.without_name(self.path), last)
        except (*FAILURES, OSError):
            memory = self._in_memory(last)
        for _ in range(2):
            salvage = Salvage(store.connection, memory.connection, in_use=True, lines=self.lines)
            try:
                salvage.run(self.moved)
            except FAILURES:
                memory.database.close()
                memory = self._in_memory(last)
            else:
                return memory, salvage
        return memory, None

    def renew(self, error: BaseException, now_s: float) -> bool:
        """Whether there is a new file in place of one that the error shows to be corrupt, or, if there can be none, memory.

        What has not been stored in the tables goes on there, and so what is in the corrupt file's tail.
        """
        if not is_corruption(error) or self.store.database.path is None or not self._may_renew():
            return False
        memory, layouts_lost = self._with_layouts_of(self.store)  # beforehand: then it is closed
        self._end_recovery()
        try:
            store = self._prepare(self.store.database.begin_anew(self._wall_us(), str(error)), in_use=True)
        except BufferFailure as failure:
            log.error("no new buffer can be created, polls stay in memory; will retry", reason=str(failure))
            self._go_on_in(memory, layouts_lost, Absence(Away.CORRUPT, str(failure)), now_s)
        else:
            memory.database.close()
            self._use(store)
        return True

    def _check_agreement(self, memory: Store, database: Database) -> None:
        if not (agree(memory.connection, database.connection) and self._is_of_its_devices(memory, database)):
            raise BufferFailure(
                f"the database {self.path} is another agent's, or went on by itself: put this agent's own back, "
                "or restart this agent to use it, without what is in memory"
            )

    def _is_of_its_devices(self, memory: Store, database: Database) -> bool:
        """Whether the file that came in place of this agent's own is of some of its devices, as far as either is of any."""
        absence = self._absence
        if absence is None or absence.why is Away.UNOPENED:  # this agent has had no file
            return True
        ours = absence.devices.union(equipment_in(memory.connection))
        its = equipment_in(database.connection)
        first = next(its, None)  # of 10,000 devices this one is mostly enough
        return not ours or first is None or first in ours or any(device in ours for device in its)

    def _open_file(self, memory: Store | None = None, first_id: int | None = None) -> Store:
        """The Store of the file. `memory`: what is to go into it; nothing is written into a file that is another agent's.

        `first_id`: with which the file begins if it has given out no id.
        """
        self.path = followed(self.path)  # by now it may lead somewhere
        database = Database.open(self.path, self._wall_us())
        if memory is not None:
            try:
                with suppress(*FAILURES):  # whoever works on it meets that too
                    self._check_agreement(memory, database)
            except BufferFailure:
                database.close()
                raise
        return self._prepare(database, in_use=False, first_id=first_id)

    def _prepare(self, database: Database, *, in_use: bool, first_id: int | None = None) -> Store:
        """The Store of the database, or of a new one if this turns out to be corrupt. Raises BufferFailure; then it is closed."""
        try:
            return self._complete(database, in_use=in_use, first_id=first_id)
        except (*FAILURES, OSError) as error:
            self._end_recovery()
            if not is_corruption(error):
                database.close()
                raise BufferFailure(f"the database {self.path} can't be used: {error}") from error
            database = database.begin_anew(self._wall_us(), str(error))
        except BaseException:
            self._end_recovery()
            database.close()
            raise
        try:
            return self._complete(database, in_use=in_use)
        except (*FAILURES, OSError) as error:
            self._end_recovery()
            database.close()
            raise BufferFailure(f"the new database {self.path} can't be used: {error}") from error
        except BaseException:
            self._end_recovery()
            database.close()
            raise

    def _complete(self, database: Database, *, in_use: bool, first_id: int | None = None) -> Store:
        """The Store of the database. What its predecessors in quarantine have comes into it, now or while it is used."""
        recovery = None
        if database.unread:
            self.replaced = database.unread[-1]
            recovery = self._recovery = Recovery(database, self._room, self.lines, self._id_beyond, self._elsewhere)
            for file in database.unread:
                self._tails.setdefault(file.name, in_use or self._has_tail)
            recovery.begin(database.unread, in_memory={name for name, was in self._tails.items() if was})
        elif first_id is not None and not last_id(database.connection):
            begin_ids_at(database.connection, first_id)
        database.keep_journal(self._room.journal_octets)
        store = Store(
            *(database, self._wall_us, self._monotonic_us),
            tail_in_use=self._has_tail,
            lines=self.lines,
            elsewhere=self._elsewhere,
            clock=self._clock,
        )
        if recovery is not None:
            store.is_filled = False
            recovery.end_small(store, self._until(self._monotonic_us() + AT_ONCE_US))
            self._note_recovery(store, in_use=in_use)
        return store

    def _until(self, end_us: int) -> Callable[[], bool]:
        def is_in_time() -> bool:
            self.moved()
            return self._monotonic_us() < end_us

        return is_in_time

    # What is copied from quarantine while the Store is used

    @property
    def salvaging(self) -> str:
        """What of a corrupt file is still to be copied, for the operator; "": nothing."""
        recovery = self._recovery
        return "" if recovery is None else recovery.state

    @property
    def needs_tail(self) -> bool:
        """Whether it has to be noted once all polls that are in memory now are stored."""
        return self._recovery is not None and self._recovery.needs_tail

    def note_tail(self) -> None:
        """Note that they are."""
        if self._recovery is not None:
            self._recovery.note_tail()

    def go_on_recovering(self, now_s: float) -> bool:
        """Copy a bounded part of what is in quarantine. Whether something can be delivered since. Raises FAILURES: corruption."""
        if self._recovery is None:
            return False
        self._recovery.step(self.store, now_s)
        is_done = self._note_recovery(self.store, in_use=False)
        self._note_what_is_here()
        return is_done

    def _note_recovery(self, store: Store, *, in_use: bool) -> bool:
        """Note what the recovery came to so far, and whether it has ended."""
        recovery = self._recovery
        if recovery is None:
            return False
        self.lost_metrics += recovery.lost_metrics
        self.left_metrics += recovery.left_metrics
        recovery.lost_metrics = recovery.left_metrics = 0
        self.layouts_lost = self.layouts_lost or (in_use and recovery.layouts_lost)
        if recovery.is_done:
            store.is_filled = True
            self._end_recovery()
            return True
        self.recovery_due_s = recovery.due_s
        return False

    def _end_recovery(self) -> None:
        if self._recovery is not None:
            self._tails |= dict.fromkeys(self._recovery.stored_tails, True)
            self._recovery.close()
            self._recovery, self.recovery_due_s = None, inf

    def close(self) -> None:
        """Close the Store; what is still to be copied into it is left to the next start. Raises FAILURES."""
        self._end_recovery()
        self.store.close()

    def _in_memory(self, last: int) -> Store:
        """A Store in memory, with ids beyond those in the file: `last`, as far as it is known."""
        return self._without_file(Database.in_memory(), last)

    def _without_file(self, database: Database, last: int) -> Store:
        store = Store(
            *(database, self._wall_us, self._monotonic_us), lines=self.lines, elsewhere=self._elsewhere, clock=self._clock
        )
        begin_ids_at(store.connection, self._id_beyond(last))
        return store

    def _id_beyond(self, last: int) -> int:
        return id_beyond(last, self._wall_us())
