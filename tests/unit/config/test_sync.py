"""The configuration in use is the last good one, whatever the API does."""

import asyncio
import gc
import json

import pytest
import structlog

from towerops_agent.api.wire.outcomes import ConfigFetched, NotModified, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.text import ConfigText, config_text
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure, InvalidConfig, SettingsError


def config(*ids: str, **fields: object) -> ConfigText:
    return config_text(json.dumps({"equipment": [{"id": name, "ip_address": "10.0.0.1"} for name in ids]} | fields).encode())


class Done(Exception):
    """Ends a loop that has no end."""


class Bench:
    """A ConfigSync between a scripted client and a store in memory."""

    def __init__(self, *answers, kept=None):
        self.answers = list(answers)
        self.kept = kept
        self.etags = []
        self.applied = []
        self.pauses = []
        self.rereads = 0
        self.kept_with = []
        self.restored = []
        self.kept_accepts = None
        self.token_rotations = 0
        self.now_us = 0
        self.full = False
        self.refuse_to_keep = 0  # how often
        self.has_no_room = False
        self.counters = Counters()
        self.sync = ConfigSync(
            self,
            self.counters,
            apply=self.apply_as_it_is_now,
            keep=self.keep_as_it_is_now,
            kept=self.load,
            restored=self.restore,
            kept_accepts=self.load_accepts,
            sleep=self.sleep,
            now_us=lambda: self.now_us,
        )

    async def get_config(self, intake, etag=None):
        self.etags.append(etag)
        return self.answers.pop(0)

    def reread_token(self):
        self.rereads += 1

    async def apply_as_it_is_now(self, read):
        await self.apply(read)  # a test may have put another one in its place

    async def keep_as_it_is_now(self, config):
        await self.keep(config)

    async def apply(self, read):
        if self.has_no_room:
            raise BufferFailure("disk full")
        self.applied.append([equipment.id for _, equipment in read.equipment])

    async def keep(self, config):
        self.refuse_to_keep -= 1
        if self.full or self.refuse_to_keep >= 0:
            raise BufferFailure("disk full")
        self.kept = config
        self.kept_with.append(config)

    async def load_accepts(self):
        if isinstance(self.kept_accepts, Exception):
            raise self.kept_accepts
        return self.kept_accepts

    async def load(self):
        if isinstance(self.kept, Exception):
            raise self.kept
        return self.kept

    async def restore(self, config):
        if self.full:
            raise BufferFailure("disk full")
        self.restored.append((config, len(self.applied)))

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        if not self.answers:
            raise Done

    async def run(self):
        with structlog.testing.capture_logs() as lines, pytest.raises(Done):
            await self.sync.run()
        return lines


async def test_a_new_configuration_is_applied_then_kept():
    bench = Bench(ConfigFetched(config("a", "b", version="7", accepts={"max_metrics": 5})))
    await bench.sync.fetch_once()
    assert bench.applied == [["a", "b"]]
    assert bench.kept == config("a", "b", version="7", accepts={"max_metrics": 5})
    assert (bench.sync.version, bench.sync.accepts.max_metrics, bench.sync.has_config) == ("7", 5, True)
    assert bench.counters.get(Count.CONFIG_FETCHES, "updated") == 1


async def test_the_log_says_how_many_devices_a_new_configuration_has():
    """A server that lists none any more has all polling end, and nothing else in the log shows it."""
    bench = Bench(ConfigFetched(config("a", "b")), ConfigFetched(config()))
    lines = await bench.run()
    assert [line["devices"] for line in lines if line["event"] == "configuration applied"] == [2, 0]


FORGOTTEN = config("of no other test").digest


class Forgetful(Bench):
    """One that keeps no configuration. `held`: how many of FORGOTTEN are in memory whenever the sync sleeps."""

    held: tuple[int, ...] = ()

    async def sleep(self, seconds):
        self.kept, self.kept_with = None, []
        self.held += (sum(isinstance(one, ConfigText) and one.digest == FORGOTTEN for one in gc.get_objects()),)
        await super().sleep(seconds)


async def test_a_configuration_that_is_applied_and_kept_is_not_held_in_memory():
    """It is 17 MB for 10,000 devices."""
    bench = Forgetful(ConfigFetched(config("of no other test")), NotModified())
    await bench.run()
    assert bench.held == (0, 0)


