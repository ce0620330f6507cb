"""The place of the database: a file that can be one, locked for one agent only, and later still the file that was opened.

Path -> descriptor, which holds the lock until it is closed. It must not be closed while SQLite has the file open in this
process: with a file's descriptor go the process's POSIX locks on it, which are SQLite's.
Synchronous, for the writer's thread. Octets.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from towerops_agent.errors import BufferFailure, DatabaseBusy

MAGIC = b"SQLite format 3\0"

SUFFIXES = ("-wal", "-shm", "")
"""The files of a database, the main one last: once that is moved, all are."""

PAGE_OCTETS = 512
"""Small ones: a commit rewrites whole pages, and flash cards wear. A file that version 3 began keeps its own of 4,096."""

NEEDED_OCTETS = 64 << 10
"""What a database needs to be opened: above all SQLite's index of the journal, of 32 KB."""

WRITABLE = "mount it for writing; a container or a service may write only to its own directory"
"""What to do about a file system that is read-only: ProtectSystem= and `docker run --read-only` make it so as well."""

DOES_NOT_ANSWER = frozenset({errno.EIO, errno.ENXIO, errno.ERANGE})
"""With these a disk reports a part of it that can't be read. SQLite takes such a page for a damaged one."""

_HAS_NO_MODE = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})

_PAGES_SEEN = 64
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def followed(path: Path) -> Path:
    """Where the file is: elsewhere than at `path` if that is a symbolic link to it. SQLite puts its own files there, too.

    A link into a directory that is not there, as on a disk that is not mounted yet, is not followed: nobody is to make that.
    Nor is one that the kernel follows for nobody, as another user has put it into a directory like /tmp.
    """
    if not os.path.islink(path):  # noqa: PTH114 -- raises nothing where this user may not look
        return path
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError:
        return path
    file = Path(os.path.realpath(path))
    can_be_made = not os.path.lexists(file) and os.path.isdir(file.parent)  # noqa: PTH112 -- as above
    return file if can_be_made or os.path.isfile(file) else path  # noqa: PTH113 -- as above


def advice(path: Path, error: Exception, otherwise: str) -> str:
    """What to do about the file at `path` that can't be opened or created, by what its disk lacks; `otherwise` if it does not."""
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ENOTCONN):
        return "its disk does not answer, `dmesg` says more: check it, and how it is connected"
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return otherwise
    # An ext4 that Linux 6 has made read-only after an error calls itself writable, and only refuses.
    if disk.f_flag & os.ST_RDONLY or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return f"its file system is read-only, `dmesg` says whether the kernel made it so: {WRITABLE}"
    if disk.f_bavail * disk.f_frsize < NEEDED_OCTETS:
        return "its disk is full: make room there"
    if disk.f_files and not disk.f_favail:
        return "its disk has no inodes left: remove files there"
    return otherwise


def beside(path: Path, suffix: str) -> Path:
    """The file at `path` with `suffix` after its whole name."""
    path = followed(path)
    return path.with_name(path.name + suffix)


