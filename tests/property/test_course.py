"""The course of delivery over any sequence of answers: nothing twice at once, nothing forgotten, and waiting ends."""

from dataclasses import replace
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from towerops_agent.api.wire.outcomes import Accepted, NotFound, Redirected, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane, Pending, Position
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.course import (
    INTERVAL_S,
    Course,
    CutBatch,
    Done,
    Drained,
    Part,
    Report,
    RereadToken,
    SeePending,
    Send,
    Wait,
)
from towerops_agent.delivery.course.verdicts import Delivered, Halve, Kept, MetricRefused

MOST_STEPS = 20_000
"""More than any of these courses takes from its last failure to its end."""

retry_afters = st.none() | st.sampled_from([0.0, 3.0, 45.0, 600.0])
outcomes = st.one_of(
    st.builds(Accepted),
    st.builds(Accepted),
    st.builds(Accepted),
    st.builds(Unauthorized, st.sampled_from([401, 403])),
    st.builds(NotFound, st.just("/x")),
    st.builds(Redirected, st.just(302), st.just("https://x")),
    st.builds(TooLarge),
    st.builds(Rejected, st.sampled_from([400, 422]), st.just("no such sensor")),
    st.builds(Unavailable, st.just("status"), st.sampled_from([408, 429, 500, 503]), retry_afters),
    st.builds(Unavailable, st.just("no answer"), timed_out=st.booleans()),
)
steps = st.sampled_from([100, 100, 100, 100, 1, 0])
"""How many steps the courier takes before the next thing happens to it; mostly all it has."""

rarely = st.sampled_from([False] * 5 + [True])


class Shelf:
    """A buffer of numbered metrics: two lanes, and the batches cut of them."""

    def __init__(self):
        self.uncut = {lane: [] for lane in Lane}
        self.open = {}  # by batch id: its lane and its metrics
        self.delivered = []
        self.refused = []
        self.added = 0
        self._cut = 0

    def add(self, count):
        self.uncut[Lane.FRESH] += range(self.added, self.added + count)
        self.added += count

    def metrics(self, lane):
        return self.uncut[lane] + [metric for of, metrics in self.open.values() if of is lane for metric in metrics]

    def pending(self):
        backlog = len(self.metrics(Lane.BACKLOG))
        return Pending(len(self.metrics(Lane.FRESH)) + backlog, 1, 0, backlog, 0)

    def part(self):
        self.uncut[Lane.BACKLOG] += self.uncut[Lane.FRESH]
        self.uncut[Lane.FRESH] = []
        self.open = {key: (Lane.BACKLOG, metrics) for key, (_, metrics) in self.open.items()}

    def next_batch(self, step):
        known = [key for key, (lane, _) in self.open.items() if lane is step.lane and key not in step.exclude]
        if known:
            return self._batch(min(known))
        piece, self.uncut[step.lane] = self.uncut[step.lane][: step.most_metrics], self.uncut[step.lane][step.most_metrics :]
        return self._put(step.lane, piece) if piece else None

    def split(self, batch):
        lane, metrics = self.open.pop(batch.id)
        half = len(metrics) // 2
        return self._put(lane, metrics[:half]), self._put(lane, metrics[half:])

    def close(self, batch, into):
        into += self.open.pop(batch.id)[1]

    def _put(self, lane, metrics):
        self._cut += 1
        self.open[self._cut] = (lane, metrics)
        return self._batch(self._cut)

    def _batch(self, key):
        lane, metrics = self.open[key]
        return Batch(key, f"key-{key}", Position(key, 0), Position(key + 1, 0), len(metrics), 0, lane)


