"""The site files on the disk: read as one, looked at for changes, with the secrets that they name.

A path, of a file or of a directory of *.yaml files -> Compiled. What has changed is used once two looks at it, a second apart,
agree: a file, or a set of them, that is still being written is not.
I/O: reads files and the environment. Octets.
"""

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from towerops_agent.api.bearer import read_regular
from towerops_agent.errors import AgentError, InvalidConfig
from towerops_agent.site.document.auto import Additions  # noqa: TC001 - as all others
from towerops_agent.site.document.nodes import Location, Problem
from towerops_agent.site.document.site import Compiled, compile_site

SUFFIXES: Final = (".yaml", ".yml")
MOST_OCTETS: Final = 64 << 20
"""Of one file: 10,000 devices with 68 items each take 30 MB."""

READINGS: Final = 5
SETTLE_S: Final = 1.0
"""How long what has changed is left alone before it is read: a copy over the network comes in pieces, and a set file by file."""

RACY_NS: Final = 5_000_000_000
"""A file that changed so recently may change again without a trace in its times: it is read again."""

Signature = tuple[object, ...]


class SiteUnreadable(AgentError):
    """The site files can't be read. The text says which, and what to do."""


class SiteFiles:
    """The files at `path`. Inert until `read`. `read_file`: the octets of a site file, as many as are wanted.

    `pause`: waits for so many seconds.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str] = os.environ,
        read_file: Callable[[Path, int], bytes] = read_regular,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path
        self._environ = environ
        self._read_file = read_file
        self._pause = pause
        self.additions: Additions = {}
        """What was found of the devices that are discovered, by id: the next reading has it."""
        self._signature: Signature | None = None
        self._is_racy = False
        self._secret_files: set[Path] = set()
        self._before: Compiled | None = None  # the last reading that could be used

    def has_changed(self) -> bool:
        """Whether a file, or a secret's, may differ from when it was read."""
        return self._is_racy or self._signature is None or self._look() != self._signature

    def read(self) -> Compiled:
        """What the files say now; the first time at once, later once they have settled. Blocks. Raises SiteUnreadable."""
        for _ in range(READINGS):
            has_changed = self._signature is not None and self._look() != self._signature
            self._secret_files = set()
            before = self._look()
            names = self._names()
            if has_changed:
                self._pause(SETTLE_S)
            documents = [(str(name), self._octets(name)) for name in names]
            compiled = compile_site(documents, self._secret, self.additions, self._before)
            compiled.warnings += [
                Problem(Location(str(path)), "other users of this machine can read this secret: expected mode 600 or 640")
                for path in sorted(self._secret_files)
                if _is_open(path)
            ]
            after = self._look()
            if before[: 1 + len(names)] == after[: 1 + len(names)]:
                self._signature = after
                changed_ns = max((_changed_ns(path) for path in (*names, *self._secret_files)), default=0)
                self._before = compiled if compiled.config is not None else self._before
                self._is_racy = time.time_ns() - changed_ns < RACY_NS
                return compiled
        raise SiteUnreadable(f"{self.path} changes while it is read: wait until whoever writes it is done")

    def _names(self) -> list[Path]:
        try:
            if not self.path.is_dir():
                return [self.path]
            names = sorted(path for path in self.path.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
        except OSError as error:
            raise SiteUnreadable(f"{self.path} can't be read: {error.strerror}") from None
        if not names:
            raise SiteUnreadable(
                f"{self.path} is a directory, and holds no file that ends in .yaml or .yml: expected one at least"
            )
        return names

    def _look(self) -> Signature:
        """The names, and what differs between a file and its next version."""
        try:
            names = self._names()
        except SiteUnreadable as error:
            return (str(error),)
        return (tuple(names), *map(_version, names), *map(_version, sorted(self._secret_files)))

    def _octets(self, path: Path) -> bytes:
        try:
            octets = self._read_file(path, MOST_OCTETS + 1)
        except OSError as error:
            raise SiteUnreadable(f"{path} can't be read: {_why(path, error)}") from None
        if len(octets) > MOST_OCTETS:
            raise SiteUnreadable(f"{path} is larger than {MOST_OCTETS >> 20} MB: expected several files in a directory")
        return octets

    def _secret(self, how: str, name: str) -> str:
        """The secret of a file, whose name is relative to the site files, or of a variable. Raises InvalidConfig."""
        if how == "env":
            text = self._environ.get(name, "").rstrip("\r\n")
            if not text.strip():
                raise InvalidConfig(f"the variable {name} is not set, or empty: expected the secret in it")
            return text
        folder = self.path if self.path.is_dir() else self.path.parent
        path = folder / name
        self._secret_files.add(path)
        try:
            text = read_regular(path, 65_536).decode("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise InvalidConfig(f"the file {path} can't be read ({error.strerror}): expected the secret in it") from None
        except UnicodeDecodeError:
            raise InvalidConfig(f"the file {path} is not text in UTF-8: expected the secret in it") from None
        wrong = "is empty" if not text.strip() else "has several lines" if "\n" in text else ""
        if wrong:
            raise InvalidConfig(f"the file {path} {wrong}: expected the secret in one line")
        return text


def _why(path: Path, error: OSError) -> str:
    """Why the file can't be read, and what to do about what is named like a site file, and is not one."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"it is a link to {path.readlink()}, which is not there: expected that, or no link"
    if path.is_dir():
        return (
            f"{error.strerror}: expected a file, or another name (Docker makes a directory for a volume whose file is not there)"
        )
    return error.strerror or str(error)


def _version(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
