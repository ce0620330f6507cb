"""Which tests may be skipped, and why. With CI set, every other skip is a failure: a test that did not run shows nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

RECORDINGS: Final = Path(__file__).parents[3] / "shared" / "recordings"
"""Recordings of real devices. They are not part of the project; a checkout may have them beside it."""

NO_RECORDINGS: Final = "the recordings of real devices are not beside the checkout (../shared)"
NO_IPV6: Final = "no IPv6 on the loopback"
NO_MOUNT: Final = "no right to mount"
AS_ROOT: Final = "root may write everywhere"
NOT_ROOT: Final = "only root can give files to another user"
NOT_READABLE: Final = "another user can't read this interpreter or this tree"
NO_NAMESPACE: Final = "no right to a network namespace, or the kernel lacks what the test needs there"
NO_CGROUP: Final = "no right to a memory cgroup"
NO_PING: Final = "this process may not ping"
NO_SYSTEMD: Final = "no systemd-analyze"
NO_DEBIAN: Final = "no deb-systemd-helper: this is not Debian, nor one of its kind"

PERMITTED: Final = frozenset(
    {NO_RECORDINGS, NO_IPV6, NO_MOUNT, AS_ROOT, NOT_ROOT, NOT_READABLE, NO_NAMESPACE, NO_CGROUP, NO_PING, NO_SYSTEMD, NO_DEBIAN}
)
"""Reasons that no package to be installed removes."""


def objection(reason: str, environment: Mapping[str, str], recordings: Path = RECORDINGS) -> str | None:
    """Why a test must not be skipped for `reason`; None: it may be."""
    if not environment.get("CI"):
        return None
    if reason == NO_RECORDINGS and recordings.exists():
        return f"skipped though {recordings} is there"
    return None if reason in PERMITTED else f"skipped, which fails where CI is set: {reason}"
