"""A site that is compiled again takes what did not change from the time before, and is as if all had been compiled."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.site.document import site as site_module
from towerops_agent.site.document.site import Compiled, compile_site


class FoundThere:
    """What a discovery found."""

    sensors = ({"id": "f1", "oid": "1.3.6.9", "metadata": {"descr": "supply"}},)
    interfaces = ()


FOUND = FoundThere(), FoundThere()
SENSORS = "sensors: [{name: x, oid: 1.3.6.1.4}, {name: y, oid: 1.3.6.1.5}]"
DEVICES = st.tuples(
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "mast.example", "MAST.example", "not an address", "'[::1]'"]),
    st.sampled_from(
        [
            "name: é☃",
            "credentials: b",
            "credentials: c",
            "profile: auto",
            "intervall: 4",
            SENSORS,
            "sensors: [{name: x}]",
            "interfaces: [a, a]",
            "labels: {site: north}",
        ]
    ),
    st.sampled_from(["  - {{address: {}, {}}}\n", "  - {1}\n    address: {0}\n", "  - address: {}\n    {}\n    # 🗼\n"]),
).map(lambda words: words[2].format(*words[:2]))
HEADS = st.sampled_from(
    [
        "credentials: {b: {community: one}, c: {community: two}}\n",
        "# another line\ncredentials: {b: {community: one}, c: {community: two}}\n",
        "credentials: {b: {community: one}, c: {community: 2, level: x}}\n",
        "credentials: {b: {community: other}, c: {community: two}}\ndefaults: {interval: 7}\n",
        "credentials: {b: {community: one}}\ndefaults: {profile: auto, labels: {a: b}}\n",
        "destinations: [{influxdb: 'http://127.0.0.1:1', database: x, labels: {a: b}}]\n",
        "defaultz: {}\n",
        "x: &a {address: 10.0.0.9}\n",
    ]
)


@st.composite
def sites(draw: st.DrawFn) -> list[tuple[list[str], int | None]]:
    """Versions of a site of one file or two, each of some of the same devices; and what was discovered."""
    pool = st.sampled_from(draw(st.lists(DEVICES, min_size=1, max_size=5)))
    heads = st.sampled_from(draw(st.lists(HEADS, min_size=1, max_size=2)))
    versions = []
    for _ in range(draw(st.integers(2, 4))):
        texts = []
        for n in range(draw(st.integers(1, 2))):
            listed = "".join(draw(st.lists(pool, min_size=1, max_size=5)))
            parts = ["" if n else draw(heads), f"devices:\n{listed}" if listed else ""]
            texts.append("".join(parts if draw(st.booleans()) else parts[::-1]))
        versions.append((texts, draw(st.sampled_from([0, 1, None]))))
    return versions


def shown(result: Compiled) -> tuple[object, ...]:
    """All that a result has, but for what is kept for the next one."""
    config = result.config and (result.config.digest, result.config.members, list(result.config.items()))
    masked = result.shown and (result.shown.digest, result.shown.members, list(result.shown.items()))
    rest = (result.problems, result.warnings, result.destinations, result.credentials, result.auto)
    return config, masked, *rest, result.devices, result.sensors, result.interfaces


def secret(how: str, name: str) -> str:
    raise AssertionError((how, name))


@given(sites())
def test_whatever_changed_the_result_is_that_of_compiling_all_from_the_start(versions):
    before = None
    for texts, found in versions:
        files = [(f"{n}.yaml", text.encode()) for n, text in enumerate(texts)]
        auto = compile_site(files, secret).auto
        additions = {} if found is None else {device.id: FOUND[found] for device in auto}
        again = compile_site(files, secret, additions, before)
        assert shown(again) == shown(compile_site(files, secret, additions))
        before = again


def devices(numbers: Iterator[int] | range, more: str = "") -> list[tuple[str, bytes]]:
    lines = [
        f"  - {{address: 10.0.0.{n}, sensors: [{{name: s, oid: 1.3.6.1.4.1.{n}}}]{more if n == 5 else ''}}}" for n in numbers
    ]
    return [("a.yaml", "\n".join(["devices:", *lines]).encode())]


@pytest.mark.parametrize(
    ("files", "read"),
    [
        (devices(range(20)), 0),
        (devices(range(20), ", name: five"), 1),
        (devices(range(1, 20)), 0),
        (devices(range(22)), 2),
        ([("b.yaml", b"# moved\n\n" + devices(range(20))[0][1])], 0),
        ([("a.yaml", devices(range(20))[0][1] + b"\ndefaults: {interval: 7}\n")], 20),
        (devices([*range(10, 20), *range(10)]), 10),
    ],
)
def test_only_devices_whose_text_changed_are_read_again(monkeypatch, files, read):
    """Of devices that moved behind others those that are in the old order."""
    before = compile_site(devices(range(20)), secret)
    seen = []
    really = site_module.read_device
    monkeypatch.setattr(site_module, "read_device", lambda section, *rest: seen.append(section) or really(section, *rest))
    again = compile_site(files, secret, before=before)
    assert len(seen) == read
    assert shown(again) == shown(compile_site(files, secret))


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_was_taken_and_has_the_address_of_a_new_one_is_refused_or_refuses_at_its_line(place):
    kept, new = "  - labels: {a: b}\n    address: '::ffff:10.0.0.1'\n", "  - {address: 10.0.0.1}\n"
    before = compile_site([("a.yaml", f"devices:\n{kept}".encode())], secret)
    listed = [kept, new] if place else [new, kept]
    files = [("a.yaml", f"# more\ndevices:\n{''.join(listed)}".encode())]
    again = compile_site(files, secret, before=before)
    assert shown(again) == shown(compile_site(files, secret))
    (problem,) = again.problems
    assert ("at a.yaml:4:14" in problem.text, problem.place.line) == ((True, 5) if place else (False, 5))
    assert again.config is not None
    assert (b'"::ffff:10.0.0.1"' in again.config.members["site"]) is not bool(place), "as the file calls it"
