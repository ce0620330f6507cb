"""Delivery to a receiver that is played by a script: what is refused, what waits, and what is counted."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import structlog

from support.hang import HANG_S
from support.remote import SENSORS, Remote, digests_of, site_of
from support.strict import Receiver, WriteRequest
from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.counters import Count
from towerops_agent.delivery.course.pace import TRIES
from towerops_agent.destinations.blame import MOST_REFUSED
from towerops_agent.destinations.courier import EACH_S, LEARN_WITHIN, LOOK_EACH_S, SOON_S
from towerops_agent.destinations.kinds import KINDS, snappy
from towerops_agent.destinations.others import MOST_BATCHES, MOST_DEVICES
from towerops_agent.destinations.wire.answers import Misconfigured, TooLate, WriteOutcome, outcome_of
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_agent.model import Layout, Poll
from towerops_agent.polling.course.device import layout_of
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import Destination

NOW_S = time.time()


class Script:
    """A receiver. `answer`: from the body, compressed, to an outcome; accepts by default."""

    def __init__(self) -> None:
        self.ahead_s: float | None = None
        self.bodies: list[bytes] = []
        self.answer = lambda body: Accepted()
        self.opened = 0
        self.hangs = False
        self.asked = asyncio.Event()
        self.fails: SettingsError | None = None
        self.rereads = 0

    def reread_certificates(self):
        self.rereads += 1

    async def __aenter__(self):
        self.opened += 1
        if self.fails is not None:
            raise self.fails
        return self

    async def __aexit__(self, *_):
        return None

    async def send(self, body: bytes):
        if body == snappy(b""):
            outcome = self.answer(b"")
            if isinstance(outcome, Accepted) and self.ahead_s is None:
                self.ahead_s = 0.0
            return outcome
        self.bodies.append(body)
        if self.hangs:
            self.asked.set()
            await asyncio.Event().wait()
        return self.answer(body)


@pytest.fixture
async def scripted(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        script = Script()
        remote.client = script
        yield remote, script


async def pending(remote: Remote) -> int:
    return (await remote.buffer.pending("test")).metrics


async def test_a_failing_receiver_is_tried_again_and_nothing_is_lost(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: Unavailable("status 503: busy", 503, retry_after_s=7.0) if body else Accepted()
    assert not await remote.deliver(attempts=2)
    assert remote.pauses == [7.0]
    assert (await pending(remote), remote.courier.availability.works) == (SENSORS, False)
    script.answer = lambda body: Accepted()
    with structlog.testing.capture_logs() as lines:
        assert await remote.deliver()
    assert [line["event"] for line in lines] == ["destination accepts metrics again"]
    assert await pending(remote) == 0


@pytest.mark.parametrize("in_settings", [False, True])
async def test_at_the_last_attempt_of_a_run_it_is_not_said_that_another_one_follows(scripted, in_settings):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    reasons = iter(["busy", "gone"])
    script.answer = lambda body: Unavailable(next(reasons), 503)
    script.fails = SettingsError("no such file") if in_settings else None
    with structlog.testing.capture_logs() as lines:
        assert not await remote.deliver(attempts=2)
    said = [(line["reason"], line["event"].rpartition(", ")[2], "retry_in_s" in line) for line in lines]
    kept = "kept for the next run"
    assert said == ([("no such file", kept, False)] if in_settings else [("busy", "will retry", True), ("gone", kept, False)])


async def test_a_run_does_not_wait_for_an_attempt_that_would_begin_after_its_end(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: Unavailable("busy", 503, retry_after_s=60.0)
    with structlog.testing.capture_logs() as lines:
        assert not await remote.courier.deliver_pending(3, within_s=59.0)
    assert [line["event"] for line in lines] == ["destination does not accept metrics, kept for the next run"]
    assert remote.pauses == []


async def test_one_bad_metric_is_kept_aside_with_the_reason_and_the_rest_is_delivered(scripted):
    remote, script = scripted
    for device in range(3):
        remote.add(device, NOW_S, 10.0 * device)
    bad = [b"s3", b"\x00\x00\x00\x00\x00\x00\x37@"]  # the series s3 of the device d2, whose value is 23

    def answer(body: bytes):
        return Rejected(400, "bad") if body and all(part in plain(body) for part in bad) else Accepted()

    script.answer = answer
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * SENSORS - 1
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 1
    (refused,) = await remote.buffer.refused()
    assert (refused.reason, b'"value":23' in refused.metric) == ("status 400: bad", True)


def plain(body: bytes) -> bytes:
    cramjam = pytest.importorskip("cramjam")
    return bytes(cramjam.snappy.decompress_raw(body))


async def test_a_receiver_that_refuses_everything_is_failing_and_most_is_kept(scripted):
    remote, script = scripted
    for _ in range(10):
        remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: Rejected(400, "no") if body else Accepted()
    assert not await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == MOST_REFUSED
    assert await pending(remote) == 10 * SENSORS - MOST_REFUSED
    assert remote.courier.availability.last_failure == "no"


class Limited(Receiver):
    """At its limit of series: refuses those of these devices."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        self.devices = devices

    async def send(self, body: bytes):
        plainly = plain(body)
        if any(f"\x06device\x12{chr(len(device))}{device}".encode() in plainly for device in self.devices):
            return Rejected(400, "per-user series limit exceeded (err-mimir-max-series-per-user)")
        return await super().send(body)


async def test_a_device_whose_every_series_is_refused_holds_up_no_other(scripted):
    """A receiver at its limit of series refuses those of a new switch, however many they are, and stores all else."""
    remote, _ = scripted
    remote.client = Limited("d1")
    for n in range(10):
        for device in range(3):
            remote.add(device, NOW_S + n, 1.0)
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 10 * SENSORS
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 20 * SENSORS
    assert await pending(remote) == 0


@pytest.mark.parametrize("refused", [1, 2])
async def test_what_shows_that_a_receiver_works_is_the_oldest_poll_of_another_device(scripted, refused):
    """So nothing of it is too late afterwards, also if the receiver wants the order of time."""
    remote, _ = scripted
    receiver = remote.client = Limited(*(f"d{number}" for number in range(refused)))
    for n in range(2 * MOST_REFUSED):
        remote.add(0, NOW_S + n - 300, 1.0)
    for n in range(3):
        for device in range(1, 3):
            remote.add(device, NOW_S - 200 + 10 * n + device, 1.0)
    assert await remote.deliver()
    assert all(len(values) == 3 for values in receiver.stored.values())
    assert len(receiver.stored) == (3 - refused) * SENSORS
    assert not remote.counters.by_reason(Count.METRICS_DROPPED)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * (3 - refused) * SENSORS
    assert await pending(remote) == 0


