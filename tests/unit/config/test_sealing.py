"""The kept configuration is sealed by a process of its own; if there can be none, by the agent."""

import os
import subprocess
import sys

import pytest

from towerops_agent.config import kept, seal, sealing
from towerops_agent.config.document.text import config_text
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

TOKEN = Secret("a-t0ken-of-a-test")
CONFIG = config_text(b'{"version":"7","equipment":[{"snmp":{"community":"s3cret"}}]}')


@pytest.fixture(autouse=True)
def here(monkeypatch) -> list[str]:
    """The tests themselves hold the cipher: as if they did not. What is done in this process all the same."""
    done: list[str] = []

    def noted(name: str):
        work = getattr(seal, name)
        return lambda *arguments: (done.append(name), work(*arguments))[1]

    monkeypatch.setattr(seal, "is_loaded", lambda: False)
    for name in ("seal", "unseal"):
        monkeypatch.setattr(seal, name, noted(name))
    return done


async def test_a_process_seals_and_opens_what_a_command_opens_and_seals(here):
    sealed = await sealing.seal(TOKEN, CONFIG)
    opened = await sealing.unseal(TOKEN, kept.seal(TOKEN, CONFIG))
    assert here == ["seal"]  # by kept.seal
    assert (kept.unseal(TOKEN, bytes(sealed)), opened) == (CONFIG, CONFIG)


async def test_another_token_opens_nothing(here):
    with pytest.raises(InvalidConfig, match="another token"):
        await sealing.unseal(Secret("another-token"), await sealing.seal(TOKEN, CONFIG))
    assert here == []


async def test_an_agent_that_holds_the_cipher_starts_no_process(here, monkeypatch):
    monkeypatch.setattr(seal, "is_loaded", lambda: True)
    monkeypatch.setattr(sealing, "COMMAND", None)
    assert await sealing.unseal(TOKEN, await sealing.seal(TOKEN, CONFIG)) == CONFIG
    assert here == ["seal", "unseal"]


@pytest.mark.parametrize(
    "command",
    [
        ("/nowhere/python",),
        (sys.executable, "-c", "raise SystemExit(1)"),
        (sys.executable, "-c", "print('+half of it'); import os; os._exit(9)"),
        (sys.executable, "-c", "import sys; sys.stdin.close()"),
    ],
)
async def test_without_a_process_that_can_do_it_the_agent_does(command, here, monkeypatch):
    monkeypatch.setattr(sealing, "COMMAND", command)
    assert await sealing.unseal(TOKEN, await sealing.seal(TOKEN, CONFIG)) == CONFIG
    assert here == ["seal", "unseal"]


async def test_a_process_that_hangs_is_ended(here, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    hanging = f"import os, time, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(3600)"
    monkeypatch.setattr(sealing, "COMMAND", (sys.executable, "-c", hanging))
    monkeypatch.setattr(sealing, "WITHIN_S", 2.0)
    assert kept.unseal(TOKEN, await sealing.seal(TOKEN, CONFIG)) == CONFIG
    assert "seal" in here
    if pid.exists():  # it came so far within the time
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


async def test_no_secret_is_in_its_arguments_or_its_environment(monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    look = (
        "import os, sys, pathlib\n"
        f"pathlib.Path({str(seen)!r}).write_text(repr((sys.orig_argv, dict(os.environ))))\n"
        "from towerops_agent.config import seal\n"
        "seal.answer(sys.stdin.buffer, sys.stdout.buffer)"
    )
    monkeypatch.setattr(sealing, "COMMAND", (sys.executable, "-c", look))
    for name in ("TOWEROPS_AGENT_TOKEN", "HTTPS_PROXY", "COLLECTORS_PASSWORD"):  # as the agent itself may have it
        monkeypatch.setenv(name, TOKEN.reveal())
    await sealing.seal(TOKEN, CONFIG)
    text = seen.read_text()
    assert "PATH" in text
    assert TOKEN.reveal() not in text
    assert "s3cret" not in text


SEAL_APART = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]}
import asyncio
from towerops_agent.config import seal, sealing
from towerops_agent.config.document.text import config_text
from towerops_agent.model import Secret
asyncio.run(sealing.seal(Secret("token"), config_text(b'{{"version":"7","equipment":[]}}')))
print(seal.is_loaded())
"""
"""It prints whether it holds the cipher: not if a process has sealed. It sets its path itself, as Debian's command does."""


def test_the_process_imports_from_where_the_agent_does_and_from_nowhere_else(tmp_path):
    """Whatever Python's variables are: as the agent's own interpreter ignores them (-I), or has no user's directory (-s)."""
    user_site = tmp_path / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    user_site.mkdir(parents=True)
    (user_site / "usercustomize.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    base = os.path.realpath(sys.executable)  # that of the virtual environment does not know the agent
    user = {"PYTHONUSERBASE": str(tmp_path)}
    for flags, variables in (("-IS", {}), ("-IS", {"PYTHONHOME": "/nowhere"}), ("-IS", user), ("-Ss", user)):
        command = [base, flags, "-c", SEAL_APART]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
        assert (done.stdout, done.stderr) == ("False\n", ""), (flags, variables)
    assert not (tmp_path / "imported").exists()


def test_the_working_directory_is_not_in_the_path_of_the_process(monkeypatch, tmp_path):
    """Neither as `python -m` has it there, nor as what is left of a path that has the separator in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "relative", "/of:relative", "/absolute"])
    assert sealing.process_environment()["PYTHONPATH"] == "/absolute"
