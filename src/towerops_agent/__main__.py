"""The command `towerops-agent`, also as `python -m towerops_agent`: `health`, and `run` without options, by the shortest way.

All else is cli/main.py's, which brings click and the options of all commands: 3 MB that an agent would hold for good.
"""

import os
import sys

COMPLETION = "_TOWEROPS_AGENT_COMPLETE"
"""The variable by which a shell asks click for what may follow on its command line."""


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
    if sys.argv[1:] in ([], ["run"]) and COMPLETION not in os.environ:
        from towerops_agent.cli.process import main as command  # noqa: PLC0415
    else:
        from towerops_agent.cli.main import main as command  # noqa: PLC0415
    command()


if __name__ == "__main__":
    main()
