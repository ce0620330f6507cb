"""Delivery while somebody sets a clock, this machine's or the receiver's: over a real connection, with a Date in each answer."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from support.remote import SENSORS, Remote
from towerops_agent.counters import Count
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.courier import SLOW_S, RemoteCourier
from towerops_agent.destinations.kinds import snappy
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import Destination

HOURS_S = 7200.0


class Clocks:
    """A receiver on loopback and a courier; how far the clock of each is ahead of the true time."""

    def __init__(self, remote: Remote) -> None:
        self.ours_s = self.theirs_s = 0.0
        self.dated_s: float | None = None  # the same of the time that polls get; None: ours
        self.shows_time = True
        self.bodies: list[bytes] = []
        self.remote = remote
        self.now_s = time.time()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.remote.destination = Destination("test", f"http://127.0.0.1:{port}/")
        self.remote.courier = RemoteCourier(
            self.remote.buffer,
            self.remote.heads,
            self.remote.counters,
            line="test",
            destination=lambda: self.remote.destination,
            client=lambda destination: DestinationClient(
                destination, now=lambda: datetime.fromtimestamp(self.now_s + self.ours_s, UTC)
            ),
            sleep=self._pause,
            jitter=lambda: 0.5,
            monotonic_s=lambda: self.now_s,
            now_us=lambda: round((self.now_s + self.ours_s) * 1e6),
            time_us=lambda: round((self.now_s + (self.ours_s if self.dated_s is None else self.dated_s)) * 1e6),
        )
        self.pauses: list[float] = []
        self.on_pause = lambda seconds: None
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _answer(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                body = await reader.readexactly(int(length.split(b":")[1]))
                if body != snappy(b""):
                    self.bodies.append(body)
                date = f"Date: {formatdate(self.now_s + self.theirs_s, usegmt=True)}\r\n" if self.shows_time else ""
                writer.write(f"HTTP/1.1 204 No Content\r\n{date}\r\n".encode())
        except asyncio.IncompleteReadError:
            writer.close()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds
        self.on_pause(seconds)
        await asyncio.sleep(0)

    def poll(self, at_s: float) -> None:
        self.remote.add(0, at_s, 1.0)

    async def run_until(self, done) -> None:
        """Run the courier, for an hour of its time at most, until that is so."""
        running = asyncio.create_task(self.remote.courier.run())
        until_s = self.now_s + 3600.0
        try:
            while not done():
                assert self.now_s < until_s, f"nothing for an hour: {self.remote.courier.availability.last_failure}"
                await asyncio.sleep(0)
        finally:
            running.cancel()
            await asyncio.wait([running])

    @property
    def delivered(self) -> int:
        return self.remote.counters.get(Count.METRICS_DELIVERED, "test")

    @property
    def dropped(self) -> int:
        return self.remote.counters.get(Count.METRICS_DROPPED, Loss.TIME_AHEAD)


@pytest.fixture
async def clocks(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/") as remote, Clocks(remote) as clocks:
        yield clocks


async def test_once_our_clock_is_set_right_delivery_goes_on(clocks):
    """Nothing is sent while it is ahead, so that no answer shows that it no longer is."""
    clocks.ours_s = HOURS_S
    clocks.poll(clocks.now_s + HOURS_S)

    def set_right(seconds):
        if seconds == SLOW_S and clocks.ours_s:
            clocks.ours_s = 0.0
            clocks.poll(clocks.now_s)

    clocks.on_pause = set_right
    await clocks.run_until(lambda: clocks.delivered)
    assert (clocks.delivered, clocks.dropped) == (SENSORS, SENSORS)


async def test_once_the_receivers_clock_is_set_right_delivery_goes_on_and_nothing_is_lost(clocks):
    clocks.theirs_s = -HOURS_S
    clocks.poll(clocks.now_s)

    def set_right(seconds):
        if seconds == SLOW_S:
            clocks.theirs_s = 0.0

    clocks.on_pause = set_right
    await clocks.run_until(lambda: clocks.delivered)
    assert (clocks.delivered, clocks.dropped) == (SENSORS, 0)


async def test_what_was_read_before_our_clock_was_set_back_is_not_of_the_future(clocks):
    clocks.poll(clocks.now_s)
    polled = [SENSORS]

    def go_on(seconds):
        if clocks.delivered == SENSORS and polled == [SENSORS]:
            clocks.poll(clocks.now_s)
            clocks.ours_s = -HOURS_S
            polled.append(SENSORS)

    clocks.on_pause = go_on
    await clocks.run_until(lambda: clocks.delivered + clocks.dropped == 2 * SENSORS)
    assert (clocks.delivered, clocks.dropped) == (2 * SENSORS, 0)


async def test_what_was_read_after_our_clock_was_set_hours_ahead_is_never_sent(clocks):
    """A Prometheus that has one sample of the future refuses all others for hours."""
    clocks.poll(clocks.now_s)

    def go_on(seconds):
        if clocks.delivered and not clocks.ours_s:
            clocks.ours_s = HOURS_S
            clocks.poll(clocks.now_s + HOURS_S)

    clocks.on_pause = go_on
    await clocks.run_until(lambda: clocks.pauses.count(SLOW_S) == 3)
    assert len(clocks.bodies) == 1
    assert "ahead of the destination's: set it" in clocks.remote.courier.availability.last_failure


async def test_what_has_the_apis_time_is_not_of_the_future_though_our_clock_is_hours_behind(clocks):
    """On a machine without NTP, for a receiver that does not show its time."""
    clocks.ours_s, clocks.dated_s, clocks.shows_time = -HOURS_S, 0.0, False
    clocks.poll(clocks.now_s)
    await clocks.run_until(lambda: clocks.delivered + clocks.dropped)
    assert (clocks.delivered, clocks.dropped) == (SENSORS, 0)


async def test_what_has_the_apis_time_waits_for_a_receiver_whose_clock_is_hours_behind_as_ours(clocks):
    """One on the same machine: nothing is lost until the clock is set."""
    clocks.ours_s, clocks.dated_s, clocks.theirs_s = -HOURS_S, 0.0, -HOURS_S
    clocks.poll(clocks.now_s)
    said = []

    def set_right(seconds):
        if seconds == SLOW_S:
            said.append(clocks.remote.courier.availability.last_failure)
            clocks.ours_s = clocks.theirs_s = 0.0

    clocks.on_pause = set_right
    await clocks.run_until(lambda: clocks.delivered + clocks.dropped)
    assert (clocks.delivered, clocks.dropped) == (SENSORS, 0)
    assert said == [f"the API's clock, by which readings are dated, is {HOURS_S:.0f} s ahead of the destination's: set it"]
