"""The habits that docs/style.md rules out are found wherever English stands, and the repository has none of them."""

import importlib.util
import subprocess
import sys

import pytest

from support.markdown import ROOT

SCRIPT = ROOT / "tools/plain_english.py"
_spec = importlib.util.spec_from_file_location("plain_english", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
plain_english = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain_english)

PLANTED = [
    "Where it can't be read, it waits.",
    "where there is no route",
    "a poll where they differ",
    "The log tells why.",
    "is told in one line",
    "what a device bears",
    "more than it can bear",
    "by its owner alone",
    "a body that is no object",
    "one that has none",
    "the device gave none",
    "until it is mended",
    "amid a message",
    "is parted off",
    "is set aside",
    "in force",
    "put into force",
    "a device in trouble",
    "all goes well",
    "see to the disk",
    "what was learned is kept",
    "begins anew",
    "on Debian and its kin",
]
PLAIN = [
    "See where it is.",
    "A device that is down is left alone.",
    "If there is none, it waits.",
    "It is no longer polled.",
    "The two are told apart by the first octet.",
    "A bearer token, as well as a certificate.",
    "reinforce, mendacious, bearing",
]


@pytest.mark.parametrize("text", PLANTED)
def test_a_habit_is_found(text):
    assert [instead for _, _, instead in plain_english.habits(text)] != []


def test_each_habit_is_planted_here():
    found = {instead for text in PLANTED for _, _, instead in plain_english.habits(text)}
    assert found == set(plain_english.HABITS.values())


@pytest.mark.parametrize("text", PLAIN)
def test_plain_words_pass(text):
    assert list(plain_english.habits(text)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "Fine.\n\nAnd set\naside.\n"),
        ("page.md", "| `metric refused, set aside` | warning |\n"),
        ("module.py", '"""Fine.\n\nAnd set\naside."""\n'),
        ("module.py", "X = 1\n\n# It is set\n# aside.\n"),
        ("module.py", 'log.warning("metric refused, set aside", metric=1)\n'),
        ("module.py", 'raise ValueError(f"{name} was set "\n    f"aside")\n'),
        ("module.py", '@click.option("--keep", help="What was set aside.")\ndef keep(): ...\n'),
        ("test_module.py", "def test_a_metric_is_set_aside(): ...\n"),
        ("schema.sql", "-- set aside\n"),
    ],
)
def test_it_is_found_wherever_english_stands(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)
    assert found.returncode == 1, found.stderr
    assert "set aside': write quarantine, keep, reject" in found.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "```\nset aside\n```\n"),
        ("module.py", "set_aside = told = 1\nif told is None: alone()\n"),
    ],
)
def test_code_is_not_english(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert list(plain_english.faults([path])) == []


def test_a_fault_names_its_line(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("one\ntwo\nset\naside\n", encoding="utf-8")
    assert list(plain_english.faults([path])) == [f"{path}:3: 'set aside': write quarantine, keep, reject (docs/style.md)"]


def test_the_repository_is_plain():
    assert list(plain_english.faults(list(plain_english.files()))) == []
