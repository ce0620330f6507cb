"""What a package index shows of the project leads somewhere, and says nothing that is not known."""

import importlib.util
import re

import pytest

from support.markdown import ROOT, read

BASE = "https://git.example/towerops/agent"
RELATIVE = re.compile(r"\]\((?!https?://|#)[^)]+\)")


@pytest.fixture
def metadata():
    spec = importlib.util.spec_from_file_location("metadata", ROOT / "tools" / "metadata.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_link_of_the_readme_becomes_absolute(metadata):
    assert RELATIVE.search(read("README.md"))
    assert RELATIVE.findall(metadata.absolute(read("README.md"), BASE)) == []
    assert metadata.absolute("[a](docs/a.md#b) ![p](p.png) [c](#c) [d](https://d.example)", BASE) == (
        f"[a]({BASE}/blob/HEAD/docs/a.md#b) ![p]({BASE}/raw/HEAD/p.png) [c](#c) [d](https://d.example)"
    )


def test_without_the_repositorys_address_a_link_is_its_text(metadata):
    assert metadata.absolute("see [a](docs/a.md), ![a picture](p.png)", "") == "see a, a picture"
    assert RELATIVE.findall(metadata.absolute(read("README.md"), "")) == []


def test_the_addresses_are_those_that_are_known(metadata):
    assert metadata.urls("").keys() == {"Homepage"}
    found = metadata.urls(BASE)
    assert found["Source"] == BASE
    for address in found.values():
        if address.startswith(f"{BASE}/blob/HEAD/"):
            assert (ROOT / address.removeprefix(f"{BASE}/blob/HEAD/")).exists()
