#!/usr/bin/env python3
"""Change the pure directories in small ways, one at a time, and count how many of the changes a test notices: `make mutants`.

For each directory: a copy of the tree in .mutants/, mutmut over it, its own unit tests and the property tests about it.
Then a row of the table in docs/testing.md, and each survivor as a diff in .mutants/<directory>/survivors.txt. Directories and
modules (`text`) of the agent's package may be named; without, it is all pure directories. Constants of a module are not changed,
nor are functions with a decorator: mutmut leaves them.

With `--sample n`, only n mutants of each directory are run, drawn at random by a seed that is printed, and the share that was
killed is given with its 95 % interval.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tomllib
from math import sqrt
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".mutants"
MUTMUT = Path(sys.executable).parent / "mutmut"
PURE = "Pure directories do no I/O, keep no log and read no clock, nor does what they import"
NO_MUTANT = "Filtered for specific mutants, but nothing matches"
"""mutmut's, if it gets as far as to look for mutants by name."""

SHOW = "import sys; from mutmut.__main__ import show; [show.callback(name) for name in sys.argv[1:]]"
"""`mutmut show` for many at once; each by itself takes seconds."""

BESIDE = {
    "polling/course": ["tests/unit/polling/test_reading.py"],
}
"""Tests of the module above that say what the pure part does, by directory."""

LONGEST = ("test_fuzz.py", "test_right_interface.py")
"""Property tests that need longer than all others together, and are left out."""

LONGEST_S = 3.0
QUICK_FIRST = f"""

def pytest_collection_modifyitems(config, items):
    for name, module in list(sys.modules.items()):
        if name.startswith("towerops_agent."):
            for function in vars(module).values():
                getattr(function, "cache_clear", int)()
    durations = Path("mutmut-stats.json")
    if durations.is_file():
        known = json.loads(durations.read_text())["duration_by_test"]
        slow = [item for item in items if known.get(item.nodeid, 0.0) > {LONGEST_S}]
        items[:] = sorted((item for item in items if item not in slow), key=lambda item: known.get(item.nodeid, 0.0))
        config.hook.pytest_deselected(items=slow)
"""
"""For the copy's conftest: a mutant dies of the first test that fails, so that the quickest comes first; and one that survives
has passed them all, so that those that take longest are left out. A mutant runs in a fork of a process that has run the tests
without a change: what functions have kept from then would hide it."""

SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/towerops_agent/{only}"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
pytest_add_cli_args_test_selection = [{tests}]
"""


def contracts() -> list[dict[str, Any]]:
    """import-linter's."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    return found


def pure_directories() -> list[str]:
    """Those that import-linter holds pure, below the agent's package."""
    (sources,) = (contract["source_modules"] for contract in contracts() if contract["name"] == PURE)
    names = (name.removeprefix("towerops_agent.").replace(".", "/") for name in sources if name.endswith(".**"))
    return [name.removesuffix("/**") for name in names]


def above(directory: str) -> list[str]:
    """The pure directories of packages that may import this one."""
    (layers,) = (contract["layers"] for contract in contracts() if contract["type"] == "layers")
    height = {package: -i for i, layer in enumerate(layers) for package in layer.split(" | ")}
    package = directory.partition("/")[0]
    return [other for other in pure_directories() if height[other.partition("/")[0]] > height[package]]


def _named(directory: str) -> str:
    """As it is imported."""
    return f"towerops_agent.{directory.replace('/', '.')}"


def is_directory(directory: str) -> bool:
    """Whether it is one, and not a module."""
    return (ROOT / "src" / "towerops_agent" / directory).is_dir()


