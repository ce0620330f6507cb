"""Places for the clients of a page that the agent serves: who leaves for the next one if all are taken.

page/server.py and telemetry/metrics_page.py. A client that has not asked yet costs nothing to open, again and again, so it keeps
a place only as long as nobody else needs it; so does one that does not read its answer. One whose answer is being made stays.
Of several the one leaves whose address has the most places, so one address keeps nobody else out.
No I/O; for any thread.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Final, Generic, TypeVar

MOST_CLIENTS: Final = 16

Client = TypeVar("Client", bound=Hashable)


class Doing(Enum):
    """What a client does."""

    ASKS = "asks"
    """It has not asked all yet, or nothing."""
    WAITS = "waits"
    """Its answer is being made."""
    READS = "reads"
    """It is sent its answer."""


class Places(Generic[Client]):
    """The places of one page."""

    def __init__(self, most: int = MOST_CLIENTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._clients: dict[Client, tuple[Doing, Callable[[], object], str]] = {}  # in the order in which they began to do that

    def enter(self, client: Client, close: Callable[[], object], address: str) -> bool:
        """Whether there is a place for it. If all are taken, it gets that of who asks for the longest, else of who reads.

        Of those at the address that has the most places, this client's with it. `close` has the client leave, soon and without
        blocking; it is not called after `leave`.
        """
        with self._lock:
            if len(self._clients) >= self._most:
                slow = self._slow(address)
                if slow is None:
                    return False
                _, close_slow, _ = self._clients.pop(slow)
                close_slow()
            self._clients[client] = Doing.ASKS, close, address
            return True

    def _slow(self, address: str) -> Client | None:
        """Who leaves for a client at this address; None if all wait for their answers."""
        places = Counter([address, *(where for _, _, where in self._clients.values())])
        slow = [one for one, (what, _, _) in self._clients.items() if what is not Doing.WAITS]
        return max(slow, key=lambda one: (places[self._clients[one][2]], self._clients[one][0] is Doing.ASKS), default=None)

    def does(self, client: Client, what: Doing) -> None:
        """Note what it does from now on."""
        with self._lock:
            found = self._clients.pop(client, None)
            if found is not None:  # else it had to leave
                self._clients[client] = what, *found[1:]

    def leave(self, client: Client) -> None:
        """It has gone, or is to be closed."""
        with self._lock:
            self._clients.pop(client, None)
