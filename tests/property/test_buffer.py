"""Whatever happens to the buffer, in whatever order: each metric comes out once, and a batch never changes."""

import sqlite3
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from towerops_agent.buffer import packer, retention
from towerops_agent.buffer.database import Database
from towerops_agent.buffer.format.batch import BELIEVED_STOP_US, Batch, Lane, Position, cut
from towerops_agent.buffer.format.codec import Packing, PollRow, decode_layout, decode_poll, encode_layout, encode_poll
from towerops_agent.buffer.lanes import open_batches
from towerops_agent.buffer.store import Store
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, members, poll

DAY_US = 24 * HOUR_US
DAY_S = 24 * 3600

lanes = st.sampled_from(Lane)

ids = st.text(max_size=40)
divisors = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
layouts = st.builds(
    Layout,
    equipment_id=ids,
    sensors=st.lists(st.tuples(ids, divisors), max_size=5).map(tuple),
    interfaces=st.lists(ids, max_size=3).map(tuple),
)
numbers = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def polls_with_layouts(draw) -> tuple[Poll, Layout]:
    layout = draw(layouts)
    values = draw(st.lists(numbers, min_size=layout.value_count, max_size=layout.value_count))
    times, left = [], layout.item_count
    while left:
        run = draw(st.integers(1, left))
        times.append((run, draw(st.integers(-(1 << 40), 1 << 40))))
        left -= run
    columns = st.integers(0, (1 << 63) - 1)
    return Poll(draw(columns), draw(columns), tuple(values), tuple(times), draw(columns)), layout


@given(polls_with_layouts())
def test_each_poll_comes_back_as_it_went_in(poll_with_layout):
    poll, layout = poll_with_layout
    back = decode_poll(encode_poll(poll), layout)
    assert back == poll
    assert [type(value) for value in back.values] == [type(value) for value in poll.values]


@given(layouts)
def test_each_layout_comes_back_as_it_went_in(layout):
    assert decode_layout(encode_layout(layout)) == layout


@given(st.one_of(st.binary(max_size=200), polls_with_layouts().map(lambda pair: encode_poll(pair[0])[3])), layouts)
def test_any_octets_are_a_poll_or_a_buffer_failure(body, layout):
    try:
        poll = decode_poll((1, 2, 3, body), layout)
    except BufferFailure:
        return
    assert len(poll.values) == layout.value_count
    assert len(list(poll.item_times_us())) == layout.item_count


@given(polls_with_layouts(), st.integers(0, 2000), st.integers(1, 255))
def test_a_poll_with_a_changed_octet_is_a_buffer_failure(pair, where, change):
    """But for the first octet, which says that there is a checksum: without it the rest is not a poll."""
    whole, layout = pair
    layout_id, started_at_us, metric_count, body = encode_poll(whole)
    changed = bytearray(body)
    changed[where % len(changed)] ^= change
    with pytest.raises(BufferFailure):
        decode_poll((layout_id, started_at_us, metric_count, bytes(changed)), layout)


@given(polls_with_layouts(), st.integers(0, 2), st.integers(0, 62))
def test_a_poll_beside_a_changed_column_is_a_buffer_failure(pair, column, bit):
    whole, layout = pair
    row = list(encode_poll(whole))
    row[column] ^= 1 << bit
    with pytest.raises(BufferFailure):
        decode_poll(tuple(row), layout)


@given(st.binary(max_size=200))
def test_any_octets_are_a_layout_or_a_buffer_failure(body):
    try:
        layout = decode_layout(body)
    except BufferFailure:
        return
    assert isinstance(layout, Layout)


@given(layouts, st.integers(0, 2000), st.integers(0, 255))
def test_a_layout_with_a_changed_octet_is_a_layout_or_a_buffer_failure(layout, where, octet):
    body = bytearray(encode_layout(layout))
    body[where % len(body)] = octet
    test_any_octets_are_a_layout_or_a_buffer_failure.hypothesis.inner_test(bytes(body))


