"""The values that the sandbox's store returns: a batch that arrived, a request that was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from towerops_agent.api.wire.contract import Metric

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
