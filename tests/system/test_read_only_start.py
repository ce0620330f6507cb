"""A start on a file system that the kernel has made read-only, while the API is away: the last configuration is polled."""

from crash.test_buffer_disk import remount, small_disk
from support.agent import TOKEN, environment, running
from support.site import site
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

__all__ = ["small_disk"]


async def test_an_agent_polls_by_the_kept_configuration_and_delivers_from_memory(small_disk):
    """Before, it polled nothing until the API answered."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            env = environment(url, small_disk / "agent.db", LOG_LEVEL="debug")
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 0
            known = sandbox.store.metric_count
            proxy.go_down()
            remount(small_disk, "ro")
            async with running(env=env) as agent:
                await agent.logged("buffer can't be opened, polls stay in memory")
                await agent.logged("what it keeps is used")
                await agent.answered(2)
                proxy.come_up()
                await sandbox.store.wait_until(lambda store: store.metric_count > known)
                assert await agent.stop() == 0
        assert sandbox.store.duplicates() == {}
