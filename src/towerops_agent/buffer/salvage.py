"""Copies what can be read of one database into another that is in use meanwhile, step by step.

A corrupt file into its successor, memory into the file. What is copied is seen by nobody before the last step: then what no batch
has becomes backlog, so that nothing is delivered twice that is known to be delivered, and nothing is left out that is there. What
is undelivered is copied first. Each step is a transaction, and how far it came is in it: a start after a kill goes on there. Rows
that are there already stay as they are.
Synchronous, for the writer's thread. Methods raise sqlite3.Error if the target can't be written.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice, pairwise
from typing import Any

import msgspec

from towerops_agent.buffer import lanes, reckoning
from towerops_agent.buffer.database import Corruption, transaction
from towerops_agent.buffer.elsewhere import Elsewhere
from towerops_agent.buffer.format.batch import OPEN_END, Lane, Position
from towerops_agent.buffer.format.codec import checksum, is_intact
from towerops_agent.buffer.ids import SKIPPED_IDS, begin_line_at, give_ids_from, last_id
from towerops_agent.buffer.lanes import Stretch, next_poll_id
from towerops_agent.buffer.layouts import BESIDE_LAYOUTS
from towerops_agent.buffer.ledger import Ledger
from towerops_agent.buffer.remains import COLUMNS, Remains, Row, row_checksum
from towerops_agent.buffer.store import CLOCK_BEHIND_S, LAYOUTS_KEY
from towerops_agent.buffer.tail import copy_tail
from towerops_agent.buffer.values import whole

ROWS_PER_STEP = 1_000
OCTETS_PER_STEP = 256 << 10

ROW_OCTETS = 40
"""What a row takes in the file beside its values of variable size."""

LAST_POLLS = 10_000
"""So many are looked at for the age clock, if that is lost: ages rise with ids."""

PROGRESS = "salvage "
"""How the keys begin under which a target keeps how far it came with a file. They mean nothing in another target."""

_EDGES = ("layouts", "polls", "batches", "refused", "events", "bodies", "ranges")


class SalvageProgress(msgspec.Struct):
    """How far a salvage came. `first_own`: the ids from here on are the target's own. `after`: the last row's id, in `phase`.

    `octets`: how many were copied. `damaged`: tables of which something could not be read. `is_done`: all is copied.
    `has_tail`: the tail's polls are stored, by an agent that had them in memory. `leaves_delivered`: what is delivered is left
    behind, for want of room; `left_metrics`: so much of it was counted. `sent`: batches of the source that were delivered
    meanwhile, with the age then.
    """

    first_own: int
    phase: int = 0
    after: int = -1
    octets: int = 0
    damaged: list[str] = []
    copied: dict[str, int] = {}
    is_done: bool = False
    has_tail: bool = False
    leaves_delivered: bool = False
    left_metrics: int = 0
    sent: dict[int, int] = {}


_decoder = msgspec.json.Decoder(SalvageProgress)
_layouts_decoder = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes, int]])

_PHASES = (
    *(("refused", None), ("events", None), ("polls", True), ("ranges", None), ("packs", True), ("bodies", True)),
    # The polls last, by which the rest is found: one of which only a part was copied is not there at all.
    *(("packs", False), ("bodies", False), ("polls", False)),
)
"""Tables in the order of copying; True: what is undelivered in them, False: the rest of them, None: all."""


class Salvage:
    """The copying of `source` into `target`. `in_use`: the tail is in memory too.

    Once it is done: `lost_metrics`, how many are known to be lost; `knows_losses`: no others are.
    """

    def __init__(
        self,
        source: sqlite3.Connection,
        target: sqlite3.Connection,
        *,
        name: str = "",
        age_lead_s: int = 0,
        in_use: bool = False,
        is_later: bool = False,
        lines: Collection[str] = (),
        beyond: Callable[[int], int] = lambda last: last + SKIPPED_IDS,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """`name`: of the corrupt file, under which its progress is kept; "": it is not a file that may be damaged.

        `age_lead_s`: by how much the age clock of `target` is ahead of that of `source`.
        `is_later`: of two values kept under one key that of `source` is the later one. `lines`: the destinations that there are.
        `beyond`: an id that no row has, of a source whose last one can't be read.
        `elsewhere`: what is delivered meanwhile of the source's batches.
        """
        self._source, self._target = source, target
        self._name = name
        self._age_lead_s = age_lead_s
        self.in_use = in_use
        self._is_later = is_later
        self._lines = lines
        self._beyond = beyond
        self._sent = (elsewhere or Elsewhere()).sent
        self.lost_metrics = 0
        self.knows_losses = False
        self.progress = SalvageProgress(0)
        self._remains = Remains(source)
        self._rows: Iterator[tuple[int, Row] | None] | None = None
        self._most_age_s = OPEN_END

    @property
    def damaged(self) -> set[str]:
        """The tables of which something could not be read so far."""
        return self._remains.damaged

    @property
    def copied(self) -> dict[str, int]:
        """How many rows of each table were copied."""
        return self.progress.copied

    def run(self, moved: Callable[[], None] = lambda: None) -> None:
        """Copy all. `moved` is called after each step."""
        self.begin()
        while self.step():
            moved()

    def begin(self) -> None:
        """Copy what the target can't be used without: layouts and kept values. Its own ids begin behind the source's."""
        found = self._kept()
        if found is not None:
            self.progress = found
            self._remains.damaged |= set(found.damaged)
            self._sent |= found.sent
        else:
            self._copy_layouts()
            self._copy_small("meta")
        self._ledger = Ledger(self._remains)
        self._copy_clock()
        if found is None:
            with transaction(self._target):
                self._give_ids()
                self._keep()
        self._end = self._end_of_source()
        self._undelivered = self._ledger.undelivered(self._lines, self._end)

    def is_foreign(self) -> bool:
        """Whether the target is another agent's, put in this one's place: an id of the source is another layout's there."""
        if self._kept() is not None:
            return False
        there = "SELECT 1 FROM layouts WHERE id = ? AND body != ?"
        layouts = chain(self._remains.all("layouts"), self._layouts_in_second_place())
        return any(self._target.execute(there, (row[0], row[2])).fetchone() for row in layouts)

    def of_predecessors(self) -> dict[str, SalvageProgress]:
        """By their names: how far corrupt files that came before the source were copied into it, as far as it says so."""
        rows = [row for row in self._remains.all("meta") if row[0].startswith(PROGRESS)]
        found = {row[0].removeprefix(PROGRESS): _decoded(row[1]) for row in rows}
        return {name: progress for name, progress in found.items() if progress is not None}

    def follow(self, earlier: SalvageProgress) -> None:
        """Note what was delivered of the source while it was copied into an earlier target."""
        self._sent |= earlier.sent

    def copy_layouts(self) -> None:
        """Copy the layouts only, with their ids, and the values kept beside them."""
        self._copy_layouts()
        self._copy_small("meta", only=lambda row: row[0].startswith(BESIDE_LAYOUTS))

    def _copy_layouts(self) -> None:
        self._copy_small("layouts")
        if "layouts" in self.damaged:
            with transaction(self._target):
                for row in self._layouts_in_second_place():
                    self._copy_row("layouts", row)

    def _layouts_in_second_place(self) -> Iterator[Row]:
        rows = {row[0]: row[1] for row in self._remains.all("meta") if str(row[0]).startswith(LAYOUTS_KEY)}
        with suppress(msgspec.MsgspecError):  # of another version
            found = _layouts_decoder.decode(whole(LAYOUTS_KEY, rows.get) or b"\x90")
            yield from (list(row) for row in found if is_intact(row[0], row[2], row[3]))

    def leave_delivered(self) -> None:
        """Leave behind what is delivered, and is not copied yet, as there is no room for it."""
        self.progress.leaves_delivered = True
        self._rows = None

    def note_tail(self) -> None:
        """Note that the tail's polls are stored, if they were in memory too."""
        if self.in_use and not self.progress.has_tail:
            self.progress.has_tail = True
            try:
                with transaction(self._target):
                    self._keep()
            except BaseException:
                self.progress.has_tail = False
                raise

    def note_sent(self) -> None:
        """Note which batches have been delivered meanwhile, so that the next start knows it."""
        noted = self.progress.sent
        if self._sent != noted:
            try:
                with transaction(self._target):
                    self._keep()
            except BaseException:
                self.progress.sent = noted
                raise

    @property
    def is_at_delivered(self) -> bool:
        """Whether all that is left to be copied is delivered."""
        return self.progress.phase < len(_PHASES) and _PHASES[self.progress.phase][1] is False

    @property
    def is_at_end(self) -> bool:
        """Whether all rows are copied, and the last step makes them seen."""
        return self.progress.phase == len(_PHASES)

    def step(self) -> bool:
        """Whether there is more to be done. If it raises, the next one does the same again."""
        progress = self.progress
        if progress.is_done:
            return False
        if self.is_at_end:
            self._finish()
            return False
        self.progress = msgspec.structs.replace(progress, copied=dict(progress.copied))
        try:
            with transaction(self._target):
                self._copy_some()
                self._keep()
        except BaseException:
            self.progress, self._rows = progress, None
            raise
        return True

    def _copy_some(self) -> None:
        progress = self.progress
        table, undelivered = _PHASES[progress.phase]
        if progress.leaves_delivered and undelivered is False and table != "polls":
            self._next_phase()
            return
        if self._rows is None:
            self._rows = self._rows_of(table, undelivered)
        octets = 0
        for count, found in enumerate(self._rows):
            if found is None:
                return
            progress.after, row = found
            if progress.leaves_delivered and undelivered is False:
                progress.left_metrics += row[3]
            else:
                octets += self._copy_row(table, row)
            if count + 1 == ROWS_PER_STEP or octets >= OCTETS_PER_STEP:
                return
        self._next_phase()

    def _next_phase(self) -> None:
        self.progress.phase += 1
        self.progress.after = -1
        self._rows = None

    def _rows_of(self, table: str, undelivered: bool | None) -> Iterator[tuple[int, Row] | None]:
        after = self.progress.after
        if undelivered is None:
            yield from self._remains.rows(table, after, self.progress.first_own)
        elif table == "packs":
            self._source.create_function("is_copied_now", 1, self._filter_of_packs(undelivered), deterministic=True)
            yield from self._remains.rows(table, after, where="is_copied_now(end_poll)")
        else:
            ranges = self._undelivered if undelivered else _between(self._undelivered, self.progress.first_own)
            for first, stop in ranges:
                if stop > after:
                    yield from self._remains.rows(table, max(after, first - 1), stop)

    def _filter_of_packs(self, undelivered: bool) -> Callable[[object], bool]:
        known = [end for (end,) in self._target.execute("SELECT end_poll FROM ranges ORDER BY end_poll")]
        needed = set()
        parts = iter(self._undelivered)
        first, stop = next(parts, (OPEN_END, OPEN_END))
        for begin, end in pairwise([0, *known]):
            while stop <= begin:
                first, stop = next(parts, (OPEN_END, OPEN_END))
            if first < end:
                needed.add(end)
        needless = {*known} - needed  # a pack whose range is lost may have anything
        return lambda end: (end not in needless) is undelivered

    def _copy_small(self, table: str, only: Callable[[Row], bool] = lambda row: not str(row[0]).startswith(PROGRESS)) -> None:
        rows = filter(only, self._remains.all(table))
        while some := list(islice(rows, ROWS_PER_STEP)):
            with transaction(self._target):
                for row in some:
                    self._copy_row(table, row)

    def _copy_row(self, table: str, row: Row) -> int:
        """Insert the row, unless it is there. How many octets it has."""
        names = [name for name, _ in COLUMNS[table]]
        for i, name in enumerate(names):
            if name in ("age_s", "sent_age_s") and row[i] is not None:
                row[i] = min(max(row[i] + self._age_lead_s, 0), self._most_age_s)
        if names[-1] == "checksum":
            row[-1] = row_checksum(table, row)
        what = "REPLACE" if table == "meta" and self._is_later else "IGNORE"
        values = ", ".join("?" * len(names))
        insert = f"INSERT OR {what} INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 -- our names
        inserted = self._target.execute(insert, row).rowcount
        if table == "layouts" and not inserted:
            inserted = self._insert_namesake(row)
        copied, octets = self.progress.copied, sum(len(value) for value in row if isinstance(value, bytes)) + ROW_OCTETS
        copied[table] = copied.get(table, 0) + max(inserted, 0)
        self.progress.octets += octets
        return octets

    def _insert_namesake(self, row: Sequence[Any]) -> int:
        # The same layout is there under another id. Polls have both, so both must lead to it; nobody asks for a longer digest.
        layout, digest, body, sum_ = row
        return self._target.execute(
            "INSERT OR IGNORE INTO layouts (id, digest, body, checksum) VALUES (?, ?, ?, ?)",
            (layout, digest + b"%d" % layout, body, sum_),
        ).rowcount

    # Ids and lines

    def _give_ids(self) -> None:
        """Have the target give out ids behind all of the source's, and begin its lines there, with those of the source."""
        target = self._target
        edges = [last_id(self._source), *(self._remains.edge(table) for table in _EDGES)]
        edges += [row[4] for row in self._ledger.batches] + [row[0] for row in self._ledger.stretches]
        first = max(*edges, last_id(target)) + SKIPPED_IDS + 1
        if not edges[0] or "layouts" in self.damaged:  # devices may go on with ids that are lost: no other layout may get one
            first = self._beyond(first) + 1
        self.progress.first_own = first
        wanted = self._ledger.open_lines(self._lines)
        is_new = next_poll_id(target) == 1 and lanes.lines(target) == [""]
        for line in lanes.open_lines(target):
            if is_new and line not in wanted:
                lanes.drop_stretch(target, lanes.open_stretch(target, line))
            else:
                begin_line_at(target, line, first)
        for line in wanted - {*lanes.open_lines(target)}:
            lanes.write_stretch(target, Stretch(None, Position(first, 0), None, 0, 0, Lane.FRESH, line))
        give_ids_from(target, first)

    def _end_of_source(self) -> int:
        """The source has no polls from this id on. The target may have some, if both were begun by one agent at two places."""
        last = last_id(self._source) if self.in_use and not self._name else 0  # what a corrupt one says is not believed
        return max(last, self._remains.edge("polls")) + 1 if last else self.progress.first_own

    # The age clock

    def _copy_clock(self) -> None:
        kept = next(iter(self._remains.all("clock")), None)
        if self._name:
            # No poll is older than the clock: one wrong age, of which there is no checksum, must not make all others old.
            self._most_age_s = self._oldest_s() if kept is None else kept[0] // 1_000_000 + CLOCK_BEHIND_S
        if self._target.execute("SELECT 1 FROM clock").fetchone():
            return
        with transaction(self._target):
            if kept is None:  # its time stands still from the last poll to now
                kept = [(self._most_age_s if self._name else self._oldest_s()) * 1_000_000, OPEN_END]
            row = (kept[0], kept[1])
            self._target.execute("INSERT INTO clock (id, age_us, wall_us, checksum) VALUES (1, ?, ?, ?)", (*row, checksum(*row)))

    def _oldest_s(self) -> int:
        """The greatest age of a poll that another one beside it has reached too."""
        oldest = 0
        for after in (self._remains.edge("polls") - LAST_POLLS, -1):  # all, of which there may be millions, only if need be
            before = 0
            for found in self._remains.rows("polls", max(after, -1)):
                if found is not None:
                    oldest, before = max(oldest, min(before, found[1][4])), found[1][4]
            if oldest:
                break
        return oldest

    # The end

    def _finish(self) -> None:
        """Have all that was copied seen: in one transaction."""
        with transaction(self._target):
            for row in self._ledger.batches:
                if row[8] is None and row[0] in self._sent:
                    row[8] = self._sent[row[0]] - self._age_lead_s
                self._copy_batch(row)
            lost = reckoning.lost_metrics(self._target, self._ledger, self._end)
            knows_losses = self._ledger.is_whole or "polls" not in self.damaged
            if not (self.in_use or self.progress.has_tail):
                try:
                    polls, damaged = copy_tail(self._source, self._target, self._ledger.first_uncut, self.progress.first_own)
                except Corruption:
                    knows_losses = False
                else:
                    self.progress.copied["polls"] = self.progress.copied.get("polls", 0) + polls
                    lost += damaged
            reckoning.open_parts(self._target, self._ledger, self._lines, self._end)
            self.progress.is_done = True
            self._keep()
        self.lost_metrics, self.knows_losses = lost, knows_losses

    def _copy_batch(self, row: Row) -> None:
        row = [row[0] if row[0] < self.progress.first_own else None, *row[1:]]  # the id is not in the checksum
        octets = self.progress.copied.get("batches", 0)
        self._copy_row("batches", row)
        if row[8] is not None and octets == self.progress.copied["batches"]:  # it was open in an earlier state of the source
            self._target.execute(
                "UPDATE batches SET metric_count = ?, sent_age_s = ?, lane = ?, checksum = ?"
                " WHERE id = ? AND key = ? AND start_poll = ? AND start_metric = ? AND sent_age_s IS NULL",
                (row[6], row[8], row[9], row[-1], row[0], row[1], row[2], row[3]),
            )

    # SalvageProgress

    def _kept(self) -> SalvageProgress | None:
        key = PROGRESS + self._name
        row = self._target.execute("SELECT key, value, checksum FROM meta WHERE key = ?", (key,)).fetchone()
        if not self._name or row is None or not is_intact(*row):
            return None
        return _decoded(row[1])

    def _keep(self) -> None:
        if self._name:
            self.progress.damaged, self.progress.sent = sorted(self._remains.damaged), dict(self._sent)
            key, value = PROGRESS + self._name, msgspec.json.encode(self.progress)
            row = (key, value, checksum(key, value))
            self._target.execute("INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?, ?, ?)", row)

    def forget(self) -> None:
        """Remove what was kept of its progress, once nobody begins it again."""
        with transaction(self._target):
            self._target.execute("DELETE FROM meta WHERE key = ?", (PROGRESS + self._name,))


def _decoded(kept: bytes) -> SalvageProgress | None:
    try:
        return _decoder.decode(kept)
    except msgspec.MsgspecError:
        return None


def _between(ranges: Sequence[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    """What the ranges leave out, up to `end`."""
    begin = 0
    for first, stop in ranges:
        if begin < first:
            yield begin, first
        begin = stop
    if begin < end:
        yield begin, end