FAILED, SILENT = Unavailable("status 500: bug", 500), Unavailable("no answer within 30 s", timed_out=True)


class Stumbling(Receiver):
    """Fails at whatever has this series of a device in it, as one whose handler meets a bug, and stores all else.

    `also`: so do these sensors of it.
    """

    also: tuple[str, ...] = ()

    def __init__(self, device: str, sensor: str, outcome: WriteOutcome) -> None:
        super().__init__()
        self.labels = {("device", device), ("sensor", sensor)}
        self.outcome = outcome
        self.fails_all = False

    async def send(self, body: bytes):
        series = WriteRequest.FromString(plain(body)).timeseries
        fails = any(self._fails_at({(label.name, label.value) for label in one.labels}) for one in series)
        if series and (self.fails_all or fails):
            return self.outcome
        return await super().send(body)

    def _fails_at(self, labels: set[tuple[str, str]]) -> bool:
        sensor = dict(labels).get("sensor")
        return self.labels <= labels | ({("sensor", dict(self.labels)["sensor"])} if sensor in self.also else set())


@pytest.mark.parametrize(
    "outcome",
    [
        Unavailable("status 500: runtime error: invalid memory address or nil pointer dereference", 500),
        Unavailable("status 502: bad gateway", 502),
        Unavailable("Server disconnected without sending a response. (RemoteProtocolError)"),
    ],
    ids=["500", "a proxy's 502", "cut"],
)
async def test_what_a_receiver_fails_at_is_kept_aside_and_holds_up_nothing_else(scripted, outcome):
    """Else it would hold up all that comes after it for a day."""
    remote, _ = scripted
    receiver = remote.client = Stumbling("d1", "s3", outcome)
    for n in range(4):
        for device in range(3):
            remote.add(device, NOW_S + 10 * n + device, 1.0)
    assert await remote.deliver(attempts=TRIES)
    assert await pending(remote) == 0
    assert len(receiver.stored) == 3 * SENSORS - 1
    assert all(len(values) == 4 for values in receiver.stored.values()), "in the order of time"
    assert not remote.counters.by_reason(Count.METRICS_DROPPED)
    refused = await remote.buffer.refused()
    assert [one.reason for one in refused] == [outcome.reason] * 4
    assert all(b'"value":4' in one.metric for one in refused)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 12 * SENSORS - 4


@pytest.mark.parametrize("sensors", [("s0",), ("s3",), ("s4",), ("s2", "s3"), ("s0", "s1", "s3")])
async def test_what_a_receiver_fails_at_is_kept_aside_though_there_is_one_device_only(tmp_path, sensors):
    """Its other series show that the receiver works: of the same poll, or of the next one."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=1) as remote:
        receiver = remote.client = Stumbling("d0", sensors[0], FAILED)
        receiver.also = sensors[1:]
        for n in range(4):
            remote.add(0, NOW_S + 10 * n - 300, float(n))
            await remote.deliver(attempts=4 * TRIES)
        assert len(receiver.stored) == SENSORS - len(sensors)
        assert all(len(values) >= 3 for values in receiver.stored.values()), "all but those of the last poll, or these too"
        assert not remote.counters.by_reason(Count.METRICS_DROPPED)
        assert len(await remote.buffer.refused()) >= 3 * len(sensors)
        assert await pending(remote) <= SENSORS - int(sensors[0][1]), "of the last poll, behind which nothing waits"
        receiver.labels, receiver.also = {("device", "none")}, ()
        assert await remote.deliver()
        assert not remote.counters.by_reason(Count.METRICS_DROPPED)
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 4 * SENSORS - len(await remote.buffer.refused())


@pytest.mark.parametrize("also", [(), ("s2", "s4")])
async def test_what_a_receiver_fails_at_in_each_device_is_kept_aside(scripted, also):
    """As if they are of one model."""
    remote, _ = scripted
    receiver = remote.client = Stumbling("d0", "s3", FAILED)
    receiver.labels, receiver.also = {("sensor", "s3")}, also
    for n in range(4):
        for device in range(3):
            remote.add(device, NOW_S + 10 * n + device, 1.0)
    await remote.deliver(attempts=4 * TRIES)
    bad = 1 + len(also)
    assert await pending(remote) <= 2 * bad, "of the last poll, behind which nothing waits"
    assert len(receiver.stored) == 3 * (SENSORS - bad)
    assert all(len(values) == 4 for values in receiver.stored.values()), "in the order of time"
    assert len(await remote.buffer.refused()) >= 10 * bad


async def test_a_device_of_which_many_series_are_refused_holds_up_none_of_its_others(tmp_path):
    """A receiver at its limit of series refuses those that a device has since then."""
    new = 2 * MOST_REFUSED
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=1, sensors=3 * new) as remote:
        receiver = remote.client = Stumbling("d0", "s0", Rejected(400, "per-user series limit exceeded"))
        receiver.also = tuple(f"s{n}" for n in range(1, new))
        for n in range(3):
            remote.add(0, NOW_S + 10 * n - 300, 1.0)
        assert await remote.deliver()
        assert await pending(remote) == 0
        assert len(receiver.stored) == 2 * new
        assert all(len(values) == 3 for values in receiver.stored.values()), "in the order of time"
        assert remote.counters.get(Count.METRICS_REFUSED, "test") == 3 * new


async def test_nothing_is_kept_aside_if_one_of_two_servers_behind_a_proxy_fails_at_everything(tmp_path):
    """They are asked in turn. At first both fail."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", max_metrics=20) as remote:
        receiver = remote.client = Receiver()
        send, asked = receiver.send, [0]

        async def in_turn(body: bytes):
            if body == snappy(b""):
                return Accepted()
            asked[0] += 1
            return Unavailable("status 500: bug", 500) if asked[0] < TRIES or asked[0] % 2 else await send(body)

        receiver.send = in_turn  # type: ignore[method-assign]
        for n in range(20):
            for device in range(3):
                remote.add(device, NOW_S + 10 * n + device - 300, 1.0)
        assert await remote.deliver(attempts=100)
        assert remote.counters.get(Count.BATCHES, "split"), "it was taken for one that fails at some"
        assert not await remote.buffer.refused()
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 60 * SENSORS
        assert all(len(values) == 20 for values in receiver.stored.values())


