"""What the page shows of a real database: all that was read in 24 hours, and no secret."""

import asyncio
import threading

import msgspec
import pytest

from support.recorded import END_US, HOUR_US, LAYOUTS, MINUTE_US, RADIO, ROUTER, SECRETS, SPIKE_AGO, TOKEN, is_down, left, record
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.event import NOT_KEPT, STARTED, WORKS, Event, EventKind
from towerops_agent.buffer.reader import DatabaseReader, NotReadable
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.errors import SettingsError
from towerops_agent.model import Layout, LayoutKind, Poll
from towerops_agent.page.site import SPANS_H, Site
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.telemetry.views.health import Vitals, health_text, judge
from towerops_agent.telemetry.views.series import PINGS
from towerops_agent.telemetry.views.snapshot import KEY, Dealing, encode_snapshot


def site(path, now_us=END_US, token=lambda: TOKEN):
    return Site(path, token, lambda: now_us)


def missing():
    raise SettingsError("no token: set TOWEROPS_AGENT_TOKEN or TOWEROPS_AGENT_TOKEN_FILE")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "agent.db"


async def test_the_overview_names_the_devices_and_says_how_they_are(database):
    await record(database, 60, silent=10, snapshot=left(troubled=[is_down(since_us=END_US - 9 * MINUTE_US)]))
    shown = site(database).overview()
    router, radio = shown.devices
    assert (router.name, router.address, router.state) == ("Router <North>", "10.0.0.1:161", "up")
    assert (router.newest_us, router.meta) == (END_US - MINUTE_US, "SNMP v2c, polled every 1 min")
    assert (radio.state, radio.reason, radio.since_us) == ("down", "met with silence", END_US - 9 * MINUTE_US)
    assert (shown.title, shown.runs, shown.notes) == ("poller-1: the last 24 hours", True, [])
    assert shown.tiles["devices"].figure == "1 of 2 up"
    assert shown.tiles["backlog"].note == "30 values for the next batch"


async def test_of_an_agent_that_can_not_write_it_says_that_the_database_lags_behind(database):
    """Else a full disk looks as if nothing were read any more, and all were delivered."""
    await record(database, 60, silent=10, snapshot=left())
    vitals = Vitals(due_s={}, failing={"metrics": "no route"}, devices=2, in_memory_because="disk full: no room")

    async def health() -> bytes:
        return b"0\n" + health_text(judge(vitals, 0.0)).encode()

    async with LiveSocket(database, {b"health": health}):
        shown = await asyncio.to_thread(site(database).overview)
    (note,) = shown.notes
    assert note.startswith("The agent runs, and keeps what it reads in memory only: disk full: no room. This page shows")
    assert site(database).overview().notes == []


async def test_what_a_running_agent_says_of_itself_is_shown_as_it_is_now(database):
    """The database has the reason with which an outage began, while the disk is full nothing, and never a wrong clock."""
    await record(
        database, 60, silent=10, snapshot=left(dealings={"metrics": Dealing(False, END_US - MINUTE_US, None, 1, "no route")})
    )
    vitals = Vitals(due_s={}, failing={"metrics": "the token is refused (401)"}, devices=2, clock_off_s=3600.0)

    async def health() -> bytes:
        return b"0\n" + health_text(judge(vitals, 0.0)).encode()

    assert site(database).overview().tiles["api"].note == "metrics, for 1 min: no route"
    async with LiveSocket(database, {b"health": health}):
        shown = await asyncio.to_thread(site(database).overview)
        vitals = Vitals(due_s={}, failing={}, devices=2)
        healthy = await asyncio.to_thread(site(database).overview)
    assert shown.tiles["api"].note == "metrics, for 1 min: the token is refused (401)"
    assert shown.notes == ["The agent says: this machine's clock is 1 h ahead of the server's: have NTP set it."]
    assert (healthy.tiles["api"].figure, healthy.notes) == ("Works", [])


