"""Site files on a real disk: read as one, looked at for changes, with secrets beside them."""

import os
from pathlib import Path

import pytest

from towerops_agent.site import files as files_module
from towerops_agent.site.files import SiteFiles, SiteUnreadable

SITE = "credentials: {a: {community_file: radios.community}}\ndefaults: {credentials: a}\ndevices: [{address: 10.0.0.1}]\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    secret = tmp_path / "radios.community"
    secret.write_text("hushhush\n")
    secret.chmod(0o600)
    return path


def community(files: SiteFiles) -> bytes:
    compiled = files.read()
    assert compiled.config is not None
    return b"".join(compiled.config.items())


def test_a_secret_is_read_from_the_file_beside_the_site_file(site):
    files = SiteFiles(site)
    assert b'"hushhush"' in community(files)
    assert files.read().warnings == []


def test_a_secret_is_read_from_a_variable(site):
    site.write_text(SITE.replace("community_file: radios.community", "community_env: RADIOS"))
    assert b'"of the variable"' in community(SiteFiles(site, {"RADIOS": "of the variable"}))
    assert b'"of CRLF"' in community(SiteFiles(site, {"RADIOS": "of CRLF\r\n"})), (
        "the end of the line is not a part of it, as in a file"
    )
    for environ in ({}, {"RADIOS": ""}, {"RADIOS": " "}):
        (problem, _) = SiteFiles(site, environ).read().problems
        assert problem.text == "the variable RADIOS is not set, or empty: expected the secret in it"


def test_a_secret_that_others_can_read_is_used_with_a_warning(site):
    secret = site.with_name("radios.community")
    secret.chmod(0o644)
    (warning,) = SiteFiles(site).read().warnings
    assert str(warning) == f"{secret}: other users of this machine can read this secret: expected mode 600 or 640"


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "is empty"),
        (b" \t \n", "is empty"),
        (b" \n \n", "is empty"),
        (b"two\nlines\n", "has several lines"),
        (b"\xff", "is not text in UTF-8"),
        (None, "can't be read (No such"),
    ],
)
def test_a_file_without_one_secret_is_a_problem_that_does_not_show_it(site, octets, said):
    secret = site.with_name("radios.community")
    if octets is None:
        secret.unlink()
    else:
        secret.write_bytes(octets)
    problem = SiteFiles(site).read().problems[0]
    assert f"the file {secret} {said}" in problem.text
    assert "lines\n" not in problem.text


def test_a_pipe_in_place_of_a_secret_does_not_block(site):
    secret = site.with_name("radios.community")
    secret.unlink()
    os.mkfifo(secret)
    assert "not a regular file" in SiteFiles(site).read().problems[0].text


def test_a_directory_is_read_as_one_without_hidden_and_other_files(site):
    folder = site.parent
    (folder / "b.yml").write_text("devices: [{address: 10.0.0.2}]\n")
    (folder / ".c.yaml").write_text("devices: [{address: 10.0.0.3}]\n")
    (folder / "d.yaml~").write_text("devices: [{address: 10.0.0.4}]\n")
    assert SiteFiles(folder).read().devices == 2


def nothing_behind_it(path: Path) -> None:
    path.symlink_to("gone/north.yaml")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (nothing_behind_it, "it is a link to gone/north.yaml, which is not there: expected that, or no link"),
        (itself, "Too many levels of symbolic links"),
        (os.mkfifo, "it is not a regular file"),
        (
            Path.mkdir,
            "it is a directory: expected a file, or another name (Docker makes a directory for a volume whose file is not there)",
        ),
    ],
)
def test_what_is_named_like_a_site_file_and_is_not_one_is_said_and_costs_no_device(site, make, said):
    """Left out without a word, its devices would no longer be polled."""
    north = site.with_name("north.yaml")
    north.write_text("devices: [{address: 10.0.0.7}]\n")
    files = SiteFiles(site.parent, pause=lambda _: None)
    assert files.read().devices == 2
    north.unlink()
    make(north)
    for _ in range(2):
        assert files.has_changed()
        with pytest.raises(SiteUnreadable) as caught:
            files.read()
        assert str(caught.value) == f"{north} can't be read: {said}"
    north.rmdir() if north.is_dir() else north.unlink()
    assert files.read().devices == 1, "who takes it out means it"


