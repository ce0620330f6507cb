#!/usr/bin/env python3
"""Run docs/tour.md again and write down what is printed: `.venv/bin/python tools/tour.py`.

The page is its own script: each command of a block of `console` is typed on a terminal of 80 columns, and what it prints replaces
what stands there. `$` is the newcomer's prompt; a prompt with a name (`tower$`) is a terminal of its own, whose program goes on
until `^C` is typed there. A comment before a block says what to wait for: `until "serving"`: until the program prints it;
`until "1 down" in: COMMAND`: until that command prints it. Nothing is timed.
Two runs differ only in what `steadied` takes out: times, measured values, counts that grow. A test compares them.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Final, Self

PAGE: Final = Path(__file__).parents[1] / "docs" / "tour.md"
COLUMNS: Final = 80
LINES: Final = 24

WITHIN_S: Final = 120.0
"""How long to wait for what the page says is printed, before the tour is given up."""

ENDS_WITHIN_S: Final = 120.0
"""How long a command may be silent before it ends."""

PORTS: Final = {"simulate": "16161", "sandbox": "8700"}
"""The ports of these commands by default: the page shows them, and any free ones are used."""

_BLOCK: Final = re.compile(r"(?:<!-- (?P<wait>.*?) -->\n)?```console\n(?P<lines>.*?)```\n", re.DOTALL)
_COMMAND: Final = re.compile(r"(?P<prompt>\w*)\$ (?P<command>.*)")
_WAIT: Final = re.compile(r'until "(?P<pattern>.*?)"(?: in: (?P<command>.*))?')


class GivenUp(Exception):
    """What was to be printed was not. The exception's text is what was printed."""


class Program:
    """A program on a terminal of its own."""

    def __init__(self, words: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._process = subprocess.Popen(  # noqa: S603 - the page's own commands
            words, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self.printed = ""

    def until(self, pattern: str) -> None:
        """Wait until this has been printed."""
        deadline_s = time.monotonic() + WITHIN_S
        while not re.search(pattern, self.printed):
            if time.monotonic() > deadline_s or not self._read(1.0):
                raise GivenUp(f"{pattern!r} is not in:\n{self.printed}")

    def end(self) -> int:
        """Wait until it has ended; the exit status."""
        while self._read(ENDS_WITHIN_S):
            pass
        os.close(self._terminal)
        return self._process.wait(ENDS_WITHIN_S)

    def interrupt(self) -> str:
        """Type Ctrl-C; what it prints from there to its end."""
        while self._read(0.0):
            pass
        before = len(self.printed)
        self._process.send_signal(signal.SIGINT)
        self.end()
        return self.printed[before:]

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _read(self, within_s: float) -> bool:
        """Read what is there within this time; whether it was anything."""
        if not select.select([self._terminal], [], [], within_s)[0]:
            return within_s > 0 and self._process.poll() is None
        try:
            piece = os.read(self._terminal, 1 << 16)
        except OSError:  # EIO: nobody has the other side any more
            return False
        self.printed += self._decode(piece).replace("\r\n", "\n")
        return bool(piece)


class Tour:
    """The newcomer: a folder, the variables exported so far, and the programs that run on other terminals."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environ = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "NO_COLOR": "1",
        }
        self._running: dict[str, Program] = {}
        self._shown = {socket.gethostname(): "box", str(folder): "/srv/tour"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._running.values():
            program.kill()

    def block(self, match: re.Match[str]) -> str:
        """The block as it is printed now."""
        wait = _WAIT.fullmatch(match["wait"] or "")
        if wait and wait["command"]:
            self._until(wait["pattern"], wait["command"])
        lines = []
        for line in match["lines"].splitlines():
            if typed := _COMMAND.fullmatch(line):
                printed = self._type(typed["prompt"], typed["command"], wait["pattern"] if wait else "")
                lines += [line, *self._as_shown(printed).splitlines()]
        return match[0][: match.start("lines") - match.start()] + "".join(f"{line}\n" for line in lines) + "```\n"

    def _type(self, prompt: str, command: str, pattern: str) -> str:
        if command == "^C":
            return self._running.pop(prompt).interrupt()
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._environ[name] = self._as_used(value)
            return ""
        if not prompt:
            return self._run(command)
        program = Program(shlex.split(self._as_used(command)) + self._port(command), self._folder, self._environ)
        self._running[prompt] = program
        program.until(pattern)
        self._note_port(command, program.printed)
        return program.printed

    def _run(self, command: str) -> str:
        program = Program(["sh", "-c", self._as_used(command)], self._folder, self._environ)
        status = program.end()
        return program.printed + (f"(exit status {status})\n" if status else "")

    def _until(self, pattern: str, command: str) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not re.search(pattern, printed := self._run(command)):
            if time.monotonic() > deadline_s:
                raise GivenUp(f"{pattern!r} is not in what `{command}` prints:\n{printed}")
            time.sleep(0.2)

    def _port(self, command: str) -> list[str]:
        """The option for the port, with the one that the command had before."""
        for name, shown in PORTS.items():
            if f" {name}" in command:
                used = next((used for used, other in self._shown.items() if other == shown), "0")
                return ["--port", used]
        return []

    def _note_port(self, command: str, printed: str) -> None:
        for name, shown in PORTS.items():
            if f" {name}" in command and (found := re.search(r"(?:port |:)(\d+)$", printed.strip())):
                self._shown[found[1]] = shown

    def _as_shown(self, text: str) -> str:
        for used, shown in self._shown.items():
            text = re.sub(rf"(?<!\w){re.escape(used)}(?!\w)", shown, text)
        return text

    def _as_used(self, text: str) -> str:
        for used, shown in self._shown.items():
            if used.isdigit():
                text = re.sub(rf"\b{shown}\b", used, text)
        return text


def taken(page: str) -> str:
    """The page with what its commands print now. Raises GivenUp."""
    with tempfile.TemporaryDirectory() as folder, Tour(Path(folder)) as tour:
        return _BLOCK.sub(tour.block, page)


_VOLATILE: Final = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)", "<time>"),
    (r"(?m)^(slowest)? +\d+\.\d ms .*\n|^lost +polls skipped .*\n", ""),  # in any order; and whether a poll was skipped is chance
    (r"all is delivered|\d+ metrics? waits? for the next batch", "<waiting>"),
    (r"\b(\d+ (d|h|min) )?\d+(\.\d+)? (d|h|min|s|ms)\b", "<duration>"),
    (r"\b\d+(\.\d+)? (kB|MB|GB)\b", "<size>"),
    (r"(\(once\)|\(\d+ times\))", "<times>"),
    (r"\b\d+ (at once|polls?|metrics?|batch(es)?|requests)\b", r"<count> \1"),
    (r"\(pid \d+\)", "(pid)"),
    (r"Timeticks: .*", "Timeticks"),
    (r"(\] )[ ▁▂▃▄▅▆▇█]* -?[\d.]+[kMG]? to .*", r"\1<chart>"),
    (r"\s+", " "),  # columns are as wide as what is in them, and lines break elsewhere
)
"""What differs between two runs, and what stands for it in a comparison."""


def steadied(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, stands in _VOLATILE:
        text = re.sub(pattern, stands, text)
    return text


def main() -> None:
    """Write the page."""
    try:
        PAGE.write_text(taken(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    except GivenUp as given_up:
        raise SystemExit(str(given_up)) from None


if __name__ == "__main__":
    main()
