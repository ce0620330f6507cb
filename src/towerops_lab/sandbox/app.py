"""The Towerops API as a Starlette app: strict with what the agent sends; its own errors are scripted.

request -> fault before -> checks -> store -> fault after -> answer
Paths and bodies are api/wire/contract.py's; a refusal has {"error": reason}, which the contract leaves open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH, HeartbeatAccepted, MetricsAccepted
from towerops_agent.text import counted
from towerops_lab.sandbox.batch import Exchange
from towerops_lab.sandbox.checks import Refused, decode_heartbeat, decode_metrics, decompress
from towerops_lab.sandbox.faults import Answer, Cut, Delay, Effect, Fault, Faults, Hold, Limit, RefuseMetrics
from towerops_lab.sandbox.store import Store

_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]

_METHODS = {CONFIG_PATH: "GET, HEAD", METRICS_PATH: "POST", HEARTBEAT_PATH: "POST"}

Handler = Callable[[Request, bytes], Response]


def make_app(store: Store, faults: Faults, page: Sequence[BaseRoute]) -> Starlette:
    """The app. `page`: routes beside the API's, without faults.

    It needs sandbox.server's connections: a Cut calls `cut` of the connection's state.
    """
    api = _Api(store, faults)
    return Starlette(
        routes=[
            Route(CONFIG_PATH, api.endpoint(api.config), methods=["GET"]),
            Route(METRICS_PATH, api.endpoint(api.metrics), methods=["POST"]),
            Route(HEARTBEAT_PATH, api.endpoint(api.heartbeat), methods=["POST"]),
            *page,
            Route("/{path:path}", api.endpoint(api.elsewhere), methods=_ALL_METHODS),
        ]
    )


class _Gone(Exception):
    """The client is gone, or was cut off: nobody to answer."""


class _Api:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler, with faults before and after it, and a record of the result."""

        async def answer(request: Request) -> Response:
            body, at_us, started_s = b"", self._store.clock_us(), monotonic()
            try:
                body = await read_body(request, self._store.accepts.max_body_bytes)
                response = await self._answer(request, body, handler)
            except (_Gone, ClientDisconnect):
                response = None
            headers = {name: value for name, value in request.headers.items() if name != "authorization"}
            status = None if response is None else response.status_code
            took_s = monotonic() - started_s
            self._store.record(Exchange(request.method, request.url.path, status, headers, len(body), at_us, took_s))
            return response or Response()  # which goes nowhere

        return answer

    def config(self, request: Request, _body: bytes) -> Response:
        """GET config; the ETag is the configuration's, and If-None-Match is honoured (RFC 9110 §13.1.2)."""
        self._check_token(request)
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {self._store.etag, "*"}:
            return Response(status_code=304, headers={"etag": self._store.etag})
        return Response(self._store.config_body, headers={"etag": self._store.etag}, media_type="application/json")

    def metrics(self, request: Request, body: bytes) -> Response:
        """POST metrics."""
        self._check_token(request)
        text = self._checked_body(request, body)
        metrics = decode_metrics(text, self._store.accepts, self._store.clock_us())
        for fault, effect in self._faults.for_metrics():
            match effect:
                case Limit(max_metrics, max_body_bytes):
                    if _over(len(metrics), max_metrics) or _over(len(body), max_body_bytes):
                        fault.hit()
                        raise Refused(413, f"{counted(len(metrics), 'metric')}, {counted(len(body), 'octet')}: expected less")
                case RefuseMetrics(matches, reason, status):
                    for i, metric in enumerate(metrics):
                        if matches(metric):
                            fault.hit()
                            raise Refused(status, f"metrics[{i}]: {reason}")
        key = request.headers.get("idempotency-key") or None
        if not self._store.take(text, metrics, key):
            raise Refused(422, f"Idempotency-Key {key!r} came with another body before")
        return _json(200, MetricsAccepted(status="accepted", received=len(metrics)))

    def heartbeat(self, request: Request, body: bytes) -> Response:
        """POST heartbeat."""
        self._check_token(request)
        self._store.hear(decode_heartbeat(self._checked_body(request, body)))
        return _json(200, HeartbeatAccepted(status="ok"))

    def elsewhere(self, request: Request, _body: bytes) -> Response:
        """Any other path or method."""
        allowed = _METHODS.get(request.url.path)
        if allowed is not None:
            response = _json(405, {"error": f"{request.method} {request.url.path}: expected {allowed}"})
            response.headers["allow"] = allowed
            return response
        raise Refused(404, f"{request.method} {request.url.path} is not part of the API")

    async def _answer(self, request: Request, body: bytes, handler: Handler) -> Response:
        met = self._faults.meet(request.url.path)
        match met:
            case (_, Answer(taken=False) as odd):
                return _answer(odd)
            case (fault, (Hold(taken=False) | Delay(taken=False) | Cut(taken=False)) as effect):
                await _suffer(request, fault, effect)
        try:
            response = handler(request, body)
        except Refused as refused:
            response = _refusal(refused)
        match met:
            case (_, Answer() as odd):
                return _answer(odd)
            case (fault, (Hold(taken=True) | Delay(taken=True) | Cut(taken=True)) as effect):
                await _suffer(request, fault, effect)
        return response

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._store.tokens:
            raise Refused(401, "expected Authorization: Bearer and a token that is known here")

    def _checked_body(self, request: Request, body: bytes) -> bytes:
        """The JSON of the body, if its headers and its size match the contract."""
        limit = self._store.accepts.max_body_bytes
        if len(body) > limit:
            raise Refused(413, f"the body has more than {limit} octets")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(415, f"Content-Type is {media_type!r}: expected application/json")
        return decompress(body, request.headers.get("content-encoding", "").strip().lower(), self._store.accepts)


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Beyond the limit it is cut, but still read to its end, so that the client reads the answer."""
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= limit:
            body += chunk
    return bytes(body)


async def _suffer(request: Request, fault: Fault, effect: Effect) -> None:
    """Carry out a fault in time. Raises _Gone if the client is gone before its end."""
    match effect:
        case Cut():
            request.state.cut()
            await _disconnected(request)
            raise _Gone
        case Hold():
            await _unless_gone(request, fault.cleared.wait())
        case Delay(delay_s):
            await _unless_gone(request, asyncio.sleep(delay_s))


async def _unless_gone(request: Request, pause: Awaitable[Any]) -> None:
    """Wait for the end of the pause, or raise _Gone as soon as the client is gone."""
    paused, gone = asyncio.ensure_future(pause), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((paused, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise _Gone
    finally:
        paused.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    """Return when the connection has ended. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(odd: Answer) -> Response:
    return Response(odd.body, odd.status, {"content-type": "application/json", **odd.headers})


def _over(n: int, limit: int | None) -> bool:
    return limit is not None and n > limit


def _refusal(refused: Refused) -> Response:
    response = _json(refused.status, {"error": refused.reason})
    if refused.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
