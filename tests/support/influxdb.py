"""Debian's InfluxDB 1, the real one: on a free port of the loopback, with one database, to be asked what it has."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import port_of, reserved

DATABASE = "snmp"

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class InfluxDB:
    """One that may be stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        path = shutil.which("influxd")
        if path is None:
            pytest.skip("influxd is not found: install Debian's package influxdb")
        self._path = path
        self._folder = folder
        self._keepers = [reserved(), reserved()]
        self._port, backup = map(port_of, self._keepers)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "influxdb.conf").write_text(
            f'bind-address = "127.0.0.1:{backup}"\nreporting-disabled = true\n'
            f'[meta]\n  dir = "{folder}/meta"\n[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{self._port}"\n  log-enabled = false\n[monitor]\n  store-enabled = false\n'
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def write_url(self) -> str:
        return f"{self.url}/write?db={DATABASE}&precision=ns"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            command = [self._path, "run", "-config", str(self._folder / "influxdb.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(self._folder)})
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)
        self.ask(f'CREATE DATABASE "{DATABASE}"', post=True)

    def _is_ready(self) -> bool:
        try:
            with _direct.open(f"{self.url}/ping") as answer:
                return bool(answer.status == 204)
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        for keeper in self._keepers:
            keeper.close()

    def ask(self, query: str, *, post: bool = False) -> list[dict]:
        """The series of an answer; times in nanoseconds."""
        words = urllib.parse.urlencode({"q": query, "db": DATABASE, "epoch": "ns"})
        request = urllib.request.Request(f"{self.url}/query?{words}", method="POST" if post else "GET")
        with _direct.open(request) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, result
        return result.get("series", [])

    def points(self, measurement: str, field: str) -> dict[tuple[tuple[str, str], ...], list[tuple[int, int | float]]]:
        """All values of a field, each with its time in nanoseconds, by the tags of their series."""
        return {
            tuple(sorted((name, value) for name, value in series["tags"].items() if value)): [
                tuple(row) for row in series["values"]
            ]
            for series in self.ask(f'SELECT "{field}" FROM "{measurement}" GROUP BY *')
        }


@contextmanager
def running(folder: Path) -> Iterator[InfluxDB]:
    """One that is stopped at the end of the block."""
    influxdb = InfluxDB(folder)
    influxdb.start()
    try:
        yield influxdb
    finally:
        influxdb.close()
