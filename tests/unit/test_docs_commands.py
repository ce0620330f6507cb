"""The commands and options in docs/operations.md are those of the command line; what a document shows to type can be typed."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from support.markdown import ROOT, code, documents, fences, read, rows, sections
from towerops_agent.cli.main import cli
from towerops_agent.settings import SETTINGS

NAME = "towerops-agent"
OF_SETTINGS = {setting.flag for setting in SETTINGS}
HELP = {"-h", "--help"}


def leaves(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command, by its words."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        words = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from leaves(command, words)
        else:
            yield words, command


COMMANDS = dict(leaves())
DOCUMENTED = {
    title.strip("`").removeprefix(f"{NAME} "): body
    for title, body in sections(read("docs/operations.md")).items()
    if title.startswith(f"`{NAME} ")
}


def options(command: click.Command) -> dict[str, click.Option]:
    return {
        option: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts + parameter.secondary_opts
        if option not in HELP
    }


def takes_settings(command: click.Command) -> bool:
    """Whether it has the settings' options, as `run` has: they are in the table of settings and not repeated."""
    return len(OF_SETTINGS & options(command).keys()) > len(OF_SETTINGS) // 2


def table_of(words: str) -> str:
    """The command's section, after the one that it refers to for its options, if it does."""
    body = DOCUMENTED.get(words, "")
    referred = re.search(rf"The options of `{NAME} ([a-z ]+)`", body)
    return f"{DOCUMENTED[referred[1]]}\n\n{body}" if referred else body


def test_each_command_has_a_section_and_each_section_a_command():
    assert set(DOCUMENTED) == set(COMMANDS)


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_each_option_of_a_command_is_in_its_table_and_nothing_else_is(words):
    command, body = COMMANDS[words], table_of(words)
    documented = {option for cells in rows(body) for option in code(cells[0]) if option.startswith("--")}
    there = {option for option in options(command) if option.startswith("--")}
    if takes_settings(command):
        there -= OF_SETTINGS
        lacking = [f"`{flag}`" for flag in sorted(OF_SETTINGS - options(command).keys())]
        said = "An option for each setting" + (f" but {', '.join(lacking)}" if lacking else "")
        assert said in body
    assert documented == there


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_defaults_that_help_shows_are_those_of_the_table(words):
    shown = {
        option: str(parameter.default)
        for option, parameter in options(COMMANDS[words]).items()
        if option.startswith("--") and parameter.show_default and isinstance(parameter.default, str | int | float)
    }
    told = {code(cells[0])[0]: cells[1].strip("`") for cells in rows(table_of(words)) if code(cells[0])}
    assert {option: told.get(option) for option in shown} == shown


def typed() -> Iterator[tuple[str, str]]:
    """(document, line) of all that a document shows to type: blocks of shell, and code that begins with our names."""
    for document in documents():
        text = document.read_text(encoding="utf-8")
        name = str(document.relative_to(ROOT))
        for block in fences(text, "sh", "shell", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                yield name, line.split("  #")[0].removeprefix("$ ").strip()
        for span in code(text):
            if re.match(rf"(?:{NAME}|make) \S", span):
                yield name, span


def ours(line: str) -> list[str] | None:
    """The words behind our command, if it is what the line starts, itself or in a container; None if it is not."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    ends = [i for i, word in enumerate(words) if word in ("|", "||", "&&", ";", ">")]
    words = words[: ends[0]] if ends else words
    while words and (words[0] in ("sudo", "exec") or re.match(r"[A-Z_]+=", words[0])):
        words.pop(0)
    if "exec" in words[:3]:  # docker exec NAME …, docker compose exec SERVICE …, kubectl exec POD -- …
        behind = [word for word in words[words.index("exec") + 1 :] if word != "--"]
        words = behind[1:]
    if words and words[0].rpartition("/")[2] == NAME:
        return words[1:]
    return None


def left_open(line: str) -> bool:
    """Whether it names several commands (get|walk|probe), or leaves a part to the reader."""
    return "…" in line or "|" in line


@pytest.mark.parametrize(
    ("document", "line"), [pair for pair in sorted(set(typed())) if ours(pair[1]) and not left_open(pair[1])]
)
def test_a_command_to_type_exists_and_has_these_options(document, line):
    words = ours(line) or []
    command: click.Command = cli
    while isinstance(command, click.Group):
        if words == ["--version"]:
            return
        if not words or words[0].startswith("-"):
            command = COMMANDS["run"]
            break
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{document}: there is no {NAME} {words[0]}"
        command = found
        words.pop(0)
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given - options(command).keys() - HELP == set(), f"{document}: {line}"


@pytest.mark.parametrize(("document", "line"), sorted({pair for pair in typed() if pair[1].startswith("make ")}))
def test_a_target_to_make_exists(document, line):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word and not word.startswith("-")]
    assert named
    assert set(named) <= targets, f"{document}: {line}"


def test_scripts_to_run_exist():
    lacking = [
        (document, script)
        for document, line in typed()
        for script in re.findall(r"(?:^|\s)((?:tools|benchmarks|packaging)/[\w./-]+)", line)
        if not (ROOT / script).exists()
    ]
    assert lacking == []


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_each_short_option_is_beside_its_long_one(words):
    short = {option: parameter.opts[-1] for option, parameter in options(COMMANDS[words]).items() if not option.startswith("--")}
    documented = {cell[1]: cell[0] for cells in rows(table_of(words)) if len(cell := code(cells[0])) == 2}
    assert documented == short
