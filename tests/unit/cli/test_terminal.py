"""On a terminal: in colour and as wide and high as it is; elsewhere the same words, whole and plain."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.snapshots import NOW_US, report, snapshot
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli import terminal
from towerops_agent.cli.devices import devices
from towerops_agent.cli.status import status
from towerops_agent.counters import Counters
from towerops_agent.errors import AgentError
from towerops_agent.telemetry.views.lines import Line, Tone
from towerops_agent.telemetry.views.snapshot import DEVICES_KEY, KEY, encode_devices, encode_snapshot

LINES = [Line("word " * 30, Tone.BAD, "agent"), Line("fine", Tone.GOOD)]


@pytest.fixture
def tty(monkeypatch):
    monkeypatch.setattr(terminal, "on_terminal", lambda: True)
    monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: os.terminal_size((60, 10)))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("tty")
def test_a_terminal_has_lines_of_its_width_in_colour_but_for_the_label():
    texts = terminal.fitted(LINES)
    assert texts[0].startswith("agent      \x1b[31mword")
    assert len(texts) == 4
    assert texts[-1] == " " * 11 + "\x1b[32mfine\x1b[0m"


@pytest.mark.usefixtures("tty")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color_is_obeyed(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not any("\x1b" in text for text in terminal.fitted(LINES))


def test_status_repeats_on_a_real_terminal_without_scrolling(tmp_path):
    """A terminal of ten lines, and the state of an agent with thirty devices that are down."""
    database = tmp_path / "agent.db"
    left = snapshot(
        stopped_us=NOW_US,
        states={"up": 0, "degraded": 0, "down": 30, "unknown": 0},
        troubled=[report("d", "South", "10.0.0.2:161", state="down", reason="timeout", since_us=NOW_US)] * 30,
    )

    async def leave() -> None:
        async with Buffer(database, Counters(), clock_us=lambda: NOW_US) as buffer:
            await buffer.put_meta(KEY, encode_snapshot(left))

    asyncio.run(leave())
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "towerops_agent", "status", "--watch", "--database-path", str(database)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environ, "TERM": "xterm"})
    try:
        seen = b""
        while seen.count(b"\x1b[J") < 3:  # once as it is cleared, and two rounds
            seen += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
    _, first, *_ = seen.decode().split("\x1b[Hagent")
    screen = first.partition("\x1b[J")[0].split("\r\n")[:-1]
    assert len(screen) == 9
    assert "more lines: make the window higher" in screen[-1]
    assert all(len(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)) <= 60 for line in screen)


def test_elsewhere_a_line_is_whole_and_plain(monkeypatch):
    monkeypatch.setattr(terminal, "on_terminal", lambda: False)
    texts = terminal.fitted(LINES)
    assert len(texts) == 2
    assert not any("\x1b" in text for text in texts)


@pytest.mark.usefixtures("tty")
def test_what_is_shown_for_good_fits_the_screen_and_begins_at_its_top_each_time(capsys):
    """Nothing scrolls: fewer lines than the screen has, and what the last screen left is cleared."""
    rounds = iter([[f"line {i}" for i in range(50)], ["short"]])

    def pause():
        if rounds.__length_hint__() == 0:
            raise KeyboardInterrupt

    terminal.show_for_good(lambda: next(rounds), pause)
    _, first, second = capsys.readouterr().out.split("\x1b[H")[-3:]
    assert first.count("\n") == 9
    assert first.endswith("… and 42 more lines: make the window higher\x1b[K\n\x1b[J")
    assert second == "short\x1b[K\n\x1b[J"


async def left_devices(database: Path, name: str) -> None:
    """What a stopped agent left: a device of this name."""
    async with Buffer(database, Counters(), clock_us=lambda: NOW_US) as buffer:
        await buffer.put_meta(DEVICES_KEY, encode_devices([report("e1", name, "10.0.0.1:161")]))


def show_rounds(*rounds):
    """Show these lines, or failures, one after the other, and then Ctrl-C."""
    left = list(rounds)

    def lines():
        made = left.pop(0)
        if isinstance(made, AgentError):
            raise made
        return made

    def pause():
        if not left:
            raise KeyboardInterrupt

    terminal.show_for_good(lines, pause)


@pytest.mark.usefixtures("tty")
def test_what_is_shown_for_good_goes_on_after_a_round_that_failed(capsys):
    """As while the agent is restarted. What has never worked ends the command."""
    show_rounds(["one"], AgentError("the agent does not answer"), ["two"])
    first, second, third = capsys.readouterr().out.split("\x1b[H")[-3:]
    assert first == "one\x1b[K\n\x1b[J"
    assert "the agent does not answer" in second
    assert third == "two\x1b[K\n\x1b[J"
    with pytest.raises(AgentError, match="no database"):
        show_rounds(AgentError("there is no database"))


def test_a_round_that_failed_leaves_nothing_among_lines_that_a_program_reads(capsys):
    """As `status --json --watch` in a pipe."""
    show_rounds(["{}"], AgentError("the agent does not answer"), ["{}"])
    assert capsys.readouterr() == ("{}\n{}\n", "towerops-agent: the agent does not answer\n")


@pytest.mark.usefixtures("tty")
async def test_a_device_that_is_watched_keeps_the_note_that_its_state_is_old(tmp_path, monkeypatch, capsys):
    await left_devices(tmp_path / "a.db", "North")

    def pause(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("towerops_agent.cli.status.time.sleep", pause)
    status.callback(tmp_path / "a.db", "North", False, True)
    said = capsys.readouterr()
    screen = said.out.rpartition("\x1b[H")[2]
    assert "the agent does not run" in screen.replace("\n           ", " ")
    assert "North (10.0.0.1:161)" in screen
    assert said.err == ""


@pytest.mark.parametrize(
    ("encoding", "shown"), [("latin-1", b"\\u5854 B\xfc"), ("ascii", "塔 Bü".encode()), ("utf-8", "塔 Bü".encode())]
)
async def test_a_name_that_the_encoding_of_the_terminal_lacks_ends_no_command(tmp_path, encoding, shown):
    """Latin-1 is that of many an old locale. What says ASCII is an environment without any, which click knows to be UTF-8."""
    await left_devices(tmp_path / "a.db", "塔 Bü")
    command = [sys.executable, "-m", "towerops_agent", "devices", "--database-path", str(tmp_path / "a.db")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, check=False)
    said = b"towerops-agent: the agent does not run: this is what it knew of its devices when it was stopped\n"
    assert (done.returncode, done.stderr) == (0, said)
    assert shown in done.stdout


async def test_json_holds_nothing_that_controls_a_terminal(tmp_path):
    """JSON itself asks only for the first 32 characters to be escaped: U+009B is a CSI too, and U+202E turns a line around."""
    name = "a\x1b[2J\x9b2J\x7f\u202e\U000e0001塔"
    await left_devices(tmp_path / "a.db", name)
    done = CliRunner().invoke(devices, ["--json", "--database-path", str(tmp_path / "a.db")])
    assert done.stdout.replace("\n", "").isprintable()
    assert "塔" in done.stdout
    assert json.loads(done.stdout)[0]["name"] == name
