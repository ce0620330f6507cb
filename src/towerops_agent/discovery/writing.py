"""Write a site file, and beside it a file for each secret that has no place yet.

I/O: writes files; none is overwritten unasked.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from towerops_agent.discovery.report.credentials import keys_of, secrets_of
from towerops_agent.discovery.report.entry import Discovered
from towerops_agent.discovery.report.site_file import site_file
from towerops_agent.errors import SettingsError

Places = Mapping[str, tuple[str, str]]


class NotWritten(SettingsError):
    """A file can't be written. The text says which, and why."""


def write_site(
    path: Path,
    head: str,
    entries: Sequence[Discovered],
    places: Mapping[str, Places],
    *,
    elsewhere: frozenset[str] = frozenset(),
    remote_write: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write it; the files that were written. `places`: where the secrets of a set are, by its name and the site file's key.

    `elsewhere`: sets that another file of the same directory has. Raises NotWritten.
    """
    used = {entry.credentials: entry.as_whom for entry in entries}
    secrets = {}
    sets = {}
    for name, credentials in used.items():
        if name in elsewhere:
            continue
        at = dict(places.get(name, {}))
        for key, secret in secrets_of(credentials).items():
            if key not in at:
                own = path.with_name(f"{path.stem}.{_safe(name)}.{key}")
                while own in secrets:  # `core.1` and `core 1` are two sets
                    own = own.with_name(f"{own.stem}_{own.suffix}")
                secrets[own] = secret
                at[key] = ("file", own.name)
        sets[name] = keys_of(credentials, at)
    written = []
    for own, secret in secrets.items():
        _write(own, secret.reveal().encode("utf-8", "surrogateescape") + b"\n", overwrite=overwrite)
        written.append(own)
    _write(path, site_file(head, entries, sets, remote_write).encode("utf-8", "replace"), overwrite=overwrite)
    return [path, *written]


def refuse_existing(path: Path) -> None:
    """Raises NotWritten if there is a file, or no directory for it: before a sweep, not after it."""
    if path.exists():
        raise NotWritten(f"{path} exists: expected another name, or --force to overwrite it")
    if not path.parent.is_dir():
        raise NotWritten(f"{path.parent} is not a directory: expected one for {path.name}")


def _write(path: Path, octets: bytes, *, overwrite: bool) -> None:
    """No other user of the machine may read it, also if one could before: it has a secret, or lists the network."""
    flags = os.O_WRONLY | os.O_CREAT | (0 if overwrite else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                if mode & stat.S_IRWXO:  # the file was there: its group, as the agent's, keeps its rights
                    os.fchmod(file.fileno(), stat.S_IMODE(mode) & ~stat.S_IRWXO)
                file.truncate()
            file.write(octets)
    except OSError as error:
        raise NotWritten(f"{path} can't be written: {error.strerror}") from None


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
