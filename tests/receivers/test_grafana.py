"""The dashboard in docs/grafana shows what there is: each of its queries has an answer from a real Prometheus."""

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import msgspec

from support import prometheus
from support.markdown import ROOT
from support.remote import Remote, digests_of
from towerops_agent.config.document.equipment import read_config
from towerops_agent.model import Layout, LayoutKind, Poll
from towerops_agent.polling.course.device import layout_of
from towerops_agent.site.document.site import compile_site

DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "site.json").read_text())
SITE = "devices:\n" + "".join(
    f"  - {{address: 10.0.0.{n}, name: d{n}, interfaces: [ether1], sensors: [{{name: s, oid: 1.3.6.1.4.1.1, unit: V}}]}}\n"
    for n in (1, 2)
)


def queries() -> list[tuple[str, str]]:
    """The panel's title and the query, with its variables as Grafana fills them in for all devices."""
    found = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [(title, expr.replace("$device", ".*").replace("$__rate_interval", "5m")) for title, expr in found]


def ask(receiver: prometheus.Prometheus, path: str, **words: str) -> list:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{receiver.url}/api/v1/{path}?{urllib.parse.urlencode(words)}") as answer:
        data = json.load(answer)["data"]
    return data if isinstance(data, list) else data["result"]


async def fill(remote: Remote, now_s: float) -> None:
    """Ten minutes of two devices, the second of which is down at the end."""
    config = compile_site([("a.yaml", SITE.encode())], lambda *_: "").config
    assert config is not None
    ids = [msgspec.json.decode(text)["id"] for text in config.items()]
    layouts = await remote.buffer.register_all([layout_of(one) for _, one in read_config(config).equipment])
    states = await remote.buffer.register_all([Layout(one, kind=LayoutKind.STATE) for one in ids])
    await remote.heads.learn(
        config,
        remote.destinations,
        {one: (layout, state) for one, layout, state in zip(digests_of(config), layouts, states, strict=True)},
    )
    for minute in range(10):
        at_us = round((now_s - 60 * (10 - minute)) * 1e6)
        for device in (0, 1):
            values = (12 + minute, *(1000 * minute + column for column in range(6)))
            remote.buffer.add(Poll(layouts[device], at_us, values, ((2, 0),), 2))
            down = device == 1 and minute == 9
            remote.buffer.add(Poll(states[device], at_us, (2 if down else 0, 0, None if down else 2500), ((1, 0),), 1))
    assert await remote.deliver()


async def test_each_query_of_the_dashboard_has_an_answer(remote: Remote, receiver: prometheus.Prometheus):
    now_s = time.time()
    await fill(remote, now_s)
    answers = {}
    for title, query in queries():
        answers[title] = ask(receiver, "query", query=query, time=f"{now_s:.3f}")
        assert answers[title], f"{title}: {query}"
    assert [answers[title][0]["value"][1] for title in ("Devices up", "Devices down")] == ["1", "1"]
    assert [row["metric"]["device"] for row in answers["Down now"]] == ["d2"]
    assert {row["metric"]["device"] for row in answers["In"]} == {"d1", "d2"}
    assert {row["metric"]["__name__"] for row in answers["Sensors"]} == {"snmp_sensor_volts"}
    assert ask(receiver, "label/device/values") == ["d1", "d2"]


def test_the_dashboard_can_be_imported():
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "device"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert Path(ROOT / "docs" / "destinations.md").read_text().count("grafana/site.json") >= 1
