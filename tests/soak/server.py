"""The API of a soak: acknowledges each batch once, keeps what it acknowledged in the ledger, and fails as it is switched."""

import asyncio
import gzip
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from ledger import Ledger

from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH, InterfaceStat, Metrics, SensorReading

ACCEPTED = b'{"status":"accepted"}'

ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "503": (503, "", b"{}"),
    "503 with Retry-After": (503, "Retry-After: 3\r\n", b"{}"),
    "429": (429, "Retry-After: 2\r\n", b"{}"),
    "401": (401, "", b"{}"),
    "404": (404, "", b"{}"),
    "400 to everything": (400, "", b'{"error":"bad deployment"}'),
    "a captive portal": (200, "", b"<html>Please log in</html>"),
    "a redirect": (307, "Location: https://elsewhere.example/\r\n", b""),
}
"""To everything: status, headers, body."""

FAULTS = (*ANSWERS, "silence", "slow", "cut before", "cut after", "413", "refused series")


MOST_REQUESTS = 4
"""How far the answers of one poll are apart, repeated ones included. A counter that was not answered is null."""


class Api:
    """`fault`: one of FAULTS, or "". `refuses`: devices whose series are refused with "refused series"."""

    def __init__(self, config: dict[str, Any], ledger: Ledger) -> None:
        self.fault = ""
        self.refuses: set[int] = set()
        self.batches = 0
        self._ledger = ledger
        self._config = msgspec.json.encode(config)
        self._etag = f'"{blake2b(self._config).hexdigest()[:16]}"'
        self._bodies: dict[bytes, bytes] = {}

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                _, path, _ = lines[0].decode().split(" ")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:] if line)}
                body = await reader.readexactly(int(fields.get(b"content-length", 0)))
                answer = await self._answer(path, fields, body)
                if answer is None:
                    break
                status, more, said = answer
                writer.write(
                    f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{more}Content-Length: {len(said)}\r\n\r\n".encode()
                    + said
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, fields: dict[bytes, bytes], body: bytes) -> tuple[int, str, bytes] | None:
        """Status, headers and body; None: the connection ends."""
        fault = self.fault
        if fault in ANSWERS:
            return ANSWERS[fault]
        if fault == "silence":
            while self.fault == fault:
                await asyncio.sleep(0.2)
            return None
        if fault == "cut before":
            return None
        if fault == "slow":
            await asyncio.sleep(1.5)
        if path == CONFIG_PATH:
            same = fields.get(b"if-none-match", b"").decode() == self._etag
            return (304, "", b"") if same else (200, f"ETag: {self._etag}\r\n", self._config)
        if path == METRICS_PATH:
            plain = gzip.decompress(body) if fields.get(b"content-encoding") == b"gzip" else body
            refused = self._take(fields[b"idempotency-key"], plain, fault)
            if refused is not None:
                return refused
        return None if fault == "cut after" else (200, "", ACCEPTED)

    def _take(self, key: bytes, body: bytes, fault: str) -> tuple[int, str, bytes] | None:
        digest = blake2b(body, digest_size=16).digest()
        if (known := self._bodies.get(key)) is not None:
            if known != digest:
                self._ledger.wrong.append(f"the batch {key!r} came again with another body")
            return None
        metrics = msgspec.json.decode(body, type=Metrics).metrics
        if fault == "413" and len(metrics) > 150:
            return 413, "", b"{}"
        found = [self._found(metric) for metric in metrics]
        if fault == "refused series" and any(device in self.refuses and value == 0 for device, value, *_ in found):
            return 422, "", b'{"error":"no such sensor"}'
        self._bodies[key] = digest
        self.batches += 1
        for device, value, got, stamp in found:
            self._ledger.take(device, value, got, datetime.fromisoformat(stamp).timestamp())
        return None

    def _found(self, metric: object) -> tuple[int, int, int, str]:
        """Device, value, what was read, and when."""
        if isinstance(metric, SensorReading):
            device, value = metric.sensor_id[1:].split("-")
            return int(device), int(value), int(metric.value), metric.timestamp
        assert isinstance(metric, InterfaceStat)
        device, value = metric.interface_id[1:].split("-")
        got = metric.if_in_octets
        assert got is not None
        answer = got % 10_000_000 // 10
        others = (metric.if_in_errors, metric.if_out_errors, metric.if_in_discards, metric.if_out_discards)
        if metric.if_out_octets != got + 1 or any(other is not None and abs(other - answer) > MOST_REQUESTS for other in others):
            self._ledger.wrong.append(f"interface of device {device}: counters of another poll, {metric}")
        return int(device), int(value), got, metric.timestamp
