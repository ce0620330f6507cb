"""VictoriaMetrics accepts the same octets, in whatever order."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from support.ports import port_of, reserved
from support.remote import SENSORS, Remote
from towerops_agent.counters import Count


@pytest.fixture
def victoria(tmp_path: Path):
    path = shutil.which("victoria-metrics")
    if path is None:
        pytest.skip("victoria-metrics is not found: install Debian's package victoria-metrics")
    keeper = reserved()
    url = f"http://127.0.0.1:{port_of(keeper)}"
    command = [path, f"-httpListenAddr={url.removeprefix('http://')}", f"-storageDataPath={tmp_path / 'victoria'}"]
    with (tmp_path / "victoria.log").open("wb") as log:
        process = subprocess.Popen([*command, "-search.latencyOffset=0"], stdout=log, stderr=log)
    while True:
        try:
            ask(f"{url}/health")
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "victoria.log").read_text()
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()
    keeper.close()


def ask(url: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url) as answer:
        return bytes(answer.read())


async def test_values_and_a_backlog_behind_them_are_there(tmp_path: Path, victoria: str, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    now_s = time.time()
    async with Remote(tmp_path / "agent.db", f"{victoria}/api/v1/write") as remote:
        for device in range(3):
            remote.add(device, now_s, 100.0 * device)
        assert await remote.deliver()
        for device in range(3):
            remote.add(device, now_s - 5 * 3600, 100.0 * device + 50)
        assert await remote.deliver()
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 6 * SENSORS
    times = [round(at_s * 1e6) // 1000 for at_s in (now_s - 5 * 3600, now_s)]
    wanted = {f"d{n}": [(times[0], 100 * n + 51), (times[1], 100 * n + 1)] for n in range(3)}
    found: dict[str, list[tuple[int, float]]] = {}
    while sum(map(len, found.values())) < 6:  # what it has accepted can be found a little later
        ask(f"{victoria}/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": '{__name__="snmp_sensor",sensor="s1"}', "end": f"{now_s + 60:.0f}"})
        lines = [json.loads(line) for line in ask(f"{victoria}/api/v1/export?{query}").splitlines()]
        found = {line["metric"]["device"]: sorted(zip(line["timestamps"], line["values"], strict=True)) for line in lines}
    assert found == wanted
