"""TLS to the API: whether it is trusted, the server's certificate and its expiry, and the server's time.

network.py opens the connections. A refused certificate is read over a second connection that trusts
anybody; over it only a question for the time is sent.
I/O: sockets, blocking. The clock is passed in.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from towerops_agent import __version__
from towerops_agent.api.tls import describe_tls_failure
from towerops_agent.api.wire.outcomes import Certificate, Validity, http_date
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.proxy import read_head
from towerops_agent.telemetry.views.snapshot import CertificateReport
from towerops_agent.text import counted

NAME = "TLS"

_NAMES_SHOWN: Final = 3


_OTHER_NAME: Final = "correct the name in TOWEROPS_API_URL, or have the server's certificate made out for that one too"
_NEW_ONE: Final = "give the agent a certificate that the server accepts"

_NEXT_STEPS: Final[Mapping[int | str | None, str]] = {
    # X509_V_ERR_* of OpenSSL's x509_vfy.h, or the reason of an error of its handshake
    10: "renew it at the server; if it is this machine's clock, have NTP set it",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
    "TLSV1_ALERT_UNKNOWN_CA": "have the server trust that CA, or give the agent another certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": _NEW_ONE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "renew it; if it is valid, look at the server's clock",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _NEW_ONE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NEW_ONE,
    "WRONG_VERSION_NUMBER": "is the port in TOWEROPS_API_URL right?",
    "HTTP_REQUEST": "is the port in TOWEROPS_API_URL right?",
}

_ON_THE_WAY: Final = (
    "does a firewall or a proxy on the way inspect TLS, or is this port without TLS? Else look at the server's log"
)


def _next_step(error: ssl.SSLError) -> str:
    """What to do about a handshake that failed, if its description does not say it."""
    key = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else error.reason
    return _NEXT_STEPS.get(key, _ON_THE_WAY)


@dataclass(frozen=True, slots=True)
class Word:
    """Whether a server answered a plain question, and the time in its answer. `is_silent`: it did not, nor hang up."""

    answered: bool = False
    date: datetime | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Encounter:
    """The result of a handshake. `date`: the server's time, None if it did not send it."""

    check: Check
    date: datetime | None = None


def check_tls(connect: Callable[[], socket.socket], context: ssl.SSLContext, host: str, path: str, now: datetime) -> Encounter:
    """Shake hands with the server at the other end of `connect`, which may raise OSError."""
    try:
        with connect() as plain, context.wrap_socket(plain, server_hostname=host) as connection:
            certificate, version = _certificate(connection), connection.version()
            word = ask_date(connection, host, path)  # a server that wants the client's certificate says so only now
    except ssl.SSLError as error:
        found, _, hint = describe_tls_failure(error).removeprefix("TLS: ").partition(": ")
        hint = hint or _next_step(error)
        certificate, date = _look_anyhow(connect, host, path)
        if certificate is not None:
            found = f"{found}; it is {describe(certificate, now)}"
        return Encounter(Check(NAME, Result.FAILED, found, hint), date)
    except OSError as error:
        hint = "does a firewall inspect TLS, or is this port without TLS?"
        found = f"the connection broke during the handshake: {error.strerror or error}"
        return Encounter(Check(NAME, Result.FAILED, found, hint))
    return Encounter(_judge(f"{version}", certificate, word, now), word.date)


def _judge(version: str, certificate: x509.Certificate | None, word: Word, now: datetime) -> Check:
    """A handshake that succeeded."""
    found = f"{version}, {describe(certificate, now) if certificate else 'with a certificate that can not be shown'}"
    if word.is_silent:
        return Check(NAME, Result.WARNING, f"{found}; then no answer", "see below whether the API answers")
    if not word.answered:
        hint = "does it want a client certificate (TOWEROPS_CLIENT_CERT)? See below whether the API answers"
        return Check(NAME, Result.WARNING, f"{found}; then it closed the connection", hint)
    if certificate is not None and _validity(certificate).soon_s < now.timestamp():
        hint = "renew it at the server before then, or the agent can't deliver"
        return Check(NAME, Result.WARNING, found, hint)
    return Check(NAME, Result.OK, found)


def _validity(certificate: x509.Certificate) -> Validity:
    return Validity(certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp())


def expiring(name: str, certificates: Iterable[Certificate], now: datetime) -> list[Check]:
    """A check with this name of each certificate that ends soon, or has."""
    now_us = round(now.timestamp() * 1e6)
    soon = [one for one in map(CertificateReport.made, certificates) if one.is_expiring(now_us)]
    said = (one.expires(now_us).rpartition(": ") for one in soon)
    return [Check(name, Result.WARNING, found, hint) for found, _, hint in said]


def _look_anyhow(connect: Callable[[], socket.socket], host: str, path: str) -> tuple[x509.Certificate | None, datetime | None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate = None
    try:
        with connect() as plain, context.wrap_socket(plain, server_hostname=host) as connection:
            certificate = _certificate(connection)
            return certificate, ask_date(connection, host, path).date
    except OSError:  # ssl.SSLError is one
        return certificate, None


def _certificate(connection: ssl.SSLSocket) -> x509.Certificate | None:
    octets = connection.getpeercert(binary_form=True)
    try:
        certificate = x509.load_der_x509_certificate(octets or b"")
        _ = certificate.not_valid_after_utc, certificate.extensions, certificate.subject, certificate.issuer
    except ValueError:  # of what is read only now, too; OpenSSL is less strict
        return None
    return certificate


def ask_date(connection: socket.socket, host: str, path: str) -> Word:
    """The server's answer to a request without a token. Raises ssl.SSLError if TLS fails only now."""
    lines = (f"HEAD {path or '/'} HTTP/1.1", f"Host: {host}", f"User-Agent: towerops-agent/{__version__}", "Connection: close")
    with suppress(OSError):  # it has closed the connection; the reason may still be readable
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
    try:
        head = read_head(connection).decode("latin-1")
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return Word()
    except ssl.SSLError:
        raise
    except TimeoutError:
        return Word(is_silent=True)
    except OSError:
        return Word()
    dates = [value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")) if name.lower() == "date"]
    return Word(bool(head), http_date(dates[0]) if dates else None)


def describe(certificate: x509.Certificate, now: datetime) -> str:
    """Its names, its issuer and its expiry: `a certificate for api.example.net by Some CA, until 2026-05-01 (81 days)`.

    If it is not valid yet, from when on it is.
    """
    begin, until, names = certificate.not_valid_before_utc, certificate.not_valid_after_utc, _names(certificate)
    days = (until - now).days
    left = counted(days, "day") if days >= 0 else "expired"
    issuer = _first(certificate.issuer, NameOID.COMMON_NAME) or _first(certificate.issuer, NameOID.ORGANIZATION_NAME)
    since = f"from {begin:%Y-%m-%d %H:%M} UTC " if begin > now else ""
    return f"a certificate for {names or 'nobody'} by {issuer or 'nobody'}, {since}until {until:%Y-%m-%d} ({left})"


def _names(certificate: x509.Certificate) -> str:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return _first(certificate.subject, NameOID.COMMON_NAME)
    names = [*held.get_values_for_type(x509.DNSName), *map(str, held.get_values_for_type(x509.IPAddress))]
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _first(name: x509.Name, kind: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(kind)), "")
