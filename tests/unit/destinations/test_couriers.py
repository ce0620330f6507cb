"""Several destinations of one agent: a dead, slow or refusing one is behind by itself, and changes of them lose nothing."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from support.remote import SENSORS, Remote, digests_of
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.counters import Count
from towerops_agent.destinations.couriers import LEARNED_WITHIN_S, Couriers
from towerops_agent.errors import BufferFailure
from towerops_agent.site.document.destination import Destination

if TYPE_CHECKING:
    from collections.abc import Callable

    from towerops_agent.destinations.wire.answers import WriteOutcome

NOW_S = time.time()


class Receiver:
    """One that accepts, or does what `answer` says; `bodies`: how many it got with something in them."""

    def __init__(self) -> None:
        self.ahead_s: float | None = 0.0
        self.bodies = 0
        self.answer: Callable[[], WriteOutcome] = Accepted
        self.hangs = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def send(self, body: bytes):
        self.bodies += 1
        if self.hangs:
            await asyncio.Event().wait()
        return self.answer()


class Site:
    """A Remote's buffer and devices, and Couriers to receivers by name."""

    def __init__(self, remote: Remote, beside: tuple[str, ...] = ()) -> None:
        self.remote = remote
        self.receivers: dict[str, Receiver] = {}
        self.loops: set[str] = set()
        self.learned = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[BufferFailure] = []
        self.moves: Counter[str] = Counter()
        self.marks: dict[str, float] = {}
        self.mark_at_learning = 0.0
        self.couriers = Couriers(
            remote.buffer,
            remote.counters,
            loop="delivery",
            sleeper=self.sleeper,
            moved=self.mover,
            forget=self.loops.discard,
            learn_again=self.learn_again,
            beside=beside,
            client=lambda destination: self.receivers.setdefault(destination.name, Receiver()),
        )

    def mover(self, loop: str):
        def move(again_within_s: float) -> None:
            self.loops.add(loop)
            self.marks[loop] = again_within_s
            self.moves[loop] += 1

        self.loops.add(loop)
        return move

    def sleeper(self, loop: str):
        async def sleep(seconds: float) -> None:
            self.loops.add(loop)
            await asyncio.sleep(0)
            if loop != "delivery":
                await self.gate.wait()

        return sleep

    async def use(self, *names: str) -> None:
        for name in names:
            self.receivers.setdefault(name, Receiver())
        parts = digests_of(self.remote.config)
        layouts = {one: (layout,) for one, layout in zip(parts, self.remote.layouts, strict=True)}
        kinds = {"i": "influxdb", "o": "otlp"}
        wanted = [Destination(name, "http://127.0.0.1:9/", kind=kinds.get(name, "remote_write")) for name in names]
        await self.couriers.use(wanted)
        await self.couriers.learn(self.remote.config, layouts)

    async def learn_again(self) -> None:
        self.learned += 1
        self.mark_at_learning = self.marks.get("delivery", 0.0)
        if self.failures:
            raise self.failures.pop()
        await self.use(*self.receivers)
        self.gate.set()

    async def pending(self, name: str) -> int:
        return (await self.remote.buffer.pending(name)).metrics

    async def until_delivered_to(self, *names: str) -> None:
        await self.remote.buffer.flush()
        for name in names:
            while await self.pending(name):  # noqa: ASYNC110 - the courier's turn
                await asyncio.sleep(0)


