"""The token that the agent shows to the API: given once, or kept in a file that is read again before each fetch.

I/O: reads the file, logs that it holds another token.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import structlog

from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret

log = structlog.get_logger()


class TokenSource:
    """Where the token comes from: `token`, or the file at `path`. The constructor reads nothing.

    `on_token` is called with each token read from the file, before anybody else has it, so that the log can hide it.
    """

    def __init__(
        self, token: Secret | None = None, path: Path | None = None, *, on_token: Callable[[Secret], None] = lambda _: None
    ) -> None:
        self._token = token
        self._path = path
        self._on_token = on_token
        self.rotations = 0  # how often the token has changed
        self.previous: Secret | None = None
        """The token before the last change: what was encrypted with it is still readable."""

    @property
    def token(self) -> Secret:
        """The token; the file is read at the first use. Raises SettingsError if there is no token that fits into a header."""
        if self._token is None:
            self._token = self._read()
        return self._token

    def reread(self) -> None:
        """Read the file again: if it holds a new token, that is in use from now on.

        Raises SettingsError if the file can't be used; the old token stays in use.
        """
        if self._path is None:
            return
        token = self._read()
        if token == self._token:
            return
        self.previous, self._token = self._token, token
        self.rotations += 1
        log.info("token file holds a new token, in use from now on")

    def _read(self) -> Secret:
        if self._path is None:
            raise SettingsError("no token: set TOWEROPS_AGENT_TOKEN or TOWEROPS_AGENT_TOKEN_FILE")
        try:
            text = read_regular(self._path).decode("utf-8-sig").strip()
        except OSError as error:
            raise SettingsError(f"the token file {self._path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"the token file {self._path} is not text: expected only the token") from None
        if not text or not all("!" <= character <= "~" for character in text):
            got = "holds something other than one token" if text else "is empty"
            raise SettingsError(f"the token file {self._path} {got}: expected printable ASCII characters without spaces")
        if text[0] in "'\"" or text[-1] in "'\"":
            raise SettingsError(f"the token file {self._path} holds quotes: expected only the token, without quotes around it")
        if re.match(r"[A-Z][A-Z0-9_]*=[^=]", text):
            raise SettingsError(f"the token file {self._path} holds NAME=value: expected only the token")
        token = Secret(text)
        self._on_token(token)
        return token


def read_regular(path: Path, most: int = 65_536) -> bytes:
    """The first `most` octets of the file at `path`.

    Raises OSError, also for a FIFO or a device, which would block or never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:  # `with os.fdopen(…)` would leave a directory open
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a directory" if stat.S_ISDIR(mode) else "it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)
