"""The command `towerops-agent`, also as `python -m towerops_agent`: `health`, and `run` without options, by the shortest way.

All else is cli/main.py's, which brings click and the options of all commands: 3 MB that an agent would hold for good.
"""

import os
import sys

from towerops_agent.errors import is_out_of_memory

COMPLETION = "_TOWEROPS_AGENT_COMPLETE"
"""The variable by which a shell asks click for what may follow on its command line."""

ARENA_OCTETS = 1 << 20
"""What Python asks the C library for when its own memory is used up."""


def main() -> None:
    """Run the command line. If memory runs out, wherever that is, it ends with a line and exit status 1; so at Ctrl-C."""
    try:
        _command()
    except KeyboardInterrupt:  # before there is an agent to be stopped, or while all is imported: as click has it afterwards
        os.write(2, b"Aborted!\n")
        sys.exit(1)
    except Exception as error:
        if not is_out_of_memory(error) and not (_came_of_an_import(error) and _nothing_is_left()):
            raise
        os.write(2, b"towerops-agent: out of memory; what is in the database stays there: give it more, or fewer devices\n")
        os._exit(1)  # at Python's own end coroutines are closed that are still under way, and what comes of it hides that line


def _command() -> None:
    if sys.argv[1:] == ["health"]:
        from towerops_agent.telemetry.live_client import end_with_health  # noqa: PLC0415 -- nothing else is to be imported for it

        end_with_health()  # or go on, if no agent answers
    if sys.argv[1:] in ([], ["run"]) and COMPLETION not in os.environ:
        from towerops_agent.cli.process import main as command  # noqa: PLC0415
    else:
        from towerops_agent.cli.main import main as command  # noqa: PLC0415
    command()


def _came_of_an_import(error: Exception) -> bool:
    """Whether a module raised it while it was imported.

    Without memory for that, CPython raises SystemError in many places ("error return without exception set", often from 3.13 on),
    and ImportError if a library can't be mapped; neither says why, not by its cause either.
    """
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_name == "<module>":
            return True
        step = step.tb_next
    return isinstance(error, SystemError)


def _nothing_is_left() -> bool:
    try:
        bytearray(ARENA_OCTETS)
    except MemoryError:
        return True
    return False


if __name__ == "__main__":
    main()
