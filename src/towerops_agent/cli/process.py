"""The work of `run`: one agent as a process, with its settings, its files, its log and its signals.

Without click: an agent that is started by its environment only, as a container's and a service's is, holds none of it in memory
(3 MB with the commands' options). The rest of its imports are lazy, as in main.py.
Exit status: 0 success · 1 failure, with the reason on standard error · 2 a bad setting.
"""

import io
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

from towerops_agent.cli.ending import EXIT_FAILURE, complain, fail
from towerops_agent.errors import AgentError, SettingsError, is_out_of_memory
from towerops_agent.given import read_settings
from towerops_agent.settings import Settings

if TYPE_CHECKING:
    from towerops_agent.agent import Agent
    from towerops_agent.counters import Counters
    from towerops_agent.telemetry.logs import LogQueue
    from towerops_agent.telemetry.views.snapshot import SingleRun

STANDARD_ERROR = 2

LEAST_FILES = 32
"""File descriptors that the agent needs: 15 with three devices; one more for each device over TCP."""

ENOUGH_FILES = 4096


def hold_standard_streams() -> None:
    """Open /dev/null as each of standard input, output and error that is closed (`2>&-`).

    Else the next file to be opened, the database, would get that number, and output to standard error would go into it.
    What the terminal's encoding lacks (a device's name in Latin-1) is escaped: no command ends for it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))  # held also if another object takes its place
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python has it for standard error


def make_room_for_files() -> None:
    """Raise the limit of open files as far as it goes, to 4,096 at most; end the command if that is too few to work with."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        fail(
            SettingsError(
                f"only {soft} files may be open at once: expected {LEAST_FILES} or more; see ulimit -n, or LimitNOFILE="
            )
        )


def main() -> None:
    """`towerops-agent run` without options."""
    hold_standard_streams()
    run(once=False, flags={})


def run(once: bool, flags: Mapping[str, object]) -> None:
    """Poll and deliver, until SIGTERM or SIGINT; or once. `flags`: settings that win over the environment's, by Setting.name."""
    import asyncio

    from towerops_agent.agent import Agent
    from towerops_agent.counters import Count
    from towerops_agent.lookups import ResolvingLoop
    from towerops_agent.telemetry.logs import LogQueue

    make_room_for_files()
    log_queue = LogQueue(STANDARD_ERROR)
    settings = _read_settings(flags, log_queue)
    try:
        agent = Agent(settings)
        log_queue.count = lambda lines: agent.counters.add(Count.LOG_LINES_DROPPED, n=lines)
        with asyncio.Runner(loop_factory=ResolvingLoop) as runner:
            if not once:
                runner.run(_run_until_signalled(agent))
                return
            result = runner.run(_run_once_unless_signalled(agent))
        log_queue.close()  # so that the report comes after the log lines
        if isinstance(result, signal.Signals):
            complain(f"{result.name} before the run was done: what was polled by then waits in the database for the next one")
            sys.exit(128 + result)
        sys.exit(report(result))
    except AgentError as error:
        log_queue.close()
        fail(error)
    finally:
        log_queue.close()


PAUSE_S = 1.0
"""Between the times that an Errand does its work."""


class Errand:
    """The work that a signal asks for, done once for all signals that arrive before it starts, and at most once a second.

    A storm of SIGHUP (a misconfigured logrotate, a loop in a script) is one reload a second, and polling goes on.
    """

    def __init__(self, work: Callable[[], Coroutine[object, object, None]], counters: "Counters") -> None:
        import asyncio

        self._work = work
        self._counters = counters
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Ask for the work."""
        self._asked.set()

    async def run(self, sleep: "Callable[[float], Awaitable[None]] | None" = None) -> None:
        """Do the work each time that it was asked for, for good; a bug in it, or too little memory, costs only that time."""
        import asyncio

        import structlog

        from towerops_agent.counters import Count

        log = structlog.get_logger()
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._work()
            except Exception as error:
                if is_out_of_memory(error):
                    log.error("no memory for what a signal asks for, not done")
                else:
                    self._counters.add(Count.BUGS, "signals")
                    log.exception("what a signal asks for failed because of a bug; please report it")
            await (sleep or asyncio.sleep)(PAUSE_S)


async def _run_until_signalled(agent: "Agent") -> None:
    """Run `agent` until SIGTERM or SIGINT; SIGHUP makes it reload, SIGUSR1 makes it log its state."""
    import asyncio

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    works = {signal.SIGHUP: agent.reload, signal.SIGUSR1: agent.log_state}
    errands = {number: Errand(work, agent.counters) for number, work in works.items()}

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)  # the second one: ends whatever hangs
        stop.set()
        for task in running:  # the database is closed soon, and a reload is for nobody
            task.cancel()

    running = [asyncio.create_task(errand.run()) for errand in errands.values()]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    for number, errand in errands.items():
        loop.add_signal_handler(number, errand.ask)
    try:
        await agent.run(stop)
    finally:
        for task in running:
            task.cancel()


async def _run_once_unless_signalled(agent: "Agent") -> "SingleRun | signal.Signals":
    """What came of the run, or the SIGTERM, SIGINT or SIGHUP that ended it: what was polled is in the database then.

    SIGHUP comes when a terminal is closed; there is nothing to reload, as all files have just been read.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    running = asyncio.create_task(agent.run_once())
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if received:
            os._exit(128 + number)  # the second one: ends whatever hangs
        received.append(number)
        running.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores it
            loop.add_signal_handler(number, on_signal, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not received:
            raise
        return received[0]


def _read_settings(flags: Mapping[str, object], log_stream: "LogQueue") -> Settings:
    """The settings, with the log set up by them. Exits if they are bad."""
    import structlog

    from towerops_agent.api.proxy import proxy_passwords
    from towerops_agent.misnamed import unknown_variables
    from towerops_agent.telemetry import logs

    log = structlog.get_logger()
    try:
        settings = read_settings(os.environ, flags)
    except SettingsError as error:
        slips = (
            f"the variable {unknown.name} is not a setting, ignored{f': did you mean {unknown.meant}?' if unknown.meant else ''}"
            for unknown in unknown_variables(os.environ)
        )
        fail(SettingsError("\n".join((str(error), *slips))))  # the setting that is missing may be there by another name
    if flags.get("token") is not None:
        complain("warning: --token can be read by other users of this machine; prefer --token-file")
    secrets = [*([settings.token] if settings.token else ()), *proxy_passwords()]
    logs.configure(settings.log_level, settings.log_format, log_stream, secrets=secrets)
    for unknown in unknown_variables(os.environ):
        log.warning("variable is not a setting, ignored", variable=unknown.name, meant=unknown.meant or None)
    return settings


def report(result: "SingleRun") -> int:
    """Print the result of a single run, and return its exit status."""
    for problem in result.problems:
        complain(problem)
    sys.stdout.write(f"{result.summary}\n")
    sys.stdout.flush()
    return EXIT_FAILURE if result.problems else 0
