"""How a command ends that cannot do its work: what it prints on standard error, and its exit status.

Exit status: 1 failure · 2 a bad setting. Without click, so that the agent itself needs none of it in memory.
"""

import sys
from typing import NoReturn

from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.text import printable

EXIT_FAILURE = 1
EXIT_SETTINGS = 2


def complain(text: str) -> None:
    """Print `text` on standard error, in one line, as the agent's; a device's name in it can't control the terminal."""
    sys.stderr.write(f"towerops-agent: {printable(text)}\n")
    sys.stderr.flush()


def fail(error: AgentError) -> NoReturn:
    """End the command: print `error` on standard error, line by line, and exit with the matching status."""
    for line in str(error).splitlines():
        complain(line)
    sys.exit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILURE)