async def test_a_days_charts_keep_a_spike_of_one_poll(database):
    await record(database, snapshot=left())
    (view,) = site(database).device("router-1")
    board, fan, ether, errors = view.charts
    column = (24 * 60 - SPIKE_AGO) // 10
    assert (board.label, board.unit) == ("temperature, board", "°C")
    assert board.lines[0].low == [41.5] * 144
    assert board.lines[0].high == [41.5] * column + [95] + [41.5] * (143 - column)
    assert (fan.kind, fan.states, fan.lines[0].last) == ("state", {"1": "runs", "2": "failed"}, 2.0)
    assert (ether.label, ether.unit, [line.last for line in ether.lines]) == ("ether1", "bit/s", [1e6, 1e5])
    assert (errors.label, errors.unit, errors.lines[0].high[-3:]) == ("ether1, errors", "packets/s", [1, 0, 0])
    assert view.silent == ["voltage"]
    assert view.pending == [(END_US - 10 * MINUTE_US, END_US)]
    assert [span.state for span in view.states] == ["up"]


async def test_a_device_that_is_down_without_an_event_was_up_before(database):
    """As after single runs, which note no events."""
    since_us = END_US - 9 * MINUTE_US
    await record(database, 60, silent=10, snapshot=left(troubled=[is_down(since_us=since_us)]))
    (view,) = site(database).device("radio/ü", (1,))
    assert [(span.state, span.reason) for span in view.states] == [("up", ""), ("down", "timeout")]
    assert view.states[1].from_us == since_us


def minutes_ago(spans):
    return [((END_US - span.from_us) // MINUTE_US, (END_US - span.to_us) // MINUTE_US, span.state) for span in spans]


async def test_a_power_cut_is_seen_though_the_agent_has_run_since(database):
    """Killed 300 minutes ago, it is started again 60 minutes ago. The radio was down when it was killed."""
    now_us = END_US - 400 * MINUTE_US

    async def run(until_us: int, *events: Event) -> None:
        nonlocal now_us
        async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
            (router, *_) = await buffer.register_all(LAYOUTS)
            buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
            for event in events:
                buffer.note(event)
            while now_us < until_us:
                buffer.add(Poll(router, now_us, (415, 1, None, 0, 0, 0, 0, 0, 0), ((4, 1_000),), 3))
                now_us += MINUTE_US
                await buffer.secure()

    radio = Event(now_us + MINUTE_US, EventKind.STATE, "radio/ü", "down", "timeout")
    await run(END_US - 300 * MINUTE_US, Event(now_us, EventKind.API, "metrics", WORKS), radio)
    now_us = END_US - 60 * MINUTE_US
    await run(END_US)
    shown = site(database).overview()
    assert minutes_ago(shown.agent)[1:] == [(400, 301, "runs"), (301, 60, "does not run"), (60, 0, "runs")]
    assert minutes_ago(shown.api)[1:] == [(400, 301, "works"), (301, 0, "unknown")]
    (view,) = site(database).device("radio/ü", (6,))
    assert minutes_ago(view.states) == [(360, 301, "down"), (301, 60, "unknown"), (60, 0, "unknown")]
    assert [span.reason for span in view.states] == ["timeout", "the agent did not run", ""]


async def test_an_agent_whose_clock_was_ahead_at_its_start_runs(database):
    """Its start was noted with a time of tomorrow; its polls have the right one."""
    now_us = END_US - 10 * MINUTE_US
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        (router, *_) = await buffer.register_all(LAYOUTS)
        buffer.note(Event(END_US + 24 * HOUR_US, EventKind.AGENT, "", STARTED))
        while now_us < END_US:
            buffer.add(Poll(router, now_us, (415, 1, None, 0, 0, 0, 0, 0, 0), ((4, 1_000),), 3))
            now_us += MINUTE_US
    shown = site(database).overview()
    assert (shown.runs, shown.as_of_us, shown.tiles["agent"].figure) == (True, END_US, "Running")
    assert {device.id: device.state for device in shown.devices}["router-1"] == "up"


async def test_an_agent_that_has_run_for_longer_than_events_are_kept_is_not_unknown(database):
    now_us = END_US - 50 * HOUR_US
    works = Dealing(True, now_us, END_US, 0, "")
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
        buffer.note(Event(now_us, EventKind.API, "metrics", WORKS))
        await buffer.flush()
        for _ in range(50):
            now_us += HOUR_US
            await buffer.ask(lambda store: store.keep_clock())
        await buffer.put_meta(KEY, encode_snapshot(left(started_us=END_US - 50 * HOUR_US, dealings={"metrics": works})))
        await buffer.clean_up()
    with DatabaseReader(database) as reader:
        assert reader.events() == []
    shown = site(database).overview()
    assert [(span.state, span.to_us - span.from_us) for span in shown.agent] == [("runs", 24 * HOUR_US)]
    assert [(span.state, span.to_us - span.from_us) for span in shown.api] == [("works", 24 * HOUR_US)]


PINGED = {"id": "cam", "name": "Camera", "ip_address": "10.0.0.3", "snmp": {"enabled": False}, "ping": {"enabled": True}}


async def test_a_device_that_is_only_pinged_is_up_as_long_as_it_answers(database):
    """An hour of rounds, of which ten in the middle are lost: it is down until one comes back."""
    now_us = END_US - HOUR_US
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode({"equipment": [PINGED]}))))
        _, pings = await buffer.register_all([Layout("cam"), Layout("cam", kind=LayoutKind.PINGS)])
        buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
        for minute in range(60, 0, -1):
            is_lost = 20 < minute <= 30
            values = (5, 0, None, None, None, None) if is_lost else (5, 5, 900, 1_000, 1_100, 20)
            buffer.add(Poll(pings, now_us, values, ((1, 0),), 1))
            if minute in (30, 20):
                buffer.note(Event(now_us, EventKind.STATE, "cam", "down" if is_lost else "up", "timeout" if is_lost else ""))
            now_us += MINUTE_US
        await buffer.flush()
    shown = site(database).overview()
    (camera,) = shown.devices
    assert (camera.state, camera.since_us, camera.newest_us) == ("up", END_US - 20 * MINUTE_US, END_US - MINUTE_US)
    assert (camera.address, camera.meta) == ("10.0.0.3", "only pinged, every 1 min")
    assert shown.tiles["devices"].figure == "1 of 1 up"
    (view,) = site(database).device("cam", (1,))
    assert minutes_ago(view.states) == [(60, 30, "up"), (30, 20, "down"), (20, 0, "up")]
    nameless = site(database, token=missing)
    assert [(device.id, device.state) for device in nameless.overview().devices] == [("cam", "up")]
    assert minutes_ago(nameless.device("cam", (1,))[0].states) == [(60, 30, "up"), (30, 20, "down"), (20, 0, "up")]