def failing_apart(receiver: Receiver, fails: Callable[[int], bool]) -> None:
    """It fails at a request, by how many it was sent before, whatever is in that."""
    send, numbers = receiver.send, itertools.count()

    async def sent(body: bytes):
        if body != snappy(b"") and fails(next(numbers)):
            return FAILED
        return await send(body)

    receiver.send = sent  # type: ignore[method-assign]


def one_works(servers: int) -> Callable[[int], bool]:
    """Of so many behind a proxy, which are asked in turn."""
    return lambda number: number % servers != servers - 1


def by_chance(often: float, seed: int = 5) -> Callable[[int], bool]:
    """Of all requests so many."""
    chance = random.Random(seed)
    return lambda _: chance.random() < often


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize(
    "fails",
    [partial(one_works, 4), partial(one_works, 7), partial(by_chance, 0.8), partial(by_chance, 0.9)],
    ids=["three of four", "six of seven", "by chance", "often by chance"],
)
async def test_nothing_is_kept_aside_of_a_receiver_that_fails_at_most_requests(tmp_path, fails, devices):
    """Whatever is in them: some get through all the same, and show nothing of the others."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=devices, max_metrics=100) as remote:
        receiver = remote.client = Receiver()
        failing_apart(receiver, fails())
        for n in range(60):
            for device in range(devices):
                remote.add(device, NOW_S + 10 * n + device - 900, 1.0)
        assert await remote.deliver(attempts=400)
        assert not await remote.buffer.refused()
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 60 * devices * SENSORS
        assert all(len(values) == 60 for values in receiver.stored.values())


@pytest.mark.parametrize("fails", [partial(one_works, 2), partial(by_chance, 0.3), partial(by_chance, 0.5, 11)])
async def test_what_a_receiver_fails_at_is_found_though_it_fails_at_other_requests_too(tmp_path, fails):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", max_metrics=100) as remote:
        receiver = remote.client = Stumbling("d0", "s3", FAILED)
        failing_apart(receiver, fails())
        for n in range(10):
            for device in range(3):
                remote.add(device, NOW_S + 10 * n + device - 900, 1.0)
        assert await remote.deliver(attempts=2000)
        refused = await remote.buffer.refused()
        assert len(refused) == 10
        assert all(b'"value":4' in one.metric for one in refused)
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 30 * SENSORS - 10


@pytest.mark.parametrize(
    "outcome",
    [
        outcome_of(500, "at least 2 live replicas required, could only find 1 - unhealthy instances: 10.0.0.7:9095"),
        outcome_of(409, "2 errors: store locally for endpoint a:10901: conflict; forwarding to endpoint b:10901: not ready"),
        outcome_of(500, "write /data/wal/00000012: no space left on device"),
        outcome_of(529, "the request has been rejected"),
        outcome_of(500, '{"error":"engine: cache-max-memory-size exceeded: (69400/60000)"}'),
        outcome_of(500, "cannot push: too many inflight push requests in ingester"),
        outcome_of(500, "failed pushing to ingester: context canceled"),
        outcome_of(500, "ingester stopping"),
        outcome_of(500, '{"error":"write failed: hinted handoff queue not empty"}'),
    ],
    ids=["Mimir", "Thanos", "disk", "overloaded", "InfluxDB", "Cortex", "canceled", "stopping", "cluster"],
)
async def test_nothing_is_kept_aside_of_a_receiver_of_which_a_part_is_away(scripted, outcome):
    """It takes all series but those that belong there, for as long as that lasts."""
    remote, _ = scripted
    receiver = remote.client = Stumbling("d1", "s3", outcome)
    for n in range(4):
        for device in range(3):
            remote.add(device, NOW_S + 10 * n + device, 1.0)
    assert not await remote.deliver(attempts=20)
    assert not await remote.buffer.refused()
    receiver.labels = {("device", "none")}
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 12 * SENSORS


class Stopping(Stumbling):
    """Stops for a while once it has failed at a metric that stands by itself, and taken one poll more."""

    is_alone = False

    async def send(self, body: bytes):
        series = WriteRequest.FromString(plain(body)).timeseries
        outcome = await super().send(body)
        self.is_alone |= len(series) == 1 and not isinstance(outcome, Accepted)
        self.fails_all |= self.is_alone and isinstance(outcome, Accepted)
        return outcome


async def test_nothing_is_kept_aside_of_a_receiver_that_fails_at_everything_from_then_on(scripted):
    """Not the metric at which it had just failed either, however often it fails at that at once."""
    remote, _ = scripted
    receiver = remote.client = Stopping("d1", "s3", Unavailable("status 502: bad gateway", 502))
    for n in range(4):
        for device in range(3):
            remote.add(device, NOW_S + 10 * n + device, 1.0)
    assert not await remote.deliver(attempts=20)
    assert receiver.fails_all
    assert not await remote.buffer.refused()
    remote.client = Receiver()
    remote.client.stored = receiver.stored
    assert await remote.deliver()
    assert not remote.counters.by_reason(Count.METRICS_DROPPED)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 12 * SENSORS


PIECES = 5
"""Of a poll of SENSORS: 3 and 2 metrics, then 2, 2 and 1."""


@pytest.mark.parametrize(
    ("apart_s", "outcome", "asked"), [(1, FAILED, 3 + 3 * PIECES), (1, SILENT, 1), (3600, FAILED, 1 + PIECES)]
)
async def test_a_failing_receiver_is_asked_for_others_only_if_it_answers_and_nothing_becomes_too_late(
    scripted, apart_s, outcome, asked
):
    """A Prometheus has no place for what is older by an hour than what it has."""
    remote, script = scripted
    for device in range(3):
        remote.add(device, NOW_S - 3 * 3600 + apart_s * device, 1.0)
    script.answer = lambda body: Accepted() if not body else FAILED if len(body) == len(script.bodies[0]) else outcome
    assert not await remote.deliver(attempts=TRIES)
    assert len(script.bodies) == TRIES + asked


async def test_nothing_is_kept_aside_of_a_receiver_that_fails_at_everything(scripted):
    remote, _ = scripted
    receiver = remote.client = Stumbling("d1", "s3", Unavailable("status 500: disk full", 500))
    receiver.fails_all = True
    for device in range(3):
        remote.add(device, NOW_S + device, 1.0)
    assert not await remote.deliver(attempts=20)
    assert await pending(remote) == 3 * SENSORS
    assert remote.counters.get(Count.BATCHES, "split") == 0
    assert not await remote.buffer.refused()


async def test_a_device_that_is_too_late_does_not_show_that_a_receiver_is_failing(scripted):
    """Another writer has later values of d1. Else the refused device would hold up all others for a day."""
    remote, _ = scripted
    receiver = remote.client = Limited("d0")
    remote.add(1, NOW_S, 1.0)
    assert await remote.deliver()
    for n in range(2 * MOST_REFUSED):
        remote.add(0, NOW_S + n - 300, 1.0)
    for device in (1, 2):
        remote.add(device, NOW_S - 200 + device, 1.0)
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 2 * MOST_REFUSED * SENSORS
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: SENSORS}
    assert len(receiver.stored) == 2 * SENSORS
    assert await pending(remote) == 0


async def test_a_device_that_is_refused_at_the_end_of_a_backlog_holds_up_nothing_behind_it(scripted):
    """What was copied of a corrupt database is backlog, also if the receiver wants the order of time."""
    remote, _ = scripted
    receiver = remote.client = Limited("d0")
    for n in range(2 * MOST_REFUSED):
        remote.add(0, NOW_S + n - 300, 1.0)
    await remote.buffer.flush()
    await remote.buffer.part_backlog("test")
    remote.add(1, NOW_S - 200, 1.0)
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 2 * MOST_REFUSED * SENSORS
    assert len(receiver.stored) == SENSORS
    assert await pending(remote) == 0


async def test_a_refused_device_holds_up_no_other_whose_polls_are_hours_later(scripted):
    """The agent was stopped when only those of the refused device were left, and started again much later."""
    remote, _ = scripted
    receiver = remote.client = Limited("d0")
    for n in range(2 * MOST_REFUSED):
        remote.add(0, NOW_S + n - 7200, 1.0)
    remote.add(1, NOW_S - 60, 1.0)
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 2 * MOST_REFUSED * SENSORS
    assert len(receiver.stored) == SENSORS
    assert await pending(remote) == 0


async def test_however_many_devices_are_refused_one_that_is_not_is_found(tmp_path):
    """Each attempt asks about some that the one before has not, and again about the first ones after the last one."""
    many = MOST_DEVICES + 2
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=many + 1) as remote:
        receiver = remote.client = Limited(*(f"d{number}" for number in range(many + 1)))
        for n in range(2 * MOST_REFUSED):
            remote.add(0, NOW_S + n - 300, 1.0)
        for device in range(1, many + 1):
            remote.add(device, NOW_S - 200 + device, 1.0)
        assert not await remote.deliver(attempts=3)  # the third one finds nobody that was not asked
        assert not receiver.stored
        receiver.devices = receiver.devices[:-1]
        assert not await remote.deliver(attempts=1)
        assert await remote.deliver(attempts=1)
        assert {dict(labels)["device"] for labels in receiver.stored} == {f"d{many}"}
        assert await pending(remote) == 0


async def test_however_much_waits_of_a_refused_device_one_that_is_not_is_found(scripted):
    """The only device was refused for half a day; then there is another one."""
    remote, _ = scripted
    remote.destination = Destination("test", "http://127.0.0.1:9/", max_metrics=SENSORS)
    receiver = remote.client = Limited("d0")
    for n in range(2 * MOST_BATCHES):
        remote.add(0, NOW_S + n - 300, 1.0)
    remote.add(1, NOW_S - 60, 1.0)
    assert not await remote.deliver()
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 2 * MOST_BATCHES * SENSORS
    assert len(receiver.stored) == SENSORS
    assert await pending(remote) == 0


async def test_a_receiver_that_refuses_several_devices_and_then_answers_nothing_is_failing(scripted):
    remote, script = scripted
    for n in range(10):
        for device in range(3):
            remote.add(device, NOW_S + n, 1.0)

    def answer(body: bytes):
        if remote.counters.get(Count.METRICS_REFUSED, "test") == MOST_REFUSED:
            return Unavailable("gone", 503)
        return Rejected(400, "no") if body else Accepted()

    script.answer = answer
    assert not await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == MOST_REFUSED
    assert await pending(remote) == 30 * SENSORS - MOST_REFUSED


def page(status: int) -> WriteOutcome:
    """A login page in place of a receiver."""
    said = "<html> sign in: this browser is too old </html>"
    return KINDS["remote_write"].outcome_of(status, said.encode(), said, "", None)


@pytest.mark.parametrize("status", [200, 400, 409, 422])
async def test_values_that_a_login_page_has_answered_are_kept_for_the_receiver(scripted, status):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: page(status) if body else Accepted()
    assert not await remote.deliver()
    assert await pending(remote) == SENSORS
    assert remote.courier.availability.last_failure.startswith(f"status {status} with a web page: ")
    script.answer = lambda body: Accepted()
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == SENSORS


async def test_values_before_those_of_a_clock_that_went_ahead_are_delivered(scripted):
    """The receiver has no Date in its answers, so that only its refusal shows which clock is wrong; then ours is set."""
    remote, script = scripted
    script.ahead_s = 0.0
    receiver, good = Receiver(), 4
    for n in range(good + 2):
        remote.add(0, NOW_S - 100 + n + (200 if n >= good else 0), 1.0)

    async def send(body: bytes):
        request = WriteRequest.FromString(plain(body))
        if any(sample.timestamp > NOW_S * 1000 for one in request.timeseries for sample in one.samples):
            return outcome_of(400, "out of bounds: timestamp is too far in the future")
        return await receiver.send(body)

    script.send = send
    await remote.deliver()
    assert [len(values) for values in receiver.stored.values()] == [good] * SENSORS
    assert not remote.counters.by_reason(Count.METRICS_DROPPED)


async def test_a_request_that_is_too_large_is_halved(scripted):
    remote, script = scripted
    for device in range(3):
        remote.add(device, NOW_S, 1.0)
    script.answer = lambda body: TooLarge() if body and len(plain(body)) > 500 else Accepted()
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * SENSORS


async def test_what_the_operator_has_to_correct_is_tried_slowly(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: Misconfigured(401, "the credentials are refused (401)")
    with structlog.testing.capture_logs() as lines:
        assert not await remote.deliver(attempts=3)
    assert remote.pauses == [60.0, 60.0]
    (line,) = lines
    assert (line["reason"], line["retry_in_s"]) == ("the credentials are refused (401)", 60.0)
    assert script.bodies == []  # asked for its time first


async def test_a_receiver_that_refuses_a_request_without_values_gets_the_values(scripted):
    """It is asked for its time with such a request, which some receivers answer with 400."""
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.answer = lambda body: Accepted() if body else Rejected(400, "received a request with zero timeseries")
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == SENSORS


async def test_nothing_is_kept_aside_of_a_receiver_that_refuses_all_from_the_start(scripted):
    """As one does that has nothing to write to at this URL, and says so with 400: VictoriaMetrics for one."""
    remote, script = scripted
    for n in range(MOST_REFUSED + 1):
        remote.add(0, NOW_S + n, 1.0)
    script.answer = lambda body: Rejected(400, "unsupported path requested")
    assert not await remote.deliver(attempts=2)
    assert remote.counters.total(Count.METRICS_REFUSED) == 0
    assert await pending(remote) == (MOST_REFUSED + 1) * SENSORS
    script.answer = lambda body: Accepted()
    assert await remote.deliver()


async def test_certificates_that_cannot_be_used_are_a_failure_and_no_end(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.fails = SettingsError("ca_file /x can't be read: No such file or directory")
    assert not await remote.deliver()
    assert remote.courier.availability.last_failure.startswith("ca_file /x can't be read")


async def test_while_this_machines_clock_is_ahead_nothing_is_sent(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    script.ahead_s = 3600.0
    assert not await remote.deliver()
    assert script.bodies == []
    assert "this machine's clock is 3600 s ahead of the destination's: set it" in remote.courier.availability.last_failure
    script.ahead_s = 0.4
    assert await remote.deliver()
    assert len(script.bodies) == 1


async def test_a_batch_that_was_stored_and_could_not_be_acknowledged_is_not_counted_as_too_late(scripted, monkeypatch):
    """The receiver refuses the second request as out of order, and has all of it."""
    remote, _ = scripted
    receiver = remote.client = Receiver()
    for n in range(3):
        remote.add(0, NOW_S - 30 + n, float(n))
    acknowledge = remote.buffer.acknowledge

    async def full(batch):
        monkeypatch.setattr(remote.buffer, "acknowledge", acknowledge)
        raise BufferFailure("disk full")

    monkeypatch.setattr(remote.buffer, "acknowledge", full)
    with pytest.raises(BufferFailure):
        await remote.deliver()
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * SENSORS
    assert sum(map(len, receiver.stored.values())) == 3 * SENSORS


async def test_polls_of_which_no_labels_are_known_are_waited_for_and_then_counted(scripted):
    remote, _ = scripted
    (layout,) = await remote.buffer.register_all([Layout("another", (("s", 1),))])
    remote.buffer.add(Poll(layout, round(NOW_S * 1e6), (1,), ((1, 0),), 1))
    remote.add(0, NOW_S, 1.0)
    assert await remote.deliver(attempts=100)
    assert set(remote.pauses) == {1.0}
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.UNLABELLED: 1}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == SENSORS


async def test_labels_that_did_not_come_are_not_waited_for_again_with_each_batch(scripted):
    """A day of a device that is not configured any more would take a minute a batch, and all others' values with it."""
    remote, _ = scripted
    remote.destination = Destination("test", "http://127.0.0.1:9/", max_metrics=1 + SENSORS)
    gone, other = await remote.buffer.register_all([Layout(name, (("s", 1),)) for name in ("gone", "other")])
    for n, layout in enumerate((gone, gone, gone, other)):
        remote.buffer.add(Poll(layout, round(NOW_S * 1e6) + n, (1,), ((1, 0),), 1))
        remote.add(0, NOW_S + n, 1.0)
    assert await remote.deliver(attempts=500)
    assert remote.pauses == [1.0] * LEARN_WITHIN * 2, "once for each layout"
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.UNLABELLED: 4}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 4 * SENSORS