@pytest.fixture
async def site(tmp_path: Path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        yield Site(remote)


def delivered(site: Site) -> dict[str, int]:
    return site.remote.counters.by_reason(Count.METRICS_DELIVERED)


async def test_each_kind_gets_all_values(site: Site):
    await site.use("p", "i", "o")
    site.remote.add(0, NOW_S, 1.0)
    await site.remote.buffer.flush()
    assert await site.couriers.deliver_pending()
    assert delivered(site) == {"p": SENSORS, "i": SENSORS, "o": SENSORS}
    assert {name: dealing.works for name, dealing in site.couriers.dealings.items()} == {
        "destination p": True,
        "destination i": True,
        "destination o": True,
    }


@pytest.mark.parametrize("how", ["hangs", "is_down"])
async def test_one_that_is_dead_holds_back_no_other_and_gets_all_of_it_later(site: Site, how):
    await site.use("p", "i")
    dead = site.receivers["p"]
    dead.hangs = how == "hangs"
    dead.answer = lambda: Unavailable("connection refused")
    running = asyncio.create_task(site.couriers.run())
    for n in range(50):
        site.remote.add(0, NOW_S + n, 1.0)
        await site.until_delivered_to("i")
    assert await site.pending("p") == 50 * SENSORS
    assert delivered(site) == {"i": 50 * SENSORS}
    running.cancel()
    await asyncio.wait([running])
    dead.hangs = False
    dead.answer = Accepted
    assert await site.couriers.deliver_pending()
    assert delivered(site) == {"i": 50 * SENSORS, "p": 50 * SENSORS}


async def test_while_one_fails_it_is_the_one_that_is_shown(site: Site):
    await site.use("p", "i")
    site.receivers["i"].answer = lambda: Unavailable("status 503: busy", 503)
    site.remote.add(0, NOW_S, 1.0)
    await site.remote.buffer.flush()
    with structlog.testing.capture_logs() as lines:
        assert not await site.couriers.deliver_pending()
    assert site.couriers.availability.last_failure == "status 503: busy"
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert line["destination"] == "i"


async def test_one_that_is_down_does_not_hide_that_all_others_are_behind(site: Site, monkeypatch):
    """The agent would poll more than it can deliver to those that work."""
    await site.use("a", "b")
    a, b = site.couriers.couriers.values()
    monkeypatch.setattr(type(a), "is_behind", property(lambda courier: courier is a))
    assert not site.couriers.is_behind
    a.availability.succeeded(0)
    b.availability.failed("gone", 0)
    assert site.couriers.is_behind
    b.availability.succeeded(0)
    assert not site.couriers.is_behind


async def test_destinations_come_and_go_while_it_runs(site: Site):
    running = asyncio.create_task(site.couriers.run())
    assert (site.couriers.delivers, site.couriers.lines) == (False, ("",))
    site.remote.add(0, NOW_S, 1.0)
    await site.use("p")
    site.remote.add(0, NOW_S + 1, 1.0)
    await site.until_delivered_to("p")
    await site.use("p", "i")
    site.remote.add(0, NOW_S + 2, 1.0)
    await site.until_delivered_to("p", "i")
    await site.use("i")
    while "delivery to p" in site.loops:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    site.remote.add(0, NOW_S + 3, 1.0)
    await site.until_delivered_to("i")
    assert site.couriers.lines == ("i",)
    assert delivered(site)["i"] == 2 * SENSORS
    assert delivered(site)["p"] >= 2 * SENSORS
    assert list(site.couriers.dealings) == ["destination i"]
    running.cancel()


async def test_a_backlog_leaves_a_mark_with_each_batch(site: Site):
    """It goes without a pause, for hours perhaps, and is not stuck."""
    for n in range(20):
        site.remote.add(0, NOW_S + n, 1.0)
    site.receivers["p"] = Receiver()
    await site.use("p")
    for n in range(20):
        site.remote.add(0, NOW_S + 20 + n, 1.0)
    await site.couriers.use([Destination("p", "http://127.0.0.1:9/", max_metrics=SENSORS)])
    assert await site.couriers.deliver_pending()
    assert site.receivers["p"].bodies >= 20
    assert site.moves["delivery to p"] >= 2 * site.receivers["p"].bodies


async def test_a_destination_has_a_mark_from_its_first_moment_and_none_when_it_is_gone(site: Site):
    """One that goes before its loop has begun, too: a mark that nobody moves would make the agent unhealthy for good."""
    await site.use("p")
    assert "delivery to p" in site.loops
    await site.use("i")
    assert "delivery to i" in site.loops
    assert "delivery to p" not in site.loops


async def test_labels_that_are_damaged_in_the_database_are_learned_again_while_it_runs(site: Site):
    """SQLite does not notice it; the checksum of the row does. No value is lost, nor sent without its labels."""
    await site.use("p")
    damage = "UPDATE meta SET value = zeroblob(9) WHERE key >= 'series ' AND key < 'series!'"
    devices = len(site.remote.layouts)
    assert await site.remote.buffer.ask(lambda store: store.connection.execute(damage).rowcount) == devices
    site.failures.append(BufferFailure("disk I/O error"))
    for device in range(devices):
        site.remote.add(device, NOW_S, 1.0)
    await site.remote.buffer.flush()
    site.gate.clear()  # a second between two looks for labels is long; here it lasts until they are learned
    running = asyncio.create_task(site.couriers.run())
    await site.until_delivered_to("p")
    running.cancel()
    await asyncio.wait([running])
    assert delivered(site) == {"p": devices * SENSORS}
    assert site.remote.counters.total(Count.METRICS_DROPPED) == 0
    assert site.learned == 2
    assert site.mark_at_learning == LEARNED_WITHIN_S, "10,000 devices take a minute for each destination"


async def test_another_url_or_secret_under_the_same_name_is_in_use_at_once(site: Site):
    """Without another configuration: the files say so at their next reading."""
    opened: list[str] = []

    def client(destination: Destination) -> Receiver:
        opened.append(destination.url)
        return Receiver()

    latest = [Destination("p", "http://127.0.0.1:9/old")]
    remote = site.remote
    couriers = Couriers(
        remote.buffer,
        remote.counters,
        loop="delivery",
        sleeper=site.sleeper,
        forget=site.loops.discard,
        latest=lambda: latest,
        client=client,
    )
    await couriers.use(latest)
    parts = digests_of(remote.config)
    await couriers.learn(remote.config, {one: (layout,) for one, layout in zip(parts, remote.layouts, strict=True)})
    running = asyncio.create_task(couriers.run())
    remote.add(0, NOW_S, 1.0)
    await site.until_delivered_to("p")
    latest[0] = Destination("p", "http://127.0.0.1:9/new")
    remote.add(0, NOW_S + 1, 1.0)
    await site.until_delivered_to("p")
    while len(opened) < 2:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    assert opened == ["http://127.0.0.1:9/old", "http://127.0.0.1:9/new"]
    running.cancel()


async def test_beside_the_api_its_line_is_left_alone(tmp_path: Path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote:
        site = Site(remote, beside=("",))
        await site.use("p")
        remote.add(0, NOW_S, 1.0)
        await remote.buffer.flush()
        assert await site.couriers.deliver_pending()
        assert (await remote.buffer.pending()).metrics == SENSORS
        await site.use()
        assert (site.couriers.lines, await site.couriers.deliver_pending()) == (("",), True)
        remote.add(0, NOW_S, 1.0)
        await remote.buffer.flush()
        assert (await remote.buffer.pending()).metrics == 2 * SENSORS


async def test_a_bug_in_one_courier_stops_no_other(site: Site, monkeypatch):
    def bug() -> Accepted:
        raise ZeroDivisionError

    await site.use("p", "i")
    site.receivers["p"].answer = bug
    monkeypatch.setattr("towerops_agent.loops.BEGIN_AGAIN_S", 0.0)
    running = asyncio.create_task(site.couriers.run())
    site.remote.add(0, NOW_S, 1.0)
    await site.until_delivered_to("i")
    while not site.remote.counters.get(Count.BUGS, "delivery to p"):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    running.cancel()
    assert delivered(site) == {"i": SENSORS}


async def test_one_that_is_removed_and_named_again_between_two_looks_has_one_courier(site: Site, monkeypatch):
    """The one that is asked about its destination and at the stop is the one that delivers."""
    running = asyncio.create_task(site.couriers.run())
    await site.use("p")
    site.remote.add(0, NOW_S, 1.0)
    await site.until_delivered_to("p")

    async def at_once(_) -> None:
        """Lets nobody else have a turn."""

    with monkeypatch.context() as patched:
        patched.setattr(site.remote.buffer, "line_up", at_once)
        await site.couriers.use([])
        await site.couriers.use([Destination("p", "http://127.0.0.1:9/")])
    site.remote.add(0, NOW_S + 1, 1.0)
    await site.until_delivered_to("p")
    assert site.couriers.dealings["destination p"].works is True
    running.cancel()


async def test_without_memory_it_ends_and_says_so(site: Site):
    """As any other loop of the agent: a courier that is gone would not be missed."""

    def full() -> Accepted:
        raise MemoryError

    await site.use("p", "i")
    site.receivers["p"].answer = full
    site.remote.add(0, NOW_S, 1.0)
    with pytest.raises(MemoryError):
        await site.couriers.run()