class Delivery(RuleBasedStateMachine):
    """A courier that is slow everywhere: whatever can happen between two of its steps does."""

    def __init__(self):
        super().__init__()
        self.now_s = 1000.0
        self.shelf = Shelf()
        self.course = Course(settle_s=0.5)
        self.accepts = Accepts(is_stated=True, max_metrics=8)
        self.waits_until_s = None  # None: the courier has a step to take
        self.done = Done(all_delivered=True)  # it waits for something to deliver
        self.finishing = False
        self.cutting = None
        self.packing = []
        self.sent = []
        self.verdicts = []
        self.closed_until_s = -inf  # by Retry-After
        self.may_be_down = False
        self.seen_fresh = set()  # metrics that were fresh and pending at the last look
        self.answers = 0
        self.accepted_at = 0
        self.refused_at = {}  # by metric: at which answer it was first refused, in whatever batch
        self.failed = set()  # batches that have failed: they follow when they are due

    @initialize(batches=st.integers(0, 60), pending=st.integers(1, 80), is_end=st.booleans(), attempts=st.integers(1, 3))
    def the_api_has_been_quick(self, batches, pending, is_end, attempts):
        """So that there may be some requests at once."""
        self.shelf.add(8 * batches)
        self.settle_all()
        self.shelf.add(pending)
        if is_end:
            self.the_run_ends(True, attempts, inf)
        else:
            self.now_s += INTERVAL_S
        self.go_on(100)

    # What happens around the course

    @precondition(lambda self: not self.finishing)
    @rule(count=st.integers(1, 80), then=steps)
    def poll(self, count, then):
        self.shelf.add(count)
        self.go_on(then)

    @rule(seconds=st.sampled_from([None, None, None, 0.1, 0.6, 2.0, 6.0, 31.0, 65.0, 700.0]), then=steps)
    def time_passes(self, seconds, then):
        """So long, or until the courier has something to do."""
        if seconds is not None:
            self.now_s += seconds
        elif self.waits_until_s is not None and self.waits_until_s < inf:
            self.now_s = max(self.now_s, self.waits_until_s)
        self.go_on(then)

    @rule(is_stated=st.booleans(), most=st.integers(1, 20))
    def the_server_states_what_it_accepts(self, is_stated, most):
        self.accepts = Accepts(is_stated=is_stated, max_metrics=most)

    @precondition(lambda self: self.packing)
    @rule(place=st.integers(0, 99), state=st.sampled_from(["fit", "fit", "fit", "too large", "gone"]), then=steps)
    def a_batch_is_packed(self, place, state, then):
        self.pack(place, state)
        self.go_on(then)

    @precondition(lambda self: self.sent or self.packing)
    @rule(place=st.integers(0, 99), outcome=outcomes, jitter=st.floats(0, 0.99), is_settled=st.booleans(), then=steps)
    def an_answer_comes(self, place, outcome, jitter, is_settled, then):
        while self.packing:
            self.pack(place, "fit")
        if self.sent:
            self.answer(place, outcome, jitter)
        if self.verdicts and is_settled:
            self.settle(-1)
        self.go_on(then)

    @precondition(lambda self: self.sent or self.packing)
    @rule(outcomes=st.lists(outcomes, min_size=1, max_size=6))
    def answers_come(self, outcomes):
        for outcome in outcomes:
            if self.sent or self.packing:
                self.an_answer_comes(0, outcome, 0.0, True, 100)

    @precondition(lambda self: self.sent or self.packing)
    @rule(count=st.integers(1, 30), then_accepted=st.integers(0, 3))
    def the_server_refuses_everything(self, count, then_accepted):
        for number in range(count + then_accepted):
            if self.sent or self.packing:
                outcome = Rejected(400, "bad deployment") if number < count else Accepted()
                self.an_answer_comes(0, outcome, 0.0, True, 100)
            elif self.waits_until_s is not None:
                self.time_passes(None, 100)

    @precondition(lambda self: self.verdicts)
    @rule(place=st.integers(0, 99), then=steps)
    def a_verdict_is_carried_out(self, place, then):
        self.settle(place)
        self.go_on(then)

    @precondition(lambda self: not self.finishing and self.cutting is None)
    @rule(really=rarely)
    def the_buffer_fails(self, really):
        """All that was under way is called off, and stays open."""
        if really:
            self.packing, self.sent, self.verdicts = [], [], []
            self.course.called_off()
            self.now_s += 30.0
            self.waits_until_s, self.done = None, Done(all_delivered=True)

    @precondition(lambda self: not self.finishing and self.cutting is None)
    @rule(really=rarely, attempts=st.integers(1, 3), within_s=st.sampled_from([5.0, 60.0, inf]))
    def the_run_ends(self, really, attempts, within_s):
        if really and self.course.finish(attempts, self.now_s + within_s, self.now_s):
            assert self.now_s >= self.closed_until_s
            self.finishing, self.waits_until_s, self.done = True, None, None

    # What becomes of a batch

    def pack(self, place, state):
        batch = self.packing.pop(place % len(self.packing))
        if state == "too large":
            self.verdicts.append((batch, self.course.verdicts.take_unsent(batch, TooLarge("too many octets"))))
        elif state == "gone":
            self.shelf.close(batch, self.shelf.refused)
            self.course.verdicts.emptied(batch)
            self.end(batch)
        elif self.course.verdicts.may_go(batch, self.now_s):
            assert self.now_s >= self.closed_until_s, "the server wants to be left alone"
            self.sent.append(batch)
        else:
            self.end(batch)

    def answer(self, place, outcome, jitter):
        batch = self.sent.pop(place % len(self.sent))
        verdict = self.course.verdicts.take(batch, outcome, 0, jitter, self.now_s)
        self.verdicts.append((batch, verdict))
        self.check_that_only_what_is_refused_beside_what_is_accepted_is_quarantined(batch, outcome, verdict)
        assert isinstance(verdict, Delivered) == isinstance(outcome, Accepted)
        if isinstance(verdict, Kept):
            self.failed.add(batch.id)
            self.may_be_down = self.may_be_down or not verdict.others_pass
            assert verdict.retry_in_s is not None or self.finishing
            assert verdict.retry_in_s is None or 0 <= verdict.retry_in_s <= 3600
            if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
                self.closed_until_s = max(self.closed_until_s, self.now_s + outcome.retry_after_s)
        elif not (isinstance(verdict, Halve) and verdict.is_search):
            self.may_be_down = False

    def check_that_only_what_is_refused_beside_what_is_accepted_is_quarantined(self, batch, outcome, verdict):
        metrics = self.shelf.open[batch.id][1]
        self.answers += 1
        if isinstance(outcome, Accepted):
            self.accepted_at = self.answers
        elif isinstance(outcome, Rejected | TooLarge):
            for metric in metrics:
                self.refused_at.setdefault(metric, self.answers)
            if isinstance(verdict, MetricRefused):
                assert self.accepted_at > self.refused_at[metrics[0]], "nothing was accepted since it was first refused"

    def settle(self, place):
        batch, verdict = self.verdicts.pop(place % len(self.verdicts))
        match verdict:
            case Delivered():
                self.shelf.close(batch, self.shelf.delivered)
            case MetricRefused():
                assert batch.metric_count == 1
                self.shelf.close(batch, self.shelf.refused)
            case Halve():
                self.course.verdicts.split(batch, self.shelf.split(batch))
        self.end(batch)

    def end(self, batch):
        self.course.ended([batch])
        self.waits_until_s = None

    # The courier's own steps

    @rule(then=steps)
    def the_courier_goes_on(self, then):
        self.go_on(then)

    def go_on(self, most_steps):
        for _ in range(most_steps):
            if not self.take_a_step():
                break

    def take_a_step(self):
        """Whether it had a step to take."""
        if not self.finishing and self.shelf.pending().metrics:
            self.done = None
        if self.done is not None or (self.waits_until_s is not None and self.now_s < self.waits_until_s):
            return False
        if self.cutting is not None:
            (lane, batch), self.cutting = self.cutting, None
            self.course.cut(lane, batch)
            if batch is not None:
                self.start(batch)
            return True
        step = self.course.next(self.accepts, 0, self.now_s)
        self.waits_until_s = None
        match step:
            case SeePending():
                self.course.saw(self.shelf.pending(), self.now_s)
                self.seen_fresh = set(self.shelf.metrics(Lane.FRESH))
            case Part():
                self.shelf.part()
                self.course.parted(self.shelf.pending(), self.now_s)
                self.seen_fresh = set()
            case Report():
                self.course.measured(self.shelf.pending())
            case CutBatch(lane):
                self.check_that_fresh_values_go_first(lane)
                self.cutting = lane, self.shelf.next_batch(step)
            case Send(batch):
                self.start(batch)
            case Wait(until_s):
                assert until_s > self.now_s
                assert until_s < inf or self.course.in_flight, "nothing would end this wait"
                self.waits_until_s = until_s
            case Done(all_delivered):
                assert not self.course.in_flight
                self.done = step
                if self.finishing and all_delivered:
                    assert not self.shelf.pending().metrics
            case RereadToken() | Drained():
                pass
        return True

    def start(self, batch):
        under_way = [*self.packing, *self.sent, *(batch for batch, _ in self.verdicts)]
        assert batch.id not in {other.id for other in under_way}, "it is sent twice at once"
        assert batch.id in self.shelf.open
        self.packing.append(replace(batch))
        assert self.course.in_flight == len(self.packing) + len(self.sent) + len(self.verdicts)

    def check_that_fresh_values_go_first(self, lane):
        if lane is Lane.FRESH or self.may_be_down:
            return
        under_way = {batch.id for batch in [*self.packing, *self.sent, *(batch for batch, _ in self.verdicts)]}
        fresh_under_way = [key for key in under_way if self.shelf.open[key][0] is Lane.FRESH]
        if len(fresh_under_way) >= self.course.most_in_flight:
            return
        untried = {
            metric
            for key, (of, metrics) in self.shelf.open.items()
            if of is Lane.FRESH and key not in under_way and key not in self.failed
            for metric in metrics
        } | set(self.shelf.uncut[Lane.FRESH])
        assert not untried & self.seen_fresh

    # The end

    def teardown(self):
        """From here on the server takes everything: all arrives, or the run ends and says that it did not."""
        self.settle_all()
        if not self.finishing or self.done.all_delivered:
            assert sorted(self.shelf.delivered + self.shelf.refused) == list(range(self.shelf.added))

    def settle_all(self):
        """Let all be accepted, and time go by, until there is nothing to do."""
        for _ in range(MOST_STEPS):
            while self.packing:
                self.pack(0, "fit")
            while self.sent:
                self.answer(0, Accepted(), 0.0)
            while self.verdicts:
                self.settle(0)
            if self.take_a_step():
                continue
            if self.done is not None:
                return
            self.now_s = self.waits_until_s
        raise AssertionError("it has no end")


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
