"""The kept configuration is sealed by a process of its own; if there can be none, by the agent."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from towerops_agent.config import kept, seal, sealing
from towerops_agent.config.document.text import ConfigText, config_text
from towerops_agent.errors import BufferFailure, InvalidConfig
from towerops_agent.model import Secret

TOKEN = Secret("a-t0ken-of-a-test")
CONFIG = config_text(b'{"version":"7","equipment":[{"snmp":{"community":"s3cret"}}]}')


class Kept:
    """What is kept each time that it begins, and how much of that was said to be all."""

    def __init__(self) -> None:
        self.begun: list[bytearray] = []
        self.ended: list[bytes] = []

    def __call__(self) -> "Kept":
        self.begun.append(bytearray())
        return self

    async def add(self, octets: bytes) -> None:
        self.begun[-1] += octets

    async def done(self) -> None:
        self.ended.append(bytes(self.begun[-1]))


async def sealed_with(token: Secret, config: ConfigText = CONFIG) -> bytes:
    kept = Kept()
    await sealing.seal(token, config, kept)
    (sealed,) = kept.ended
    return sealed


@pytest.fixture(autouse=True)
def here(monkeypatch) -> list[str]:
    """The tests themselves hold the cipher: as if they did not. What is done in this process all the same."""
    done: list[str] = []

    def noted(name: str):
        work = getattr(seal, name)
        return lambda *arguments: (done.append(name), work(*arguments))[1]

    monkeypatch.setattr(seal, "is_loaded", lambda: False)
    for name in ("sealed", "unseal"):
        monkeypatch.setattr(seal, name, noted(name))
    return done


async def test_a_process_seals_and_opens_what_a_command_opens_and_seals(here):
    sealed = await sealed_with(TOKEN)
    opened = await sealing.unseal(TOKEN, kept.seal(TOKEN, CONFIG))
    assert here == ["sealed"]  # by kept.seal
    assert (kept.unseal(TOKEN, sealed), opened) == (CONFIG, CONFIG)


async def test_another_token_opens_nothing(here):
    with pytest.raises(InvalidConfig, match="another token"):
        await sealing.unseal(Secret("another-token"), await sealed_with(TOKEN))
    assert here == []


async def test_an_agent_that_holds_the_cipher_starts_no_process(here, monkeypatch):
    monkeypatch.setattr(seal, "is_loaded", lambda: True)
    monkeypatch.setattr(sealing, "COMMAND", None)
    assert await sealing.unseal(TOKEN, await sealed_with(TOKEN)) == CONFIG
    assert here == ["sealed", "unseal"]


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
    assert await sealing.unseal(TOKEN, await sealed_with(TOKEN)) == CONFIG
    assert here == ["sealed", "unseal"]


async def test_a_large_configuration_is_sealed_as_it_comes_and_opened_again(here):
    """Larger than what the pipes to and from the process hold."""
    large = ConfigText(bytes(16), {"version": b'"7"'}, os.urandom((3 << 20) + 1))
    assert await sealing.unseal(TOKEN, await sealed_with(TOKEN, large)) == large
    assert here == []


async def test_what_a_process_began_is_not_kept_if_it_fails(monkeypatch):
    monkeypatch.setattr(sealing, "COMMAND", (sys.executable, "-c", "print('+half of it', flush=True); import os; os._exit(9)"))
    keeping = Kept()
    await sealing.seal(TOKEN, CONFIG, keeping)
    assert bytes(keeping.begun[0]) == b"half of it\n"
    assert [kept.unseal(TOKEN, sealed) for sealed in keeping.ended] == [CONFIG]


@pytest.fixture
def started(monkeypatch) -> list[asyncio.subprocess.Process]:
    """The processes."""
    found = []

    async def start(*arguments, **options):
        found.append(await create_subprocess_exec(*arguments, **options))
        return found[-1]

    create_subprocess_exec = asyncio.create_subprocess_exec
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    return found


@pytest.mark.parametrize("is_loaded", [False, True])
async def test_a_buffer_that_fails_is_heard_of_and_no_process_is_left(is_loaded, monkeypatch, started):
    class Full(Kept):
        async def add(self, octets: bytes) -> None:
            raise BufferFailure("no room")

    monkeypatch.setattr(seal, "is_loaded", lambda: is_loaded)
    with pytest.raises(BufferFailure, match="no room"):
        await sealing.seal(TOKEN, CONFIG, Full())
    assert [process.returncode is None for process in started] == ([] if is_loaded else [False])


@pytest.mark.parametrize("end", [BufferFailure("no room"), asyncio.CancelledError()], ids=["a full disk", "a stop"])
async def test_the_end_in_the_middle_of_a_large_configuration_is_not_waited_for_in_vain(end, started):
    """asyncio reads no more of a process than twice a limit, and does not see that it has ended before all is read."""

    class Ended(Kept):
        async def add(self, octets: bytes) -> None:
            while not vars(started[0].stdout)["_paused"]:  # noqa: ASYNC110 -- asyncio has no event for that
                await asyncio.sleep(0)
            raise end

    with pytest.raises(type(end)):
        await sealing.seal(TOKEN, ConfigText(bytes(16), {}, os.urandom(3 << 20)), Ended())
    assert [process.returncode for process in started] == [-signal.SIGKILL]


async def test_a_process_that_hangs_is_ended(here, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    hanging = f"import os, time, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(3600)"
    monkeypatch.setattr(sealing, "COMMAND", (sys.executable, "-c", hanging))
    monkeypatch.setattr(sealing, "WITHIN_S", 2.0)
    assert kept.unseal(TOKEN, await sealed_with(TOKEN)) == CONFIG
    assert "sealed" in here
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
    await sealed_with(TOKEN)
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
class Kept:
    async def add(self, octets): pass
    async def done(self): pass
asyncio.run(sealing.seal(Secret("token"), config_text(b'{{"version":"7","equipment":[]}}'), Kept))
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
