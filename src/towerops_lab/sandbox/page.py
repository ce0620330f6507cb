"""The sandbox's web page: its files, what it shows as JSON, a stream of changes, and its switches.

The API's routes come first and never wait for it: the state is built at most four times a second, once for all
viewers, and drawn by the browser. Everything is served from here; the page's policy forbids other origins.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_agent.page.assets import asset
from towerops_agent.page.guard import problem_of_host
from towerops_lab.sandbox.app import read_body
from towerops_lab.sandbox.docs import docs_page
from towerops_lab.sandbox.faults import Answer, Cut, Effect, Faults, Hold
from towerops_lab.sandbox.glance import WINDOW_US, Glance
from towerops_lab.sandbox.guard import MOST_OCTETS, problem_of_turn
from towerops_lab.sandbox.openapi import document
from towerops_lab.sandbox.store import Store
from towerops_lab.sandbox.switches import Switch, api_switches

Handler = Callable[[Request], Awaitable[Response]]

SHORTEST_S: Final = 0.25
"""The least time between two looks."""

LONGEST_S: Final = 2.0
"""The most time between two looks while anybody watches."""

SHARE: Final = 0.05
"""The largest share of the event loop's time for building the state: after a slow one, the next one waits longer."""

_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS: Final = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Site:
    """The page's heading."""

    title: str = "Sandbox"
    about: str = "What the agent sends to this stand-in for the Towerops API."


