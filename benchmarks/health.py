"""One `towerops-agent health`, as each way of installing the agent starts it: CPU, by turns.

    python benchmarks/health.py [--turns 50] [--python python3]

An agent without devices runs beside it and answers. The commands are those that the Debian package and the image have, with the
paths of this source tree; `python -m towerops_agent health`; and the script that pip made beside this interpreter, if there is
one. An interpreter that ends at once shows what is Python's own. CPU is user and system, by wait4, of the process only: what a
container's runtime adds is not in it.
"""

import argparse
import importlib
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent_process import running
from api import serving
from machine import heading, note, row

import towerops_agent

PACKAGING = Path(__file__).resolve().parent.parent / "packaging"
SOURCE = str(Path(towerops_agent.__file__).parent.parent)
NO_DEVICES = b'{"version": "1", "equipment": []}'


def main(turns: int, python: Sequence[str]) -> None:
    heading("health: one health check, by the way it is started")
    with tempfile.TemporaryDirectory() as own, serving(NO_DEVICES) as api, running(Path(own), api.url) as agent:
        agent.wait_for("configuration applied")
        environment = {"PATH": os.environ["PATH"], "DATABASE_PATH": str(agent.database), "PYTHONPATH": SOURCE}
        ways = {
            "an interpreter only": [*python, "-IS", "-c", ""],
            "Debian package": of_the_package(Path(own), python),
            "image": of_the_image(Path(own), python),
            "python -m": [*python, "-m", "towerops_agent", "health"],
        }
        script = shutil.which("towerops-agent", path=str(Path(sys.executable).parent))
        if script is not None:
            ways["pip's script"] = [script, "health"]
        ms: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 1):
            for way, command in ways.items():
                cpu_s = cpu_of(command, environment)
                if turn:  # the first one may have to read files from the disk
                    ms[way].append(cpu_s * 1000)
    row("", "least", "median")
    for way, found in ms.items():
        row(way, f"{min(found):.1f} ms", f"{statistics.median(found):.1f} ms")
    note(f"of {turns} each; Python of all but pip's script: {shlex.join(python)}")


def of_the_package(folder: Path, python: Sequence[str] = (sys.executable,)) -> list[str]:
    """The health check by the Debian package's command, which is written into the folder and finds this process's modules."""
    text = (PACKAGING / "debian/towerops-agent").read_text()
    return _command(folder / "package", text.replace("/usr/lib/towerops-agent", SOURCE), python)


def of_the_image(folder: Path, python: Sequence[str] = (sys.executable,)) -> list[str]:
    """The same by the image's command. As root it becomes root in place of the image's user: the agent answers only its own."""
    sys.path.append(str(PACKAGING))
    text = importlib.import_module("image_root").COMMAND.format(venv="", packages=SOURCE)
    own_user = f"import towerops_agent.container\ntowerops_agent.container.UID = {os.geteuid()}\n\nmain()"
    return _command(folder / "image", text.replace("main()", own_user), python)


def _command(path: Path, text: str, python: Sequence[str]) -> list[str]:
    """This script with the interpreter's options of its first line."""
    path.write_text(text)
    return [*python, *text.partition("\n")[0].split()[1:], str(path), "health"]


def cpu_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """The CPU seconds of this command, user and system. Ends the benchmark if it fails."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    with process.stdout as said:
        printed = said.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}:\n{printed}")
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the commands, as a command")
    arguments = parser.parse_args()
    main(arguments.turns, shlex.split(arguments.python))