class Slow:
    """A configuration whose devices can't be read until `goes_on` is set."""

    def __init__(self, config: ConfigText) -> None:
        self._config = config
        self.goes_on = threading.Event()

    def __getattr__(self, name: str):
        return getattr(self._config, name)

    def items(self):
        assert self.goes_on.wait(HANG_S)
        yield from self._config.items()


async def polled_before_it_is_learned(remote: Remote, polls: int) -> tuple[Slow, Callable[[], asyncio.Task[None]]]:
    """A device of a new configuration is polled so often: the configuration, and what begins to learn its labels."""
    slow = Slow(site_of(4))
    (digest,) = digests_of(site_of(4))[3:]
    (equipment,) = [one for _, one in read_config(site_of(4)).equipment][3:]
    (layout,) = await remote.buffer.register_all([layout_of(equipment)])
    for n in range(polls):
        remote.buffer.add(Poll(layout, round(NOW_S * 1e6) + n, (1,) * SENSORS, ((SENSORS, 0),), SENSORS))
    layouts = {digest: (layout,)}
    return slow, lambda: asyncio.create_task(remote.heads.learn(slow, remote.destinations, layouts))  # type: ignore[arg-type]


async def test_while_labels_are_being_learned_they_are_waited_for_however_long_that_takes(scripted):
    """Those of 10,000 devices take a minute for each destination, or more."""
    remote, _ = scripted
    slow, learn = await polled_before_it_is_learned(remote, 1)
    learning = learn()

    async def pause(_seconds: float) -> None:
        if len(remote.pauses) == 3 * LEARN_WITHIN:
            slow.goes_on.set()
            await learning
        await asyncio.sleep(0)

    remote.pause = pause
    try:
        assert await remote.deliver(attempts=500)
    finally:
        slow.goes_on.set()
        await learning
    assert not remote.counters.by_reason(Count.METRICS_DROPPED)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == SENSORS


