"""What an image installs is pinned as in constraints.txt, each file by its hash, and names no package index."""

import re

import pytest

from support.markdown import read

PINNED = dict(line.split("==") for line in read("constraints.txt").split())
FILES = ("packaging/requirements.txt", "packaging/build-requirements.txt")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(path: str) -> dict[str, str]:
    """Each requirement's text, by its name."""
    joined = re.sub(r" \\\n\s*", " ", read(path))
    return {canonical(line.partition("==")[0]): line for line in joined.splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("path", FILES)
def test_each_requirement_is_pinned_as_in_constraints_and_has_hashes(path):
    pins = {canonical(name): version for name, version in PINNED.items()}
    assert requirements(path)
    for name, line in requirements(path).items():
        assert re.match(r"[\w.-]+==(\S+)", line)[1] == pins[name], f"{name}: run tools/requirements"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), name


@pytest.mark.parametrize("path", FILES)
def test_no_package_index_is_named(path):
    assert "://" not in read(path)


def test_the_agents_own_dependencies_are_all_there():
    named = re.search(r"^dependencies = \[(.*?)^\]", read("pyproject.toml"), re.MULTILINE | re.DOTALL)[1]
    direct = {canonical(name) for name in re.findall(r'"([\w-]+)[>=;]', named)}
    assert direct
    assert direct <= requirements("packaging/requirements.txt").keys()
