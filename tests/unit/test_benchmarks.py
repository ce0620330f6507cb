"""`make bench` runs each benchmark that there is, and benchmarks/README.md has them all."""

import ast

from support.markdown import ROOT

FOLDER = ROOT / "benchmarks"


def constant(name: str) -> tuple[str, ...]:
    """Of benchmarks/all.py."""
    for node in ast.parse((FOLDER / "all.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return tuple(each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant))
    raise AssertionError(f"benchmarks/all.py has no {name}")


def commands() -> set[str]:
    """The files that do something if they are run."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
    return {name for name, text in texts.items() if '__name__ == "__main__"' in text} - {"all"}


def test_all_runs_each_of_them_once():
    assert sorted(constant("BENCHMARKS")) == sorted(commands() - {"api"})


def test_only_those_that_know_the_long_run_are_asked_for_it():
    for name in constant("BENCHMARKS"):
        knows = "--full" in (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert knows == (name in constant("HAVE_LONG")), name


def test_the_readme_has_each_of_them():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in constant("BENCHMARKS"):
        assert f"`python benchmarks/{name}.py`" in page