async def test_an_identical_configuration_is_not_applied_again():
    bench = Bench(ConfigFetched(config("a")), ConfigFetched(config("a")), ConfigFetched(config("b")), ConfigFetched(config("a")))
    await bench.run()
    assert bench.applied == [["a"], ["b"], ["a"]]
    assert bench.pauses == [300.0] * 4


async def test_the_etag_of_the_configuration_in_use_is_sent():
    bench = Bench(ConfigFetched(config("a"), '"1"'), NotModified(), Unavailable("no JSON", 200), NotModified())
    await bench.run()
    assert bench.etags == [None, '"1"', '"1"', '"1"']
    assert bench.counters.by_reason(Count.CONFIG_FETCHES) == {"updated": 1, "unchanged": 2, "failed": 1}


async def test_a_body_that_is_not_a_configuration_leaves_the_one_in_use():
    bench = Bench(ConfigFetched(config("a")), Unavailable("the configuration can't be used", 200))
    lines = await bench.run()
    assert bench.applied == [["a"]]
    assert bench.kept == config("a")
    assert bench.sync.availability.last_failure == "the configuration can't be used"
    assert any(line["event"] == "configuration not fetched, will retry" and line["in_force"] for line in lines)


async def test_the_kept_configuration_is_said_to_be_in_use_once_it_is_applied():
    """The API's is the same, and is not kept again."""
    bench = Bench(ConfigFetched(config("a")), ConfigFetched(config("b")), kept=config("a"))
    await bench.run()
    assert bench.restored == [(config("a"), 1)]
    assert bench.kept_with == [config("b")]


async def test_a_kept_configuration_that_can_only_be_applied_in_part_is_applied_and_kept_when_the_api_has_it():
    bench = Bench(ConfigFetched(config("a")), kept=config("a"))
    bench.full = True
    assert await bench.sync.load_kept() is False
    bench.full = False
    await bench.sync.fetch_once()
    assert bench.applied == [["a"], ["a"]]
    assert bench.kept_with == [config("a")]


async def test_the_kept_configuration_is_applied_before_the_first_fetch():
    bench = Bench(Unavailable("no connection"), ConfigFetched(config("a")), kept=config("a"))
    await bench.run()
    assert bench.applied == [["a"]]
    assert bench.sync.accepts.max_metrics == 1000


@pytest.mark.parametrize("kept", [None, InvalidConfig("sealed with another token"), BufferFailure("disk")])
async def test_a_kept_configuration_that_cant_be_used_is_not_the_end(kept):
    bench = Bench(ConfigFetched(config("a")), kept=kept)
    lines = await bench.run()
    assert bench.applied == [["a"]]
    assert (kept is not None) == any(line["event"].startswith("kept configuration can't be used") for line in lines)


async def test_failures_are_retried_sooner_than_the_refresh_and_later_each_time():
    bench = Bench(*[Unavailable("no connection")] * 6, ConfigFetched(config("a")), Unavailable("no connection"))
    lines = await bench.run()
    assert bench.pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 300.0, 5.0]
    assert sum(line["event"] == "configuration not fetched, will retry" for line in lines) == 2


async def test_retry_after_is_obeyed():
    bench = Bench(Unavailable("busy", 503, 600.0), Unavailable("busy", 503, 0.0))
    await bench.run()
    assert bench.pauses == [600.0, 5.0]


async def test_the_token_file_is_looked_at_before_each_fetch():
    """Also while the old token is accepted: a restart without the API would find only the new one."""
    bench = Bench(Unauthorized(401), ConfigFetched(config("a"), '"1"'), NotModified())
    await bench.run()
    assert bench.rereads == 3


async def test_a_new_token_seals_the_kept_configuration_again_though_the_api_is_away():
    bench = Bench(ConfigFetched(config("a"), '"1"'), Unavailable("no connection"), NotModified())
    await bench.sync.fetch_once()
    bench.kept_with.clear()
    bench.token_rotations = 1
    await bench.sync.fetch_once()
    await bench.sync.fetch_once()
    assert bench.kept_with == [config("a")]
    assert bench.etags == [None, '"1"', '"1"']


