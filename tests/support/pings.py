"""A network that answers pings in virtual time, in place of a PingSocket."""

import asyncio
import socket

from towerops_agent.ping.sockets import Arrival, Kind


class FakeNetwork:
    """`delays`: after how long the n-th echo comes back, None: never. `failure`: a NotSent for whatever is sent.

    `silent`: hosts that do not answer; `unsent`: a NotSent for what is sent to a host. `sent`: (when, echo, peer) of each echo.
    """

    def __init__(self):
        self.delays = lambda _n: 0.01
        self.failure = None
        self.silent = set()
        self.unsent = {}
        self.sent = []

    def open(self, _family):
        """A socket to it."""
        return FakeSocket(self)


class FakeSocket:
    """In place of a PingSocket."""

    kind = Kind.UNPRIVILEGED
    has_kernel_times = True

    def __init__(self, network):
        self._network = network
        self._queue = []
        self.socket, self._other = socket.socketpair()
        self.socket.setblocking(False)

    def send(self, echo, peer):
        network = self._network
        failure = network.failure or network.unsent.get(peer[0])
        if failure is not None:
            return failure
        loop = asyncio.get_running_loop()
        delay_s = network.delays(len(network.sent))
        network.sent.append((loop.time(), echo, peer))
        if delay_s is not None and peer[0] not in network.silent:
            loop.call_later(delay_s, self._arrive, Arrival(echo, peer, None))
        return None

    def _arrive(self, arrival):
        self._queue.append(arrival)
        self._other.send(b"!")

    def receive(self):
        if not self._queue:
            self.socket.recv(4096)
            raise BlockingIOError
        return self._queue.pop(0)

    def close(self):
        self.socket.close()
        self._other.close()
