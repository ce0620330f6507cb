"""The command `towerops-agent`, also as `python -m towerops_agent`: `health` by the shortest way, all else by cli/main.py."""

import os
import sys


def main() -> None:
    """Run the command line. If memory runs out, wherever that is, it ends with a line and exit status 1."""
    try:
        _command()
    except Exception as error:
        from towerops_agent.errors import is_out_of_memory  # noqa: PLC0415

        if not is_out_of_memory(error):
            raise
        os.write(2, b"towerops-agent: out of memory; what is in the database stays there: give it more, or fewer devices\n")
        sys.exit(1)


def _command() -> None:
    if sys.argv[1:] == ["health"]:
        from towerops_agent.telemetry.live_client import health_of  # noqa: PLC0415 -- nothing else is to be imported for it

        status = health_of()
        if status is not None:
            sys.exit(status)
    from towerops_agent.cli.main import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