async def test_a_device_of_which_nothing_is_stored_is_up_by_what_the_agent_noted(database):
    """Only pinged, and nobody accepts that. Half an hour after the agent was killed nothing is known of it."""
    now_us = END_US - HOUR_US
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode({"equipment": [PINGED]}))))
        await buffer.register_all([Layout("cam")])
        buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
        buffer.note(Event(now_us + MINUTE_US, EventKind.STATE, "cam", "up", NOT_KEPT))
        await buffer.put_meta(KEY, encode_snapshot(left(started_us=now_us)))
    shown = site(database).overview()
    assert [(one.state, one.reason, one.since_us) for one in shown.devices] == [("up", NOT_KEPT, now_us + MINUTE_US)]
    assert shown.tiles["devices"].figure == "1 of 1 up"
    (view,) = site(database).device("cam", (1,))
    assert minutes_ago(view.states) == [(60, 59, "unknown"), (59, 0, "up")]
    assert [one.state for one in site(database, now_us=END_US + 30 * MINUTE_US).overview().devices] == ["unknown"]


async def test_a_device_that_was_degraded_for_days_was_not_up_before_it_recovered(database):
    now_us = END_US - 60 * HOUR_US
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        (router, *_) = await buffer.register_all(LAYOUTS)
        buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
        buffer.note(Event(now_us, EventKind.STATE, "router-1", "degraded", "genErr"))
        while now_us < END_US:
            if now_us == END_US - 2 * HOUR_US:
                buffer.note(Event(now_us, EventKind.STATE, "router-1", "up"))
            buffer.add(Poll(router, now_us, (415, 1, None, 0, 0, 0, 0, 0, 0), ((4, 1_000),), 3))
            now_us += 10 * MINUTE_US
            await buffer.ask(lambda store: store.keep_clock())
        await buffer.put_meta(KEY, encode_snapshot(left(started_us=END_US - 60 * HOUR_US)))
        await buffer.clean_up()
    (view,) = site(database).device("router-1", (6,))
    assert minutes_ago(view.states) == [(360, 120, "degraded"), (120, 0, "up")]
    assert view.states[0].reason == "genErr"
    assert [one.text for one in site(database).overview().events] == ["router-1 is up"], "the others are older than two days"


