"""The sandbox's web page: its files, what it shows as JSON, a stream of changes, and its switches.

The API's routes come first and never wait for it: the state is built at most four times a second, once for all
viewers, and drawn by the browser. Everything is served from here; the page's policy forbids other origins.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from towerops_lab.sandbox.docs import docs_page
from towerops_lab.sandbox.glance import WINDOW_US, Glance
from towerops_lab.sandbox.openapi import document
from towerops_lab.sandbox.store import Store
from towerops_lab.sandbox.switches import Switch

SHORTEST_S: Final = 0.25
"""The least time between two looks."""

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
    """The view of a store. `switches`: those of the API; others may be added."""

    def __init__(self, store: Store, switches: Sequence[Switch], site: Site) -> None:
        self._store = store
        self.switches = {switch.id: switch for switch in switches}
        self._site = site
        self._glance = Glance()
        self._etag = ""
        self._shown: bytes = b""
        self._next_look_s = 0.0
        now_us = time.time_ns() // 1000
        self._configure()
        for batch in store.records.batches_since(now_us - WINDOW_US):
            self._glance.take(batch)
        store.listen(self._glance.take)

    def add(self, switches: Sequence[Switch]) -> None:
        """Show these switches as well."""
        self.switches.update({switch.id: switch for switch in switches})

    def routes(self) -> list[BaseRoute]:
        """The page's routes."""
        return [
            Route("/", self._index, methods=["GET"]),
            Route("/docs", self._docs, methods=["GET"]),
            Route("/openapi.json", self._openapi, methods=["GET"]),
            Route("/page/state", self._state, methods=["GET"]),
            Route("/page/events", self._events, methods=["GET"]),
            Route("/page/charts/{device:path}", self._charts, methods=["GET"]),
            Route("/page/switches/{switch:path}", self._turn, methods=["POST"]),
            Route("/page/{name}", self._file, methods=["GET"]),
        ]

    def _index(self, _: Request) -> Response:
        return _asset("index.html")

    def _file(self, request: Request) -> Response:
        return _asset(request.path_params["name"])

    def _docs(self, _: Request) -> Response:
        return HTMLResponse(docs_page(document(self._store.accepts)), headers=_HEADERS)

    def _openapi(self, _: Request) -> Response:
        return _json(document(self._store.accepts))

    def _state(self, _: Request) -> Response:
        return Response(self._look(), media_type="application/json", headers=_HEADERS)

    def _charts(self, request: Request) -> Response:
        self._configure()
        charts = self._glance.charts(request.path_params["device"], time.time_ns() // 1000)
        return _json({"error": "no such device is shown"}, 404) if charts is None else _json(charts)

    async def _turn(self, request: Request) -> Response:
        """Turn a switch. Only for the page itself: another site's form can't send JSON or this origin."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _json({"error": "expected a request of the page's own"}, 403)
        switch = self.switches.get(request.path_params["switch"])
        if switch is None:
            return _json({"error": "no such switch"}, 404)
        try:
            wanted = msgspec.json.decode(await request.body(), type=dict[str, bool])
            on = wanted["on"]
        except (ValueError, KeyError):
            return _json({"error": 'expected {"on": true} or {"on": false}'}, 422)
        switch.set(on)
        self._shown = b""
        self._store.changes.tell()
        return _json({"on": switch.is_on})

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        seen = b""
        while True:
            change = self._store.changes.mark()
            shown = self._look()
            if shown is not seen:
                yield b"data: " + shown + b"\n\n"
                seen = shown
            await change.wait()
            await asyncio.sleep(max(SHORTEST_S, self._next_look_s - time.monotonic()))  # several changes make one look

    def _look(self) -> bytes:
        """The state as JSON, built again if it is time for that."""
        now_s = time.monotonic()
        if not self._shown or now_s >= self._next_look_s:
            self._shown = msgspec.json.encode(self._put_together(time.time_ns() // 1000))
            done_s = time.monotonic()
            self._next_look_s = done_s + max(SHORTEST_S, (done_s - now_s) / SHARE)
        return self._shown

    def _put_together(self, now_us: int) -> dict[str, Any]:
        self._configure()
        store, glance = self._store, self._glance
        heartbeat = store.heartbeats[-1] if store.heartbeats else None
        return {
            "now_us": now_us,
            "title": self._site.title,
            "about": self._site.about,
            "heartbeat": None if heartbeat is None else {**msgspec.to_builtins(heartbeat), "heard_us": store.heard_us},
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
                }
                for switch in self.switches.values()
            ],
        }

    def _configure(self) -> None:
        """Follow the store's configuration."""
        if self._etag == self._store.etag:
            return
        self._etag = self._store.etag
        try:
            document = msgspec.json.decode(self._store.config_body, type=dict[str, Any])
        except ValueError:
            document = {}
        self._glance.configure(document)


def _asset(name: str) -> Response:
    media_type = _TYPES.get(name.rpartition(".")[2])
    found = files("towerops_lab.sandbox") / "web" / name
    if media_type is None or "/" in name or not found.is_file():
        return _json({"error": "no such file"}, 404)
    return Response(found.read_bytes(), media_type=media_type, headers=_HEADERS)


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json", headers=_HEADERS)