@given(st.dictionaries(st.integers(1, 50), st.integers(1, 5), max_size=10), st.data(), st.integers(1, 8))
def test_cuts_follow_each_other_without_gap_or_overlap(counts, data, max_metrics):
    polls = sorted(counts.items())
    line = [(poll, metric) for poll, count in polls for metric in range(count)]
    first, cuts, ended = Position(0, 0), [], 0
    while piece := cut([p for p in polls if p[0] >= first.poll], first, max_metrics):
        inside = [place for place in line if piece.start <= Position(*place) < piece.stop]
        assert len(inside) == piece.metrics
        cuts += inside
        ended += piece.polls
        assert piece.metrics == max_metrics or len(cuts) == len(line)
        first = piece.stop
    assert (cuts, ended) == (line, len(polls))


bodies = st.one_of(st.binary(max_size=50), polls_with_layouts().map(lambda pair: encode_poll(pair[0])[3]))


@given(st.dictionaries(st.integers(0, (1 << 63) - 1), bodies, max_size=20))
def test_each_body_comes_out_of_a_pack_as_it_went_in(polls):
    assert dict(Packing().unpack(Packing().pack(sorted(polls.items())))) == polls


@given(st.lists(polls_with_layouts(), min_size=1, max_size=5))
def test_each_poll_is_the_same_after_packing(pairs):
    """64-bit integers exactly, floats bit by bit, None."""
    packing = Packing()
    unpacked = packing.unpack(packing.pack([(number, encode_poll(poll)[3]) for number, (poll, _) in enumerate(pairs)]))
    for number, (whole, layout) in enumerate(pairs):
        back = decode_poll((whole.layout, whole.started_at_us, whole.metric_count, unpacked[number]), layout)
        assert (back, repr(back)) == (whole, repr(whole))  # repr distinguishes -0.0 from 0.0, 1 from 1.0


@given(st.binary(max_size=200))
def test_any_octets_are_a_pack_or_a_buffer_failure(pack):
    try:
        Packing().unpack(pack)
    except BufferFailure:
        return


@given(st.lists(bodies, min_size=1, max_size=5), st.integers(0, 500), st.integers(1, 255))
def test_a_pack_with_a_changed_octet_is_the_same_or_a_buffer_failure(some, where, change):
    whole = dict(enumerate(some))
    pack = bytearray(Packing().pack(list(whole.items())))
    pack[where % len(pack)] ^= change
    try:
        assert dict(Packing().unpack(bytes(pack))) == whole
    except BufferFailure:
        return


