"""The commands' arguments, exit statuses and secrets."""

import asyncio
import json

import click
import pytest
from click.testing import CliRunner

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.snmp import snmp
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.model import Secret
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid, subidentifiers
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import Message
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SECRETS = ("hush-community", "hush-auth-password", "hush-priv-password", "hush-token")
ENVIRON = {
    "SNMP_COMMUNITY": SECRETS[0],
    "SNMP_AUTH_PASSWORD": SECRETS[1],
    "SNMP_PRIV_PASSWORD": SECRETS[2],
    "TOWEROPS_AGENT_TOKEN": SECRETS[3],
}
QUICK = ("--timeout", "0.05", "--retries", "0")


def device(community: str = SECRETS[0]) -> SimulatedDevice:
    return SimulatedDevice({parse_oid(SYS_DESCR): (ber.OCTET_STRING, b"a radio")}, community.encode())


async def invoke(*args, environ=ENVIRON, typed=None):
    """The command's result, run in a thread, so that a simulated device answers from this loop."""
    return await asyncio.to_thread(CliRunner().invoke, snmp, [*args], env=environ, input=typed)


async def test_a_value_is_printed():
    async with serve(device()) as port:
        got = await invoke("get", f"127.0.0.1:{port}", SYS_DESCR)
    assert (got.exit_code, got.stdout, got.stderr) == (0, f'.{SYS_DESCR} = STRING: "a radio"\n', "")


async def test_no_secret_is_in_any_output(tmp_path):
    """Whatever works or fails: answers, silence, bad secrets, prompts, a wrong user, another token, help."""
    path = tmp_path / "agent.db"
    async with Buffer(path, Counters(), clock_us=lambda: 0) as buffer:
        await buffer.keep_config(seal(Secret("hush-other-token"), config_text(b'{"equipment": []}')))
    secret_file = tmp_path / "secret"
    secret_file.write_text("hush-from-file\nhush-second-line\n")
    runs = []
    async with serve(device()) as port, serve(lambda *_: None) as silent:
        for host in (f"127.0.0.1:{port}", f"127.0.0.1:{silent}"):
            runs += [await invoke(command, host, *QUICK) for command in ("walk", "probe")]
            runs.append(await invoke("get", host, SYS_DESCR, "--json", *QUICK))
            runs.append(await invoke("get", host, SYS_DESCR, "--ask", *QUICK, typed="hush-typed\n"))
            runs.append(await invoke("get", host, SYS_DESCR, "--community-file", str(secret_file), *QUICK))
            runs.append(await invoke("get", host, SYS_DESCR, "--user", "noc", "--auth-protocol", "x", *QUICK))
            runs.append(
                await invoke("get", host, SYS_DESCR, "--user", "noc", "--auth-protocol", "SHA", "--priv-protocol", "AES", *QUICK)
            )
        runs.append(await invoke("get", "North Tower", SYS_DESCR, "--database-path", str(path)))
        runs += [await invoke(command, "--help") for command in ("get", "walk", "probe")]
    outputs = "\n".join(run.stdout + run.stderr + repr(run.exception) for run in runs)
    assert "hush" not in outputs
    assert "sealed with another token" in outputs
    assert {run.exit_code for run in runs} == {0, 1, 2}


def test_no_secret_of_the_agent_can_be_given_as_an_argument():
    """A device's can, as hands expect it of net-snmp: with a warning, and never repeated."""
    for command in snmp.commands.values():
        for parameter in command.params:
            if any(word in parameter.name for word in ("token", "secret")):
                assert isinstance(parameter.type, click.Path), parameter.name
                assert parameter.name.endswith("_file")
    result = CliRunner().invoke(snmp, ["get", "127.0.0.1", SYS_DESCR, "--token", "hush"], env=ENVIRON)
    assert (result.exit_code, "hush" in result.output) == (2, False)
    for given in (
        ["-c", "hush"],
        ["--user", "u", "-A", "hush-hush-7"],
        ["--user", "u", "-A", "hush-hush-7", "-X", "hush-hush-8"],
    ):
        result = CliRunner().invoke(snmp, ["get", "127.0.0.1:1", SYS_DESCR, *given, *QUICK], env=ENVIRON)
        warnings = [line for line in result.stderr.splitlines() if "can be read by other users of this machine" in line]
        assert len(warnings) == sum(word in ("-c", "-A", "-X") for word in given), result.stderr
        assert "hush" not in result.stdout + result.stderr


