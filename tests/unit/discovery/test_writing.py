"""Site files written from a discovery, and the secrets beside them."""

import os
import stat
from pathlib import Path

import pytest

from towerops_agent.discovery.course.findings import Discovery, System
from towerops_agent.discovery.report.entry import Discovered
from towerops_agent.discovery.writing import NotWritten, write_site
from towerops_agent.model import Credentials, Secret
from towerops_agent.site.files import SiteFiles

OLD = "what was there before, and is longer than what is written now\n" * 100


def write(path: Path, *, overwrite: bool = False) -> list[Path]:
    whom = Credentials(community=Secret("hushhush"))
    return write_site(
        path, "by a test", [Discovered("10.0.0.1", 161, "given", whom, Discovery(System()))], {}, overwrite=overwrite
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_no_other_user_can_read_what_is_written(tmp_path):
    site, secret = write(tmp_path / "site.yaml")
    assert (mode(site), mode(secret)) == (0o600, 0o600)
    assert secret.read_text() == "hushhush\n"
    assert "hushhush" not in site.read_text()


def test_a_file_that_everybody_could_read_is_closed_to_them_before_a_secret_is_in_it(tmp_path):
    for name, before in (("site.yaml", 0o644), ("site.given.community", 0o664)):
        (tmp_path / name).write_text(OLD)
        os.chmod(tmp_path / name, before)  # noqa: PTH101 - not by the umask
    site, secret = write(tmp_path / "site.yaml", overwrite=True)
    assert (mode(site), mode(secret)) == (0o640, 0o660)
    assert secret.read_text() == "hushhush\n"
    assert OLD[:40] not in site.read_text()


def test_sets_whose_names_differ_only_by_what_no_file_s_name_may_have_keep_their_secrets(tmp_path):
    """Else one set's devices would get the other's community."""
    names = ("core.1", "core 1", "core_1")
    entries = [
        Discovered(f"10.0.0.{n}", 161, name, Credentials(community=Secret(f"of-{name}")), Discovery(System()))
        for n, name in enumerate(names)
    ]
    site, *files = write_site(tmp_path / "site.yaml", "by a test", entries, {})
    assert len(set(files)) == len(names)
    compiled = SiteFiles(site).read()
    assert {name: compiled.credentials[name].wire["community"] for name in names} == {name: f"of-{name}" for name in names}


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "site.given.community").write_text(OLD)
    with pytest.raises(NotWritten, match="File exists"):
        write(tmp_path / "site.yaml")
    assert (tmp_path / "site.given.community").read_text() == OLD
    assert not (tmp_path / "site.yaml").exists()