async def until_delivered(remote: Remote) -> None:
    await remote.buffer.flush()
    while await pending(remote):  # noqa: ASYNC110 - the courier's turn
        await asyncio.sleep(0)


async def test_it_runs_on_and_goes_over_to_another_destination(scripted):
    remote, script = scripted
    running = asyncio.create_task(remote.courier.run())
    remote.add(0, NOW_S, 1.0)
    await until_delivered(remote)
    assert script.opened == 1
    remote.destination = None
    while LOOK_EACH_S not in remote.pauses:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    remote.add(0, NOW_S + 1, 1.0)
    remote.destination = Destination("test", "http://127.0.0.1:9/")
    await until_delivered(remote)
    assert script.opened == 2
    running.cancel()


async def test_labels_that_did_not_come_are_waited_for_once_they_are_being_learned(scripted, monkeypatch):
    """A large configuration may take longer to apply than labels are waited for; they are learned after that."""
    remote, _ = scripted
    remote.destination = Destination("test", "http://127.0.0.1:9/", max_metrics=SENSORS)
    slow, learn = await polled_before_it_is_learned(remote, 3)
    learning: list[asyncio.Task[None]] = []
    acknowledge = remote.buffer.acknowledge

    async def acknowledge_and_learn(batch) -> None:
        await acknowledge(batch)
        if not learning:
            learning.append(learn())
            await asyncio.sleep(0)

    async def pause(_seconds: float) -> None:
        if learning:
            slow.goes_on.set()
            await asyncio.wait(learning)

    monkeypatch.setattr(remote.buffer, "acknowledge", acknowledge_and_learn)
    remote.pause = pause
    try:
        assert await remote.deliver(attempts=500)
    finally:
        slow.goes_on.set()
        await asyncio.gather(*learning)
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.UNLABELLED: SENSORS}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 2 * SENSORS


