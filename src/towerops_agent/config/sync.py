"""Keeps the agent's configuration in step with the API's.

client.py fetches, equipment.py reads, `apply` applies, `keep` stores it for the next start. If there is no usable configuration,
the one in use stays; at the start that is the kept one, so that a restart during an outage goes on polling.
I/O through what is passed in. Seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from towerops_agent import clocks
from towerops_agent.api.wire.outcomes import (
    Availability,
    ClockSkew,
    ConfigFetched,
    ConfigOutcome,
    Failure,
    Intake,
    NotModified,
    Unavailable,
)
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.equipment import ConfigRead, Refusal, read_config
from towerops_agent.config.document.text import ConfigIntake, ConfigText
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure, InvalidConfig, SettingsError

FIRST_RETRY_S = 5.0
MOST_RETRY_S = 60.0
KEEP_AGAIN_S = 30.0
"""After a configuration that could not be kept: destinations wait a minute for the labels of new devices."""
MOST_REFUSAL_LINES = 50

ETAG_REFUSED: Final = frozenset({400, 413, 431, 494})
"""What servers answer to a request whose headers are too large: 431 (RFC 6585 §5), or what nginx and others made of it."""

log = structlog.get_logger()


Moved = Callable[[float], None]
"""Called at each step of what takes long."""


def _unnoticed(_again_within_s: float) -> None:
    pass


class ConfigSource(Protocol):
    """The part of ApiClient that is needed."""

    @property
    def token_rotations(self) -> int: ...  # noqa: D102  # as ApiClient's, all three

    async def get_config(  # noqa: D102
        self, intake: Intake[ConfigText], etag: str | None = None
    ) -> ConfigOutcome[ConfigText]: ...

    def reread_token(self) -> None: ...  # noqa: D102


class ConfigSync:
    """Fetches the configuration, and calls `apply` with each one that differs from the one in use.

    `apply` consumes the ConfigRead's equipment; equipment that it has not read when it returns is never read. `keep` then gets
    the whole, and `kept` returns it at the next start; it may raise InvalidConfig. `restored` gets the kept one
    once it is applied: if the API's is the same, `keep` is not called. `known`: is set once it is known what the server accepts,
    or that it does not say for now: then what it accepted before holds, which `kept_accepts` returns.
    """

    def __init__(
        self,
        client: ConfigSource,
        counters: Counters,
        *,
        apply: Callable[[ConfigRead], Awaitable[None]],
        keep: Callable[[ConfigText], Awaitable[None]],
        kept: Callable[[], Awaitable[ConfigText | None]],
        restored: Callable[[ConfigText], Awaitable[None]] | None = None,
        kept_accepts: Callable[[], Awaitable[Accepts | None]] | None = None,
        known: asyncio.Event | None = None,
        refresh_s: float = 300.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        moved: Moved = _unnoticed,
        now_us: Callable[[], int] = clocks.wall_us,
    ) -> None:
        self._client = client
        self._counters = counters
        self._apply = apply
        self._keep = keep
        self._kept = kept
        self._restored = restored
        self._kept_accepts = kept_accepts
        self._known = known or asyncio.Event()
        self._refresh_s = refresh_s
        self._sleep = sleep
        self._moved = moved
        self._now_us = now_us
        self._turn = asyncio.Lock()  # one configuration is applied at a time
        self._digest = b""
        self._is_half_applied = False  # another one than that of the digest, in part
        self._etag: str | None = None
        self._sends_etag = True
        self._is_loaded = False  # whether the kept one has been looked for
        self._keeps_asked = 0  # how often keep_again was called
        self._is_kept = True  # whether what is in use is kept, or nothing has to be
        self._kept_rotation = 0
        self._token_error = ""
        self.accepts = Accepts()
        self.version = ""
        self.refusals: tuple[Refusal, ...] = ()
        self.refused = 0
        self.availability = Availability(steady_us=clocks.steady_us)
        self.clock_skew = ClockSkew()

    @property
    def has_config(self) -> bool:
        """Whether a configuration is in use."""
        return self._digest != b""

    async def run(self) -> None:
        """Keep in step, for good: the kept configuration first, then a fetch every `refresh_s`, sooner after a failure."""
        async with self._turn:
            if not self._is_loaded:
                self._is_loaded = True  # once: if it meets a bug the API's may be another one
                await self.load_kept(self._moved)
        while True:
            await self._sleep(self._pause_s(await self.fetch_once()))  # no name holds the outcome: a configuration may be in it

    async def load_kept(self, moved: Moved = _unnoticed) -> bool:
        """Whether the configuration kept by an earlier run is now in use. `moved`: of the loop that calls this."""
        try:
            moved(0.0)
            config = await self._kept()
            if config is None:
                await self._restore_accepts()
                return False
            await self._put_into_force(config, moved)
            if self._restored is not None:
                moved(0.0)
                await self._restored(config)
        except (InvalidConfig, BufferFailure) as error:
            self._digest = b""  # the API's is applied and kept, also if it is the same
            log.warning("kept configuration can't be used, waiting for the API's", reason=str(error))
            await self._restore_accepts()
            return False
        return True

    async def _restore_accepts(self) -> None:
        """There is no configuration for now: what waits from an earlier run is delivered as the server accepted it then."""
        if self._kept_accepts is None or self._known.is_set():
            return
        try:
            self.accepts = await self._kept_accepts() or self.accepts
        except BufferFailure as error:
            log.warning("kept limits of the server can't be read, the least are used", reason=str(error))

    async def apply_again(self, forget: Callable[[], None]) -> None:
        """Apply the kept configuration once more. In any case the next fetch requests the whole configuration.

        `forget` has all devices made again. Not called while another configuration is being applied: some of its would not be.
        """
        async with self._turn:
            forget()
            self._digest, self._etag = b"", None
            await self.load_kept()

    def keep_again(self) -> None:
        """Fetch the whole configuration next, and keep it, also if it is the one in use."""
        self._is_kept, self._etag = False, None
        self._keeps_asked += 1

    async def fetch_once(self, *, is_last: bool = False) -> ConfigOutcome[ConfigText]:
        """The outcome of one fetch; by then a new configuration is applied and kept. `is_last`: no other fetch follows."""
        self._reread_token()
        if self._client.token_rotations != self._kept_rotation:
            await self._seal_anew()
        self._moved(0.0)
        outcome = await self._client.get_config(ConfigIntake(), self._etag)
        if self._etag is not None and isinstance(outcome, Failure) and outcome.status in ETAG_REFUSED:
            outcome = await self._fetch_without_etag(outcome.reason)
        if isinstance(outcome, ConfigFetched | NotModified):
            self._compare_clocks(outcome.ahead_s)
        if isinstance(outcome, ConfigFetched):
            async with self._turn:
                outcome = await self._take(outcome)
        elif isinstance(outcome, NotModified):
            self._counters.add(Count.CONFIG_FETCHES, "unchanged")
        now_us = self._now_us()
        if isinstance(outcome, ConfigFetched | NotModified):
            failures = self.availability.failures
            if self.availability.succeeded(now_us) and failures:
                log.info("configuration fetched again", failures=failures)
        else:
            self._failed(outcome, now_us, is_last)
        return outcome

    async def _fetch_without_etag(self, reason: str) -> ConfigOutcome[ConfigText]:
        """What came of a fetch without the ETag, which may be more than the server accepts back: if it is, none is sent again."""
        self._etag = None
        self._moved(0.0)
        outcome = await self._client.get_config(ConfigIntake(), None)
        if isinstance(outcome, ConfigFetched):
            self._sends_etag = False
            log.warning("server refuses the ETag that it sent, fetched without it from now on", reason=reason)
        return outcome

    async def _take(self, fetched: ConfigFetched[ConfigText]) -> ConfigOutcome[ConfigText]:
        """Apply and keep it, if it differs from the one in use; a failure if the buffer has no room for what that needs."""
        try:
            changed = await self._put_into_force(fetched.config, self._moved)
        except BufferFailure as error:
            return Unavailable(f"it was fetched, and can't be applied: {error}")
        self._etag = fetched.etag if self._sends_etag else None
        self._counters.add(Count.CONFIG_FETCHES, "updated" if changed else "unchanged")
        if changed or not self._is_kept or self._client.token_rotations != self._kept_rotation:
            await self._keep_sealed(fetched.config)
        return fetched

    async def _keep_sealed(self, config: ConfigText) -> None:
        rotation, was_kept, asked = self._client.token_rotations, self._is_kept, self._keeps_asked
        self._is_kept = False  # until it is, whatever ends it
        try:
            self._moved(0.0)
            await self._keep(config)
        except BufferFailure as error:
            self._etag = None  # the whole of it comes again, to be kept then
            if was_kept:
                log.warning("configuration could not be kept, a restart will need the API", reason=str(error))
        else:
            self._is_kept, self._kept_rotation = asked == self._keeps_asked, rotation

    async def _seal_anew(self) -> None:
        """The token has changed: encrypt the kept configuration with the new one, even if the API does not accept it yet.

        Else a restart without the API could not read it. If it cannot be read now, the next fetch requests the whole of it.
        """
        try:
            config = await self._kept()
        except (InvalidConfig, BufferFailure) as error:
            log.warning("kept configuration can't be used, waiting for the API's", reason=str(error))
            config = None
        if config is None:
            self._etag = None
        else:
            is_in_use = self._is_kept  # else it is an earlier one, and that in use is yet to be kept
            await self._keep_sealed(config)
            self._is_kept &= is_in_use

    async def _put_into_force(self, config: ConfigText, moved: Moved) -> bool:
        """Whether `config` differs from the one in use; then it is applied."""
        if config.digest == self._digest and not self._is_half_applied:
            return False
        read = read_config(config)
        self.accepts = read.accepts  # the limits hold at once: the first polls may be delivered meanwhile
        self._known.set()
        self._is_half_applied, self._etag = True, None  # if that fails the next one is applied, also if it is the one before this
        moved(0.0)
        await self._apply(read)
        self._is_half_applied = False
        self._digest, self.version = config.digest, read.version
        self._report(read)
        return True

    def _report(self, read: ConfigRead) -> None:
        """Count and log the refused items; an item that was refused before is not logged again."""
        for kind, count in read.refused.items():
            self._counters.add(Count.CONFIG_REFUSED, kind, count)
        known = set(self.refusals)
        self.refusals, self.refused = tuple(read.refusals), read.refused.total()
        fresh = [refusal for refusal in self.refusals if refusal not in known]
        for refusal in fresh[:MOST_REFUSAL_LINES]:
            log.warning(
                "configuration item refused, the rest is used",
                kind=refusal.kind,
                equipment=refusal.equipment,
                item=refusal.item,
                reason=refusal.reason,
            )
        unlogged = len(fresh[MOST_REFUSAL_LINES:]) + self.refused - len(self.refusals)
        log.info(
            "configuration applied",
            version=self.version,
            devices=read.devices,
            refused=self.refused,
            refused_unlogged=unlogged,
            snmp_disabled=read.disabled,
        )

    def _compare_clocks(self, ahead_s: float | None) -> None:
        if not self.clock_skew.measured(ahead_s):
            return
        if self.clock_skew.is_wrong:
            log.warning(
                "clock differs from the server's: is this machine's clock set by NTP?",
                ahead_s=ahead_s,
            )
        else:
            log.info("clock agrees with the server's again", ahead_s=ahead_s)

    def _failed(self, failure: Failure, now_us: int, is_last: bool) -> None:
        self._known.set()
        self._counters.add(Count.CONFIG_FETCHES, "failed")
        if not self.availability.failed(failure.reason, now_us):
            return
        about = log.bind(
            reason=failure.reason,
            status=failure.status,
            failures=self.availability.failures,
            in_force=self.has_config,
        )
        if is_last:
            about.warning("configuration not fetched")
        else:
            about.warning("configuration not fetched, will retry", retry_in_s=self._pause_s(failure))

    def _reread_token(self) -> None:
        try:
            self._client.reread_token()
        except SettingsError as error:
            if str(error) != self._token_error:
                log.error("token file can't be used, the old token stays in use", error=str(error))
            self._token_error = str(error)
        else:
            self._token_error = ""

    def _pause_s(self, outcome: ConfigOutcome[ConfigText]) -> float:
        """How long until the next fetch."""
        if isinstance(outcome, ConfigFetched | NotModified):
            return self._refresh_s if self._is_kept else min(self._refresh_s, KEEP_AGAIN_S)
        if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
            return max(outcome.retry_after_s, FIRST_RETRY_S)
        doubled = FIRST_RETRY_S * (1 << min(max(self.availability.failures - 1, 0), 10))
        return min(self._refresh_s, MOST_RETRY_S, doubled)