async def test_a_token_file_that_cant_be_read_is_said_and_no_end(monkeypatch):
    bench = Bench(Unauthorized(401), ConfigFetched(config("a")))

    def gone():
        raise SettingsError("the token file can't be read")

    monkeypatch.setattr(bench, "reread_token", gone)
    lines = await bench.run()
    assert bench.applied == [["a"]]
    assert sum("token file" in line["event"] for line in lines) == 1


async def test_a_clock_that_is_wrong_is_reported_once_and_reported_when_it_is_right_again():
    ahead = [0.2, 31.0, 32.0, 3600.0, None, 2.0, 1.0, -31.0]
    bench = Bench(*[ConfigFetched(config("a"), None, ahead_s) for ahead_s in ahead[:4]], *[NotModified(s) for s in ahead[4:]])
    lines = await bench.run()
    told = [(line["log_level"], line["ahead_s"]) for line in lines if "ahead_s" in line]
    assert told == [("warning", 31.0), ("info", 2.0), ("warning", -31.0)]
    assert (bench.sync.clock_skew.is_wrong, bench.sync.clock_skew.ahead_s) == (True, -31.0)


async def test_a_failed_fetch_says_nothing_of_the_clock():
    bench = Bench(ConfigFetched(config("a"), None, 60.0), Unavailable("busy", 503), ConfigFetched(config("b"), None, 0.0))
    lines = await bench.run()
    assert [line["ahead_s"] for line in lines if "ahead_s" in line] == [60.0, 0.0]


async def test_a_new_token_seals_the_configuration_again():
    """What is kept was sealed with the token before, which the next start does not have."""
    bench = Bench(ConfigFetched(config("a"), '"1"'), ConfigFetched(config("a"), '"1"'), NotModified())
    await bench.sync.fetch_once()
    bench.kept, bench.token_rotations = None, 1
    await bench.sync.fetch_once()
    await bench.sync.fetch_once()
    assert bench.etags == [None, None, '"1"']
    assert bench.kept == config("a")
    assert bench.applied == [["a"]]


async def test_a_buffer_that_cant_keep_it_does_not_keep_it_from_being_in_use():
    bench = Bench(ConfigFetched(config("a")))
    bench.full = True
    with structlog.testing.capture_logs() as lines:
        await bench.sync.fetch_once()
    assert bench.applied == [["a"]]
    assert any("could not be kept" in line["event"] for line in lines)


async def test_what_could_not_be_kept_is_kept_soon_though_the_server_would_say_that_it_is_unchanged():
    """Else it would never be, and destinations beside the API would have no labels for its devices."""
    bench = Bench(*[ConfigFetched(config("a"), "one")] * 3, NotModified())
    bench.refuse_to_keep = 2
    lines = await bench.run()
    assert sum("could not be kept" in line["event"] for line in lines) == 1
    assert bench.kept_with == [config("a")]
    assert bench.etags == [None, None, None, "one"]
    assert bench.pauses == [30.0, 30.0, 300.0, 300.0]
    assert bench.applied == [["a"]]


async def test_what_could_not_be_kept_is_kept_also_if_the_one_before_is_sealed_with_a_new_token_meanwhile():
    """Else a restart without the API would go on with the one before."""
    bench = Bench(ConfigFetched(config("a"), "one"), *[ConfigFetched(config("a", "b"), "two")] * 2, NotModified())
    await bench.sync.fetch_once()
    bench.refuse_to_keep = 1
    with structlog.testing.capture_logs():
        await bench.sync.fetch_once()
    bench.token_rotations = 1
    await bench.sync.fetch_once()
    assert bench.kept_with == [config("a"), config("a"), config("a", "b")]
    await bench.sync.fetch_once()
    assert bench.etags == [None, "one", None, "two"]
    assert bench.applied == [["a"], ["a", "b"]]


async def test_a_configuration_that_the_buffer_has_no_room_for_is_a_failed_fetch_and_applied_later():
    bench = Bench(ConfigFetched(config("a"), "one"), ConfigFetched(config("b"), "two"), ConfigFetched(config("b"), "two"))
    await bench.sync.fetch_once()
    bench.has_no_room = True
    with structlog.testing.capture_logs() as lines:
        outcome = await bench.sync.fetch_once()
    assert outcome == Unavailable("it was fetched, and can't be applied: disk full")
    assert [line["reason"] for line in lines] == [outcome.reason]
    bench.has_no_room = False
    await bench.sync.fetch_once()
    assert bench.applied == [["a"], ["b"]]
    assert bench.etags == [None, "one", None]
    assert bench.counters.by_reason(Count.CONFIG_FETCHES) == {"updated": 2, "failed": 1}