async def test_a_device_that_is_polled_less_often_now_is_up_and_has_rates(database):
    """Each minute for three hours, each five for the last one: no poll is missing."""
    now_us = END_US - 4 * HOUR_US
    config = {"equipment": [ROUTER | {"poll_interval_seconds": 300}]}
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode(config))))
        (router, *_) = await buffer.register_all(LAYOUTS)
        buffer.note(Event(now_us, EventKind.AGENT, "", STARTED))
        while now_us < END_US:
            octets = (now_us - END_US + 4 * HOUR_US) // MINUTE_US * 7_500_000
            buffer.add(Poll(router, now_us, (415, 1, None, octets, octets, 0, 0, 0, 0), ((4, 1_000),), 3))
            now_us += (1 if now_us < END_US - HOUR_US else 5) * MINUTE_US
        await buffer.flush()
    (view,) = site(database).device("router-1", (1,))
    assert minutes_ago(view.states) == [(60, 0, "up")]
    assert 5 * MINUTE_US < view.gap_us < 15 * MINUTE_US
    (ether,) = [chart for chart in view.charts if chart.id == "ether"]
    assert [value for value in ether.lines[0].low if value is not None] == [1e6] * 12


@pytest.mark.parametrize(("polled", "pinged"), [(1, 10), (10, 1)])
async def test_pings_have_a_pace_of_their_own(database, polled, pinged):
    """None was missed: neither chart has a gap, and one of either is a gap at its own pace."""
    now_us = END_US - 6 * HOUR_US
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        router, pings = await buffer.register_all([LAYOUTS[0], Layout("router-1", kind=LayoutKind.PINGS)])
        for minute in range(6 * 60):
            if minute % polled == 0:
                buffer.add(Poll(router, now_us, (415, 1, None, 0, 0, 0, 0, 0, 0), ((4, 1_000),), 3))
            if minute % pinged == 0:
                buffer.add(Poll(pings, now_us, (5, 5, 900, 1_000, 1_100, 20), ((1, 0),), 1))
            now_us += MINUTE_US
        await buffer.flush()
    (view,) = site(database).device("router-1", (6,))
    assert 2 * polled * MINUTE_US < view.gap_us < 3 * polled * MINUTE_US
    gaps = {chart.label: chart.gap_us for chart in view.charts if chart.gap_us}
    assert set(gaps) == set(PINGS)
    assert all(2 * pinged * MINUTE_US < gap_us < 3 * pinged * MINUTE_US for gap_us in gaps.values())


@pytest.mark.parametrize(("interval_s", "state"), [(3600, "up"), (60, "unknown")])
async def test_the_newest_poll_of_a_device_is_known_however_many_others_were_made_since(database, interval_s, state):
    """Its newest poll is the last but fifty. It is up if it is polled seldom, and was read, not never, if it is not up."""
    now_us = END_US - HOUR_US
    config = {"equipment": [ROUTER, RADIO | {"poll_interval_seconds": interval_s}]}
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        await buffer.keep_config(seal(TOKEN, config_text(msgspec.json.encode(config))))
        router, radio = await buffer.register_all(LAYOUTS)
        for minute in range(60):
            buffer.add(Poll(router, now_us, (415, 1, None, 0, 0, 0, 0, 0, 0), ((4, 1_000),), 3))
            if minute == 10:
                buffer.add(Poll(radio, now_us, (-60,), ((1, 2_000),), 1))
            now_us += MINUTE_US
        await buffer.flush()
    assert [(one.state, one.newest_us) for one in site(database).overview().devices] == [
        *(("up", END_US - MINUTE_US), (state, END_US - 50 * MINUTE_US)),
    ]


