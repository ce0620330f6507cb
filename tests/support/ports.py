"""Ports of loopback for servers that can't choose one by themselves: kept from all others for as long as the server is needed."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def reserved() -> socket.socket:
    """A socket that keeps a port until it is closed. A server with SO_REUSEADDR, as all of Go's are, can listen there."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


def port_of(keeper: socket.socket) -> int:
    return int(keeper.getsockname()[1])


@contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """So many ports, kept until the block ends."""
    with ExitStack() as stack:
        yield [port_of(stack.enter_context(reserved())) for _ in range(count)]
