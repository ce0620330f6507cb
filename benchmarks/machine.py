"""What a benchmark prints first: what it measures, on which machine, when, and how busy that was with other things."""

import os
import platform
import shlex
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path


def heading(what: str) -> None:
    """Print it, with the command that was given."""
    print(f"\n== {what}")
    print(f"   $ {shlex.join(['python', os.path.relpath(sys.argv[0]), *sys.argv[1:]])}")
    print(
        f"   {datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {_processor()}, {os.cpu_count()} cores, {_kernel()} · Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version} · {_commit()} · load before {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def row(label: str, *cells: str) -> None:
    """Print a line of a table."""
    print(f"   {label:<22}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


def note(text: str) -> None:
    """Print a line of text."""
    print(f"   {text}", flush=True)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _kernel() -> str:
    return f"{platform.system()} {platform.release().split('-')[0]}"


def _commit() -> str:
    folder = Path(__file__).parent
    said = subprocess.run(["git", "-C", folder, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "no commit"