def sync(path: Path) -> None:
    """Have the disk hold all of a file, or the names in a directory. Raises OSError."""
    place = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def lock(path: Path) -> int:
    """The lock file beside the database, locked, with our process's id in it. Raises DatabaseBusy or BufferFailure."""
    lock_path = beside(path, ".lock")
    try:
        place = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise BufferFailure(
            f"the lock file {lock_path} can't be opened ({error.strerror}): "
            f"{advice(lock_path, error, 'the agent needs write access to its directory')}"
        ) from error
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        make_private(place)
        os.truncate(place, 0)
        os.write(place, f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        release(place)
        raise _busy(path, f"process {_owner(path) or 'unknown'}") from error
    except OSError as error:
        release(place)
        raise BufferFailure(
            f"the lock file {lock_path} can't be used ({error.strerror}): {advice(lock_path, error, 'check its disk')}"
        ) from error
    return place


def take(path: Path) -> int:
    """The file at `path`, locked and 0600; it is created if there is none.

    Raises DatabaseBusy, or BufferFailure if something else is there, which stays as it is.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    if kind != stat.S_IFREG:
        raise BufferFailure(f"{path} is {_KINDS.get(kind, 'no file')}: expected a file, choose another DATABASE_PATH")
    place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        _lock(path, place)
        if _is_foreign(place):
            raise BufferFailure(f"the file {path} is not a database and stays as it is: choose another DATABASE_PATH")
        make_private(place)
    except BaseException:
        release(place)
        raise
    return place


def release(place: int) -> None:
    """Close the descriptor, and with it the lock. A file system in user space whose disk is gone may report that then."""
    with suppress(OSError):
        os.close(place)


def make_private(file: Path | int) -> None:
    """Set the mode to 0600, if it can be: a file of another user, and each on FAT, keeps its own. Raises OSError."""
    try:
        os.chmod(file, 0o600)  # noqa: PTH101 -- or a descriptor
    except OSError as error:
        if error.errno not in _HAS_NO_MODE:
            raise


def others_rights(place: int) -> int:
    """The mode of the file, if others than its owner may read or write it; 0 if not."""
    mode = stat.S_IMODE(os.fstat(place).st_mode)
    return mode if mode & 0o077 else 0


def take_along(path: Path, place: int) -> tuple[Path | None, Path]:
    """Put the journal beside the opened file, which was moved away from `path`, so that SQLite reads it with that file.

    Where the file is, None if nobody can say, and where the journal is: under a name of its own if the file has another one there
    already, or is where this user may put nothing, and still at `path` if the disk accepts no change.
    """
    moved, journal = _whereabouts(place), beside(path, "-wal")
    names = [beside(path, "-wal.left")]
    if moved is not None and not beside(moved, "-wal").exists():
        names.insert(0, beside(moved, "-wal"))
    for kept in names:
        try:
            journal.rename(kept)
            beside(path, "-shm").unlink(missing_ok=True)
        except OSError:
            continue
        return moved, kept
    return moved, journal


def _whereabouts(place: int) -> Path | None:
    try:
        found = Path(os.readlink(f"/proc/self/fd/{place}"))  # noqa: PTH115 -- readlink of a descriptor's name
        return found if os.path.samestat(found.stat(), os.fstat(place)) else None
    except OSError:
        return None


def is_covered(path: Path, place: int) -> bool:
    """Whether the opened file still has its name, and another file system is mounted over it."""
    try:
        has_name = os.readlink(f"/proc/self/fd/{place}") == os.path.realpath(path)  # noqa: PTH115 -- as above
    except OSError:
        return False
    return has_name and _whereabouts(place) is None


def empty(place: int) -> None:
    """Have nothing in the opened file, which SQLite has closed. Raises OSError."""
    os.ftruncate(place, 0)
    os.fsync(place)


def change(path: Path, journal: Path, place: int) -> str | None:
    """What has become of the file that was taken, for the operator; None: it is where it was, or nobody can see."""
    try:
        there = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "it was removed"
    except OSError:
        return None
    try:
        ours = os.fstat(place)
    except OSError:
        return "its disk is gone"
    if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
        return "another file is in its place"
    if not there.st_size:
        return "it was emptied"
    return "its journal was removed" if _is_gone(journal) else None


def _is_gone(path: Path) -> bool:
    """Whether nothing is at the path; not so if nobody can see."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _lock(path: Path, place: int) -> None:
    # Besides the lock file, which somebody may have removed: then another agent makes one of its own.
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(path, f"`fuser {path}` shows its process") from error
    except OSError:  # the file system has no such locks
        return


def _owner(path: Path) -> str:
    try:
        return beside(path, ".lock").read_bytes()[:20].decode("ascii", "replace").strip()
    except OSError:
        return ""


def _busy(path: Path, owner: str) -> DatabaseBusy:
    return DatabaseBusy(
        f"the database {path} is open in another agent ({owner}): stop that one, or give this one a place of its own"
    )


def octets_at(place: int, at: int, count: int) -> bytes | None:
    """What the file has there; None if that part of the disk does not answer."""
    try:
        return os.pread(place, count, at)
    except OSError as error:
        if error.errno not in DOES_NOT_ANSWER:
            raise
        return None


def is_foreign(path: Path) -> bool:
    """Whether the file at `path` is one that `take` refuses: not a database, and not one whose beginning is damaged.

    Not so if it can't be looked at.
    """
    try:
        with path.open("rb") as file:
            return _is_foreign(file.fileno())
    except OSError:
        return False


def _is_foreign(place: int) -> bool:
    """Whether nothing of the file looks like a database, not even like one whose beginning is damaged or can't be read.

    Raises OSError if nothing of it can be read.
    """
    head = octets_at(place, 0, len(MAGIC))
    if head is not None and (not head.strip(b"\0") or head == MAGIC):  # a power cut leaves zeros
        return False
    pages = [octets_at(place, page * PAGE_OCTETS, 8) for page in range(1, _PAGES_SEEN)]
    if head is None and not any(pages):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return not any(_is_table_page(page) for page in pages if page is not None)


def _is_table_page(head: bytes) -> bool:
    """Whether this may be the head of a page of a table or index (https://sqlite.org/fileformat2.html, 1.6)."""
    if len(head) < 8 or head[0] not in (2, 5, 10, 13):
        return False
    first_free, cells, content = (int.from_bytes(head[at : at + 2], "big") for at in (1, 3, 5))
    return max(first_free, 2 * cells, content) <= PAGE_OCTETS