async def test_it_takes_what_hands_type_for_net_snmp():
    async with serve(device("typed")) as port:
        got = await invoke("get", "-v2c", "-c", "typed", "-t", "1", "-r", "0", f"127.0.0.1:{port}", "sysDescr.0", environ={})
        named = await invoke("get", "-v", "1", "-c", "typed", f"127.0.0.1:{port}", "SNMPv2-MIB::sysdescr.0", environ={})
    assert (got.exit_code, got.stdout) == (0, f'.{SYS_DESCR} = STRING: "a radio"\n'), got.stderr
    assert named.stdout == got.stdout


async def test_the_community_comes_from_a_prompt_or_a_file_by_one_option(tmp_path):
    (tmp_path / "community").write_text("typed\n")
    async with serve(device("typed")) as port:
        by_file = await invoke("get", "-C", str(tmp_path / "community"), f"127.0.0.1:{port}", SYS_DESCR, environ={})
        by_prompt = await invoke("get", "-C", "-", f"127.0.0.1:{port}", SYS_DESCR, environ={}, typed="typed\n")
    assert by_file.stdout.endswith('"a radio"\n')
    assert by_prompt.stdout.endswith('"a radio"\n')
    assert "warning" not in by_file.stderr + by_prompt.stderr


def test_of_two_communities_neither_is_guessed(tmp_path):
    result = CliRunner().invoke(snmp, ["get", "-c", "a", "-C", str(tmp_path / "b"), "127.0.0.1", SYS_DESCR], env={})
    assert (result.exit_code, "expected one of them" in result.stderr) == (2, True)
    result = CliRunner().invoke(snmp, ["get", "-v3", "-c", "a", "-u", "u", "127.0.0.1", SYS_DESCR], env={})
    assert (result.exit_code, "a community goes with SNMPv1 and v2c" in result.stderr) == (2, True)


def test_an_unknown_name_is_said_with_the_one_that_it_resembles():
    result = CliRunner().invoke(snmp, ["get", "127.0.0.1", "sysNmae.0"], env=ENVIRON)
    assert (result.exit_code, "did you mean sysName?" in result.stderr) == (2, True)


async def test_a_configured_host_can_be_asked_as_an_address_only(tmp_path):
    """By its DNS name, at another port and with another community than the configured ones: the configuration is not read."""
    path = tmp_path / "agent.db"
    async with serve(device("own")) as port, Buffer(path, Counters(), clock_us=lambda: 0) as buffer:
        snmp_part = {"version": "1", "community": "configured", "port": 9}
        config = {"equipment": [{"id": "localhost", "name": "localhost", "ip_address": "10.0.0.1", "snmp": snmp_part}]}
        await buffer.keep_config(seal(Secret("t0ken"), config_text(json.dumps(config).encode())))
        environ = {"DATABASE_PATH": str(path), "TOWEROPS_AGENT_TOKEN": "t0ken", "SNMP_COMMUNITY": "own"}
        got = await invoke("get", "--direct", f"localhost:{port}", SYS_DESCR, environ=environ)
    assert got.stdout == f'.{SYS_DESCR} = STRING: "a radio"\n', got.stderr


async def test_a_prompt_reads_the_community():
    async with serve(device("typed")) as port:
        got = await invoke("get", f"127.0.0.1:{port}", SYS_DESCR, "--ask", environ={}, typed="typed\n")
    assert got.exit_code == 0
    assert got.stdout.endswith('STRING: "a radio"\n')


