"""Links and pictures in the documents lead somewhere, and the list of decisions is whole."""

import re
from pathlib import Path

import pytest

from support.markdown import ROOT, anchors, documents, links, read

FOREIGN = re.compile(r"[a-z]+:")


def is_broken(document: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return True
    return bool(fragment) and target.suffix == ".md" and fragment not in anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_relative_link_resolves(document):
    found = links(document.read_text(encoding="utf-8"))
    assert [link for link in found if not FOREIGN.match(link) and is_broken(document, link)] == []


def test_each_decision_is_listed_once_with_its_title():
    listed = re.findall(r"^\| \[(\d{4})\]\(([\w.-]+)\) \| (.+) \|$", read("docs/decisions/README.md"), re.MULTILINE)
    files = sorted(path for path in (ROOT / "docs/decisions").glob("*.md") if path.name != "README.md")
    assert [name for _, name, _ in listed] == [path.name for path in files]
    for number, name, title in listed:
        heading = read(f"docs/decisions/{name}").splitlines()[0]
        assert heading.startswith(f"# {number} ")
        assert title.rstrip(".") == heading.removeprefix(f"# {number} ").rstrip(".")


def test_each_decision_has_its_date_and_status_under_its_title():
    pattern = re.compile(
        r"# .+\n\nDecided \d{4}-\d\d-\d\d( · revised \d{4}-\d\d-\d\d \([^\n]+\))? · (in use|replaced by \[\d{4}\]\([\w.-]+\))\n\n"
    )
    files = [path for path in (ROOT / "docs/decisions").glob("*.md") if path.name != "README.md"]
    assert [path.name for path in files if not pattern.match(path.read_text(encoding="utf-8"))] == []


def test_no_document_names_this_machine():
    pattern = re.compile(r"(?<![\w~])/(?:root|home/\w+|Users/\w+)/")
    assert [path.name for path in documents() if pattern.search(path.read_text(encoding="utf-8"))] == []
