"""What arrived at the sandbox, in SQLite: batches with their keys, metrics, heartbeats.

In memory, or in a file that a later sandbox continues. Bounded: the oldest metrics are removed first, their batches' keys stay
known. I/O: sqlite3, on the event loop's thread; a batch of 1,000 metrics takes about 4 ms.
"""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, overload

import msgspec

from towerops_agent.api.wire.contract import Heartbeat, Metric
from towerops_lab.sandbox.batch import Batch, MetricIdentity
from towerops_lab.sandbox.kinds import KINDS, NAMES, kind_of, subject_of

MAX_METRICS: Final = 2_000_000
MAX_KEYS: Final = 1_000_000
MAX_HEARTBEATS: Final = 10_000

_decode = msgspec.json.Decoder(Metric).decode
_encode = msgspec.json.Encoder().encode


class Records:
    """The database. `path`: ":memory:", or a file, which is created if there is none."""

    def __init__(self, path: Path | str, max_metrics: int) -> None:
        self._max_metrics = max_metrics
        # Closed by any thread that collects its last user; still used by one thread at a time.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.close = weakref.finalize(self, self._db.close)
        """Close it. Else it is closed with its last user."""
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript((files("towerops_lab.sandbox") / "schema.sql").read_text())
        self.metric_count: int = self._number("SELECT count(*) FROM metric")
        """How many metrics have been stored, including those removed since."""
        self.batch_count: int = self._number("SELECT count(*) FROM batch")
        self._held = self.metric_count

    def digest_of(self, key: str) -> bytes | None:
        """The digest of the batch with this key."""
        row = self._db.execute("SELECT digest FROM batch WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def add(self, batch: Batch, digest: bytes) -> None:
        """Store a batch."""
        with self._transaction():
            number = self._db.execute(
                "INSERT INTO batch (key, digest, size_octets, arrived_us) VALUES (?, ?, ?, ?)",
                (batch.key, digest, batch.size_octets, batch.arrived_us),
            ).lastrowid
            self._db.executemany(
                "INSERT INTO metric (batch, kind, item, timestamp, body) VALUES (?, ?, ?, ?, ?)",
                ((number, *_place(metric), _encode(metric)) for metric in batch.metrics),
            )
            self.batch_count += 1
            self.metric_count += len(batch.metrics)
            self._held += len(batch.metrics)
            if self._held > self._max_metrics:
                self._let_go()

    def hear(self, heartbeat: Heartbeat, heard_us: int) -> None:
        """Store a heartbeat."""
        with self._transaction():
            number = self._db.execute(
                "INSERT INTO heartbeat (heard_us, body) VALUES (?, ?)", (heard_us, _encode(heartbeat))
            ).lastrowid
            self._db.execute("DELETE FROM heartbeat WHERE id <= ?", ((number or 0) - MAX_HEARTBEATS,))

    def heartbeats(self) -> list[tuple[int, Heartbeat]]:
        """The heartbeats, with the arrival time of each (µs)."""
        rows = self._db.execute("SELECT heard_us, body FROM heartbeat ORDER BY id")
        return [(heard_us, msgspec.json.decode(body, type=Heartbeat)) for heard_us, body in rows]

    def metrics(self) -> list[Metric]:
        """All stored metrics, in order of arrival."""
        return [_decode(body) for (body,) in self._db.execute("SELECT body FROM metric ORDER BY id")]

    def of(self, kind: str, item: str) -> tuple[Metric, ...]:
        """Those of one kind and item, in order of arrival."""
        rows = self._db.execute("SELECT body FROM metric WHERE item = ? AND kind = ? ORDER BY id", (item, NAMES.index(kind)))
        return tuple(_decode(body) for (body,) in rows)

    def duplicates(self) -> dict[MetricIdentity, int]:
        """The metrics that are stored more than once, and how often."""
        rows = self._db.execute(
            "SELECT kind, item, timestamp, count(*) FROM metric GROUP BY item, kind, timestamp HAVING count(*) > 1"
        )
        return {(NAMES[kind], item, timestamp): times for kind, item, timestamp, times in rows}

    def batches_since(self, arrived_us: int) -> Iterator[Batch]:
        """The batches that arrived at this time or later, in order."""
        for (number,) in self._db.execute("SELECT id FROM batch WHERE arrived_us >= ? ORDER BY id", (arrived_us,)).fetchall():
            yield self._batch(number)

    def batch_at(self, place: int) -> Batch:
        """The batch that arrived as number `place`, from 0. Raises IndexError if there is none."""
        row = self._db.execute("SELECT id FROM batch ORDER BY id LIMIT 1 OFFSET ?", (place,)).fetchone()
        if row is None:
            raise IndexError(place)
        return self._batch(row[0])

    def _batch(self, number: int) -> Batch:
        key, size, arrived_us = self._db.execute(
            "SELECT key, size_octets, arrived_us FROM batch WHERE id = ?", (number,)
        ).fetchone()
        rows = self._db.execute("SELECT body FROM metric WHERE batch = ? ORDER BY id", (number,))
        return Batch(key, tuple(_decode(body) for (body,) in rows), size, arrived_us)

    def _let_go(self) -> None:
        """Delete the oldest batches' metrics, a tenth of the limit at a time, and keys beyond MAX_KEYS."""
        wanted = self._held - self._max_metrics * 9 // 10
        row = self._db.execute("SELECT batch FROM metric ORDER BY id LIMIT 1 OFFSET ?", (max(wanted - 1, 0),)).fetchone()
        if row is None:
            return
        self._held -= self._db.execute("DELETE FROM metric WHERE batch <= ?", row).rowcount
        self._db.execute("DELETE FROM batch WHERE id <= (SELECT max(id) FROM batch) - ? AND id <= ?", (MAX_KEYS, row[0]))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)

    def _number(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])


class _Transaction:
    """One commit; nothing of it if it fails."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


class Batches(Sequence[Batch]):
    """The batches, read from the database on access."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __len__(self) -> int:
        return self._records.batch_count

    @overload
    def __getitem__(self, place: int) -> Batch: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Batch]: ...
    def __getitem__(self, place: int | slice) -> Batch | Sequence[Batch]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        return self._records.batch_at(place if place >= 0 else len(self) + place)

    def __iter__(self) -> Iterator[Batch]:
        return self._records.batches_since(0)


def _place(metric: Metric) -> tuple[int, str, str]:
    return KINDS.index(kind_of(metric)), subject_of(metric), metric.timestamp