async def test_the_rest_of_a_backlog_goes_to_what_the_destination_has_become(scripted):
    """A URL, or a token, that was corrected is in use from the next request on, however much waits."""
    remote, script = scripted
    for n in range(5):
        remote.add(0, NOW_S - 10 + n, float(n))
    await remote.buffer.flush()
    remote.destination = Destination("test", "http://before/", max_metrics=SENSORS)
    after = Script()

    def change(body: bytes):
        if len(script.bodies) == 2:
            remote.destination = Destination("test", "http://after/", max_metrics=SENSORS)
            remote.client = after
        return Accepted()

    script.answer = change
    task = asyncio.create_task(remote.courier.run())
    await until_delivered(remote)
    task.cancel()
    await asyncio.wait([task])
    assert (len(script.bodies), len(after.bodies)) == (2, 3)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 5 * SENSORS


async def test_what_one_receiver_has_asked_to_wait_for_is_not_waited_for_if_it_is_another_one(scripted):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    after = Script()

    def change(body: bytes):
        if body:
            remote.destination = Destination("test", "http://after/")
            remote.client = after
        return Unavailable("busy", 503, retry_after_s=600.0) if body else Accepted()

    script.answer = change
    task = asyncio.create_task(remote.courier.run())
    await until_delivered(remote)
    task.cancel()
    await asyncio.wait([task])
    assert (len(script.bodies), len(after.bodies)) == (1, 1)
    assert sum(remote.pauses) < 600.0


async def test_certificates_of_a_destination_that_is_gone_or_another_one_are_not_read(scripted):
    """Its files may be gone too, and an error that names them would mislead: the courier is only about to go over."""
    remote, script = scripted
    running = asyncio.create_task(remote.courier.run())
    remote.add(0, NOW_S, 1.0)
    await until_delivered(remote)
    remote.courier.reread_certificates()
    assert script.rereads == 1
    for other in (None, Destination("test", "http://127.0.0.1:9/elsewhere")):
        remote.destination = other
        remote.courier.reread_certificates()
    assert script.rereads == 1
    running.cancel()


async def test_a_change_of_state_is_delivered_soon(scripted):
    """Its next turn would be never: only the hurry ends the pause."""
    remote, script = scripted
    resting = asyncio.Event()

    async def pause(seconds: float) -> None:
        if seconds == EACH_S:
            resting.set()
            await asyncio.Event().wait()

    remote.pause = pause
    running = asyncio.create_task(remote.courier.run())
    remote.add(0, NOW_S, 1.0)
    await until_delivered(remote)
    await resting.wait()
    remote.add(0, NOW_S + 1, 1.0)
    remote.courier.hurry()
    await until_delivered(remote)
    assert len(script.bodies) == 2
    running.cancel()


async def test_a_change_of_state_just_when_all_is_delivered_waits_for_no_turn(scripted, monkeypatch):
    remote, script = scripted
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    next_batch = remote.buffer.next_batch

    async def next_and_hurry(most, lane, *arguments):
        batch = await next_batch(most, lane, *arguments)
        if batch is None and lane is Lane.FRESH and len(script.bodies) == 1:
            remote.add(0, NOW_S + 1, 1.0)
            remote.courier.hurry()
        return batch

    monkeypatch.setattr(remote.buffer, "next_batch", next_and_hurry)
    remote.pause = pause
    running = asyncio.create_task(remote.courier.run())
    remote.add(0, NOW_S, 1.0)
    while len(script.bodies) < 2:  # noqa: ASYNC110 -- the script has no event
        await asyncio.sleep(0)
    assert pauses[:2] == [EACH_S, SOON_S]
    running.cancel()


async def test_without_a_destination_nothing_is_sent_and_all_is_kept(scripted):
    remote, script = scripted
    remote.destination = None
    remote.add(0, NOW_S, 1.0)
    assert await remote.deliver()
    assert (script.bodies, await pending(remote)) == ([], SENSORS)


def strict(script: Script):
    """Answers as a strict Prometheus that has all that was sent so far: only the latest samples are accepted again."""

    def answer(body: bytes):
        older = body and value_of(0) in plain(body)
        return TooLate(400, "out of order sample", by_time=False) if older else Accepted()

    script.answer = answer


