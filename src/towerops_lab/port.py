"""The port to serve on: the wanted one, or any free one if it is taken. The one rule of demo, sandbox and simulator."""

import errno
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

Served = TypeVar("Served")


async def serve_at(
    parts: AsyncExitStack, serve: Callable[[int], AbstractAsyncContextManager[Served]], port: int
) -> tuple[Served, bool]:
    """What `serve(port)` yields until `parts` end, and whether it is at that port: if that is taken, at a free one (0).

    Raises OSError if it can be served at no port, or not at that one for another reason: that it is only for root, say.
    """
    try:
        return await parts.enter_async_context(serve(port)), True
    except OSError as error:
        if not port or error.errno != errno.EADDRINUSE:
            raise
    return await parts.enter_async_context(serve(0)), False
