"""The least server that the agent can deliver to, as a process of its own: takes each batch once, and keeps tally.

    with serving(config) as api: ...      python benchmarks/api.py

Beside the agent's three endpoints it has its own, for the benchmark: PUT /config, PUT /down (0 or 1) and GET /tally.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any

ACCEPTED = b'{"status":"accepted"}'
_INTERFACE, _SENSOR, _TIME = b'"type":"interface_stat"', b'"type":"sensor_reading"', b'"timestamp":"'


class Api:
    """A running server, as the benchmark sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def tally(self) -> dict[str, Any]:
        """What has arrived: batches, duplicates, sensors, interfaces, values, octets, heartbeats, and `arrivals`.

        `arrivals`, one of each batch: [when, the time of its first metric, of its last, how many], seconds since 1970.
        """
        return json.loads(self._do("GET", "/tally"))

    def configure(self, config: bytes) -> None:
        """Serve another configuration."""
        self._do("PUT", "/config", config)

    def down(self, is_down: bool) -> None:
        """Answer 503 to metrics; or take them again."""
        self._do("PUT", "/down", b"1" if is_down else b"0")

    def _do(self, method: str, path: str, body: bytes | None = None) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.url + path, body, method=method), timeout=60) as answer:
            return answer.read()


@contextmanager
def serving(config: bytes) -> Iterator[Api]:
    """A server with this configuration, until the block ends."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        api = Api(f"http://127.0.0.1:{int(process.stdout.readline())}")
        api.configure(config)
        yield api
    finally:
        process.kill()
        process.wait()


class _Server:
    def __init__(self) -> None:
        self._config = b"{}"
        self._etag = ""
        self._is_down = False
        self._keys: set[bytes] = set()
        self._tally = dict.fromkeys(("batches", "duplicates", "sensors", "interfaces", "octets", "heartbeats", "refused"), 0)
        self._arrivals: list[tuple[float, float, float, int]] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                method, path, _ = lines[0].decode().split(" ")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:] if line)}
                body = await reader.readexactly(int(fields.get(b"content-length", 0)))
                status, answer = self._answer(method, path, fields, body)
                etag = f"ETag: {self._etag}\r\n" if path.endswith("/config") else ""
                kind = "Content-Type: application/json\r\n"
                writer.write(f"HTTP/1.1 {status} x\r\n{kind}{etag}Content-Length: {len(answer)}\r\n\r\n".encode())
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, method: str, path: str, fields: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        match method, path:
            case "POST", "/api/v1/agent/metrics":
                return self._take(fields[b"idempotency-key"], body)
            case "GET", "/api/v1/agent/config":
                return (304, b"") if fields.get(b"if-none-match", b"").decode() == self._etag else (200, self._config)
            case "POST", "/api/v1/agent/heartbeat":
                self._tally["heartbeats"] += 1
            case "PUT", "/config":
                self._config, self._etag = body, f'"{blake2b(body).hexdigest()[:16]}"'
            case "PUT", "/down":
                self._is_down = body == b"1"
            case "GET", "/tally":
                values = self._tally["sensors"] + 6 * self._tally["interfaces"]
                return 200, json.dumps(self._tally | {"values": values, "arrivals": self._arrivals}).encode()
        return 200, ACCEPTED

    def _take(self, key: bytes, body: bytes) -> tuple[int, bytes]:
        if self._is_down:
            self._tally["refused"] += 1
            return 503, b"{}"
        if key in self._keys:
            self._tally["duplicates"] += 1
            return 200, ACCEPTED
        self._keys.add(key)
        sensors, interfaces = body.count(_SENSOR), body.count(_INTERFACE)
        more = {"batches": 1, "sensors": sensors, "interfaces": interfaces, "octets": len(body)}
        for name, n in more.items():
            self._tally[name] += n
        first, last = _time_at(body, body.find(_TIME)), _time_at(body, body.rfind(_TIME))
        self._arrivals.append((time.time(), first, last, sensors + interfaces))
        return 200, ACCEPTED


def _time_at(body: bytes, at: int) -> float:
    begin = at + len(_TIME)
    return datetime.fromisoformat(body[begin : begin + 27].decode()).timestamp()


async def _serve() -> None:
    server = await asyncio.start_server(_Server().converse, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
