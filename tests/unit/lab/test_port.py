"""A port that is taken is not a reason to stop: another one is used, and that is known."""

import errno
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from towerops_lab.port import serve_at


@asynccontextmanager
async def serving(port: int):
    with socket.create_server(("127.0.0.1", port)) as listener:
        yield listener.getsockname()[1]


async def test_the_wanted_port_is_used_if_it_is_free():
    async with AsyncExitStack() as parts:
        wanted = await parts.enter_async_context(serving(0))
    async with AsyncExitStack() as parts:
        assert await serve_at(parts, serving, wanted) == (wanted, True)


async def test_another_one_is_used_if_it_is_taken():
    async with AsyncExitStack() as parts:
        taken = await parts.enter_async_context(serving(0))
        port, is_wanted = await serve_at(parts, serving, taken)
        assert port != taken
        assert not is_wanted


async def test_what_can_be_served_at_no_port_is_an_error():
    @asynccontextmanager
    async def refusing(port: int):
        raise OSError(99, "no such address")
        yield

    async with AsyncExitStack() as parts:
        for port in (0, 8700):
            with pytest.raises(OSError, match="no such address"):
                await serve_at(parts, refusing, port)


async def test_a_port_that_is_only_for_root_is_an_error_and_not_taken():
    """Else the commands say that it is in use."""
    asked = []

    @asynccontextmanager
    async def for_root(port: int):
        asked.append(port)
        raise PermissionError(errno.EACCES, "Permission denied")
        yield

    async with AsyncExitStack() as parts:
        with pytest.raises(PermissionError):
            await serve_at(parts, for_root, 161)
    assert asked == [161]
