"""The command `towerops-agent`, also as `python -m towerops_agent`: `health` by the shortest way, all else by cli/main.py."""

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["health"]:
        from towerops_agent.telemetry.live_client import health_of  # noqa: PLC0415 -- nothing else is to be imported for it

        status = health_of()
        if status is not None:
            sys.exit(status)
    from towerops_agent.cli.main import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
