"""The demo's group: what its switches do is what happens to a group."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from support import nats
from support.agent import TOKEN, environment
from support.site import site
from towerops_lab.demo.group import has_server, running_group
from towerops_lab.sandbox.server import Sandbox


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- nothing says when a log has grown
        await asyncio.sleep(0.05)


async def test_a_box_is_killed_and_comes_back(tmp_path: Path):
    nats.needed()
    async with site(6) as config, Sandbox(config, TOKEN).serve() as url:
        server = has_server()
        assert server is not None
        async with running_group(2, server, tmp_path, environment(url, tmp_path / "unused.db")) as boxes:

            def polled() -> list[str]:
                return ["".join(re.findall(r"\d+|dead|joins", box.note())) for box in boxes]

            await until(lambda: all(text.isdigit() for text in polled()) and sum(map(int, polled())) == 6)
            first, second = (box.switch() for box in boxes)
            first.set(True)
            await until(lambda: polled() == ["dead", "6"])
            assert second.note() == "It polls 6 devices."
            first.set(False)
            await until(lambda: polled()[0].isdigit() and sum(map(int, polled())) == 6)
