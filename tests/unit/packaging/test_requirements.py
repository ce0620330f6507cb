"""What an image installs is pinned as in constraints.txt, each file by its hash, and names no package index."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement

from support.hang import HANG_S
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
    direct = {canonical(name) for name in re.findall(r'"([\w-]+)[\[>=;]', named)}
    assert direct
    assert direct <= requirements("packaging/requirements.txt").keys()


REQUEST = """
import asyncio, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Hidden())
from towerops_agent.api.address import request_url
from towerops_agent.api.client import Http
from towerops_agent.api.failures import NO_ANSWER, Timeouts
from towerops_agent.api.tls import tls_context

async def ask():
    url = "http://[::1%25nowhere]:1/"
    try:
        await Http(url, tls_context(), Timeouts(5, 5), {}).send("GET", request_url(url), {}, None)
    except NO_ANSWER:
        print("asked")

asyncio.run(ask())
"""


def asked_for() -> set[str]:
    """The agent's dependencies, theirs with the extras that are named, and so on."""
    found: set[tuple[str, str]] = set()
    new = [Requirement(one) for one in tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]]
    while new:
        one = new.pop()
        for extra in {"", *one.extras}:
            if (one.name, extra) in found or (one.marker and not one.marker.evaluate()):
                continue
            found.add((one.name, extra))
            for other in map(Requirement, requires(one.name) or ()):
                if other.marker is None or other.marker.evaluate({"extra": extra}):
                    other.marker = None
                    new.append(other)
    return {canonical(name) for name, _ in found}


def test_a_request_works_with_what_is_asked_for():
    """An image has what its file names; pip, pipx and uv install what pyproject.toml asks for, and no more."""
    there = asked_for() | {"towerops-agent"}
    hidden = [module for module, owners in packages_distributions().items() if there.isdisjoint(map(canonical, owners))]
    assert {"httpx2", "pytest"} <= set(hidden)
    run = subprocess.run([sys.executable, "-c", REQUEST, *hidden], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (run.stdout, run.returncode) == ("asked\n", 0), run.stderr
