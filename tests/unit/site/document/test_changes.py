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


def test_a_changed_secret_is_not_seen():
    assert lines(BEFORE, BEFORE.replace("first", "second")) == []
