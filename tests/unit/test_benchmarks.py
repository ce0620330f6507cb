"""`make bench` runs each benchmark that there is, and benchmarks/README.md has them all."""

import ast
import tomllib

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


def test_what_is_measured_is_compressed_as_in_the_image():
    """Remote write without its extra sends ten times as many octets."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras["remote-write"]) <= set(extras["bench"])


def test_the_readme_has_each_of_them():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in constant("BENCHMARKS"):
        assert f"`python benchmarks/{name}.py`" in page


def test_what_a_benchmark_patches_is_there():
    """PATCH runs in the agent's process, with whatever is in its braces replaced: each name that it sets has to exist before."""
    tree = ast.parse((FOLDER / "outage.py").read_text(encoding="utf-8"))
    (patch,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PATCH")
    assert isinstance(patch, ast.JoinedStr)
    text = "".join(part.value if isinstance(part, ast.Constant) else "1" for part in patch.values)
    imports = [ast.unparse(node) for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    names = {name.id for name in ast.walk(ast.parse(text)) if isinstance(name, ast.Name)}
    modules: dict[str, object] = {}
    exec("\n".join(imports), modules)
    assert names <= modules.keys()
    for node in ast.parse(text).body:
        if isinstance(node, ast.AugAssign):
            eval(ast.unparse(node.target), modules)
