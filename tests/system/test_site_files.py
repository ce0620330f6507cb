"""An agent with site files and no Towerops at all: it polls, keeps what it reads, reads the files again, and shows no secret."""

import json
import random
import re
import signal
import ssl
from pathlib import Path

import pytest
import trustme

from contract.scripted_server import ScriptedServer, answer
from support.agent import AgentProcess, running
from support.site import COMMUNITY, command, site, site_environment

OID = "1.3.6.1.2.1.1.3.0"


def write(path: Path, port: int, sensor: str = "uptime", more: str = "") -> None:
    path.with_name("radios").write_text(COMMUNITY)
    path.with_name("radios").chmod(0o600)
    path.write_text(
        "credentials: {radios: {community_file: radios}}\n"
        "defaults: {credentials: radios, interval: 1}\n"
        f"devices:\n  - {{address: 127.0.0.1, port: {port}, name: mast, sensors: [{{name: {sensor}, oid: {OID}}}]}}\n{more}"
    )


async def until(env: dict[str, str], words: tuple[str, ...], wanted) -> str:
    """What the command prints, once it is as wanted."""
    while True:
        _, text = await command(*words, env=env)
        if wanted(text):
            return text


async def delivered_nowhere(agent: AgentProcess) -> None:
    await agent.logged("no destination: values are kept for a day and delivered nowhere")


async def test_a_site_file_is_polled_and_each_command_knows_the_agent(tmp_path: Path):
    path = tmp_path / "site.yaml"
    env = site_environment(path, tmp_path / "agent.db")
    async with site(1) as config:
        write(path, config["equipment"][0]["snmp"]["port"])
        async with running(env=env) as agent:
            await delivered_nowhere(agent)
            history = await until(env, ("history", "mast"), lambda text: "uptime" in text)
            status, said = await command("status", env=env)
            health = await command("health", env=env)
            doctor, checks = await command("doctor", env=env)
            got = await command("snmp", "get", "mast", OID, env=env)
            assert await agent.stop() == 0
    assert (status, health[0], doctor, got[0]) == (0, 0, 0, 0)
    assert "nothing is delivered, as there is no destination" in said
    assert "✓ mast" in checks or "mast" in checks
    for text in (history, said, checks, got[1], agent.log):
        assert COMMUNITY not in text
    assert COMMUNITY.encode() not in b"".join(file.read_bytes() for file in tmp_path.glob("agent.db*"))


async def test_a_changed_file_is_in_use_at_once_on_sighup_and_a_broken_one_changes_nothing(tmp_path: Path):
    path = tmp_path / "site.yaml"
    env = site_environment(path, tmp_path / "agent.db")
    async with site(1) as config:
        port = config["equipment"][0]["snmp"]["port"]
        write(path, port)
        async with running(env=env) as agent:
            await agent.logged("configuration applied")
            write(path, port, more="  - {address: 127.0.0.1, port: 9, name: dead, intervall: 3}\n")
            agent.send(signal.SIGHUP)
            await agent.logged("configuration applied", times=2)
            assert f"{path}:5:47: intervall is not a key of a device: expected interval" in agent.log
            _, said = await command("status", env=env)
            assert "1 device, fetched" in said
            assert "equipment dead:" in said
            write(path, port, more="defaultz: {}\n")
            await agent.logged(f"{path}:5:1: defaultz is not a key of a site file: expected defaults")  # without a signal
            _, said = await command("status", env=env)
            assert "1 device, " in said
            write(path, port, sensor="uptime2")
            await agent.logged("configuration applied", times=3)
            status, text = await command("config", "diff", env=env)
            assert (status, text) == (0, "no difference\n")


async def test_a_destinations_renewed_certificate_is_in_use_on_sighup_and_a_bad_one_is_said(tmp_path: Path):
    path, authority = tmp_path / "site.yaml", trustme.CA()
    env = site_environment(path, tmp_path / "agent.db")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def issue(by: trustme.CA) -> None:
        certificate = by.issue_cert("agent.example.net")
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "agent.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / "agent.key"))

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    issue(trustme.CA())
    server = ScriptedServer([answer(204)])
    async with site(1) as config, server.serve(tls) as url:
        files = "ca_file: ca.pem, client_cert: agent.pem, client_key: agent.key"
        more = f"destinations: [{{remote_write: {url}/api/v1/write, name: p, {files}}}]\n"
        write(path, config["equipment"][0]["snmp"]["port"], more=more)
        async with running(env=env) as agent:
            await agent.logged("destination does not accept metrics, will retry")
            (tmp_path / "agent.pem").write_text("")
            agent.send(signal.SIGHUP)
            await agent.logged("files could not all be read again, the previous ones stay in use")
            assert f"destination p: client_cert {tmp_path}/agent.pem holds no certificate" in agent.log
            assert server.asked == []
            issue(authority)
            agent.send(signal.SIGHUP)
            await agent.logged("destination accepts metrics again")
            assert await agent.stop() == 0


