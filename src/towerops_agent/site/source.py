"""Site files as the source of the configuration, in the API's place: config/sync.py asks, and applies what is new.

SiteFiles -> ConfigFetched, NotModified, or why the files can't be used. The configuration in use
stays, whatever happens to the files.
I/O: through files.py, off the loop; the log.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from towerops_agent.api.wire.outcomes import ConfigFetched, ConfigOutcome, Intake, NotModified, Unavailable
from towerops_agent.config.document.text import ConfigText
from towerops_agent.site.document.auto import Additions, AutoDevice
from towerops_agent.site.document.nodes import Problem
from towerops_agent.site.document.site import Compiled
from towerops_agent.site.files import SiteFiles, SiteUnreadable

LOOK_EACH_S: Final = 5.0
"""How often the files are looked at."""

MOST_WARNINGS: Final = 20

log = structlog.get_logger()


class AutoDevices(Protocol):
    """The part of AutoDiscovery that is needed. `revision` differs once `known` does."""

    @property
    def known(self) -> Additions: ...  # noqa: D102

    @property
    def revision(self) -> int: ...  # noqa: D102

    def want(self, devices: Iterable[AutoDevice]) -> None: ...  # noqa: D102


class SiteSource:
    """Reads `files` if they have changed, or what was discovered has. There is no token; `compiled` is the last reading."""

    def __init__(self, files: SiteFiles, auto: AutoDevices | None = None) -> None:
        """`auto`: discovers the devices that want it; None: nobody does."""
        self._files = files
        self._auto = auto
        self._revision = 0
        self._warned: set[Problem] = set()
        self._failure: Unavailable | None = None  # of the last reading, which holds until the files change
        self.compiled = Compiled()
        self.token_rotations = 0

    def reread_token(self) -> None:
        """There is no token."""

    async def get_config(self, intake: Intake[ConfigText], etag: str | None = None) -> ConfigOutcome[ConfigText]:  # noqa: ARG002 - ConfigSource's
        """The configuration of the files; NotModified if it is the one that `etag` names."""
        revision = 0 if self._auto is None else self._auto.revision
        if self._auto is not None and revision != self._revision:
            self._files.additions = dict(self._auto.known)
        outcome = await asyncio.to_thread(self._read, etag, revision)
        if self._auto is not None:
            self._auto.want(self.compiled.auto)
        return outcome

    def _read(self, etag: str | None, revision: int) -> ConfigOutcome[ConfigText]:
        if revision == self._revision and not self._files.has_changed():
            if self._failure is not None:
                return self._failure
            config = self.compiled.config
            if config is not None and config.digest.hex() == etag:  # else it was read, and could not be applied
                return NotModified()
        self._failure = None
        try:
            compiled = self._files.read()
        except SiteUnreadable as error:
            return Unavailable(str(error))
        self._revision = revision
        if compiled.config is None:
            self._failure = Unavailable(unusable(compiled))
            return self._failure
        self.compiled = compiled
        self._warn(compiled.warnings)
        tag = compiled.config.digest.hex()
        return NotModified() if tag == etag else ConfigFetched(compiled.config, tag)

    def _warn(self, warnings: list[Problem]) -> None:
        """Log each warning once."""
        for warning in [warning for warning in warnings if warning not in self._warned][:MOST_WARNINGS]:
            log.warning("site file is used, but deserves a look", place=str(warning.place), reason=warning.text)
        self._warned = set(warnings)


def unusable(compiled: Compiled) -> str:
    """Why the files can't be used, in one line."""
    more = len(compiled.problems) - 1
    rest = f" (and {more} more: `towerops-agent config check` lists all)" if more else ""
    return f"{compiled.problems[0]}{rest}"
