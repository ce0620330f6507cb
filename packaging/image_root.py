"""Lay out the root of the image: the agent's virtual environment and what it needs of the machine that it was made on, no more.

    image_root.py VENV ROOT

Run by the Dockerfile's first stage. It takes the interpreter, its library without what the agent never imports, the shared
libraries that these link to, the certificate authorities, and the Debian packages' names and licences, by which, and by a bill of
materials, scanners know what is inside.
"""

# ruff: noqa: INP001, S603, S607 - no package; it runs ldd, dpkg-query, ldconfig and strip of the machine that the image is made on

import compileall
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from py_compile import PycInvalidationMode

import sbom

STDLIB = sysconfig.get_path("stdlib")
UNUSED = (
    *("__pycache__", "*.pyc", "*.a", "config-*", "site-packages", "dist-packages"),
    *(
        "test",
        "tests",
        "_test*.so",
        "_ctypes_test*.so",
        "_xx*.so",
        "xx*.so",
        "unittest",
        "doctest.py",
        "lib2to3",
        "ensurepip",
        "venv",
    ),
    *("idlelib", "tkinter", "_tkinter*.so", "turtle.py", "turtledemo", "curses", "_curses*.so", "readline*.so", "_pyrepl"),
    *("pydoc.py", "pydoc_data", "pdb.py", "bdb.py", "cProfile.py", "profile.py", "pstats.py", "_lsprof*.so", "trace.py"),
    *("dbm", "_dbm*.so", "_gdbm*.so", "xmlrpc", "distutils", "pickletools.py", "_codecs_*.so", "_multibytecodec*.so"),
    *("mailbox.py", "imaplib.py", "nntplib.py", "poplib.py", "telnetlib.py", "nturl2path.py", "_pydecimal.py", "_pyio.py"),
)
"""Of the standard library: tests, other programs, and what no module of the agent or of its dependencies imports.

packaging/check-image imports each module of the agent in the image, and runs its commands there.
"""
UNUSED_PACKAGES = ("zstandard/_cffi*.so",)  # for interpreters other than CPython

AUTHORITIES = ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/usr/lib/ssl", "/usr/share/ca-certificates")
LOADER = ("/etc/ld.so.conf", "/etc/ld.so.conf.d")  # a libpython below /usr/local is found only by ldconfig's cache

BILL = "/usr/share/towerops-agent/towerops-agent.cdx.json"
"""The bill of materials. Trivy and Syft find it by the end of its name."""

USERS = "root:x:0:0:root:/:/sbin/nologin\ntowerops:x:10001:10001:Towerops agent:/data:/sbin/nologin\n"
GROUPS = "root:x:0:\ntowerops:x:10001:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"

COMMAND = """\
#!{venv}/bin/python -ISB
import sys

sys.path.append("{packages}")

from towerops_agent.container import main

main()
"""
"""The command in the image: it takes the volume and gives root up, if it is started as root.

-S: without the module site, which is a third of a health check's CPU and finds only the one directory that is named here.
"""