async def test_each_span_has_as_many_columns(database):
    await record(database, 120)
    views = site(database).device("radio/ü", SPANS_H)
    assert [view.to_us - view.from_us for view in views] == [HOUR_US, 6 * HOUR_US, 24 * HOUR_US]
    assert {len(view.charts[0].lines[0].low) for view in views} == {144}
    read = [sum(value is not None for value in view.charts[0].lines[0].low) for view in views]
    assert read == [60, 48, 12]


async def test_without_the_token_ids_are_shown_and_a_line_says_why(database):
    await record(database, 60)
    blind = site(database, token=missing)
    shown = blind.overview()
    assert [(device.id, device.name, device.address) for device in shown.devices] == [
        *(("router-1", "router-1", ""), ("radio/ü", "radio/ü", "")),
    ]
    assert "shown by their ids: no token" in shown.notes[0]
    assert [chart.label for chart in blind.device("router-1")[0].charts] == ["board", "fan", "ether", "ether, errors"]


async def test_a_token_that_comes_later_is_used(database):
    await record(database, 60)
    tokens = [SettingsError("no token"), TOKEN]

    def token():
        now = tokens.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    late = site(database, token=token)
    assert [late.overview().devices[0].name for _ in range(3)] == ["router-1", "Router <North>", "Router <North>"]


async def test_no_answer_has_a_secret(database):
    await record(database, 60, snapshot=left())
    shown = site(database)
    octets = msgspec.json.encode([shown.overview(), *shown.device("router-1", SPANS_H), *shown.device("radio/ü")])
    assert [secret for secret in SECRETS if secret.encode() in octets] == []
    assert b"Router <North>" in octets


async def test_of_a_stopped_agent_the_last_hours_are_shown_not_the_last_of_the_clock(database):
    await record(database, 60, snapshot=left(stopped_us=END_US))
    shown = site(database, now_us=END_US + 72 * HOUR_US).overview()
    assert (shown.runs, shown.tiles["agent"].figure) == (False, "Stopped")
    assert [device.state for device in shown.devices] == ["up", "up"]
    (view,) = site(database, now_us=END_US + 72 * HOUR_US).device("router-1", (1,))
    assert len(view.charts) == 4


async def test_a_device_that_is_nowhere_has_no_view(database):
    await record(database, 5)
    assert site(database).device("nobody") == []


async def test_it_is_read_while_the_agent_writes_delivers_packs_and_removes(database):
    """Each look shows the site at one moment, and no poll that was there is ever missing from the last hour."""
    now_us = END_US
    shown, failures, stopping = [], [], threading.Event()

    def look() -> None:
        reader = site(
            database, now_us=END_US + 59 * MINUTE_US
        )  # an hour after the last poll: later, charts would end at that one
        while not stopping.is_set():
            try:
                overview, (view,) = reader.overview(), reader.device("router-1", (1,))
            except Exception as error:  # noqa: BLE001 -- on its way to the assertion
                failures.append(error)
                return
            shown.append((overview.devices[0].newest_us, sum(value is not None for value in view.charts[0].lines[0].low)))

    await record(database, 60)
    async with Buffer(database, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        thread = threading.Thread(target=look)
        thread.start()
        (layout,) = await buffer.register_all(LAYOUTS[:1])
        for minute in range(60):
            buffer.add(Poll(layout, now_us, (415, 1, None, minute, minute, 0, 0, 0, 0), ((4, 1_000),), 3))
            buffer.note(Event(now_us, EventKind.RESTART, "router-1"))
            await buffer.secure()
            if minute % 3 == 0:
                await buffer.flush()
                while (batch := await buffer.next_batch(1_000)) is not None:
                    await buffer.acknowledge(batch)
                await buffer.clean_up()
            now_us += MINUTE_US
        stopping.set()
        thread.join()
    assert failures == []
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "there is no database"), (b"x" * 9000, "is not a database"), (b"", "has version 0")]
)
def test_a_file_of_another_kind_says_so_in_one_line(database, content, why):
    if content is not None:
        database.write_bytes(content)
    with pytest.raises(NotReadable, match=why) as refused:
        site(database).overview()
    assert "\n" not in str(refused.value)
