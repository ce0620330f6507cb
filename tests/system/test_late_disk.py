"""A disk that is mounted after the agent has started, while the API is away: what it keeps is used from then on."""

import pytest

from crash.test_buffer_disk import mounted_over, small_disk
from support.agent import TOKEN, environment, running
from support.site import site
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

__all__ = ["small_disk"]


@pytest.mark.parametrize("can_begin", [False, True], ids=["nothing can be created below the mount", "a database begins there"])
async def test_an_agent_polls_by_the_configuration_that_a_disk_keeps_once_it_is_mounted(small_disk, tmp_path, can_begin):
    """Before, it polled nothing until the API answered."""
    place = tmp_path / "mounted"
    place.mkdir()
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            async with running("run", "--once", env=environment(url, small_disk / "agent.db")) as agent:
                assert await agent.ended() == 0
            known = sandbox.store.metric_count
            proxy.go_down()
            if not can_begin:
                (place / "agent.db.lock").symlink_to("nowhere")
            async with running(env=environment(url, place / "agent.db", LOG_LEVEL="debug")) as agent:
                await agent.logged("agent started" if can_begin else "buffer can't be opened, polls stay in memory")
                await agent.logged("configuration not fetched, will retry")
                with mounted_over(place, small_disk):
                    await agent.answered(2)
                    proxy.come_up()
                    await sandbox.store.wait_until(lambda store: store.metric_count > known)
                    assert await agent.stop() == 0
        assert sandbox.store.duplicates() == {}
