"""The profiles: ours, and the operator's beside them.

A directory of *.yaml and *.yml files -> Profiles, with what is wrong with them. An operator's profile replaces ours of the same
name.
I/O: reads files.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from towerops_agent.discovery.course.profile import Profile, read_profile
from towerops_agent.site.document.nodes import Location, Problem

OURS: Final = Path(__file__).parent.parent / "profiles"
MOST_OCTETS: Final = 1 << 20
SUFFIXES: Final = (".yaml", ".yml")


@dataclass(slots=True)
class Library:
    """`profiles`: by name; of two that fit a device equally the first is used.

    `problems`: each with its file; a profile that can't be used is left out.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def load_profiles(*paths: Path) -> Library:
    """Our profiles, and those in these files and directories."""
    return read_profiles((OURS, *paths))


def read_profiles(paths: Iterable[Path]) -> Library:
    """The profiles of these files and directories. Those of later ones come first, and replace earlier ones of the same name.

    Of two files of one directory with the same name the second is a mistake, as nobody knows which is meant.
    """
    library = Library()
    for path in paths:
        found: dict[str, Profile] = {}
        places: dict[str, Path] = {}
        for file in _files(path, library.problems):
            profile = _read(file, library.problems)
            if profile is None:
                continue
            if (other := places.setdefault(profile.name, file)) is not file:
                text = f"profile is '{profile.name}', as that of {other} is, which is used: expected another name"
                library.problems.append(Problem(Location(str(file)), text))
                continue
            found[profile.name] = profile
        library.profiles = found | {name: each for name, each in library.profiles.items() if name not in found}
    return library


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    """The file, or those of the directory."""
    if path.is_file():
        return [path]
    try:
        return sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and not each.name.startswith("."))
    except OSError as error:
        problems.append(Problem(Location(str(path)), f"can't be read: {error.strerror}"))
        return []


def _read(path: Path, problems: list[Problem]) -> Profile | None:
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        problems.append(Problem(Location(str(path)), f"can't be read: {error.strerror}"))
        return None
    if len(octets) > MOST_OCTETS:
        problems.append(Problem(Location(str(path)), f"is larger than {MOST_OCTETS >> 20} MB"))
        return None
    read = read_profile(str(path), octets)
    problems += read.problems
    return read.profile


def own_directory(site: Path) -> Path:
    """Where the operator's profiles for these site files are: `profiles` in their directory."""
    return (site if site.is_dir() else site.parent) / "profiles"


def profiles_beside(site: Path) -> Library:
    """Ours and the operator's profiles for these site files."""
    own = own_directory(site)
    return load_profiles(*([own] if own.is_dir() else []))
