"""How the agent's requests fare: what the newest came to, and since when none has been accepted.

app.py -> Exchange -> Contact.take -> page.py. Pure. Times in microseconds since 1970 (`_us`).
"""

from dataclasses import dataclass

from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH
from towerops_lab.sandbox.batch import Exchange

_PATHS = (CONFIG_PATH, METRICS_PATH, HEARTBEAT_PATH)


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
