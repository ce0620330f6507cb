"""The project's Markdown, as far as tests hold it to the code: sections, tables, code, links. Pure but for reading the files."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_HEADING = re.compile(r"(#+) (.+)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def documents() -> list[Path]:
    """All Markdown that operators and engineers read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "packaging").rglob("*.md")])


def read(name: str) -> str:
    """The text of a document, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """Each heading, and what is below it, the sections within it included. A heading that comes twice is an error."""
    found: dict[str, str] = {}
    open_: list[tuple[int, str]] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading:
            level, title = len(heading[1]), heading[2]
            open_ = [(above, name) for above, name in open_ if above < level]
            assert title not in found, f"two headings are called {title!r}"
            found[title] = ""
            open_.append((level, title))
            continue
        for _, name in open_:
            found[name] += f"{line}\n"
    return found


def rows(text: str) -> list[list[str]]:
    """The rows of all tables in `text`, without their heads: a list of cells each."""
    found = []
    lines = text.splitlines()
    for i, line in enumerate(lines):
        is_row = line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line)
        is_head = i + 1 < len(lines) and re.fullmatch(r"\|[|\-: ]+", lines[i + 1])
        if is_row and not is_head:
            found.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def code(text: str) -> list[str]:
    """What stands between backticks, blocks left out."""
    return re.findall(r"`([^`]+)`", _FENCE.sub("", text))


def fences(text: str, *languages: str) -> list[str]:
    """The code blocks in one of these languages."""
    return [body for language, body in _FENCE.findall(text) if language in languages]


def links(text: str) -> Iterator[str]:
    """Where the links and pictures outside of code blocks lead."""
    for link, source in _LINK.findall(_FENCE.sub("", text)):
        yield link or source


def anchors(text: str) -> set[str]:
    """The fragments that the headings can be linked by."""
    titles = [match[2] for match in map(_HEADING.fullmatch, _FENCE.sub("", text).splitlines()) if match]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