class Page:
    """The view of a store. `switches`: those of the API, and others that were added; `glance`: what is known of the devices."""

    def __init__(self, store: Store, faults: Faults, site: Site) -> None:
        self._store = store
        self._faults = faults
        self.switches = {switch.id: switch for switch in api_switches(faults)}
        self._site = site
        self.glance = Glance()
        self._etag = ""
        self._shown: bytes = b""
        self._next_look_s = 0.0
        now_us = store.clock_us()
        self._configure()
        for batch in store.records.batches_since(now_us - WINDOW_US):
            self.glance.take(batch)
        store.listen(self.glance.take)

    def add(self, switches: Sequence[Switch]) -> None:
        """Show these switches as well."""
        self.switches.update({switch.id: switch for switch in switches})

    def routes(self) -> list[BaseRoute]:
        """The page's routes. All handlers are coroutines: a plain function would run on a thread of its own, beside the API."""
        return [
            Route("/", _guarded(self._index), methods=["GET"]),
            Route("/docs", _guarded(self._docs), methods=["GET"]),
            Route("/openapi.json", _guarded(self._openapi), methods=["GET"]),
            Route("/page/state", _guarded(self._state), methods=["GET"]),
            Route("/page/events", _guarded(self._events), methods=["GET"]),
            Route("/page/charts/{device:path}", _guarded(self._charts), methods=["GET"]),
            Route("/page/switches/{switch:path}", _guarded(self._turn), methods=["POST"]),
            Route("/page/{name}", _guarded(self._file), methods=["GET"]),
        ]

    async def _index(self, _: Request) -> Response:
        return _asset("index.html")

    async def _file(self, request: Request) -> Response:
        return _asset(request.path_params["name"])

    async def _docs(self, _: Request) -> Response:
        return HTMLResponse(docs_page(document(self._store.accepts)), headers=_HEADERS)

    async def _openapi(self, _: Request) -> Response:
        return _json(document(self._store.accepts))

    async def _state(self, _: Request) -> Response:
        return Response(self._look(), media_type="application/json", headers=_HEADERS)

    async def _charts(self, request: Request) -> Response:
        self._configure()
        charts = self.glance.charts(request.path_params["device"], self._store.clock_us())
        return _json({"error": "no such device is shown"}, 404) if charts is None else _json(charts)

    async def _turn(self, request: Request) -> Response:
        """Turn a switch."""
        if problem := problem_of_turn(request.headers):
            return _json({"error": problem}, 403)
        switch = self.switches.get(request.path_params["switch"])
        if switch is None:
            return _json({"error": "no such switch"}, 404)
        body = await read_body(request, MOST_OCTETS)
        if len(body) > MOST_OCTETS:
            return _json({"error": f"the body has more than {MOST_OCTETS} octets"}, 413)
        try:
            on = msgspec.json.decode(body, type=dict[str, bool])["on"]
        except (ValueError, KeyError):
            return _json({"error": 'expected {"on": true} or {"on": false}'}, 422)
        switch.set(on)
        self._shown = b""
        self._store.changes.tell()
        return _json({"on": switch.is_on})

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        """The state now, after each change, and at least each LONGEST_S: what a switch has come to changes without one."""
        seen = b""
        while True:
            change = self._store.changes.mark()
            shown = self._look()
            if shown is not seen:
                yield b"data: " + shown + b"\n\n"
                seen = shown
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_S):
                    await change.wait()
            await asyncio.sleep(max(SHORTEST_S, self._next_look_s - time.monotonic()))  # several changes make one look

    def _look(self) -> bytes:
        """The state as JSON, built again if it is time for that."""
        now_s = time.monotonic()
        if not self._shown or now_s >= self._next_look_s:
            self._shown = msgspec.json.encode(self._put_together(self._store.clock_us()))
            done_s = time.monotonic()
            self._next_look_s = done_s + max(SHORTEST_S, (done_s - now_s) / SHARE)
        return self._shown

    def _put_together(self, now_us: int) -> dict[str, Any]:
        self._configure()
        store, glance = self._store, self.glance
        heartbeat = store.heartbeats[-1] if store.heartbeats else None
        return {
            "now_us": now_us,
            "title": self._site.title,
            "about": self._site.about,
            "heartbeat": None if heartbeat is None else {**msgspec.to_builtins(heartbeat), "heard_us": store.heard_us},
            "api": {"barred": _barred(self._faults.ahead(METRICS_PATH)), **asdict(store.contact)},
            "metrics": store.metric_count,
            "batches": len(store.batches),
            "repeats": store.repeats,
            "late": glance.late_count,
            "gaps": glance.gaps(now_us),
            "expected_per_s": glance.expected_rate(),
            "device_count": glance.device_count,
            "arrivals": [msgspec.to_builtins(arrival) for arrival in glance.arrivals],
            "devices": glance.glance(now_us),
            "switches": [
                {
                    "id": switch.id,
                    "group": switch.group,
                    "label": switch.label,
                    "explanation": switch.explanation,
                    "momentary": switch.momentary,
                    "on": switch.is_on,
                    "note": switch.note(),
                }
                for switch in self.switches.values()
            ],
        }

    def _configure(self) -> None:
        """Follow the store's configuration."""
        if self._etag == self._store.etag:
            return
        self._etag = self._store.etag
        self.glance.configure(self._store.config_body)


def _guarded(handler: Handler) -> Handler:
    """The handler, for requests by a name that is this machine's."""

    async def answer(request: Request) -> Response:
        problem = problem_of_host(request.headers)
        return _json({"error": problem}, 403) if problem else await handler(request)

    return answer


def _barred(effect: Effect | None) -> str:
    """What keeps the agent's batches out at the moment: "cut", "refused" or "failing"; "" if nothing does."""
    match effect:
        case Cut() | Hold():
            return "cut"
        case Answer(status=401 | 403):
            return "refused"
        case Answer(status=status) if status >= 300:
            return "failing"
    return ""


def _asset(name: str) -> Response:
    """The file of this name: of this page's own, or of those that it shares with the agent's page."""
    media_type = _TYPES.get(name.rpartition(".")[2])
    own = files("towerops_lab.sandbox") / "web" / name
    octets = own.read_bytes() if "/" not in name and own.is_file() else asset(name)
    if media_type is None or octets is None:
        return _json({"error": "no such file"}, 404)
    return Response(octets, media_type=media_type, headers=_HEADERS)


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json", headers=_HEADERS)