class Deliveries(RuleBasedStateMachine):
    """A store on a real file, closed and opened again at will, beside a list of what should have become of each metric.

    Metrics are named (number of the poll, index). The wall clock steps as it likes; the model's age goes on with the monotonic
    clock, and over a stop by what the wall clock says, within what is believed.
    """

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="buffer-")
        self.wall_us = T0_US
        self.monotonic_us = 0
        self.age_us = 0
        self.keys = 0
        self.stored_s: list[int] = []  # by number
        self.held: list[PollRow] = []  # in the tail only
        self.added: set[tuple[int, int]] = set()
        self.done: list[tuple[int, int]] = []  # delivered or refused
        self.expired = 0
        self.open: dict[str, list[tuple[int, int]]] = {}  # members by key
        self.lane: dict[str, Lane] = {}
        self.parted = 0  # the first poll that is not backlog
        self.start()

    def start(self) -> None:
        path = Path(self.directory.name) / "agent.db"
        self.store = Store(Database.open(path, self.wall_us), lambda: self.wall_us, lambda: self.monotonic_us)
        self.note_stored()
        self.layout = self.store.register([LAYOUT])[0]

    def note_stored(self) -> None:
        """All that was held is in the tables now."""
        for _, _, metrics, _ in self.held:
            self.added.update((len(self.stored_s), metric) for metric in range(metrics))
            self.stored_s.append(self.age_us // 1_000_000)
        self.held = []

    def pass_time(self, by_us: int) -> None:
        self.wall_us += by_us
        self.monotonic_us += by_us
        self.age_us += by_us

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def members(self, batch: Batch) -> list[tuple[int, int]]:
        polls = self.store.read(batch)
        assert not self.store.lanes.damaged
        assert all(stored.layout == LAYOUT for stored in polls)
        found = members(polls)
        assert len(found) == batch.metric_count
        return found

    def next_batch(self, max_metrics: int, lane: Lane) -> Batch | None:
        batch = self.store.lanes.next_batch(max_metrics, lane, self.new_key, self.wall_us)
        return None if batch is None else self.checked(batch, max_metrics, lane)

    def checked(self, batch: Batch, max_metrics: int, lane: Lane) -> Batch:
        assert batch.lane is lane
        found = self.members(batch)
        if batch.key in self.open:
            assert self.open[batch.key] == found
            assert self.lane[batch.key] is lane
        else:
            assert lane not in self.lane.values(), "a new batch was cut while one of its lane was open"
            assert len(found) <= max_metrics
            assert (lane is Lane.BACKLOG) == (found[0][0] < self.parted)
            self.open[batch.key], self.lane[batch.key] = found, lane
        return batch

    def close(self, key: str) -> list[tuple[int, int]]:
        del self.lane[key]
        return self.open.pop(key)

    @rule(counts=st.lists(st.integers(1, 4), min_size=1, max_size=12), delay_us=st.integers(1, HOUR_US))
    def add(self, counts, delay_us):
        self.pass_time(delay_us)
        self.held += self.new_rows(counts)
        self.store.add_polls(self.held)
        self.note_stored()

    def new_rows(self, counts: list[int]) -> list[PollRow]:
        first = len(self.stored_s) + len(self.held)
        return [encode_poll(poll(self.layout, T0_US + number, metrics=count)) for number, count in enumerate(counts, first)]

    @rule(counts=st.lists(st.integers(1, 4), min_size=1, max_size=12))
    def hold(self, counts):
        """What is in the tail is stored by the next start, once, or together with what comes next."""
        rows = self.new_rows(counts)
        if self.store.hold(rows):
            self.held += rows

    @rule(part=st.integers(1, 5))
    @precondition(lambda self: self.held)
    def store_a_part_of_what_is_held(self, part):
        rest = self.held[part:]
        self.held = self.held[:part]
        self.store.add_polls(self.held)
        self.note_stored()
        self.held = rest

    @rule(max_metrics=st.integers(1, 9), lane=lanes)
    def peek(self, max_metrics, lane):
        self.next_batch(max_metrics, lane)

    @rule(max_metrics=st.integers(1, 9), lane=lanes)
    def deliver(self, max_metrics, lane):
        if batch := self.next_batch(max_metrics, lane):
            self.store.acknowledge(batch, (), T0_US)
            self.done += self.close(batch.key)

    @rule(max_metrics=st.integers(1, 9), lane=lanes, next_lane=lanes)
    def deliver_with_the_next(self, max_metrics, lane, next_lane):
        """A batch is marked sent by the transaction that cuts the next one."""
        batch = self.next_batch(max_metrics, lane)
        if batch is None:
            return
        taken = self.store.take_batch(
            *(max_metrics, next_lane, self.new_key, self.wall_us), exclude=(), destination="", sent=[(batch, ())]
        )
        self.done += self.close(batch.key)
        if taken is not None:
            self.checked(taken[0], max_metrics, next_lane)
        assert batch.id not in [one.id for one in open_batches(self.store.connection)]

    @rule(max_metrics=st.integers(2, 9), lane=lanes)
    def split(self, max_metrics, lane):
        batch = self.next_batch(max_metrics, lane)
        if batch is None or batch.metric_count < 2:
            return
        halves = self.store.split(batch, self.new_key, self.wall_us)
        whole = self.close(batch.key)
        for half in halves:
            assert half.key not in self.open
            self.open[half.key], self.lane[half.key] = self.members(half), half.lane
        assert self.open[halves[0].key] + self.open[halves[1].key] == whole
        assert abs(halves[0].metric_count - halves[1].metric_count) <= 1

    @rule(lane=lanes)
    def refuse(self, lane):
        batch = self.next_batch(1, lane)
        if batch is not None and batch.metric_count == 1:
            self.store.refuse(batch, b"{}", "no", self.wall_us)
            self.done += self.close(batch.key)

    @rule()
    def part_backlog(self):
        self.store.lanes.part_backlog()
        self.lane = dict.fromkeys(self.lane, Lane.BACKLOG)
        self.parted = len(self.stored_s)

    @rule(step_us=st.integers(-1000 * DAY_US, 1000 * DAY_US))
    def step_the_wall_clock(self, step_us):
        self.wall_us += step_us

    @rule(stop_us=st.integers(0, 2 * DAY_US), step_us=st.sampled_from([0, 3 * HOUR_US, -3 * HOUR_US, -T0_US, 9_000 * DAY_US]))
    def restart(self, stop_us, step_us):
        self.store.close()
        self.wall_us += stop_us + step_us
        self.monotonic_us = 5
        self.age_us += min(max(stop_us + step_us, 0), BELIEVED_STOP_US)
        self.start()

    @rule(steps=st.integers(1, 20))
    def pack(self, steps):
        for _ in range(steps):
            self.store.pack()

    @rule(pause_us=st.integers(0, 30 * HOUR_US))
    def clean_up(self, pause_us):
        self.pass_time(pause_us)
        assert self.store.age_s == self.age_us // 1_000_000
        connection, before_s = self.store.connection, self.store.age_s - DAY_S
        expired = retention.remove_open(connection, before_s).metrics
        kept = {key for (key,) in connection.execute("SELECT key FROM batches WHERE sent_age_s IS NULL")}
        for key in set(self.open) - kept:
            assert all(self.stored_s[number] < before_s for number, _ in self.open[key])
            expired -= len(self.open[key])
            self.expired += len(self.close(key))
        assert expired == 0
        self.expired += retention.remove_uncut(connection, before_s).metrics
        (oldest,) = connection.execute(
            "SELECT min(p.age_s) FROM polls p JOIN uncut ON p.id >= first_poll AND metrics > 0"
        ).fetchone()
        assert oldest is None or oldest >= before_s, "it was not expired in its time"
        while not retention.remove_sent(connection, before_s).done:
            pass
        while not self.store.pack().done:
            pass
        while not retention.remove_packs(connection).done:
            pass
        self.store.layouts.remove(self.store.age_s)
        retention.vacuum(connection)

    @rule()
    @precondition(lambda self: self.added)
    def a_write_that_fails_changes_nothing(self):
        self.store.connection.execute("PRAGMA query_only = ON")
        before = self.store.lanes.pending()
        try:
            self.store.add_polls([encode_poll(poll(self.layout))])
        except sqlite3.OperationalError:
            pass
        else:
            raise AssertionError("it was written")
        self.store.connection.execute("PRAGMA query_only = OFF")
        assert self.store.lanes.pending() == before

    @invariant()
    def every_metric_is_accounted_for(self):
        if not hasattr(self, "store"):
            return
        assert len(set(self.done)) == len(self.done), "delivered twice"
        assert set(self.done) <= self.added
        pending = self.store.lanes.pending()
        assert pending.metrics == len(self.added) - len(self.done) - self.expired
        assert self.store.lanes.has_pending() == (pending.metrics > 0)
        assert (pending.polls > 0) == (pending.metrics > 0) == (pending.oldest_started_at_us is not None)
        assert (pending.backlog_metrics > 0) == (pending.backlog_oldest_started_at_us is not None)
        if not self.parted:
            assert pending.backlog_metrics == 0

    def teardown(self):
        with self.directory if hasattr(self, "directory") else nullcontext():
            if hasattr(self, "store"):
                with closing(self.store):
                    self.deliver_and_remove_the_rest()

    def deliver_and_remove_the_rest(self):
        for lane in Lane:
            while batch := self.next_batch(5, lane):
                self.store.acknowledge(batch, (), T0_US)
                self.done += self.close(batch.key)
        self.every_metric_is_accounted_for()
        assert len(self.done) + self.expired == len(self.added)
        assert not self.open
        # Two days on, nothing is left of it all.
        self.clean_up(2 * DAY_US)
        tables = ("polls", "bodies", "packs", "batches")
        counts = [self.store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        assert counts == [0, 0, 0, 0]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch):
    """Many stretches in little time."""
    monkeypatch.setattr(packer, "POLLS_PER_LAYOUT", 5)
    monkeypatch.setattr(packer, "SCANNED_PER_STEP", 3)
    monkeypatch.setattr(packer, "REMOVED_PER_STEP", 2)


@pytest.mark.usefixtures("small_packs")
class TestDeliveries(Deliveries.TestCase):
    settings = settings(max_examples=150, stateful_step_count=40)