async def test_a_single_run_polls_once_and_says_what_was_refused(tmp_path: Path):
    path = tmp_path / "site.yaml"
    env = site_environment(path, tmp_path / "agent.db")
    async with site(1) as config:
        write(path, config["equipment"][0]["snmp"]["port"])
        assert await command("run", "--once", env=env | {"LOG_LEVEL": "error"}) == (0, "1 device polled, 0 metrics delivered\n")
        write(path, config["equipment"][0]["snmp"]["port"], more="  - {name: x}\n")
        status, text = await command("run", "--once", env=env | {"LOG_LEVEL": "error"})
    assert (status, f"equipment x refused: {path}:5:5: address is missing" in text) == (1, True)


@pytest.mark.parametrize("words", [(), ("mast",)])
async def test_what_is_shown_by_a_command_is_the_site_file_even_without_an_agent(tmp_path: Path, words: tuple[str, ...]):
    path = tmp_path / "site.yaml"
    write(path, 161)
    status, text = await command("config", "show", *words, env=site_environment(path, tmp_path / "x.db"))
    assert (status, COMMUNITY in text) == (0, False)
    assert json.loads(text)[0]["snmp"]["community"] == "********"


PLANTED = (
    ("{address: 10.0.0.300", "address is '10.0.0.300'"),
    ("{adress: 10.9.9.9", "adress is not a key of a device: expected address"),
    ("{address: 10.9.9.9, interval: 0", "interval is '0': expected a whole number"),
    ("{address: 10.9.9.9, credentials: radio", "credentials is 'radio': expected one of the sets"),
    ("{address: 10.9.9.9, transport: tpc", "transport is 'tpc': expected udp or tcp"),
    ("{address: 10.9.9.9, labels: {device: x}", "label device is one that the agent"),
    ("{address: 10.1.0.1", "address is 10.1.0.1, port 161, which the device at"),
    ("{address: 10.9.9.9, ping: 7", "ping is '7': expected true or false"),
    ("{name: mast", "address is missing"),
    ("[10.9.9.9", "a device is a list: expected a mapping"),
)
"""The beginning of a device's line, and what is said of it."""


async def test_thirty_mistakes_among_a_thousand_devices_are_each_found_in_their_line(tmp_path: Path):
    """And nothing else, in two files, without a secret in what is printed."""
    rng = random.Random(17)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "radios").write_text(COMMUNITY)
    (tmp_path / "site" / "radios").chmod(0o600)
    heads = [
        ["credentials: {radios: {community_file: radios}, masts: {community: a-secret-that-is-written}}", "devices:"],
        ["defaults: {credentials: radios}", "devices:"],
    ]
    expected = {}
    for name, head in zip(("a.yaml", "b.yaml"), heads, strict=True):
        net = 1 if name == "a.yaml" else 2
        lines = [*head, *(f"  - {{address: 10.{net}.{n >> 8}.{n & 255}, interfaces: [ether1]}}" for n in range(500))]
        for kind, place in enumerate(rng.sample(range(10, 500), 15), start=net):
            begin, said = PLANTED[kind % len(PLANTED)]
            lines[place] = f"  - {begin}{']' if begin.startswith('[') else '}'}"
            expected[f"{tmp_path / 'site' / name}:{place + 1}"] = said
        (tmp_path / "site" / name).write_text("\n".join(lines))
    status, text = await command("config", "check", env=site_environment(tmp_path / "site", tmp_path / "x.db"))
    lines = [line for line in text.splitlines() if "stands in the file" not in line]
    found = {place: said for line in lines for place, said in re.findall(r"(/\S+\.yaml:\d+):\d+: (.*)", line)[:1]}
    assert status == 1
    assert {place: said[: len(expected.get(place, ""))] for place, said in found.items()} == expected
    assert len(expected) == 30
    assert COMMUNITY not in text
    assert "a-secret-that-is-written" not in text
