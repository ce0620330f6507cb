"""Which Store the writer works on: the file's; a new file's where that is corrupt; one in memory while neither can be had.

Opening -> Store. What a corrupt file still has is copied into its successor, what gathered in memory into the file, and ids stay
valid through both. A salvage that was cut short is taken up again at the next opening.
Synchronous, for the writer's thread. Microseconds (`_us`).
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import structlog

from towerops_agent.buffer.database import Database
from towerops_agent.buffer.salvage import Salvaged, begin_ids_at, salvage
from towerops_agent.buffer.store import Store
from towerops_agent.errors import BufferFailure, DatabaseBusy, DatabaseTooNew

log = structlog.get_logger()

RENEWED_EVERY_US = 60_000_000
"""A disk that spoils each new file at once gets one a minute: each is copied, and set aside."""

_SALVAGING = "salvaging"  # the key in meta, while it is done: the name of the file that is copied


class Opening:
    """Opens the database at `path`, again and again if need be."""

    def __init__(self, path: Path, wall_us: Callable[[], int], monotonic_us: Callable[[], int]) -> None:
        self._path = path
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        self._renewed_us: int | None = None
        self._unread: Path | None = None  # a file set aside, of which nothing has been copied yet
        self.replaced: Path | None = None
        self.layouts_lost = False
        self.lost_metrics = 0

    def open(self) -> Store:
        """The Store of the file, or one in memory if the file can't be opened. Raises DatabaseBusy and DatabaseTooNew."""
        try:
            return self._open_file()
        except (DatabaseBusy, DatabaseTooNew):
            raise
        except BufferFailure as error:
            log.error("buffer can't be opened, polls stay in memory; will retry", reason=str(error))
            return self._in_memory()

    def reopen(self, memory: Store) -> Store:
        """The Store of the file, with all that is in `memory`, which is closed; `memory` itself if it still can't be opened."""
        try:
            store = self._open_file()
        except BufferFailure:
            return memory
        try:
            copied = salvage(memory.connection, store.connection, age_lead_s=store.age_s - memory.age_s).copied
        except sqlite3.Error as error:
            log.warning("buffer can't store the polls in memory; will retry", path=str(self._path), reason=str(error))
            store.database.close()
            return memory
        memory.database.close()
        log.info("buffer opened, the polls in memory are stored", path=str(self._path), polls=copied["polls"])
        return store

    def renew(self, store: Store, error: BaseException) -> Store | None:
        """The Store of a new file in place of the corrupt one, or in memory if there can be none. None: it is too soon."""
        now_us = self._monotonic_us()
        if store.database.path is None or (self._renewed_us is not None and now_us < self._renewed_us + RENEWED_EVERY_US):
            return None
        self._renewed_us = now_us
        try:
            return self._prepare(store.database.begin_anew(self._wall_us(), str(error)), in_use=True)
        except (BufferFailure, sqlite3.Error) as failure:
            log.error("no new buffer can be created, polls stay in memory; will retry", reason=str(failure))
            self.layouts_lost = True
            return self._in_memory()

    def _open_file(self) -> Store:
        database = Database.open(self._path, self._wall_us())
        try:
            return self._prepare(database, in_use=False)
        except sqlite3.Error as error:
            database.close()
            raise BufferFailure(f"the database {self._path} can't be used: {error}") from error
        except BaseException:
            database.close()
            raise

    def _prepare(self, database: Database, *, in_use: bool) -> Store:
        if database.replaced is not None:
            self.replaced = self._unread = database.replaced
        try:
            row = database.connection.execute("SELECT value FROM meta WHERE key = ?", (_SALVAGING,)).fetchone()
            source = self._unread or (row and self._path.with_name(row[0].decode()))
            if source:
                self._salvage(source, database.connection, in_use=in_use)
                self._unread = None
            return Store(database, self._wall_us, self._monotonic_us, layouts_in_use=in_use)
        except BaseException:
            database.close()
            raise

    def _salvage(self, path: Path, target: sqlite3.Connection, *, in_use: bool) -> None:
        target.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_SALVAGING, path.name.encode()))
        salvaged = Salvaged()
        try:
            source = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            log.warning("nothing could be read of the corrupt database", path=str(path), reason=str(error))
        else:
            source.execute("PRAGMA writable_schema = ON")  # else SQLite looks at nothing in a file that is cut short
            source.text_factory = lambda octets: octets.decode(errors="replace")
            try:
                salvaged = salvage(source, target)
            finally:
                source.close()
        self.lost_metrics += salvaged.lost_metrics
        if "layouts" not in salvaged.whole:
            # Devices go on with ids that are lost: no other layout may get one of them.
            begin_ids_at(target, self._wall_us())
            self.layouts_lost = self.layouts_lost or in_use
        target.execute("DELETE FROM meta WHERE key = ?", (_SALVAGING,))
        log.info(
            "readable part of the corrupt database is in the new one",
            path=str(path),
            lost_metrics=salvaged.lost_metrics,
            **salvaged.copied,
        )

    def _in_memory(self) -> Store:
        store = Store(Database.in_memory(), self._wall_us, self._monotonic_us)
        begin_ids_at(store.connection, self._wall_us())  # beyond any in the file, which has had less than one a microsecond
        return store
