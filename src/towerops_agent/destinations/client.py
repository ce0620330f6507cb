"""A receiver of values over HTTP, whatever its kind: each answer and each failure as a value of wire/answers.py.

courier.py uses it. It follows no redirect, keeps no cookie, and sends the credentials to the one URL only. A receiver's
text is cut, and cleaned of control characters and of the credentials, before anyone sees it.
I/O. Seconds.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from towerops_agent.api.address import request_url
from towerops_agent.api.client import ANSWER_WITHIN_S, MOST_REASON_CHARACTERS, Expiries, Http
from towerops_agent.api.failures import NO_ANSWER, NOT_SENT, TIMED_OUT, Timeouts, no_answer
from towerops_agent.api.proxy import proxy_passwords
from towerops_agent.api.tls import tls_context
from towerops_agent.api.wire.outcomes import Unavailable, ahead_s, http_date, retry_after_s
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.answers import PartlyTaken, WriteOutcome
from towerops_agent.errors import SettingsError
from towerops_agent.masking import masked
from towerops_agent.site.document.destination import Destination

MOST_ANSWER_OCTETS: Final = 1 << 16

_SETTINGS: Final = {
    "TOWEROPS_CLIENT_CERT and …_KEY": "client_cert and client_key",
    "TOWEROPS_CA_FILE": "ca_file",
    "TOWEROPS_CLIENT_CERT": "client_cert",
    "TOWEROPS_CLIENT_KEY": "client_key",
    "the one in TOWEROPS_API_URL": "the one in the destination's URL",
    "TOWEROPS_API_URL": "the destination's URL",
}
"""What a site file calls what the API's settings call otherwise."""


class DestinationClient:
    """A client of one receiver, an async context manager; opening it may raise SettingsError (certificates, proxy).

    `ahead_s`: how far this machine's clock is ahead of the receiver's, by its last answer; None if it is not known.
    """

    def __init__(self, destination: Destination, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._destination = destination
        self._kind = KINDS[destination.kind]
        self._now = now
        self._timeouts = Timeouts(10.0, 30.0)
        self._http: Http | None = None
        self._renewed: Http | None = None  # in use from the next request on
        self.ahead_s: float | None = None
        self.expiries = Expiries()

    async def __aenter__(self) -> Self:
        self._url = request_url(self._destination.url)
        self._http = self._new_http()
        return self

    def _new_http(self) -> Http:
        one = self._destination
        try:
            http = Http(one.url, trust_of(one), self._timeouts, self._headers())
        except SettingsError as error:
            raise SettingsError(in_keys(str(error))) from None
        self.expiries.presents(None if one.client_cert is None else Path(one.client_cert))
        return http

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for http in (self._http, self._renewed):
            if http is not None:
                await http.aclose()

    def reread_certificates(self) -> None:
        """Use the current certificate files from the next request on. Raises SettingsError: those in use stay then."""
        self._renewed = self._new_http()

    async def _current(self) -> Http:
        if self._http is None:
            raise RuntimeError("the client is not open: use it as `async with DestinationClient(…)`")
        if self._renewed is not None:
            before, self._http, self._renewed = self._http, self._renewed, None
            await before.aclose()
        return self._http

    def _headers(self) -> dict[str, str]:
        one = self._destination
        headers = {
            **dict(one.headers),
            **{name: value.reveal() for name, value in one.secret_headers},
            **self._kind.headers,
        }
        if one.bearer is not None:
            headers["Authorization"] = f"Bearer {one.bearer.reveal()}"
        elif one.token is not None:
            headers["Authorization"] = f"Token {one.token.reveal()}"
        elif one.user is not None:
            headers["Authorization"] = f"Basic {_basic(one.user[0], one.user[1].reveal())}"
        return headers

    async def send(self, body: bytes) -> WriteOutcome:
        """The outcome of one request with this body, packed as the destination's kind wants it."""
        http = await self._current()
        sent = self._now()
        reply, received = None, bytearray()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                reply = await http.send("POST", self._url, self.expiries.headers(sent.timestamp()), body)
                try:
                    self.expiries.seen(reply)
                    await reply.read(MOST_ANSWER_OCTETS, received.extend)
                finally:
                    await reply.aclose()
        except NO_ANSWER as error:
            if reply is None or reply.is_success:  # another status says what to do, whatever becomes of its body
                return self._unavailable(error, began=reply is not None)
        date = http_date(reply.headers.get("date"))
        ahead = ahead_s(date, sent, self._now())
        self.ahead_s = self.ahead_s if ahead is None else ahead
        outcome = self._kind.outcome_of(
            reply.status,
            bytes(received),
            self._line(received.decode(errors="replace")),
            self._cleaned(reply.headers.get("location", "")),
            retry_after_s(reply.headers.get("retry-after"), date or self._now()),
        )
        reason = self._line(outcome.reason) if isinstance(outcome, PartlyTaken) else outcome.reason  # OTLP's is one of octets
        return replace(outcome, reason=_cut(reason))

    def _unavailable(self, error: Exception, *, began: bool) -> Unavailable:
        """The outcome of a request without a complete answer. `began`: there was the beginning of one."""
        if isinstance(error, TimeoutError):
            return Unavailable(f"no complete answer within {ANSWER_WITHIN_S:g} s", timed_out=True)
        reason = no_answer(error, self._destination.url, self._timeouts, "of the destination", began=began)
        return Unavailable(
            in_keys(self._cleaned(reason)),
            timed_out=isinstance(error, TIMED_OUT),
            not_sent=isinstance(error, NOT_SENT),
        )

    def _cleaned(self, text: str) -> str:
        """`text` in one printable line of at most 300 characters, without the credentials that a receiver may echo."""
        return _cut(self._line(text))

    def _line(self, text: str) -> str:
        """`text` in one printable line, however long, without the credentials."""
        one = self._destination
        secrets = [secret.reveal() for secret in (one.bearer, one.token, *dict(one.secret_headers).values()) if secret]
        secrets += [secret.reveal() for secret in proxy_passwords()]
        if one.user is not None:
            secrets += [_basic(one.user[0], one.user[1].reveal()), one.user[1].reveal()]
        return " ".join("".join(c if c.isprintable() else " " for c in masked(text, secrets)).split())


def _basic(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def _cut(line: str) -> str:
    return line if len(line) <= MOST_REASON_CHARACTERS else f"{line[: MOST_REASON_CHARACTERS - 1]}…"


def trust_of(destination: Destination) -> ssl.SSLContext:
    """Whom the agent trusts to be the receiver, and with which certificate it shows itself. Raises SettingsError."""
    files = (destination.ca_file, destination.client_cert, destination.client_key)
    return tls_context(*(None if file is None else Path(file) for file in files))


def in_keys(text: str) -> str:
    """`text` with the keys of a site file in place of the API's settings."""
    for theirs, ours in _SETTINGS.items():
        text = text.replace(theirs, ours)
    return text
