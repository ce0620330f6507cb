"""The outcomes of a request to the API: values, so that retry.py and config/sync.py decide on them without exceptions.

client.py makes them; each row of the answers' table in docs/api.md is one class.
Pure. Times in seconds. Texts are printable and short, and never contain the token.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Document_co = TypeVar("Document_co", covariant=True)
"""The configuration, in the form that the caller's intake returns."""


class Intake(Protocol[Document_co]):
    """Receives the configuration as it arrives. Both methods may raise InvalidConfig."""

    def write(self, chunk: bytes) -> None:
        """Receive the next octets."""

    def finish(self) -> Document_co:
        """The whole configuration."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """2xx: the server has it. `received`: how many metrics it says it received; None if it does not say."""

    status: int = 200
    reason: str = ""
    received: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigFetched(Generic[Document_co]):
    """The configuration. `etag`: to send with the next request. `ahead_s`: how far our clock is ahead of the server's.

    Each is None if the server did not send it.
    """

    config: Document_co
    etag: str | None = None
    ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: the configuration is still the one that the sent etag names. `ahead_s`: as in ConfigFetched."""

    ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401 or 403: the server refuses the token."""

    status: int

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        return f"the token is refused ({self.status}): is it the agent's, and not revoked?"


@dataclass(frozen=True, slots=True)
class NotFound:
    """404: there is no such path."""

    path: str
    status: int = 404

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        return f"no {self.path} at this base URL (404): is TOWEROPS_API_URL right?"


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: more than the server accepts in one request."""

    reason: str = "more than the server accepts in one request (413)"
    status: int = 413


@dataclass(frozen=True, slots=True)
class Rejected:
    """400 or 422: the server can't use what was sent. `reason`: the beginning of its answer."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """3xx: not followed, as the token goes to no other host. `target`: the Location, "" if there is none."""

    status: int
    target: str

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        return f"redirected to {self.target or 'nowhere'} ({self.status}), not followed: is TOWEROPS_API_URL right?"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No valid answer, but perhaps later: 408, 429, 5xx, no connection, no TLS, no JSON.

    `status`: None if there was no answer at all. `retry_after_s`: None if the server did not say. `timed_out`: the
    server was reached, but its answer did not arrive in time.
    """

    reason: str
    status: int | None = None
    retry_after_s: float | None = None
    timed_out: bool = False


Failure = Unauthorized | NotFound | TooLarge | Rejected | Redirected | Unavailable
Outcome = Accepted | Failure
ConfigOutcome = ConfigFetched[Document_co] | NotModified | Failure
