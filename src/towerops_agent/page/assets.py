"""The page's files: styles, charts, words. The lab's page is made of them too.

I/O: reads them from the package.
"""

from importlib.resources import files


def asset(name: str) -> bytes | None:
    """The file of this name; None if there is none."""
    found = files(__package__) / "web" / name
    return found.read_bytes() if name.isascii() and "/" not in name and name.strip(".") and found.is_file() else None
