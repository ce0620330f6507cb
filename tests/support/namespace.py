"""A network namespace of a test's own, in which it may set what it likes: `run` a module in one, and read what it prints.

Needs root, or a kernel that lets anybody make user namespaces.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from support.hang import HANG_S
from support.markdown import ROOT
from support.skips import NO_NAMESPACE

NOBODY_MAY_PING = "1 0"
"""What Linux has in ping_group_range by default."""

EVERYBODY_MAY_PING = "0 2147483647"


def _unshare() -> list[str]:
    return ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@functools.cache
def _is_possible() -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run([*_unshare(), "true"], capture_output=True, check=False).returncode
    )


def run(module: str, wish: object, *, before: str = "true", ping_group_range: str = NOBODY_MAY_PING, may_raw: bool = True) -> Any:
    """The JSON that `python -m module` prints last for this `wish`, its argument as JSON, in a namespace with a loopback only.

    `before`: shell commands that are run there first. `may_raw`: whether it has CAP_NET_RAW. Skips the test if it can't have a
    namespace, or the commands fail as the kernel lacks something.
    """
    if not _is_possible():
        pytest.skip(NO_NAMESPACE)
    allow = "" if may_raw else "setpriv --bounding-set=-net_raw --inh-caps=-net_raw "
    group = 0 if os.geteuid() == 0 or ping_group_range != EVERYBODY_MAY_PING else "0 0"
    shown = ping_group_range if group == 0 else group
    script = (
        f"ip link set lo up && echo '{shown}' > /proc/sys/net/ipv4/ping_group_range || exit 96; ({before}) || exit 97; "
        f'exec {allow}"$0" -m {module} "$1"'
    )
    ran = subprocess.run(
        [*_unshare(), "sh", "-c", script, sys.executable, json.dumps(wish)],
        cwd=ROOT / "tests",
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    if ran.returncode in (96, 97):
        pytest.skip(NO_NAMESPACE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # before it is the log