def test_links_that_are_swapped_as_kubernetes_does_are_read_as_one(tmp_path):
    """`..data` is a link to a directory of the time; all files are links through it, which change at once."""
    folder = tmp_path / "site"
    for number in (1, 2):
        (folder / f"..2026_{number}").mkdir(parents=True)
        for name in ("a", "b"):
            (folder / f"..2026_{number}" / f"{name}.yaml").write_text(f"devices: [{{address: {name}-{number}.example}}]\n")
    (folder / "..data").symlink_to("..2026_1")
    for name in ("a", "b"):
        (folder / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    files = SiteFiles(folder, pause=lambda _: None)
    assert files.read().devices == 2
    (folder / "..new").symlink_to("..2026_2")
    (folder / "..new").rename(folder / "..data")
    assert files.has_changed()
    compiled = files.read()
    assert compiled.config is not None
    assert b"".join(compiled.config.items()).count(b"-2.example") == 4, "name and address of both"


def test_a_directory_without_site_files_is_refused_and_so_is_a_path_to_nothing(tmp_path):
    with pytest.raises(SiteUnreadable, match=r"holds no file that ends in \.yaml"):
        SiteFiles(tmp_path).read()
    with pytest.raises(SiteUnreadable, match=r"none\.yaml can't be read: No such file"):
        SiteFiles(tmp_path / "none.yaml").read()


def test_files_that_lie_still_are_not_read_again(site, monkeypatch):
    files = SiteFiles(site)
    assert files.has_changed()
    monkeypatch.setattr(files_module, "RACY_NS", -1)
    files.read()
    assert not files.has_changed()


@pytest.mark.parametrize("change", ["text", "secret", "secret gone", "new file", "replaced"])
def test_a_change_of_a_file_or_a_secret_is_seen(site, monkeypatch, change):
    monkeypatch.setattr(files_module, "RACY_NS", -1)
    files = SiteFiles(site.parent)
    files.read()
    secret = site.with_name("radios.community")
    match change:
        case "text":
            site.write_text(SITE + "# a comment\n")
        case "secret":
            secret.write_text("another\n")
        case "secret gone":
            secret.unlink()
        case "new file":
            site.with_name("more.yaml").write_text("devices: []\n")
        case "replaced":
            other = site.with_name("other")
            other.write_text(SITE)
            os.utime(other, ns=(site.stat().st_atime_ns, site.stat().st_mtime_ns))
            other.rename(site)
    assert files.has_changed()


def test_a_file_that_changed_just_before_it_was_read_is_read_again(site):
    """Two changes within a tick of the file system's clock leave the same times behind."""
    files = SiteFiles(site)
    files.read()
    assert files.has_changed()


def test_a_set_that_is_half_written_is_never_used(site):
    """A second file appears while the first is read: all is read again, with both."""
    folder = site.parent
    (folder / "a.yaml").write_text("devices: [{address: 10.0.0.8}]\n")

    def slowly(path: Path, most: int) -> bytes:
        octets = path.read_bytes()
        if not (folder / "z.yaml").exists():
            (folder / "z.yaml").write_text("devices: [{address: 10.0.0.9}]\n")
        return octets

    assert SiteFiles(folder, read_file=slowly).read().devices == 3


def test_a_file_that_is_written_in_pieces_is_read_once_it_is_whole(site):
    """Each piece of it may be YAML: the devices that are still to come would be given up, and start again."""
    pieces = ["devices:\n  - {address: 10.0.0.1}\n", "  - {address: 10.0.0.2}\n", "  - {address: 10.0.0.3}\n"]
    pauses: list[float] = []

    def write(seconds: float) -> None:
        pauses.append(seconds)
        if pieces:
            with site.open("a") as file:
                file.write(pieces.pop(0))

    files = SiteFiles(site, pause=write)
    assert files.read().devices == 1
    assert pauses == [], "the first time there is nothing that could be given up"
    site.write_text("")
    assert files.read().devices == 3
    assert pauses == [files_module.SETTLE_S] * 4
    assert files.read().devices == 3
    assert len(pauses) == 4, "what has not changed is not waited for"


def test_files_that_change_all_the_time_are_not_used(site):
    def changing(path: Path, most: int) -> bytes:
        octets = path.read_bytes()
        path.write_bytes(octets + b"#")
        return octets

    with pytest.raises(SiteUnreadable, match="changes while it is read"):
        SiteFiles(site, read_file=changing).read()


def test_a_file_that_is_too_large_is_refused(site):
    with pytest.raises(SiteUnreadable, match="larger than 64 MB: expected several files in a directory"):
        SiteFiles(site, read_file=lambda _, most: bytes(most)).read()
