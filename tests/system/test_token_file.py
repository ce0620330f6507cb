"""A token that is replaced in its file: the kept configuration follows it, so that a restart without the API still polls."""

import signal
from pathlib import Path

from support.agent import TOKEN, environment, running
from support.site import site
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

NEW_TOKEN = "replacement-token-6f2b"


async def test_a_power_cut_after_the_token_was_replaced_costs_no_poll_though_the_api_is_away(tmp_path: Path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        sandbox.store.tokens.add(NEW_TOKEN)  # both are accepted: nothing says to the agent that the old one will go
        proxy = Proxy()
        async with sandbox.serve() as url, proxy.serve(url) as through:
            env = environment(through, tmp_path / "agent.db", TOWEROPS_AGENT_TOKEN_FILE=str(token_file), LOG_LEVEL="debug")
            del env["TOWEROPS_AGENT_TOKEN"]
            async with running(env=env) as agent:
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                asked = len(sandbox.store.exchanges)
                token_file.write_text(NEW_TOKEN)
                agent.send(signal.SIGHUP)
                await sandbox.store.wait_until(lambda store: any("config" in e.path for e in store.exchanges[asked:]))
                await agent.kill()
            proxy.go_down()
            async with running(env=env) as agent:
                await agent.logged('msg="configuration applied"')
                await agent.answered()
                assert NEW_TOKEN not in agent.log
