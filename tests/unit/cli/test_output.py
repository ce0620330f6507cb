"""Standard output that can't be written: a full disk behind `>`, a pipe that nobody reads any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

AGENT = [sys.executable, "-m", "towerops_agent"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

COMMANDS = [
    ["--version"],
    ["run", "--help"],
    ["doctor", "--json"],
    ["profile", "check"],
    ["config", "show", "--site", "site.yaml"],
    ["config", "check", "--site", "site.yaml"],
]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_text("devices: [{address: 192.0.2.1}]\n")
    return BUFFERED | request.param


each_way = pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}], indirect=True, ids=["buffered", "unbuffered"])


@each_way
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_output_that_does_not_fit_on_the_disk_is_a_failure_with_one_line(words: list[str], environment: dict[str, str]):
    """Not a traceback, and not success with half of the output."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*AGENT, *words], stdout=full, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    reason = "standard output can't be written: No space left on device; what was written is not complete"
    assert (done.returncode, done.stderr) == (1, f"towerops-agent: {reason}\n")


@each_way
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_the_command_without_a_word(words: list[str], environment: dict[str, str]):
    """As behind `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([*AGENT, *words], stdout=writer, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@each_way
@pytest.mark.parametrize("words", [["--version"], ["config", "check", "--site", "site.yaml"]], ids=" ".join)
def test_output_that_nobody_wants_does_not_fail(words: list[str], environment: dict[str, str]):
    """Standard output is closed. No file that is opened later may get its number: the output would go into that."""
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *AGENT, *words]
    done = subprocess.run(closed, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_can_be_written_arrives_whole():
    """Also what one write of the system does not take at once: a pipe holds 64 kB."""
    code = (
        "import sys; from towerops_agent.cli.output import check_output; check_output()\n"
        "sys.stdout.write('é\\n' * 100_000); sys.stdout.buffer.write(b'x' * 1_000_000); sys.stdout.flush()"
    )
    environment = BUFFERED | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, check=True)
    assert done.stdout == "é\n".encode() * 100_000 + b"x" * 1_000_000