async def test_a_stop_while_a_request_is_under_way_counts_nothing_as_lost(scripted):
    """The receiver has stored it: the second time, at the stop, it refuses the older samples, and has the latest."""
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    remote.add(0, NOW_S + 1, 2.0)
    await remote.buffer.flush()
    script.hangs = True
    running = asyncio.create_task(remote.courier.run())
    await script.asked.wait()
    running.cancel()
    script.hangs = False
    strict(script)
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 2 * SENSORS


ENVOYS = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"


@pytest.mark.parametrize(
    "answer",
    [Unavailable("the connection broke"), Unavailable("status 504: no", 504), outcome_of(503, ENVOYS), page(200)],
)
async def test_a_batch_in_doubt_stays_so_if_there_is_no_answer_to_the_question_either(scripted, answer):
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    remote.add(0, NOW_S + 1, 2.0)
    strict(script)
    by_strict = script.answer
    answers = iter([answer, None, answer])  # the batch; the batch again, too late; its latest samples
    script.answer = lambda body: (next(answers, None) or by_strict(body)) if body else Accepted()
    assert not await remote.deliver(attempts=2)
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 2 * SENSORS


@pytest.mark.parametrize(
    "answer", [Unavailable("status 503: Service Unavailable", 503), Misconfigured(404, "nothing at this URL (404)"), page(400)]
)
async def test_a_batch_in_doubt_stays_so_until_the_receiver_says_something_of_it(scripted, answer):
    """A Prometheus that is started again, after it has stored a batch, answers 503 until it has read its own log."""
    remote, script = scripted
    remote.add(0, NOW_S, 1.0)
    remote.add(0, NOW_S + 1, 2.0)
    answers = iter([Unavailable("the connection broke"), answer])
    script.answer = lambda body: next(answers) if body else Accepted()
    assert not await remote.deliver(attempts=2)
    strict(script)
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 2 * SENSORS


@pytest.mark.parametrize("not_sent", [True, False])
async def test_a_batch_that_was_not_stored_is_not_taken_for_stored_because_what_is_late_of_it_is_not_all(scripted, not_sent):
    """Another agent has delivered a part of the same outage meanwhile."""
    remote, script = scripted
    receiver = remote.client = Receiver()
    remote.add(0, NOW_S - 60, 1.0)
    assert await remote.deliver()
    for n in range(10):
        remote.add(0, NOW_S - 10 + n, float(n))
    remote.client = script
    script.answer = lambda body: Unavailable("no connection: Connection refused", not_sent=not_sent) if body else Accepted()
    assert not await remote.deliver()
    for values in receiver.stored.values():
        values.append((round(NOW_S * 1000) - 4500, 7.0))
    remote.client = receiver
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: 6 * SENSORS}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (1 + 4) * SENSORS
    assert all(len(values) == 2 + 4 for values in receiver.stored.values())


async def test_if_the_answer_to_what_was_left_of_a_batch_is_lost_nothing_is_counted_as_too_late_that_is_not(scripted):
    """Another writer has made some polls of it too late: the rest is stored, and refused the second time."""
    remote, _ = scripted
    receiver = remote.client = Receiver()
    remote.add(0, NOW_S - 5, 1.0)
    assert await remote.deliver()
    for n in range(1, 5):
        remote.add(0, NOW_S - 10 + n, float(n))
        remote.add(1, NOW_S - 10 + n, float(n))
    send, answers = receiver.send, []

    async def losing(body: bytes):
        answers.append(await send(body))
        return Unavailable("the answer was lost") if len(answers) > 2 and isinstance(answers[-1], Accepted) else answers[-1]

    receiver.send = losing
    assert not await remote.deliver()
    receiver.send = send
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: 4 * SENSORS}
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (1 + 4) * SENSORS


async def test_a_thanos_that_has_a_batch_whose_answer_was_lost_is_not_taken_to_refuse_it(scripted):
    """It says no more than that there is a conflict: taken for a refusal, each metric was sent by itself, and kept aside."""
    remote, _ = scripted
    receiver = remote.client = Receiver(whole=False, partly=(409, "store locally for endpoint 127.0.0.1:10901: conflict"))
    send, lost = receiver.send, []

    async def losing(body: bytes):
        outcome = await send(body)
        if lost or not receiver.stored:
            return outcome
        lost.append(outcome)
        return Unavailable("the answer was lost")

    receiver.send = losing
    for n in range(5):
        for device in range(3):
            remote.add(device, NOW_S - 100 + n, float(n))
    assert not await remote.deliver()
    receiver.requests = 0
    assert await remote.deliver()
    assert receiver.requests <= 3
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 15 * SENSORS}
    assert remote.counters.total(Count.METRICS_REFUSED) == 0
    assert await remote.buffer.refused() == []


class OfTwo(Receiver):
    """A Thanos of two, each of which has half of the series; the second one may be away."""

    def __init__(self) -> None:
        super().__init__(whole=False)
        self.is_away = True
        self.said: set[str] = set()

    def _wrong(self, labels, time_ms, value, newest_ms):
        is_away = self.is_away and sum(map(ord, str(labels))) % 2 > 0
        wrong = "backing off forward request for endpoint b:10901: target not available" if is_away else ""
        wrong = wrong or (super()._wrong(labels, time_ms, value, newest_ms) and "store locally for endpoint a:10901: conflict")
        self.said |= {wrong} - {""}
        return wrong

    async def send(self, body: bytes):
        self.said = set()
        outcome = await super().send(body)
        if len(self.said) == 2:
            return outcome_of(409, f"2 errors: {'; '.join(sorted(self.said))}")
        for said in self.said:
            return outcome_of(503 if "available" in said else 409, said)
        return outcome


async def test_what_one_of_two_stored_while_the_other_one_was_away_costs_that_one_no_value(scripted):
    """Of a batch that is sent again the first one has later samples: as too late the other one's were dropped with its own."""
    remote, _ = scripted
    receiver = remote.client = OfTwo()
    for n in range(5):
        for device in range(3):
            remote.add(device, NOW_S - 100 + n, float(n))
    assert not await remote.deliver(attempts=3)
    receiver.is_away = False
    assert await remote.deliver()
    assert sum(map(len, receiver.stored.values())) == 15 * SENSORS
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 15 * SENSORS}
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}


