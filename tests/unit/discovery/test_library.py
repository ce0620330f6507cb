"""The operator's profiles beside ours: each file of their directory is one, or there is a word about it."""

from pathlib import Path

import pytest

from towerops_agent.discovery.library import load_profiles, read_profiles


def write(path: Path, name: str, oid: str) -> None:
    path.write_text(f"profile: {name}\nvendor: Mine\nmatch: {{sysObjectID: {oid}}}\n")


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_each_yaml_file_of_a_directory_is_read(tmp_path, ending):
    """With either ending, as site files: before, one in .yml was left out without a word."""
    write(tmp_path / f"a.{ending}", "mine", "1.3.6.1.4.1.1")
    write(tmp_path / "a.yaml~", "old", "1.3.6.1.4.1.1")
    assert [*read_profiles([tmp_path]).profiles] == ["mine"]


def test_of_two_files_with_one_name_the_second_is_a_mistake(tmp_path):
    """Before, the second was used and the first was not, without a word."""
    for file, oid in (("a", "1.3.6.1.4.1.1"), ("b", "1.3.6.1.4.1.2"), ("c", "1.3.6.1.4.1.3")):
        write(tmp_path / f"{file}.yaml", "mine" if file != "c" else "other", oid)
    library = read_profiles([tmp_path])
    assert [str(problem) for problem in library.problems] == [
        f"{tmp_path}/b.yaml: profile is 'mine', as that of {tmp_path}/a.yaml is, which is used: expected another name"
    ]
    assert [*library.profiles] == ["mine", "other"]
    ((first,), _) = (profile.rules for profile in library.profiles.values())
    assert first.object_id == bytes.fromhex("2b06010401") + b"\x01"


def test_one_with_the_name_of_ours_replaces_it(tmp_path):
    write(tmp_path / "a.yaml", "mikrotik", "1.3.6.1.4.1.14988")
    library = load_profiles(tmp_path)
    assert (library.problems, library.profiles["mikrotik"].vendor) == ([], "Mine")
