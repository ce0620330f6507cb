"""Notify systemd that the agent is ready, alive, or stopping: the protocol of sd_notify(3).

Does nothing if NOTIFY_SOCKET is not set.
"""

import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger()


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state` (READY=1, WATCHDOG=1, STOPPING=1, STATUS=…); whether there was a socket to send it to."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError as error:
        log.warning("systemd can't be notified", state=state.partition("=")[0], error=error.strerror or str(error))
        return False
    return True


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often to send WATCHDOG=1: half the time that systemd waits; None if it does not watch."""
    try:
        timeout_us = int(environ.get("WATCHDOG_USEC", "0"))
        watched = int(environ.get("WATCHDOG_PID", "0"))
    except ValueError:
        return None
    if timeout_us <= 0 or watched not in (0, os.getpid()):
        return None
    return timeout_us / 2_000_000
