"""What systemd is notified of, over real sockets."""

import socket
from contextlib import suppress
from pathlib import Path

from towerops_agent.telemetry.systemd import notify


def test_a_manager_that_reads_nothing_does_not_stop_the_agent(tmp_path: Path):
    """Its queue is full: a notification that waited for it would stop all loops, as they share one thread."""
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        manager.bind(place)
        others.setblocking(False)
        others.connect(place)
        with suppress(BlockingIOError):
            while True:
                others.send(b"WATCHDOG=1")
        assert not notify("WATCHDOG=1", {"NOTIFY_SOCKET": place})
        manager.recv(100)
        assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": place})
