"""The images that packaging/check-image builds on, made by debootstrap and kept by buildah, and how pip is set up in a build.

No registry is needed: Debian's packages are.
"""

# ruff: noqa: INP001, S603, S607, T201 - no package; it runs buildah, debootstrap and pip, and says what takes long

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DEBIAN = ("bookworm", "trixie")
"""The releases of Debian that bases are made of: 12 with Python 3.11, and 13 with Python 3.13."""

PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"


class Buildah:
    """buildah with a storage of its own under `work`. Its isolation is chroot: it needs no container runtime."""

    def __init__(self, work: Path) -> None:
        self._storage = ("--root", f"{work}/storage", "--runroot", f"{work}/run", "--storage-driver", "vfs")

    def command(self, *words: str | Path) -> list[str]:
        """The command line of buildah with these words."""
        return ["buildah", *self._storage, *map(str, words)]

    def run(self, *words: str | Path) -> str:
        """Its standard output. Exits with its standard error if it fails."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"buildah {words[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout.strip()


def make_base(buildah: Buildah, work: Path, arch: str, release: str) -> str:
    """The name of an image of this release of Debian with python3, pip and venv, made once a work directory."""
    name = f"localhost/debian-{release}-python-{arch}"
    if name in buildah.run("images", "--format", "{{.Name}}").splitlines():
        return name
    print(f"debootstrap of Debian's {release} for {arch}, some minutes", flush=True)
    tree = work / f"debian-{release}-{arch}"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--arch={arch}", f"--include={PACKAGES}", release, tree],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    container = buildah.run("from", "--arch", arch, "scratch")
    buildah.run("add", container, tree, "/")
    buildah.run("commit", "--rm", container, name)
    shutil.rmtree(tree)
    return name


def pip_as_here(work: Path) -> Iterator[str]:
    """buildah's options that give the build the pip configuration of this machine, and the local files that it names."""
    listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    options = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        options[key.split(".")[-1]] = value.strip("'")
    lines = ["[global]"]
    for key, value in options.items():
        for path in re.findall(r"(?:^|\s|://)(/[^\s]+)", value):
            top = path if Path(path).is_file() else "/".join(path.split("/")[:3])
            yield f"--volume={top}:/host{top}:ro"
        lines.append(f"{key} = " + re.sub(r"(^|\s|://)(/[^\s]+)", r"\1/host\2", value))
    conf = work / "pip.conf"
    conf.write_text("\n".join(lines) + "\n")
    yield f"--volume={conf}:/etc/pip.conf:ro"
