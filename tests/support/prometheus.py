"""Debian's Prometheus, the real one: on a free port of the loopback, as a receiver of remote write, to be asked what it has."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import port_of, reserved

Labels = tuple[tuple[str, str], ...]

PROGRAM = "prometheus"

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def require_prometheus() -> str:
    """Its path; skips the test if it is not installed."""
    path = shutil.which(PROGRAM)
    if path is None:
        pytest.skip("prometheus is not found: install Debian's package prometheus")
    return path


def _major(path: str) -> int:
    """The first number of its version."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.", done.stdout + done.stderr)
    assert found is not None, done
    return int(found[1])


class Prometheus:
    """One that may be stopped and started again on the same data. `is_agent`: it is in agent mode."""

    def __init__(self, folder: Path, out_of_order: str = "", is_agent: bool = False) -> None:
        self._path = require_prometheus()
        self._folder = folder
        self._keeper = reserved()
        self._port = port_of(self._keeper)
        self._process: subprocess.Popen[bytes] | None = None
        window = f"storage: {{tsdb: {{out_of_order_time_window: {out_of_order}}}}}\n" if out_of_order else ""
        folder.mkdir(parents=True)
        (folder / "prometheus.yml").write_text(f"global: {{}}\n{window}")
        data = folder / "data"
        agent = "--agent" if _major(self._path) >= 3 else "--enable-feature=agent"
        self._mode = [agent, f"--storage.agent.path={data}"] if is_agent else [f"--storage.tsdb.path={data}"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._path,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    *self._mode,
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--web.enable-remote-write-receiver",
                ],
                stdout=log,
                stderr=log,
            )
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with _direct.open(f"{self.url}/-/ready") as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as answer:  # 503: it starts
            answer.close()
            return False
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
        self._keeper.close()

    def appended(self) -> int:
        """How many samples one in agent mode has accepted, as it counts them itself, with those of requests that it refused."""
        with _direct.open(f"{self.url}/metrics") as answer:
            found = re.search(r'prometheus_agent_samples_appended_total(?:\{type="float"\})? ([0-9]+)\n', answer.read().decode())
        assert found is not None
        return int(found[1])

    def writes(self) -> dict[str, int]:
        """How many requests of remote write it has answered since its start, by status, as it counts them itself."""
        with _direct.open(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        counted = re.compile(r'prometheus_http_requests_total\{code="([0-9]+)",handler="/api/v1/write"\} ([0-9]+)')
        return {found[1]: int(found[2]) for line in lines if (found := counted.fullmatch(line)) and found[2] != "0"}

    def samples(
        self, match: str, at_s: float, span_s: int = 86_400
    ) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
        """All samples (milliseconds, value) of the matching series in the `span_s` before `at_s`, by their labels."""
        query = urllib.parse.urlencode({"query": f"{match}[{span_s}s]", "time": f"{at_s:.3f}"})
        with _direct.open(f"{self.url}/api/v1/query?{query}") as answer:
            found = json.load(answer)["data"]["result"]
        return {
            tuple(sorted(series["metric"].items())): [(round(at * 1000), float(value)) for at, value in series["values"]]
            for series in found
        }


@contextmanager
def running(folder: Path, out_of_order: str = "", is_agent: bool = False) -> Iterator[Prometheus]:
    """One that is stopped at the end of the block."""
    prometheus = Prometheus(folder, out_of_order, is_agent)
    prometheus.start()
    try:
        yield prometheus
    finally:
        prometheus.close()
