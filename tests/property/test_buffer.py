"""Whatever happens to the buffer, in whatever order: each metric comes out once, and a batch never changes."""

import sqlite3
import tempfile
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from towerops_agent.buffer import retention
from towerops_agent.buffer.batch import Batch, Position, cut
from towerops_agent.buffer.codec import decode_layout, decode_poll, encode_layout, encode_poll
from towerops_agent.buffer.store import Store
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, members, poll

DAY_US = 24 * HOUR_US

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
    assume(where < len(body))
    body[where] = octet
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


class Deliveries(RuleBasedStateMachine):
    """A store on a real file, closed and opened again at will, beside a list of what should have become of each metric.

    Metrics are named (started_at_us - T0_US, index): each poll has a time of its own.
    """

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="buffer-")
        self.now_us = T0_US
        self.keys = 0
        self.added: set[tuple[int, int]] = set()
        self.done: list[tuple[int, int]] = []  # delivered or refused
        self.expired = 0
        self.open: dict[str, list[tuple[int, int]]] = {}  # members by key
        self.start()

    def start(self) -> None:
        self.store = Store(Path(self.directory.name) / "agent.db", self.now_us)
        self.layout = self.store.register([LAYOUT])[0]

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def members(self, batch: Batch) -> list[tuple[int, int]]:
        polls, lost = self.store.read(batch)
        assert not lost
        assert all(stored.layout == LAYOUT for stored in polls)
        found = members(polls)
        assert len(found) == batch.metric_count
        return found

    def next_batch(self, max_metrics: int) -> Batch | None:
        batch = self.store.next_batch(max_metrics, self.new_key, self.now_us)
        if batch is None:
            return None
        found = self.members(batch)
        if batch.key in self.open:
            assert self.open[batch.key] == found
        else:
            assert not self.open, "a new batch was cut while one was open"
            assert len(found) <= max_metrics
            self.open[batch.key] = found
        return batch

    @rule(counts=st.lists(st.integers(1, 4), min_size=1, max_size=4), delay_us=st.integers(1, HOUR_US))
    def add(self, counts, delay_us):
        rows = []
        for count in counts:
            self.now_us += delay_us
            rows.append(encode_poll(poll(self.layout, self.now_us, metrics=count)))
            self.added.update((self.now_us - T0_US, metric) for metric in range(count))
        self.store.add_polls(rows)

    @rule(max_metrics=st.integers(1, 9))
    def peek(self, max_metrics):
        self.next_batch(max_metrics)

    @rule(max_metrics=st.integers(1, 9))
    def deliver(self, max_metrics):
        if batch := self.next_batch(max_metrics):
            self.store.acknowledge(batch, self.now_us)
            self.done += self.open.pop(batch.key)

    @rule(max_metrics=st.integers(2, 9))
    def split(self, max_metrics):
        batch = self.next_batch(max_metrics)
        if batch is None or batch.metric_count < 2:
            return
        halves = self.store.split(batch, self.new_key, self.now_us)
        whole = self.open.pop(batch.key)
        for half in halves:
            assert half.key not in self.open
            self.open[half.key] = self.members(half)
        assert self.open[halves[0].key] + self.open[halves[1].key] == whole
        assert abs(halves[0].metric_count - halves[1].metric_count) <= 1

    @rule()
    def set_aside(self):
        batch = self.next_batch(1)
        if batch is not None and batch.metric_count == 1:
            self.store.set_aside(batch, b"{}", "no", self.now_us)
            self.done += self.open.pop(batch.key)

    @rule()
    def restart(self):
        self.store.close()
        self.start()

    @rule(pause_us=st.integers(0, 30 * HOUR_US))
    def clean_up(self, pause_us):
        self.now_us += pause_us
        connection, before_us = self.store.connection, self.now_us - DAY_US
        expired = retention.expire_open(connection, before_us).expired
        kept = {key for (key,) in connection.execute("SELECT key FROM batches WHERE sent_at_us IS NULL")}
        for key in set(self.open) - kept:
            assert all(T0_US + time < before_us for time, _ in self.open[key])
            expired -= len(self.open[key])
            self.expired += len(self.open.pop(key))
        assert expired == 0
        self.expired += retention.expire_uncut(connection, before_us).expired
        while not retention.remove_sent(connection, before_us).done:
            pass
        retention.remove_layouts(connection)
        retention.vacuum(connection)

    @rule()
    @precondition(lambda self: self.added)
    def a_write_that_fails_changes_nothing(self):
        self.store.connection.execute("PRAGMA query_only = ON")
        before = self.store.pending()
        try:
            self.store.add_polls([encode_poll(poll(self.layout, self.now_us))])
        except sqlite3.OperationalError:
            pass
        else:
            raise AssertionError("it was written")
        self.store.connection.execute("PRAGMA query_only = OFF")
        assert self.store.pending() == before

    @invariant()
    def every_metric_is_accounted_for(self):
        if not hasattr(self, "store"):
            return
        assert len(set(self.done)) == len(self.done), "delivered twice"
        assert set(self.done) <= self.added
        pending = self.store.pending()
        assert pending.metrics == len(self.added) - len(self.done) - self.expired
        assert self.store.has_pending() == (pending.metrics > 0)
        assert (pending.polls > 0) == (pending.metrics > 0) == (pending.oldest_started_at_us is not None)

    def teardown(self):
        if not hasattr(self, "store"):
            return
        try:
            self.deliver_and_remove_the_rest()
        finally:
            self.store.close()
            self.directory.cleanup()

    def deliver_and_remove_the_rest(self):
        while batch := self.next_batch(5):
            self.store.acknowledge(batch, self.now_us)
            self.done += self.open.pop(batch.key)
        self.every_metric_is_accounted_for()
        assert len(self.done) + self.expired == len(self.added)
        assert not self.open
        # Two days on, nothing is left of it all.
        self.now_us += 2 * DAY_US
        self.clean_up(0)
        counts = [self.store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("polls", "batches")]
        assert counts == [0, 0]


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
