"""A full run, with all that may go wrong in it, leaves no secret anywhere: on disk, in the log, in tracebacks, in `ps`."""

import asyncio
import base64
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import trustme

from support.agent import TOKEN, environment, output_of, running
from support.site import COMMUNITY, equipment, site
from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_lab.sandbox.server import Sandbox

WRONG_COMMUNITY = "wrong-community-\u00e9-7c2e"
AUTH_PASSWORD = "auth-password-91aa"
PRIV_PASSWORD = "priv-password-'55d0\""
STRAY = "community-in-a-wrong-place-40b1"
SECRETS = (TOKEN, COMMUNITY, WRONG_COMMUNITY, AUTH_PASSWORD, PRIV_PASSWORD, STRAY)

BROKEN = """
from towerops_agent.polling.reading import Poller

real = Poller.poll

async def poll(self, device, within_s):
    if device.id == "d1":
        raise RuntimeError(f"a bug that shows all it has: {device!r} {self!r}")
    return await real(self, device, within_s)

Poller.poll = poll

from towerops_agent.cli.main import main

main()
"""
"""The agent with a bug that ends in a traceback."""


def shapes(secret: str) -> set[bytes]:
    """The secret as one may meet it: plain, escaped as JSON and as Python do, in base64, in hexadecimal digits."""
    octets = secret.encode()
    texts = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(octets)[2:-1], octets.hex(), octets.hex(" ")}
    return {octets, base64.b64encode(octets)} | {text.encode() for text in texts}


def found(texts: Iterable[bytes]) -> list[str]:
    """The secrets that are in one of the texts, in whatever shape."""
    joined = b"\n".join(texts)
    return [secret for secret in SECRETS if any(shape in joined for shape in shapes(secret))]


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
async def test_a_run_with_all_that_may_go_wrong_leaves_no_secret_behind(tmp_path: Path, log_format: str):
    """Wrong passwords, devices that are silent, a token that is refused and echoed, a bug: at debug level, to the end."""
    folder = tmp_path / "data"
    folder.mkdir()
    async with site(2) as config:
        port = config["equipment"][0]["snmp"]["port"]
        v3 = {"version": "3", "v3_username": "operator", "v3_auth_protocol": "SHA", "v3_auth_password": AUTH_PASSWORD}
        v3 |= {"v3_priv_protocol": "AES", "v3_priv_password": PRIV_PASSWORD}
        config["equipment"] += [
            equipment("wrong", port, community=WRONG_COMMUNITY),
            equipment("silent", 9),
            equipment("v3", port, **v3),
            equipment("v3-bad-protocol", port, **v3 | {"v3_priv_protocol": "ROT13"}),
            equipment("stray", port) | {"snmp": STRAY},
        ]
        sandbox = Sandbox(config, TOKEN)
        echo = f"who are you, Bearer {TOKEN}?".encode()
        sandbox.faults.answer(500, body=echo, path=METRICS_PATH, times=1)
        sandbox.faults.redirect(f"https://elsewhere.example/?token={TOKEN}", path="/api/v1/agent/heartbeat", times=1)
        env = environment("", folder / "agent.db", LOG_LEVEL="debug", LOG_FORMAT=log_format)
        async with sandbox.serve() as url, running(env=env | {"TOWEROPS_API_URL": url}, code=BROKEN) as agent:
            await agent.logged("poll failed because of a bug")
            await agent.logged("device does not answer", times=3)
            await agent.logged("configuration item refused", times=2)
            await sandbox.store.wait_until(lambda store: bool(store.readings("d0-s0")))
            process = Path(f"/proc/{agent.pid}")
            seen = await asyncio.to_thread(lambda: [(process / name).read_bytes() for name in ("cmdline", "comm", "stat")])
            during = await asyncio.to_thread(files, folder)
            refused = sandbox.faults.refuse_token(path=METRICS_PATH)
            await agent.stop()
        assert refused.hits
    status = [await output_of("status", *more, env=env) for more in ((), ("--json",))]
    assert all("v3-bad-protocol" in text for text in status)
    after = files(folder)
    assert "Traceback" in agent.log
    assert "the token is refused (401)" in agent.log
    assert len(during) >= 2, "the database and its journal"
    assert found([*seen, *during, *after, *(text.encode() for text in status), agent.log.encode()]) == []


async def test_a_token_in_a_file_is_hidden_in_the_log_too(tmp_path: Path):
    """A bug that prints the very text: the log replaces it, also that of the token which comes later."""
    (tmp_path / "token").write_text(TOKEN)
    code = """
import sys
from towerops_agent.delivery.heartbeat import HeartbeatLoop

async def send_once(self):
    raise RuntimeError("a bug that shows " + self._client._token.token.reveal())

HeartbeatLoop.send_once = send_once

from towerops_agent.cli.main import main

main()
"""
    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve() as url:
        env = environment(url, tmp_path / "agent.db", TOWEROPS_AGENT_TOKEN="", TOWEROPS_AGENT_TOKEN_FILE=str(tmp_path / "token"))
        async with running(env=env, code=code) as agent:
            await agent.logged("a bug that shows ***")
            await agent.stop()
    assert found([agent.log.encode()]) == []


async def test_a_tls_failure_and_a_proxy_show_no_secret(tmp_path: Path):
    certificate = trustme.CA().issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.cert_chain_pems[0].bytes())
    key.write_bytes(certificate.private_key_pem.bytes())
    async with Sandbox({}, TOKEN).serve(tls=(chain, key)) as url:
        for target, more in ((url, {}), ("https://api.invalid", {"HTTPS_PROXY": f"http://agent:{STRAY}@127.0.0.1:9"})):
            env = environment(target, tmp_path / "agent.db", LOG_LEVEL="debug", **more)
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 1
            assert "certificate" in agent.log or "no connection to the proxy 127.0.0.1:9" in agent.log
            assert found([agent.log.encode()]) == []


async def test_another_token_cannot_read_the_kept_configuration_and_says_so(tmp_path: Path):
    """Whoever takes the box away, or gives it another agent's token, gets nothing of it; the right token still does."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as first:
            assert await first.ended() == 0, first.log
        async with sandbox.serve() as url:
            sandbox.faults.answer(503)
            env = environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")
            async with running(env=env | {"TOWEROPS_AGENT_TOKEN": "another-agent-s-token"}) as other:
                await other.logged("kept configuration can't be used")
                await other.logged("configuration not fetched")
                await other.stop()
            assert "sealed with another token" in other.log
            assert "device answers" not in other.log
            async with running(env=env) as right:
                await right.answered()
                await right.stop()
