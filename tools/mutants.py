#!/usr/bin/env python3
"""Change the pure directories in small ways, one at a time, and count how many of the changes a test notices: `make mutants`.

For each directory: a copy of the tree in .mutants/, mutmut over it, its own unit tests and the property tests that import it.
Then a row of the table in docs/testing.md, and each survivor as a diff in .mutants/<directory>/survivors.txt. Directories and
modules (`text`) of the agent's package may be named; without, it is all pure directories. Constants of a module are not changed,
nor are functions with a decorator: mutmut leaves them.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".mutants"
MUTMUT = Path(sys.executable).parent / "mutmut"
PURE = "Pure directories do no I/O, keep no log and read no clock, nor does what they import"
SHOW = "import sys; from mutmut.__main__ import show; [show.callback(name) for name in sys.argv[1:]]"
"""`mutmut show` for many at once; each by itself takes seconds."""

BESIDE = {
    "polling/course": ["tests/unit/polling/test_reading.py"],
}
"""Tests of the module above that say what the pure part does, by directory."""

SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/towerops_agent/{only}"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
pytest_add_cli_args_test_selection = [{tests}]
"""


def pure_directories() -> list[str]:
    """Those that import-linter holds pure, below the agent's package."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (sources,) = (contract["source_modules"] for contract in contracts if contract["name"] == PURE)
    names = (name.removeprefix("towerops_agent.").replace(".", "/") for name in sources if name.endswith(".**"))
    return [name.removesuffix("/**") for name in names]


def is_directory(directory: str) -> bool:
    """Whether it is one, and not a module."""
    return (ROOT / "src" / "towerops_agent" / directory).is_dir()


def tests_of(directory: str) -> list[str]:
    """The unit tests of the directory or module, those beside it that do no I/O, and the property tests that import it."""
    named = f"towerops_agent.{directory.replace('/', '.')}"
    properties = [
        f"tests/property/{path.name}"
        for path in sorted((ROOT / "tests" / "property").glob("test_*.py"))
        if named in path.read_text(encoding="utf-8")
    ]
    if is_directory(directory):
        return [f"tests/unit/{directory}", *BESIDE.get(directory, ()), *properties]
    package, _, module = f"tests/unit/{directory}".rpartition("/")
    return [*(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / package).glob(f"test_{module}*.py"))), *properties]


def copy_tree(target: Path) -> None:
    """What git knows, as it is now."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def run(directory: str, minutes: float | None) -> None:
    """Mutate one directory, for so many minutes at most, and print its row."""
    place = PLACE / directory.replace("/", ".")
    copy_tree(place)
    with (place / "pyproject.toml").open("a", encoding="utf-8") as settings:
        tests = ", ".join(f'"{test}"' for test in tests_of(directory))
        settings.write(SETTINGS.format(only=f"{directory}/*" if is_directory(directory) else f"{directory}.py", tests=tests))
    with (place / "mutmut.log").open("w") as log:
        process = subprocess.Popen(
            [MUTMUT, "run", "--max-children", "2"], cwd=place, stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(None if minutes is None else minutes * 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    report(directory, place)


def report(directory: str, place: Path) -> None:
    """Print the row of the table, and write the survivors down."""
    subprocess.run([MUTMUT, "export-cicd-stats"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    counts = json.loads((place / "mutants" / "mutmut-cicd-stats.json").read_text())
    killed, survived = counts["killed"] + counts["timeout"] + counts["segfault"], counts["survived"] + counts["no_tests"]
    share = f"{100 * killed / (killed + survived):.1f} %" if killed + survived else "-"
    print(
        f"| `{directory}` | {counts['total']} | {killed} | {survived} | {counts['total'] - killed - survived} | {share} |",
        flush=True,
    )
    listed = subprocess.run([MUTMUT, "results"], cwd=place, check=True, capture_output=True, text=True).stdout
    results = (line.strip().partition(": ") for line in listed.splitlines())
    names = [name for name, _, status in results if status in ("survived", "no tests")]
    with (place / "survivors.txt").open("w", encoding="utf-8") as survivors:
        subprocess.run([sys.executable, "-c", SHOW, *names], cwd=place, check=True, stdout=survivors)


def main() -> None:
    """Read the arguments, go through the directories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="*", help="for example snmp/wire, or a module: text, polling/course/widths")
    parser.add_argument("--minutes", type=float, help="at most so long a directory; what is left then is counted as not run")
    arguments = parser.parse_args()
    os.nice(10)
    print("| directory | mutants | killed | survived | not run | killed of those run |\n|---|---|---|---|---|---|", flush=True)
    for directory in arguments.directory or pure_directories():
        run(directory, arguments.minutes)


if __name__ == "__main__":
    main()