class ImageRoot:
    """The tree that grows at `root`. Each path is the same as on this machine, symbolic links on the way to it included."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, path: str | Path) -> None:
        """Copy a file or a tree, and whatever the symbolic links on the way to it point to."""
        path = Path(path)
        for part in [*reversed(path.parents), path]:
            if part.is_symlink():
                self._link(part)
                self.take(os.path.normpath(part.parent / part.readlink() / path.relative_to(part)))
                return
        here = self._here(path)
        if path.is_dir():
            here.mkdir(parents=True, exist_ok=True)
            for entry in sorted(path.iterdir()):
                if not any(entry.match(pattern) for pattern in (UNUSED if path.is_relative_to(STDLIB) else UNUSED_PACKAGES)):
                    self.take(entry)
        elif not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, here)

    def write(self, path: str, text: str) -> None:
        """Make the file at `path` of the image, with this text."""
        here = self._here(Path(path))
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_text(text)

    def compile(self) -> None:
        """Bytecode beside each source, valid whatever time the file system gives the source."""
        for path in (STDLIB, "/opt"):
            compileall.compile_dir(
                self._here(Path(path)), quiet=2, stripdir=self._root, prependdir="/",
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )  # fmt: skip

    def binaries(self) -> Iterator[Path]:
        """What was taken and links to shared libraries."""
        for path in self._root.rglob("*"):
            if not path.is_symlink() and path.is_file():
                with path.open("rb") as file:
                    is_elf = file.read(4) == b"\x7fELF"
                if is_elf:
                    yield path

    def strip(self) -> None:
        """Take out the debug symbols."""
        for binary in self.with_symbols():
            subprocess.run(["strip", "--strip-unneeded", binary], check=True)

    def with_symbols(self) -> Iterator[Path]:
        """What may have debug symbols: an interpreter, its libpython, the wheels' libraries. Debian's own are stripped."""
        for binary in self.binaries():
            if binary.name.startswith(("python3", "libpython3")) or binary.is_relative_to(self._root / "opt"):
                yield binary

    def _link(self, path: Path) -> None:
        here = self._here(path)
        if not here.is_symlink():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(path.readlink())

    def _here(self, path: Path) -> Path:
        return self._root / path.relative_to("/")


def libraries(binaries: Iterator[Path]) -> set[str]:
    """The paths of the shared libraries that they link to. Exits if one is missing."""
    found = set()
    for binary in binaries:
        listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        for line in listing.splitlines():
            words = line.replace("=>", " ").split()
            if "not found" in line:
                sys.exit(f"image_root.py: {binary} needs {words[0]}, which this base has not")
            found |= {os.path.normpath(word) for word in words if word.startswith("/")}
    return found


def packages(paths: Iterable[str]) -> set[str]:
    """The Debian packages that own these files, as dpkg names them: with the architecture if it may be installed for several."""
    names = set()
    for path in sorted(paths):
        real = os.path.realpath(path)
        for spelling in (real, real.removeprefix("/usr")):  # before Debian 13 the database has some as /lib/…
            answer = subprocess.run(["dpkg-query", "--search", spelling], capture_output=True, text=True, check=False)
            names |= owners(answer.stdout)
    return names


def owners(listing: str) -> set[str]:
    """The packages that `dpkg-query --search` names in `listing`.

    From Debian 13 on, there are lines about diversions among those that name packages (`diversion by libc6 from: /lib64/…`).
    """
    lines = [line for line in listing.splitlines() if not line.startswith(("diversion by ", "local diversion "))]
    return {name for line in lines for name in line.split(": ")[0].split(", ")}


def main(venv: str, target: str) -> None:
    """Lay out at `target` the root of an image that runs what is in `venv`."""
    python = os.path.realpath(sys.executable)
    root = ImageRoot(Path(target))
    root.take(venv)
    root.take(python)
    root.take(STDLIB)
    root.take(sysconfig.get_path("platstdlib"))
    needed = libraries(root.binaries())
    # The C library opens this one by name, when a thread ends early; without it, it aborts the process.
    needed.add(next(str(path) for path in Path("/usr/lib").glob("*-linux-gnu/libgcc_s.so.1")))
    for path in needed:
        root.take(path)
    for path in (*AUTHORITIES, *LOADER, "/etc/os-release"):
        root.take(path)
    root.strip()
    subprocess.run(["ldconfig", "-r", target], check=True)
    installed = packages(needed | {python, os.__file__, "/usr/sbin/update-ca-certificates"})
    root.write("/var/lib/dpkg/status", "\n".join(_printed(["dpkg-query", "--status", name]) for name in sorted(installed)))
    for name in installed:
        root.take(f"/usr/share/doc/{name.split(':')[0]}/copyright")
    root.write(BILL, bill_of_materials(venv, installed))
    (site_packages,) = Path(venv).glob("lib/*/site-packages")
    root.write(f"{venv}/bin/towerops-agent", COMMAND.format(venv=venv, packages=site_packages))
    root.write("/etc/passwd", USERS)
    root.write("/etc/group", GROUPS)
    root.write("/etc/nsswitch.conf", NSSWITCH)
    root.compile()


def bill_of_materials(venv: str, installed: set[str]) -> str:
    """What is in the image: CPython, what pip has installed in `venv`, and these Debian packages."""
    found = {
        dist.metadata["Name"]: dist for dist in distributions(path=[str(path) for path in Path(venv).glob("lib/*/site-packages")])
    }
    release = platform.freedesktop_os_release().get("VERSION_ID", "unstable")
    fields = "${Package} ${Version} ${Architecture}"
    debian = [_printed(["dpkg-query", "--show", f"--showformat={fields}", name]).split() for name in sorted(installed)]
    return sbom.document(
        found["towerops-agent"].version,
        [
            sbom.interpreter(platform.python_version()),
            *(sbom.distribution(dist) for dist in found.values()),
            *(sbom.debian_package(name, version, architecture, release) for name, version, architecture in debian),
        ],
    )


def _printed(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
