"""All benchmarks, one after the other; what one prints does not hang on the others.

make bench            half an hour or more
make bench FULL=1     the long ones, some hours
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "yardstick",
    "codec",
    "engine",
    "site_files",
    "start",
    "fleet",
    "names",
    "discovery",
    "peers",
    "saturation",
    "dead",
    "outage",
    "buffer",
    "wear",
    "rest",
    "health",
    "catch_up",
    "delivery",
    "group",
    "ping",
    "destinations",
    "page",
)
HAVE_LONG = ("engine", "start", "fleet", "saturation", "dead", "outage", "group")
"""Those that know --full."""


def main(options: list[str]) -> int:
    """How many of them failed."""
    folder = Path(__file__).parent
    failed = 0
    for name in BENCHMARKS:
        words = [sys.executable, folder / f"{name}.py", *(options if name in HAVE_LONG else ())]
        failed += subprocess.run(words, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