async def test_what_a_receiver_has_refused_as_too_late_is_offered_again_if_it_was_away_meanwhile(scripted):
    """The operator starts it again with a window for late values: the rest of the backlog is stored."""
    remote, _ = scripted
    remote.destination = type(remote.destination)("test", "http://127.0.0.1:9/", max_metrics=2 * SENSORS)
    receiver = remote.client = Receiver()
    remote.add(0, NOW_S - 5, 1.0)
    assert await remote.deliver()
    for n in range(6):
        remote.add(0, NOW_S - 1000 + n, float(n))
        remote.add(1, NOW_S - 1000 + n, float(n))
    send, accepted = receiver.send, []

    async def failing(body: bytes):
        if len(accepted) == 2:  # two batches without what is too late of them
            receiver.stored.clear()
            return Unavailable("no connection")
        answer = await send(body)
        accepted.extend([answer] if isinstance(answer, Accepted) else [])
        return answer

    receiver.send = failing
    assert not await remote.deliver()
    receiver.send = send
    assert await remote.deliver()
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: 3 * SENSORS}  # of the batch in doubt too
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (1 + 2 + 1 + 3 * 2) * SENSORS


async def test_the_order_of_time_is_kept_within_a_series_whatever_fails_between(scripted):
    remote, script = scripted
    remote.destination = type(remote.destination)("test", "http://127.0.0.1:9/", max_metrics=7)
    for n in range(20):
        remote.add(n % 3, NOW_S + n, float(n))
    fates = iter([Accepted(), Unavailable("no"), Accepted(), TooLarge(), Unavailable("no", 503)])
    accepted: list[bytes] = []

    def answer(body: bytes):
        outcome = next(fates, Accepted()) if body else Accepted()
        if body and isinstance(outcome, Accepted):
            accepted.append(plain(body))
        return outcome

    script.answer = answer
    assert await remote.deliver(attempts=10)
    whole = b"".join(accepted)
    order = [whole.index(value_of(n)) for n in range(20)]
    assert order == sorted(order)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 20 * SENSORS


async def delivered_after_an_outage(remote: Remote, script: Script, comes_in: int) -> list[list[bool]]:
    """Of each poll that comes in while twenty are delivered, which requests it was in; the clock goes on by two with each."""
    for n in range(20):
        remote.add(0, NOW_S + n, 1.0)
    script.answer = lambda body: Unavailable("down") if body else Accepted()
    assert not await remote.deliver()
    script.bodies.clear()

    def answer(body: bytes):
        remote.now_s += 2.0
        if len(script.bodies) == 2:  # in the middle of the backlog
            for n in range(comes_in):
                remote.add(1, NOW_S + 50 + n, 1.0)
        return Accepted()

    script.answer = answer
    assert await remote.deliver()
    return [[value_of(50 + n) in plain(body) for body in script.bodies] for n in range(comes_in)]


@pytest.mark.parametrize(("fresh_first", "place"), [(True, 5), (False, 20)])
async def test_after_an_outage_fresh_values_go_beside_the_backlog_if_the_receiver_accepts_any_order(scripted, fresh_first, place):
    """Each ten seconds."""
    remote, script = scripted
    remote.destination = Destination("test", "http://127.0.0.1:9/", max_metrics=SENSORS, fresh_first=fresh_first)
    (fresh,) = await delivered_after_an_outage(remote, script, 1)
    assert (len(script.bodies), fresh.index(True)) == (21, place)
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 21 * SENSORS


async def test_all_that_has_come_in_goes_before_the_rest_of_the_backlog_also_if_it_is_more_than_a_request(scripted):
    """With one request of it each ten seconds a receiver that is slow would be ever further behind."""
    remote, script = scripted
    remote.destination = Destination("test", "http://127.0.0.1:9/", max_metrics=SENSORS, fresh_first=True)
    fresh = await delivered_after_an_outage(remote, script, 4)
    assert [requests.index(True) for requests in fresh] == [5, 6, 7, 8]
    assert len(script.bodies) == 24


def value_of(n: int) -> bytes:
    """The time of the n-th poll, as it is in a body: unlike any other."""
    time_ms = round((NOW_S + n) * 1e6) // 1000
    octets = bytearray()
    while time_ms > 0x7F:
        octets.append(time_ms & 0x7F | 0x80)
        time_ms >>= 7
    return bytes([0x10, *octets, time_ms])


@pytest.mark.parametrize("order", ["time", "any"])
async def test_the_backlog_of_an_outage_does_not_make_the_agent_poll_less(tmp_path, order):
    """While delivery is behind polls are skipped if the agent is busy: they would be lost for the sake of what is older."""
    kept = {"max_metrics": SENSORS, "fresh_first": order == "any"}
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", **kept) as remote:
        script = remote.client = Script()
        remote.add(0, NOW_S - 3600, 1.0)
        assert await remote.deliver()
        for n in range(100):
            remote.add(0, NOW_S - 3000 + 30 * n, 1.0)
        script.answer = lambda body: Unavailable("gone", 503)
        assert not await remote.deliver()
        behind = []

        def answer(body: bytes):
            remote.now_s += 1.0
            behind.append(remote.courier.is_behind)
            return Accepted()

        script.answer = answer
        assert await remote.deliver()
        assert len(behind) >= 100
        assert not any(behind)


@pytest.mark.parametrize("order", ["time", "any"])
async def test_polls_that_come_faster_than_they_are_delivered_are_too_many(tmp_path, order):
    kept = {"max_metrics": SENSORS, "fresh_first": order == "any"}
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", **kept) as remote:
        script = remote.client = Script()
        remote.add(0, NOW_S - 1000, 1.0)
        assert await remote.deliver()
        behind = []

        async def send(body: bytes):
            remote.now_s += 2.0
            for n in range(4):
                remote.add(0, NOW_S + remote.now_s - 2000 + n / 2, 1.0)
            await remote.buffer.flush()
            behind.append(remote.courier.is_behind)
            return Accepted() if len(behind) < 20 else Unavailable("gone", 503)

        script.send = send
        remote.add(0, NOW_S - 1000, 1.0)
        assert not await remote.deliver()
        assert behind[0] is False
        assert behind[-1] is True
        assert not remote.courier.is_behind
