"""Notify systemd that the agent is ready, alive, or stopping: the protocol of sd_notify(3).

Does nothing if NOTIFY_SOCKET is not set. The watchdog is fed as long as all loops are in time (marks.py).
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

import structlog

from towerops_agent.telemetry.marks import Marks, boot_clock_s
from towerops_agent.telemetry.views.health import standing_still

log = structlog.get_logger()

NOTIFIED_WITHIN_S: Final = 0.5
"""How long systemd may take to accept a notification: all else waits, and its queue is full only if it stands still."""


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state` (READY=1, WATCHDOG=1, STOPPING=1, STATUS=…); whether there was a socket to send it to."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(NOTIFIED_WITHIN_S)
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError as error:
        log.warning("systemd can't be notified", state=state.partition("=")[0], error=error.strerror or str(error))
        return False
    return True


def watchdog_interval_s() -> float | None:
    """How often to send WATCHDOG=1: half the time that systemd waits; None if it does not watch."""
    try:
        timeout_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        watched = int(os.environ.get("WATCHDOG_PID", "0"))
    except ValueError:
        return None
    if timeout_us <= 0 or watched not in (0, os.getpid()):
        return None
    return timeout_us / 2_000_000


async def feed_watchdog(marks: Marks) -> None:
    """Report to systemd that the agent is alive, as often as systemd wants, as long as all loops move."""
    interval_s = watchdog_interval_s()
    if interval_s is None:
        return
    sleep = marks.sleeper("watchdog", NOTIFIED_WITHIN_S)
    while True:
        still = standing_still(marks.due_s, boot_clock_s())
        if still:
            log.error("loops are stuck, the watchdog is not fed", loops=",".join(sorted(still)))
        else:
            notify("WATCHDOG=1")
        await sleep(interval_s)
