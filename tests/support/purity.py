"""Which directories and modules the gate holds pure: the sources of the import contract in pyproject.toml."""

import tomllib

from support.markdown import ROOT

_CONTRACT = "Pure directories do no I/O, keep no log and read no clock, nor does what they import"
_BELOW = ".**"


def pure_modules() -> list[str]:
    """Dotted names, of directories too."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (found,) = [one for one in contracts if one["name"] == _CONTRACT]
    return [name.removesuffix(_BELOW) for name in found["source_modules"]]


def pure_directories() -> list[str]:
    """Those of pure_modules that are directories."""
    return [name for name in pure_modules() if (ROOT / "src" / name.replace(".", "/")).is_dir()]
