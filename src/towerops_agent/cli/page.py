"""`towerops-agent page`: the site's last 24 hours in a browser, from the database of a running or a stopped agent.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error, 2 for options that don't fit.
"""

import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from towerops_agent.cli.ending import fail
from towerops_agent.cli.options import FILE, TOKEN_FILE, database_option, token_of_environment
from towerops_agent.clocks import wall_us
from towerops_agent.errors import AgentError, SettingsError

if TYPE_CHECKING:
    import ssl

    from towerops_agent.page.site import Site

DEFAULT_LISTEN = "127.0.0.1:8710"

MOST_IN_FILE = 200
"""Of how many devices a file has charts: those with problems first; each takes some 60 kB."""


@click.command()
@database_option
@click.option(
    TOKEN_FILE.flag, "token_file", envvar=TOKEN_FILE.variable, type=FILE, help="To read the names in the configuration."
)
@click.option("--listen", metavar="ADDRESS:PORT", help=f"Where to serve the page. Default: {DEFAULT_LISTEN}.")
@click.option("--password-file", type=FILE, help="Ask for the password in this file; with any user name.")
@click.option("--certificate", type=FILE, help="Serve HTTPS with this certificate, in PEM.")
@click.option("--key", type=FILE, help="Its key, if it is not in the same file.")
@click.option(
    "--output", type=click.Path(path_type=Path, allow_dash=True), help="Write one HTML file instead; - for standard output."
)
def page(
    database: Path,
    token_file: Path | None,
    listen: str | None,
    password_file: Path | None,
    certificate: Path | None,
    key: Path | None,
    output: Path | None,
) -> None:
    """Show the site's last 24 hours in a browser, without a server.

    Reads only the agent's database, in a process of its own. Other machines than this one are served only by
    HTTPS, and only with a password.
    """
    from towerops_agent.api.bearer import TokenSource
    from towerops_agent.page.site import Site

    secret = token_of_environment()
    site = Site(database, lambda: TokenSource(secret, token_file).token, wall_us)
    try:
        if output is not None:
            _refuse_with_output(listen, password_file, certificate, key)
            write(output, site)
            return
        site.overview()  # a database that can't be read is known before anybody looks
        _serve(site, listen or DEFAULT_LISTEN, password_file, certificate, key)
    except AgentError as error:
        fail(error)


def _refuse_with_output(*others: object) -> None:
    if any(other is not None for other in others):
        raise SettingsError(
            "--output writes a file and serves nothing: leave out --listen, --password-file, --certificate and --key"
        )


def write(output: Path, site: "Site") -> None:
    """Write the page as one file; "-" is standard output. Raises AgentError."""
    from msgspec import json

    from towerops_agent.page.document import document_with
    from towerops_agent.page.site import SPANS_H

    overview = site.overview()
    order = {"down": 0, "degraded": 1, "unknown": 2, "up": 3}
    chosen = sorted(overview.devices, key=lambda device: order.get(device.state, 0))[:MOST_IN_FILE]
    if len(chosen) < len(overview.devices):
        left = f"Charts of {len(chosen)} of {len(overview.devices):,} devices are in this file: of those with problems first."
        overview.notes.append(left)

    def devices() -> Iterator[tuple[str, bytes]]:
        for device in chosen:
            yield device.id, json.encode(site.device(device.id, SPANS_H))

    octets = document_with(json.encode(overview), devices())
    if str(output) == "-":
        sys.stdout.buffer.write(octets)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # one that was there has a mode of its own
            file.write(octets)
    except OSError as error:
        raise AgentError(f"{output} can't be written: {error.strerror}") from error


def _serve(site: "Site", listen: str, password_file: Path | None, certificate: Path | None, key: Path | None) -> None:
    from towerops_agent.page.guard import read_password
    from towerops_agent.page.server import Pages, PageServer
    from towerops_agent.setting import Unfit, as_listen
    from towerops_agent.text import address, is_loopback

    try:
        host, port = as_listen(listen)
    except Unfit as error:
        raise SettingsError(f"--listen is {listen!r}: expected {error}") from None
    password = None if password_file is None else read_password(password_file)
    if not is_loopback(host) and (password is None or certificate is None):
        raise SettingsError(
            f"--listen {listen} is not this machine only: expected --password-file and --certificate too; "
            f"or listen on {DEFAULT_LISTEN}, and reach it by `ssh -L 8710:{DEFAULT_LISTEN}`"
        )
    tls = _tls(certificate, key)
    try:
        server = PageServer((host, port), Pages(site, password), tls)
    except OSError as error:
        raise AgentError(f"{address(host, port)} can't be listened on: {error.strerror or error}") from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with server:
        where = address(*server.server_address[:2])  # type: ignore[arg-type]
        click.echo(f"the page is at {'http' if tls is None else 'https'}://{where}/ until Ctrl-C")
        server.serve_forever()


def _stop(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _tls(certificate: Path | None, key: Path | None) -> "ssl.SSLContext | None":
    import ssl

    if certificate is None:
        if key is not None:
            raise SettingsError("--key without --certificate: give both")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the certificate {certificate} can't be used: {error.strerror or error}") from None
    return context
