"""What systemd is notified of, over real sockets."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from towerops_agent.telemetry.systemd import notify


def test_a_manager_that_reads_nothing_does_not_stop_the_agent(tmp_path: Path):
    """Its queue is full: a notification that waited for it would stop all loops, as they share one thread."""
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ExitStack() as others:
        manager.bind(place)
        with suppress(BlockingIOError):
            while True:  # until the first one of another sender finds no place: each has room for some 270 of its own only
                other = others.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                other.setblocking(False)
                other.sendto(b"WATCHDOG=1", place)
                with suppress(BlockingIOError):
                    while True:
                        other.sendto(b"WATCHDOG=1", place)
        assert not notify("WATCHDOG=1", {"NOTIFY_SOCKET": place})
        manager.recv(100)
        assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": place})
