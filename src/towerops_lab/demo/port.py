"""The TCP port to serve on: the wanted one, or a free one if it is taken. I/O: a probe."""

import socket


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """`wanted` if it is free, else 0, which means any free one."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            return 0
    return wanted
