"""`config diff` says which devices a reload would add, remove and change, and what of them."""

from towerops_agent.site.document.changes import changes
from towerops_agent.site.document.site import compile_site

BEFORE = """\
credentials: {a: {community: first}}
defaults: {credentials: a}
devices:
  - {address: 10.0.0.1, name: one, interval: 60, labels: {site: north}}
  - {address: 10.0.0.2, sensors: [{name: a, oid: 1.3.6.1.1}, {name: b, oid: 1.3.6.1.2}], interfaces: [ether1, ether2]}
  - {address: 10.0.0.3}
"""


def lines(before: str, after: str) -> list[str]:
    one, other = (compile_site([("a.yaml", text.encode())], lambda *_: "").shown for text in (before, after))
    assert one is not None
    assert other is not None
    return list(changes(one, other))


def test_nothing_differs_from_itself():
    assert lines(BEFORE, BEFORE) == []


def test_each_kind_of_change_is_a_line():
    after = (
        BEFORE.replace("interval: 60", "interval: 30")
        .replace("site: north", "pop: n1")
        .replace("{name: a, oid: 1.3.6.1.1}, ", "")
    )
    after = after.replace("name: b,", "name: c,").replace("[ether1, ether2]", "[ether2, ether1]").replace("10.0.0.3", "10.0.0.4")
    assert lines(BEFORE, after) == [
        "~ one (10.0.0.1:161): poll_interval_seconds 60 -> 30; labels.pop (none) -> n1; labels.site north -> (none)",
        "~ 10.0.0.2 (10.0.0.2:161): sensors 1 removed, 1 changed; interfaces in another order",
        "+ 10.0.0.4 (10.0.0.4:161): 0 sensors, 0 interfaces",
        "- 10.0.0.3 (10.0.0.3:161)",
    ]


def test_what_is_added_removed_and_changed_of_a_device_is_counted():
    before = "devices:\n  - {address: 10.0.0.1, ping: {count: 2}, sensors: [{name: a, oid: 1.3.6.1.1}], interfaces: [a, b, c]}\n"
    after = (
        "devices:\n  - address: 10.0.0.1\n    name: one\n    ping: {count: 3, interval: 10}\n    transport: tcp\n"
        "    sensors: [{name: a, oid: 1.3.6.1.2}, {name: b, oid: 1.3.6.1.3}]\n    interfaces: [{name: a, index: 2}, d]\n"
    )
    differences = [
        *("name 10.0.0.1 -> one", "snmp.transport udp -> tcp", "sensors 2 added, 1 removed"),
        *("interfaces 1 added, 2 removed, 1 changed", "ping.count 2 -> 3", "ping.interval_seconds (none) -> 10"),
    ]
    assert lines(before, after) == [f"~ one (10.0.0.1:161): {'; '.join(differences)}"]


def test_what_a_device_no_longer_has_is_shown():
    before = "devices: [{address: 10.0.0.1, ping: {count: 3}}]\n"
    assert lines(before, "devices: [{address: 10.0.0.1}]\n") == [
        "~ 10.0.0.1 (10.0.0.1:161): ping.count 3 -> (none); ping.enabled True -> (none)"
    ]


def test_a_new_device_is_shown_with_what_it_has_at_its_port():
    new = "devices: [{address: '::1', port: 99, sensors: [{name: a, oid: 1.3.6.1}], interfaces: [a, b]}]"
    assert lines("devices: []", new) == ["+ ::1 ([::1]:99): 1 sensor, 2 interfaces"]
    assert lines(new, "devices: []") == ["- ::1 ([::1]:99)"]


def test_a_changed_secret_is_not_seen():
    assert lines(BEFORE, BEFORE.replace("first", "second")) == []
