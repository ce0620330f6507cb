"""Site files in the API's place: what is new is applied, what is broken changes nothing, what is untouched goes on as it is."""

import errno
from pathlib import Path
from typing import Any

import pytest
import structlog

from towerops_agent.api.wire.outcomes import ConfigFetched, NotModified, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import ConfigIntake
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Counters
from towerops_agent.polling.course.plan import Planner
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.scheduling.roster import Roster
from towerops_agent.site.document import site as site_module
from towerops_agent.site.files import SiteFiles
from towerops_agent.site.source import SiteSource

SITE = "devices:\n" + "".join(f"  - {{address: 10.{n >> 8}.{n & 255}.1, interfaces: [ether1]}}\n" for n in range(1000))


class Disk:
    """One that can fail for a while."""

    fails = False

    def read(self, path: Path, most: int) -> bytes:
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        return path.read_bytes()[:most]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


def still(path: Path, **how: Any) -> SiteFiles:
    """The files at `path`, which nobody is still writing."""
    return SiteFiles(path, pause=lambda _seconds: None, **how)


async def fetch(source: SiteSource, etag: str | None = None):
    return await source.get_config(ConfigIntake(), etag)


async def test_the_files_are_fetched_and_then_are_not_modified(path):
    source = SiteSource(still(path))
    fetched = await fetch(source)
    assert isinstance(fetched, ConfigFetched)
    assert isinstance(await fetch(source, fetched.etag), NotModified)
    assert isinstance(await fetch(source), ConfigFetched)
    path.write_text(SITE + "# a comment changes nothing\n")
    assert isinstance(await fetch(source, fetched.etag), NotModified)
    path.write_text(SITE.replace("10.0.7.1", "10.0.7.2"))
    changed = await fetch(source, fetched.etag)
    assert isinstance(changed, ConfigFetched)
    assert changed.etag != fetched.etag


async def test_files_that_were_read_and_could_not_be_applied_are_fetched_again(path, monkeypatch):
    monkeypatch.setattr("towerops_agent.site.files.RACY_NS", -1)
    source = SiteSource(still(path))
    before = await fetch(source)
    assert isinstance(before, ConfigFetched)
    path.write_text(SITE.replace("10.0.7.1", "10.0.7.2"))
    for _ in range(2):  # the second time without a change
        assert isinstance(await fetch(source, before.etag), ConfigFetched)


async def test_broken_files_are_a_failure_until_they_are_repaired(path, monkeypatch):
    monkeypatch.setattr("towerops_agent.site.files.RACY_NS", -1)
    source = SiteSource(still(path))
    fetched = await fetch(source)
    assert isinstance(fetched, ConfigFetched)
    path.write_text(SITE + "defaults: {intervall: 3, x: y}\n")
    for _ in range(2):  # the second time without reading
        failure = await fetch(source, fetched.etag)
        assert isinstance(failure, Unavailable)
        assert failure.reason == f"{path}:1002:12: intervall is not a key of defaults: expected interval"
    path.write_text(SITE + "defaults: {interval: 3.5}\ndevice: []\n")
    failure = await fetch(source, fetched.etag)
    assert isinstance(failure, Unavailable)
    path.unlink()
    assert isinstance(await fetch(source, fetched.etag), Unavailable)
    path.write_text(SITE)
    assert isinstance(await fetch(source, fetched.etag), NotModified)


async def test_a_warning_is_logged_once(path):
    source = SiteSource(still(path))
    path.write_text("credentials: {a: {community: hushhush}}\n" + SITE)
    with structlog.testing.capture_logs() as lines:
        await fetch(source)
        await fetch(source)
    (line,) = lines
    assert (line["event"], line["place"]) == ("site file is used, but deserves a look", f"{path}:1:30")
    assert "hushhush" not in str(line)


@pytest.mark.parametrize(
    ("changed", "keeps_its_time"), [("interfaces: [ether1, ether2]", True), ("interfaces: [ether1], interval: 30", False)]
)
async def test_one_changed_line_of_a_thousand_changes_one_device(path, tmp_path, monkeypatch, changed, keeps_its_time):
    """The others are not read again, and stay the objects that they are, with their next time; so do layouts and traits."""
    source = SiteSource(still(path))
    fleet = Fleet(None, Counters(), lambda _: None, now_us=lambda: 0)  # type: ignore[arg-type]  # it does not run
    read = []
    really = site_module.read_device
    monkeypatch.setattr(site_module, "read_device", lambda section, *rest: read.append(section) or really(section, *rest))
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 1) as buffer:
        roster = Roster(fleet, buffer, Planner())

        async def nothing(*_: object) -> None:
            return None

        sync = ConfigSync(source, Counters(), apply=roster.apply, keep=nothing, kept=nothing)
        await sync.fetch_once()
        before = dict(fleet.devices)
        times = {key: (fleet.timetable.entry(key), fleet.timetable.entry(key).due_at) for key in before}
        assert len(before) == len(times) == 1000
        read.clear()
        path.write_text(SITE.replace("10.0.7.1, interfaces: [ether1]", f"10.0.7.1, {changed}"))
        await sync.fetch_once()
    (device,) = (device for device in fleet.devices.values() if before.get(device.id) is not device)
    assert device.host == "10.0.7.1"
    assert [section.text("address") for section in read] == ["10.0.7.1"]
    assert set(fleet.devices) == set(before)
    moved = {key for key, (entry, due_at) in times.items() if fleet.timetable.entry(key) is not entry or entry.due_at != due_at}
    assert moved == (set() if keeps_its_time else {device.id})


class Discovering:
    """What discovers devices, as the source sees it."""

    def __init__(self) -> None:
        self.known: dict = {}
        self.revision = 0
        self.wanted: list[str] = []

    def want(self, devices):
        self.wanted = [device.host for device in devices]


class Supply:
    sensors = [{"id": "f1", "oid": "1.3.6.9", "metadata": {"descr": "supply"}}]  # noqa: RUF012 - never changed
    interfaces = []  # noqa: RUF012


async def test_what_was_discovered_is_a_new_configuration_though_the_files_are_the_same(path):
    path.write_text("devices: [{address: 192.0.2.1, profile: auto}, {address: 192.0.2.2}]\n")
    auto = Discovering()
    source = SiteSource(still(path), auto)
    first = await fetch(source)
    assert auto.wanted == ["192.0.2.1"]
    (device,) = source.compiled.auto
    auto.known, auto.revision = {device.id: Supply()}, 1
    second = await fetch(source, first.etag)
    assert isinstance(second, ConfigFetched)
    assert source.compiled.sensors == 1
    assert isinstance(await fetch(source, second.etag), NotModified)
    auto.revision = 2
    assert isinstance(await fetch(source, second.etag), NotModified), "the same was found again"


async def test_what_was_discovered_while_the_files_could_not_be_read_is_used_once_they_can_be(path, monkeypatch):
    monkeypatch.setattr("towerops_agent.site.files.RACY_NS", -1)
    path.write_text("devices: [{address: 192.0.2.1, profile: auto}]\n")
    auto, disk = Discovering(), Disk()
    source = SiteSource(still(path, read_file=disk.read), auto)
    first = await fetch(source)
    auto.known, auto.revision = {source.compiled.auto[0].id: Supply()}, 1
    disk.fails = True
    assert isinstance(await fetch(source, first.etag), Unavailable)
    disk.fails = False
    assert isinstance(await fetch(source, first.etag), ConfigFetched)