async def test_a_configuration_is_applied_again_if_another_one_was_applied_in_part_meanwhile():
    """The operator takes a change back of which the buffer had no room for all: devices and destinations are as before."""
    one, two = ConfigFetched(config("a"), "one"), ConfigFetched(config("b"), "two")
    bench = Bench(one, two, one, one)
    await bench.sync.fetch_once()
    bench.has_no_room = True
    await bench.sync.fetch_once()
    bench.has_no_room = False
    for _ in range(2):
        await bench.sync.fetch_once()
    assert bench.applied == [["a"], ["a"]]
    assert bench.etags == [None, "one", None, "one"]


async def test_a_configuration_is_applied_again_if_a_bug_ended_another_one_in_its_midst():
    """The loop begins again after it; the server has gone back to the first one, and would say that it is unchanged."""
    bench = Bench(ConfigFetched(config("a"), '"a"'), ConfigFetched(config("b"), '"b"'), ConfigFetched(config("a"), '"a"'))
    await bench.sync.fetch_once()

    async def fail(read):
        raise ZeroDivisionError

    apply, bench.apply = bench.apply, fail
    with pytest.raises(ZeroDivisionError):
        await bench.sync.fetch_once()
    bench.apply = apply
    await bench.sync.fetch_once()
    assert bench.etags == [None, '"a"', None]
    assert bench.applied == [["a"], ["a"]]


async def test_a_kept_configuration_that_meets_a_bug_does_not_keep_the_apis_away():
    bench = Bench(ConfigFetched(config("b")), kept=config("a"))
    apply = bench.apply

    async def fail(read):
        bench.apply = apply
        raise ZeroDivisionError

    bench.apply = fail
    with pytest.raises(ZeroDivisionError):
        await bench.sync.run()
    await bench.run()
    assert bench.applied == [["b"]]


async def test_what_is_to_be_kept_again_while_it_is_being_kept_is_kept_once_more():
    """A destination that is new since then has no labels by it."""
    bench = Bench(ConfigFetched(config("a"), '"a"'), ConfigFetched(config("a"), '"a"'))
    keep = bench.keep

    async def keep_and_ask(kept):
        await keep(kept)
        if len(bench.kept_with) == 1:
            bench.sync.keep_again()

    bench.keep = keep_and_ask
    await bench.run()
    assert bench.etags == [None, None]
    assert bench.kept_with == [config("a")] * 2
    assert bench.pauses == [30.0, 300.0]


async def test_what_is_to_be_kept_again_is_though_it_is_the_same():
    """Destinations that a reload has brought have their labels by it."""
    bench = Bench(*[ConfigFetched(config("a"), "one")] * 2, NotModified())
    await bench.sync.fetch_once()
    bench.sync.keep_again()
    await bench.sync.fetch_once()
    await bench.sync.fetch_once()
    assert bench.etags == [None, None, "one"]
    assert bench.kept_with == [config("a")] * 2
    assert bench.applied == [["a"]]


async def test_devices_are_made_again_only_after_a_configuration_that_is_being_applied():
    """Else some of its devices would keep what is void, for as long as the configuration stays the same."""
    bench = Bench(ConfigFetched(config("b"), "b"), ConfigFetched(config("b"), "b"), kept=config("a"))
    goes_on, begun, steps = asyncio.Event(), asyncio.Event(), []
    apply = bench.apply

    async def slow(read):
        begun.set()
        await goes_on.wait()
        await apply(read)
        steps.append("applied")

    bench.apply = slow
    fetching = asyncio.create_task(bench.sync.fetch_once())
    await begun.wait()
    again = asyncio.create_task(bench.sync.apply_again(lambda: steps.append("forgotten")))
    await asyncio.sleep(0)
    assert steps == []
    goes_on.set()
    await fetching
    await again
    await bench.sync.fetch_once()
    assert steps == ["applied", "forgotten", "applied"]
    assert bench.applied[-1] == ["b"]
    assert bench.etags == [None, None]


