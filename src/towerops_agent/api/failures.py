"""Why a request over HTTP has no complete answer: httpcore2's exceptions and those below them, in words to act on.

Used by the clients of the API and of destinations. Pure but for the environment's proxies, which it names. Seconds (`_s`).
"""

import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import httpcore2

from towerops_agent.api.proxy import proxy_of
from towerops_agent.api.tls import describe_tls_failure


class Miscoded(Exception):
    """A body is not encoded as its Content-Encoding says, or as nobody asked for."""


NO_ANSWER: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    Miscoded,
    OSError,
)
"""What is raised if a request has no complete answer; `no_answer` says why."""

TIMED_OUT: Final = (httpcore2.ReadTimeout, httpcore2.WriteTimeout)
NOT_SENT: Final = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.ProxyError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a request waits to be connected, and for the next octet, or for the server to accept one."""

    connect_s: float
    silent_s: float


def no_answer(error: Exception, url: str, timeouts: Timeouts, whose: str, *, began: bool = False) -> str:
    """Why there was no answer from `url`: the cause that the operator can act on, not the layers above it.

    `whose`: how a message calls the host name of the URL. `began`: there was the beginning of an answer. A proxy's words may be
    in it.
    """
    proxy = proxy_of(url)
    to_whom = f" to the proxy {proxy}" if proxy else ""
    match error:
        case httpcore2.ConnectTimeout():
            return f"no connection{to_whom} within {timeouts.connect_s:g} s"
        case httpcore2.ReadTimeout():
            return f"no answer within {timeouts.silent_s:g} s"
        case httpcore2.WriteTimeout():
            return f"the server accepted no octet for {timeouts.silent_s:g} s"
        case Miscoded():
            return "the answer's body is not encoded as its Content-Encoding says"
        case httpcore2.ProxyError():
            return f"the proxy {proxy or 'of the environment'} refused: {error}"
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                return describe_tls_failure(cause)
            case socket.gaierror():
                name = f"of the proxy {proxy}" if proxy else whose
                return f"the host name {name} was not found: {cause.strerror}"
            case OSError(errno=int(number)):
                return f"no connection{to_whom}: {os.strerror(number)}"
    is_cut = not began and url.startswith("http://") and isinstance(error, httpcore2.RemoteProtocolError)
    hint = ": does this port expect https://?" if is_cut else ""
    return f"{str(error) or 'the connection broke'} ({type(error).__name__}){hint}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and its causes, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        if isinstance(cause, BaseExceptionGroup):  # one for each address tried
            yield from _causes(cause.exceptions[0])
        cause = cause.__cause__ or cause.__context__