async def test_a_configured_device_is_asked_by_name_while_the_agent_runs(tmp_path):
    """Address, port and community are those of the configuration, sealed in the database that the agent has open."""
    path = tmp_path / "agent.db"
    async with serve(device("configured")) as port, Buffer(path, Counters(), clock_us=lambda: 0) as buffer:
        snmp_part = {"version": "1", "community": "configured", "port": port}
        config = {"equipment": [{"id": "id-1", "name": "North Tower", "ip_address": "127.0.0.1", "snmp": snmp_part}]}
        await buffer.keep_config(seal(Secret("t0ken"), config_text(json.dumps(config).encode())))
        (tmp_path / "token").write_text("t0ken\n")
        by_flag = await invoke(
            "get", "north tower", SYS_DESCR, "--database-path", str(path), "--token-file", str(tmp_path / "token"), environ={}
        )
        by_environment = await invoke(
            "probe", "id-1", "--json", environ={"DATABASE_PATH": str(path), "TOWEROPS_AGENT_TOKEN": "t0ken"}
        )
    assert by_flag.stdout == f'.{SYS_DESCR} = STRING: "a radio"\n'
    assert json.loads(by_environment.stdout)["name"] == "North Tower"


async def test_silence_is_status_1_with_what_to_look_at():
    async with serve(lambda *_: None) as port:
        for command in ("get", "walk"):
            got = await invoke(command, f"127.0.0.1:{port}", SYS_DESCR, *QUICK)
            assert (got.exit_code, got.stdout) == (1, "")
            assert "check the address" in got.stderr
        empty = await invoke("walk", f"127.0.0.1:{port}", "--json", *QUICK)
    assert (empty.exit_code, empty.stdout) == (1, "")


async def test_a_walk_that_ends_early_prints_what_came():
    """A device that answers in circles: the first varbind stands, as text and as JSON, and the status is 1."""
    name = parse_oid("1.3.6.1.2.1.1.5.0")

    def circles(datagram, _):
        message = decode_message(datagram)
        pdu = response(message.pdu, [name], bytes([ber.INTEGER]), [7])
        return encode_message(Message(message.version, message.community, pdu))

    async with serve(circles) as port:
        text = await invoke("walk", f"127.0.0.1:{port}")
        plain = await invoke("walk", f"127.0.0.1:{port}", "--json")
    assert (text.exit_code, text.stdout) == (1, ".1.3.6.1.2.1.1.5.0 = INTEGER: 7\n")
    assert "does not grow" in text.stderr
    assert [row["value"] for row in json.loads(plain.stdout)] == [7]


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (("get", "127.0.0.1"), "OIDS"),
        (("get", "127.0.0.1", "sysDescr,0"), "expected numbers with dots between"),
        (("get", "127.0.0.1", f"1.3.{'9' * 5000}"), "Error"),
        (("walk", "127.0.0.1", "--timeout", "nan"), "nan is not in the range"),
        (("walk", "10.0.0"), "expected 10.0.0.1, 10.0.0.1:1161"),
    ],
)
async def test_bad_usage_is_status_2(args, wanted):
    got = await invoke(*args)
    assert got.exit_code == 2
    assert wanted in got.stderr
    assert "Traceback" not in got.stderr


async def test_a_name_that_is_unknown_everywhere_is_reported(tmp_path):
    got = await invoke("get", "nowhere.invalid", SYS_DESCR, "--database-path", str(tmp_path / "absent.db"))
    assert got.exit_code == 1
    assert "can't be resolved" in got.stderr
    assert "there is no database" in got.stderr


def endless(datagram: bytes, _uptime_s: float) -> bytes:
    """The answer of a device whose MIB has no end: each name is followed by the next numbers."""
    asked = decode_message(datagram)
    (name,) = asked.pdu.names
    last = subidentifiers(name)
    first = last[-1] if len(last) > 7 else 0
    names = [parse_oid(f"1.3.6.1.2.1.1.{first + i}") for i in range(1, 11)]
    pdu = response(asked.pdu, names, bytes([ber.INTEGER] * 10), [7] * 10)
    return encode_message(Message(asked.version, asked.community, pdu))


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_walk_of_a_mib_without_end_stops_and_what_was_printed_is_whole(as_json):
    async with serve(endless) as port:
        got = await invoke("walk", f"127.0.0.1:{port}", "1.3.6.1.2.1.1", "--max-rows", "1234", *(["--json"] if as_json else []))
    assert got.exit_code == 1
    assert "stopped after 1234 rows" in got.stderr
    rows = json.loads(got.stdout) if as_json else got.stdout.splitlines()
    assert len(rows) == 1234