@pytest.mark.parametrize(
    "bench", [Bench(ConfigFetched(config("a"))), Bench(Unavailable("no connection")), Bench(Unauthorized(401), kept=config("a"))]
)
async def test_what_the_server_accepts_is_known_before_a_configuration_is_applied_or_once_there_is_none(bench):
    known, seen = asyncio.Event(), []

    async def apply(read):
        seen.append(known.is_set())

    sync = ConfigSync(bench, Counters(), apply=apply, keep=bench.keep, kept=bench.load, known=known, sleep=bench.sleep)
    with pytest.raises(Done):
        await sync.run()
    assert known.is_set()
    assert all(seen)


async def test_a_refusal_is_logged_once_and_counted_each_time():
    bench = Bench(*[ConfigFetched(config("a", "", version=version)) for version in ("1", "1", "2")])
    lines = await bench.run()
    assert sum(line["event"] == "configuration item refused, the rest is used" for line in lines) == 1
    assert [refusal.equipment for refusal in bench.sync.refusals] == ["#2"]
    assert bench.counters.get(Count.CONFIG_REFUSED, "equipment") == 2


async def test_a_flood_of_refusals_is_not_a_flood_of_lines():
    bench = Bench(ConfigFetched(config_text(json.dumps({"equipment": [5] * 500}).encode())))
    lines = await bench.run()
    assert sum(line["event"] == "configuration item refused, the rest is used" for line in lines) == 50
    assert lines[-1]["refused"] == 500
    assert lines[-1]["refused_unlogged"] == 450


@pytest.mark.parametrize("refusal", [Unavailable("status 431: too large", 431), Rejected(400, "header too large"), TooLarge()])
async def test_an_etag_that_the_server_refuses_is_forgotten_and_none_is_sent_again(refusal):
    bench = Bench(
        ConfigFetched(config("a"), "long"), refusal, ConfigFetched(config("b"), "long"), ConfigFetched(config("c"), "long")
    )
    lines = await bench.run()
    assert bench.etags == [None, "long", None, None]
    assert bench.applied == [["a"], ["b"], ["c"]]
    assert bench.pauses == [300.0] * 3
    assert sum(line["event"].startswith("server refuses the ETag") for line in lines) == 1
    assert bench.counters.get(Count.CONFIG_FETCHES, "failed") == 0


async def test_a_server_that_refuses_without_an_etag_too_is_one_failure():
    """And it may have been right to: what it sends next is asked about by its ETag again."""
    busy = Unavailable("status 431: too large", 431)
    bench = Bench(ConfigFetched(config("a"), "1"), busy, busy, ConfigFetched(config("b"), "2"), NotModified())
    lines = await bench.run()
    assert bench.etags == [None, "1", None, None, "2"]
    assert bench.pauses == [300.0, 5.0, 300.0, 300.0]
    assert not any(line["event"].startswith("server refuses the ETag") for line in lines)


ACCEPTED = Accepts(("gzip",), 5000, 1 << 22, ("sensor_reading", "interface_stat", "equipment_status"), is_stated=True)


@pytest.mark.parametrize("kept", [None, InvalidConfig("sealed with another token"), BufferFailure("disk I/O error")])
@pytest.mark.parametrize(
    ("known", "accepts"), [(ACCEPTED, ACCEPTED), (None, Accepts()), (BufferFailure("disk I/O error"), Accepts())]
)
async def test_while_there_is_no_configuration_what_waits_is_delivered_as_the_server_accepted_it(kept, known, accepts):
    """States that wait for the API would else be taken for those of other destinations, and dropped."""
    bench = Bench(Unavailable("status 503: busy", 503), kept=kept)
    bench.kept_accepts = known
    with structlog.testing.capture_logs(), pytest.raises(Done):
        await bench.sync.run()
    assert not bench.sync.has_config
    assert bench.sync.accepts == accepts


async def test_a_configuration_says_what_the_server_accepts_whatever_it_accepted_before():
    bench = Bench(ConfigFetched(config("e1"), None))
    bench.kept_accepts = ACCEPTED
    with pytest.raises(Done):
        await bench.sync.run()
    assert bench.sync.accepts == Accepts()
