"""One sweep from the command line: credentials -> devices, with the ledger kept.

cli/discover.py -> here -> sweep.py. I/O: SNMP, the ledger. Times in seconds.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from towerops_agent.api.wire import contract
from towerops_agent.config.document.credentials import read_credentials
from towerops_agent.counters import Counters
from towerops_agent.discovery.course.profile import Profile, Rule
from towerops_agent.discovery.course.tries import Tries
from towerops_agent.discovery.ledger import LedgerUnusable, ledger_path, read_ledger, write_ledger
from towerops_agent.discovery.report.entry import Discovered, once_each
from towerops_agent.discovery.sweep import CredentialSet, Progress, Sweep, Visited
from towerops_agent.errors import SettingsError
from towerops_agent.site.files import SiteFiles
from towerops_agent.snmp.client import SnmpClient

Sets = Sequence[CredentialSet]


def named_sets(site: Path, names: Iterable[str]) -> list[CredentialSet]:
    """The sets of credentials with these names in the site files. Raises SiteUnreadable, SettingsError."""
    known = SiteFiles(site).read().credentials
    sets = []
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none can be used"
            raise SettingsError(f"--credentials is {name!r}: expected a set of {site} ({listed}; `config check` says more)")
        sets.append(CredentialSet(name, read_credentials(msgspec.convert(known[name].wire, contract.Snmp))))
    return sets


async def sweep(
    hosts: Sequence[str],
    sets: Sets,
    profiles: Mapping[str, Profile],
    port: int,
    environ: Mapping[str, str],
    on_progress: Callable[[Progress], None],
    complain: Callable[[str], None],
) -> list[Visited]:
    """What is at each address; what was tried is remembered, also if it is interrupted, terminated, or its terminal is gone.

    It returns what was done until then; nothing was: it raises CancelledError.
    `complain` is called if it can't be remembered: this run keeps to the limits all the same.
    """
    sweeping = asyncio.current_task()
    assert sweeping is not None  # noqa: S101 - this is a coroutine
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores the second
            asyncio.get_running_loop().add_signal_handler(number, sweeping.cancel)
    tries = Tries()
    try:
        ledger: Path | None = ledger_path(environ)
        tries = read_ledger(ledger_path(environ))
    except LedgerUnusable as error:
        ledger = None
        complain(f"warning: {error}; what is tried is not remembered for the next run")
    async with SnmpClient(Counters()) as client:
        sweeps = Sweep(client, sets, list(profiles.values()), tries, port)
        try:
            return await sweeps.run(hosts, on_progress)
        except asyncio.CancelledError:
            if not sweeps.visited:
                raise
            return [sweeps.visited[host] for host in hosts if host in sweeps.visited]
        finally:
            if ledger is not None:
                try:
                    write_ledger(ledger, tries, time.time())
                except LedgerUnusable as error:
                    complain(f"warning: {error}; what was tried is not remembered for the next run")


def forget(environ: Mapping[str, str]) -> None:
    """Forget what was tried at any address. Raises LedgerUnusable."""
    ledger = ledger_path(environ)
    try:
        ledger.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerUnusable(f"{ledger} can't be removed: {error.strerror}") from None


def for_any_device(profile: Profile) -> Profile:
    """The same profile, as if each device were one of its kind."""
    return replace(profile, rules=(Rule(None, None, None),), general=False)


def entries_of(visited: Iterable[Visited], port: int) -> list[Discovered]:
    """The devices that answered, each once."""
    return once_each(
        Discovered(each.host, port, each.credentials.name, each.credentials.credentials, each.found)
        for each in visited
        if each.found is not None and each.credentials is not None
    )