def tests_of(directory: str) -> list[str]:
    """The unit tests of the directory or module, those beside it that do no I/O, and the property tests about it.

    A property test is about the highest of the directories that it imports: one of discovery makes SNMP's answers, and needs
    seconds to notice what is wrong with them.
    """
    properties = []
    for path in sorted((ROOT / "tests" / "property").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if (
            path.name not in LONGEST
            and _named(directory) in text
            and not any(_named(other) in text for other in above(directory))
        ):
            properties.append(f"tests/property/{path.name}")
    if is_directory(directory):
        return [f"tests/unit/{directory}", *BESIDE.get(directory, ()), *properties]
    package, _, module = f"tests/unit/{directory}".rpartition("/")
    own = sorted((ROOT / package).glob(f"test_{module}*.py")) or sorted((ROOT / package).rglob("test_*.py"))
    return [*(path.relative_to(ROOT).as_posix() for path in own), *properties]


def copy_tree(target: Path) -> None:
    """What git knows, as it is now."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def mutmut(place: Path, names: list[str], minutes: float | None, log_name: str = "mutmut.log") -> int | None:
    """Its exit status; None if it was stopped after so many minutes. It runs the mutants with the quickest tests first."""
    with (place / log_name).open("w") as log:
        process = subprocess.Popen(
            [MUTMUT, "run", "--max-children", "2", *names], cwd=place, stdout=log, stderr=log, start_new_session=True
        )
        try:
            return process.wait(None if minutes is None else minutes * 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            return None


def made(place: Path) -> list[str]:
    """The names of the directory's mutants, which are made here and not run yet."""
    # No mutant is so named: mutmut makes them all, times the tests, and ends with the complaint that there is none.
    mutmut(place, ["none"], None, "made.log")
    if NO_MUTANT not in (place / "made.log").read_text(encoding="utf-8"):
        raise SystemExit(f"no mutants were made in {place}: does a test fail without a change? see {place / 'made.log'}")
    files = (json.loads(path.read_text()) for path in (place / "mutants").rglob("*.meta"))
    return sorted(name for file in files for name in file["exit_code_by_key"])


def run(directory: str, minutes: float | None, sample: int | None, seed: int) -> None:
    """Mutate one directory, for so many minutes at most, and print its row.

    All mutants are run by name: then mutmut first runs their tests by name without a change. One that can't be found by its name
    fails then; later each mutant would seem to be killed.
    """
    place = PLACE / directory.replace("/", ".")
    copy_tree(place)
    with (place / "pyproject.toml").open("a", encoding="utf-8") as settings:
        tests = ", ".join(f'"{test}"' for test in tests_of(directory))
        settings.write(SETTINGS.format(only=f"{directory}/*" if is_directory(directory) else f"{directory}.py", tests=tests))
    conftest = place / "tests" / "conftest.py"
    conftest.write_text("import json\nimport sys\nfrom pathlib import Path\n" + conftest.read_text() + QUICK_FIRST)
    names = made(place)
    status = mutmut(place, names if sample is None else random.Random(seed).sample(names, min(sample, len(names))), minutes)
    if status:
        raise SystemExit(f"mutmut failed in {directory}, see {place / 'mutmut.log'}")
    report(directory, place, is_random=sample is not None and status == 0)


def interval(killed: int, ran: int) -> tuple[float, float]:
    """Within which the share of all is, by 95 % (Wilson's score), from a random sample."""
    z = 1.96
    middle = (killed + z * z / 2) / (ran + z * z)
    half = z / (ran + z * z) * sqrt(killed * (ran - killed) / ran + z * z / 4)
    return middle - half, middle + half


def report(directory: str, place: Path, *, is_random: bool) -> None:
    """Print the row of the table, and write the survivors down.

    A run that was stopped has run the mutants with the quickest tests, which is not a random sample.
    """
    subprocess.run([MUTMUT, "export-cicd-stats"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    counts = json.loads((place / "mutants" / "mutmut-cicd-stats.json").read_text())
    killed, survived = counts["killed"] + counts["timeout"] + counts["segfault"], counts["survived"] + counts["no_tests"]
    ran, left = killed + survived, counts["total"] - killed - survived
    share = f"{100 * killed / ran:.1f} %" if ran else "-"
    if is_random and left and ran:
        low, high = interval(killed, ran)
        share += f" ({100 * low:.0f} to {100 * high:.0f} %)"
    print(f"| `{directory}` | {counts['total']} | {killed} | {survived} | {left} | {share} |", flush=True)
    if counts["timeout"]:
        print(f"{counts['timeout']} of those killed took too long", file=sys.stderr, flush=True)
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
    parser.add_argument("--sample", type=int, help="run only so many mutants of each directory, drawn at random")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="by which they are drawn; else any, printed")
    arguments = parser.parse_args()
    os.nice(10)
    if arguments.sample:
        print(f"a random sample of {arguments.sample} mutants each, --seed {arguments.seed}", file=sys.stderr, flush=True)
    print("| directory | mutants | killed | survived | not run | killed of those run |\n|---|---|---|---|---|---|", flush=True)
    for directory in arguments.directory or pure_directories():
        run(directory, arguments.minutes, arguments.sample, arguments.seed)


if __name__ == "__main__":
    main()
