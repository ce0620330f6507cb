"""The agent as a process, with a client certificate that the API insists on."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from click.testing import CliRunner

from support.agent import TOKEN, environment, running
from support.site import METRICS_A_POLL, site
from towerops_agent.cli.main import cli
from towerops_lab.sandbox.server import Sandbox


async def test_values_arrive_at_an_api_that_insists_on_a_client_certificate(tmp_path: Path):
    """With the certificate all is delivered; without, and with half of it, the operator reads why not."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue_cert("agent.example.net")
    names = {"TOWEROPS_CA_FILE": "ca.pem", "TOWEROPS_CLIENT_CERT": "agent.pem", "TOWEROPS_CLIENT_KEY": "agent.key"}
    paths = {variable: str(tmp_path / name) for variable, name in names.items()}
    authority.cert_pem.write_to_path(paths["TOWEROPS_CA_FILE"])
    mine.cert_chain_pems[0].write_to_path(paths["TOWEROPS_CLIENT_CERT"])
    mine.private_key_pem.write_to_path(paths["TOWEROPS_CLIENT_KEY"])
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve(tls=tls) as url:
            env = environment(url, tmp_path / "agent.db", **paths)
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 0, agent.log
            assert sandbox.store.metric_count == METRICS_A_POLL
            half = {name: value for name, value in env.items() if name != "TOWEROPS_CLIENT_KEY"}
            async with running("run", "--once", env=half) as agent:
                assert await agent.ended() == 2
            assert "TOWEROPS_CLIENT_CERT is set without TOWEROPS_CLIENT_KEY" in agent.log
            (tmp_path / "agent.key").write_text("no key")
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 2
            assert "TOWEROPS_CLIENT_KEY" in agent.log
            assert "Traceback" not in agent.log
    assert sandbox.store.metric_count == METRICS_A_POLL


async def test_certificates_near_their_end_are_said_by_the_commands(tmp_path: Path):
    authority, ends = trustme.CA(), datetime.now(UTC) + timedelta(days=5)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("agent.example.net", not_after=ends).private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    own = dict.fromkeys(("TOWEROPS_CLIENT_CERT", "TOWEROPS_CLIENT_KEY"), str(tmp_path / "own.pem"))
    async with site(1) as config, Sandbox(config, TOKEN).serve(tls=tls) as url:
        env = environment(url, tmp_path / "agent.db", TOWEROPS_CA_FILE=str(tmp_path / "ca.pem"), **own)
        async with running(env=env) as agent:
            await agent.logged("API accepts metrics")
            told = {
                command: (await asyncio.to_thread(CliRunner().invoke, cli, [command], env=env)).output
                for command in ("status", "health", "doctor")
            }
    for command, text in told.items():
        assert "the agent's own certificate for API expires in 5 d, at" in text, (command, text)
    for command in ("status", "health"):
        assert "the certificate of API expires in 5 d, at" in told[command], told[command]
