"""The profiles: ours, and the operator's beside them.

A directory of *.yaml -> Profiles, with what is wrong with them. An operator's profile replaces ours of the same name.
I/O: reads files.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from towerops_agent.discovery.course.profile import Profile, read_profile
from towerops_agent.site.document.nodes import Location, Problem

OURS: Final = Path(__file__).parent.parent / "profiles"
MOST_OCTETS: Final = 1 << 20


@dataclass(slots=True)
class Library:
    """`profiles`: by name. `problems`: each with its file; a profile that can't be used is left out."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def load_profiles(*directories: Path) -> Library:
    """Our profiles and those in `directories`, of which later ones replace earlier ones of the same name."""
    library = Library()
    for directory in (OURS, *directories):
        try:
            paths = sorted(path for path in directory.iterdir() if path.suffix == ".yaml" and not path.name.startswith("."))
        except OSError as error:
            library.problems.append(Problem(Location(str(directory)), f"can't be read: {error.strerror}"))
            continue
        for path in paths:
            _add(library, path)
    return library


def _add(library: Library, path: Path) -> None:
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        library.problems.append(Problem(Location(str(path)), f"can't be read: {error.strerror}"))
        return
    if len(octets) > MOST_OCTETS:
        library.problems.append(Problem(Location(str(path)), f"is larger than {MOST_OCTETS >> 20} MB"))
        return
    read = read_profile(str(path), octets)
    library.problems += read.problems
    if read.profile is not None:
        library.profiles[read.profile.name] = read.profile
