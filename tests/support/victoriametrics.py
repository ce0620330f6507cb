"""Debian's VictoriaMetrics, the real one: on a free port of the loopback, as a receiver of remote write, asked what it has."""

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

Labels = tuple[tuple[str, str], ...]

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class VictoriaMetrics:
    """One that may be stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        path = shutil.which("victoria-metrics")
        if path is None:
            pytest.skip("victoria-metrics is not found: install Debian's package victoria-metrics")
        self._path = path
        self._folder = folder
        self._keeper = reserved()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{port_of(self._keeper)}"

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    def start(self) -> None:
        command = [self._path, f"-httpListenAddr={self.url.removeprefix('http://')}", f"-storageDataPath={self._folder / 'data'}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, "-search.latencyOffset=0"], stdout=log, stderr=log)
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            self._ask("health")
        except OSError:
            return False
        return True

    def _ask(self, path: str, **words: str) -> bytes:
        with _direct.open(f"{self.url}/{path}?{urllib.parse.urlencode(words)}") as answer:
            return bytes(answer.read())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._keeper.close()

    def samples(self, match: str, start_s: float = 0.0) -> dict[Labels, list[tuple[int, float]]]:
        """All samples (milliseconds, value) of the matching series since `start_s`, by their labels.

        What it has accepted can be found a little later only, although it is asked to write it out.
        """
        self._ask("internal/force_flush")
        lines = self._ask("api/v1/export", **{"match[]": match, "start": f"{start_s:.3f}", "end": f"{time.time() + 3600:.0f}"})
        found = map(json.loads, lines.splitlines())
        return {
            tuple(sorted(line["metric"].items())): sorted(zip(line["timestamps"], line["values"], strict=True)) for line in found
        }


@contextmanager
def running(folder: Path) -> Iterator[VictoriaMetrics]:
    """One that is stopped at the end of the block."""
    victoria = VictoriaMetrics(folder)
    victoria.start()
    try:
        yield victoria
    finally:
        victoria.close()
