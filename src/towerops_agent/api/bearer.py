"""The token that the agent shows to the API: given once, or kept in a file that is read again when the API refuses it.

Used by client.py alone. I/O: reads the file.
"""

from collections.abc import Callable
from pathlib import Path

from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret


class TokenSource:
    """Where the token comes from: `token`, or the file at `path`. The constructor reads nothing.

    `on_token` is told each token that is read of the file, before anybody else has it: the log is to hide it.
    """

    def __init__(
        self, token: Secret | None = None, path: Path | None = None, *, on_token: Callable[[Secret], None] = lambda _: None
    ) -> None:
        self._token = token
        self._path = path
        self._on_token = on_token
        self.rotations = 0  # how often the token has become another one

    @property
    def token(self) -> Secret:
        """The token; the file is read at the first use. Raises SettingsError where there is none that a header can carry."""
        if self._token is None:
            self._token = self._read()
        return self._token

    def reread(self) -> bool:
        """Whether the file holds another token now, which is in use from here on.

        Raises SettingsError where the file can't be used; the token stays as it was.
        """
        if self._path is None:
            return False
        token = self._read()
        if token == self._token:
            return False
        self._token = token
        self.rotations += 1
        return True

    def _read(self) -> Secret:
        if self._path is None:
            raise SettingsError("no token: set TOWEROPS_AGENT_TOKEN or TOWEROPS_AGENT_TOKEN_FILE")
        try:
            text = self._path.read_bytes()[:65536].decode("utf-8-sig").strip()
        except OSError as error:
            raise SettingsError(f"the token file {self._path} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"the token file {self._path} holds no text: expected the token alone") from None
        if not text or not all("!" <= character <= "~" for character in text):
            got = "holds other than one token" if text else "is empty"
            raise SettingsError(f"the token file {self._path} {got}: expected printable ASCII characters without spaces")
        token = Secret(text)
        self._on_token(token)
        return token
