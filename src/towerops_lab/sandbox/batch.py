"""The values that the sandbox's store returns: a batch that arrived, a request that was made, how requests fare. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH, Metric

_PATHS = (CONFIG_PATH, METRICS_PATH, HEARTBEAT_PATH)

MetricIdentity = tuple[str, str, str]
"""The identity of a metric: type, the id of what was read, timestamp."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The metrics of one request, accepted for the first time. `size_octets`: of the JSON; `arrived_us`: on the wall clock."""

    key: str | None
    metrics: tuple[Metric, ...]
    size_octets: int
    arrived_us: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the status of its answer; None if the connection ended first.

    `headers` have lower-case names and lack the authorization. `size_octets`: of the body as it was sent. `at_us`: when it came,
    on the wall clock; `took_s`: from then until its answer, or its end.
    """

    method: str
    path: str
    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    size_octets: int
    at_us: int = field(default=0, compare=False)
    took_s: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class Contact:
    """`asked_us`: when the newest request came; `status`: of its answer, None if the connection ended first; `took_ms`: until
    then.

    `failed`: how many requests in a row were not accepted; `failed_since_us`: when the first of them came.
    """

    asked_us: int = 0
    status: int | None = None
    took_ms: float = 0.0
    failed: int = 0
    failed_since_us: int = 0

    def take(self, exchange: Exchange) -> None:
        """Note a request that is over."""
        if exchange.path not in _PATHS:
            return
        self.asked_us, self.status, self.took_ms = exchange.at_us, exchange.status, exchange.took_s * 1000
        if exchange.status is not None and exchange.status < 400:
            self.failed = self.failed_since_us = 0
            return
        self.failed += 1
        self.failed_since_us = self.failed_since_us or exchange.at_us
