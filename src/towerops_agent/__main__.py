"""The command `towerops-agent`, also as `python -m towerops_agent`: `health` by the shortest way, all else by cli/main.py."""

import errno
import os
import sys


def main() -> None:
    """Run the command line. If memory runs out, wherever that is, it ends with a line and exit status 1."""
    try:
        _command()
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        os.write(2, b"towerops-agent: out of memory; what is in the database stays there: give it more, or fewer devices\n")
        sys.exit(1)


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this, or what it came of, says so: Python itself, the kernel, or a thread that could not be started."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_out_of_memory(one) for one in error.exceptions)
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
            return True
        error = error.__cause__ or error.__context__
    return False


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
