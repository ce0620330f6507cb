"""The document says of each field what the contract's Structs say, and the docs page shows all of it."""

import re
from html.parser import HTMLParser

import msgspec
import pytest

from towerops_agent.api.wire import contract
from towerops_lab.sandbox.docs import docs_page
from towerops_lab.sandbox.kinds import NAMES
from towerops_lab.sandbox.openapi import TIMESTAMP, document

STRUCTS = ("Snmp", "Sensor", "Interface", "Equipment", "Accepts", "Config", "SensorReading", "InterfaceStat", "EquipmentStatus")
STRUCTS += ("Ping", "Reachability", "Metrics", "MetricsAccepted", "Heartbeat", "HeartbeatAccepted")
DOCUMENT = document(contract.Accepts(metric_types=NAMES))


@pytest.mark.parametrize("name", STRUCTS)
def test_each_field_of_a_struct_is_documented_and_required_alike(name):
    fields = msgspec.structs.fields(getattr(contract, name))
    schema = DOCUMENT["components"]["schemas"][name]
    assert set(schema["properties"]) - {"type"} == {field.encode_name for field in fields} - {"type"}
    required = {field.encode_name for field in fields if field.required}
    assert set(schema.get("required", ())) - {"type"} == required


def test_each_reference_leads_somewhere():
    text = msgspec.json.encode(DOCUMENT).decode()
    for reference in re.findall(r"#/components/schemas/(\w+)", text):
        assert reference in DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("stamp", ["2026-01-09T19:22:15.123456Z", "2026-12-31T23:59:59.999999Z", "1999-02-28T00:00:00.000000Z"])
def test_a_timestamp_fits_its_pattern(stamp):
    assert re.search(TIMESTAMP, stamp)


@pytest.mark.parametrize(
    "stamp", ["2026-02-30T19:22:15.123456Z", "2026-04-31T00:00:00.000000Z", "2026-01-09T24:00:00.000000Z", "2026-01-09T19:22:15Z"]
)
def test_what_is_not_a_timestamp_does_not(stamp):
    assert not re.search(TIMESTAMP, stamp)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        self.links += [given[name] for name in ("href", "src") if given.get(name)]


def test_the_docs_page_shows_each_operation_and_schema_and_asks_nobody_else():
    page = _Page()
    page.feed(docs_page(DOCUMENT))
    assert {"getConfig", "postMetrics", "postHeartbeat", *DOCUMENT["components"]["schemas"]} <= page.ids
    assert all(not re.match(r"(?:[a-z]+:)?//", link) for link in page.links)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))


def test_what_the_document_says_is_shown_as_text():
    harmful = {**DOCUMENT, "info": {**DOCUMENT["info"], "title": "<script>alert(1)</script>"}}
    assert "<script>alert" not in docs_page(harmful)
