"""All benchmarks, one after the other; what one prints does not hang on the others.

make bench            some 30 minutes
make bench FULL=1     the long ones, some hours
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("engine", "start", "fleet", "saturation", "dead", "outage")


def main(options: list[str]) -> int:
    """How many of them failed."""
    folder = Path(__file__).parent
    return sum(
        subprocess.run([sys.executable, folder / f"{name}.py", *options], check=False).returncode != 0 for name in BENCHMARKS
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
