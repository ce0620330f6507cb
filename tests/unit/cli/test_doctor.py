"""`towerops-agent doctor` as an operator runs it: against an API and devices, with and without an agent, well and ill."""

import asyncio
import io
import json
import logging
import ssl
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import structlog
import trustme
from click.testing import CliRunner

from support.site import COMMUNITY, equipment, site
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli import doctor as doctor_commands
from towerops_agent.cli.doctor import doctor
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.model import Secret
from towerops_agent.telemetry import logs
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.server import serve

TOKEN = "hush-token-4c1d"


@pytest.fixture(autouse=True)
def _as_before():
    """Logging is the process's: each test leaves it as it was."""
    logs.unhide()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "agent.db"


@asynccontextmanager
async def serving(config, tls=None, fault=lambda faults: None):
    """The API, which serves this configuration; and which then closes its database here, in the thread that opened it."""
    sandbox = Sandbox(config, TOKEN)
    fault(sandbox.faults)
    try:
        async with sandbox.serve(tls=tls) as url:
            yield url
    finally:
        sandbox.store.records.close()


async def invoke(url, database, *args, token=TOKEN, charset="utf-8", **environ):
    """The command's result, run in a thread, so that API and devices answer from this loop."""
    env = {"TOWEROPS_API_URL": url, "TOWEROPS_AGENT_TOKEN": token, "DATABASE_PATH": str(database), **environ}
    result = await asyncio.to_thread(CliRunner(charset=charset).invoke, doctor, [*args], env=env)
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "hush" not in result.output
    assert COMMUNITY not in result.output
    return result


def results(result):
    """Of --json: name -> result; of several of a name, the last."""
    return {check["name"]: check["result"] for check in json.loads(result.stdout)["checks"]}


def found(result, name):
    return next(check for check in json.loads(result.stdout)["checks"] if check["name"] == name)


async def test_all_is_healthy(database):
    """A line each, in a fixed order, status 0, nothing on standard error, and nothing made on disk."""
    async with site(2) as config, serving(config) as url:
        result = await invoke(url, database)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    names = ["settings", "database", "agent", "disk space", "clock", "name", "TCP", "proxy", "TLS", "API", "token", "config"]
    assert [line[2:16].rstrip() for line in lines[:12]] == names
    marked = "".join(line[0] for line in lines[:3] + lines[4:12])  # the disk's space is this machine's matter
    assert marked == "✓✓–✓–✓––✓✓✓"  # noqa: RUF001 - dashes, as they are printed
    assert [line.split("  ")[0] for line in lines[12:14]] == ["✓ Device d0", "✓ Device d1"]
    assert all("all 7 can be read" in line for line in lines[12:14])
    assert not database.exists()


async def test_everything_over_tls_with_a_ca_file(database, tmp_path):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with site(1) as config, serving(config, tls) as url:
        good = await invoke(url, database, "--json", TOWEROPS_CA_FILE=str(tmp_path / "ca.pem"))
        bad = await invoke(url, database, "--json")
    assert good.exit_code == 0
    assert results(good)["TLS"] == "ok"
    assert bad.exit_code == 1
    assert results(bad)["TLS"] == "failed"
    assert (results(bad)["API"], results(bad)["token"]) == ("skipped", "skipped")
    assert "TOWEROPS_CA_FILE" in found(bad, "TLS")["hint"]


@pytest.mark.parametrize(
    ("status", "check", "text"),
    [
        (401, "token", "does not know it"),
        (403, "token", "not allowed"),
        (404, "API", "has no /api/v1/agent/config"),
        (503, "API", "503"),
    ],
)
async def test_a_refusal_is_reported_by_its_status(database, status, check, text):
    async with serving({}, fault=lambda faults: faults.answer(status)) as url:
        result = await invoke(url, database, "--json")
    assert result.exit_code == 1
    assert found(result, check)["result"] == "failed"
    assert text in found(result, check)["found"]


async def test_a_redirect_is_named(database):
    async with serving({}, fault=lambda faults: faults.redirect("https://login.example.net/")) as url:
        result = await invoke(url, database, "--json")
    assert "https://login.example.net/" in found(result, "API")["found"]


async def test_a_bad_configuration_is_reported_and_the_rest_is_checked(database):
    async with site(1) as config:
        config["equipment"].append({"id": "bad", "ip_address": "10.0.0"})
        async with serving(config) as url:
            result = await invoke(url, database, "--json")
    assert result.exit_code == 0
    told = [check for check in json.loads(result.stdout)["checks"] if check["name"] == "config"]
    assert [check["result"] for check in told] == ["warning", "warning"]
    assert results(result)["Device d0"] == "ok"


async def test_a_silent_device_makes_the_status_1(database):
    async with site(1) as config, serve(lambda *_: None) as port:
        config["equipment"].append(equipment("dead", port, community="hush-community"))
        async with serving(config) as url:
            result = await invoke(url, database, "--json", "--timeout", "1")
            other = await invoke(url, database, "--json", "--device", "device d0")
    assert result.exit_code == 1
    assert (results(result)["Device d0"], results(result)["Device dead"]) == ("ok", "failed")
    assert other.exit_code == 0
    assert "Device dead" not in results(other)


@pytest.mark.parametrize("name", ["d0", "DEVICE D0", "127.0.0.1"])
async def test_a_device_is_chosen_by_id_name_or_address(database, name):
    async with site(1) as config, serving(config) as url:
        result = await invoke(url, database, "--json", "--device", name)
    assert results(result)["Device d0"] == "ok"


async def test_a_device_that_is_not_configured_is_reported(database):
    async with site(1) as config, serving(config) as url:
        result = await invoke(url, database, "--json", "--device", "nobody", "--device", "d0")
    assert result.exit_code == 1
    assert results(result)["nobody"] == "failed"
    assert results(result)["Device d0"] == "ok"


async def test_without_the_api_the_kept_devices_are_checked_while_the_agent_runs(database):
    """The database is open, as an agent has it; the API is out of reach."""
    async with site(2) as config, Buffer(database, Counters(), clock_us=lambda: 0) as buffer:
        await buffer.keep_config(seal(Secret(TOKEN), config_text(json.dumps(config).encode())))
        async with serving(config) as url:
            pass
        result = await invoke(url, database, "--json")
        refused = await invoke(url, database, "--json", token="hush-another")
    assert result.exit_code == 1
    got = results(result)
    assert (got["database"], got["agent"], got["TCP"], got["config"]) == ("ok", "ok", "failed", "warning")
    assert (got["Device d0"], got["Device d1"]) == ("ok", "ok")
    assert "2 devices" in found(result, "config")["found"]
    assert "sealed with another token" in found(refused, "config")["found"]


async def test_bad_settings_are_reported_and_nothing_else_is_tried(database):
    result = await invoke("ftp://x", database, "--json", token="")
    assert result.exit_code == 1
    assert results(result)["settings"] == "failed"
    assert results(result)["all else"] == "skipped"


async def test_a_token_file_that_is_missing_leaves_what_needs_none(database, tmp_path):
    async with site(1) as config, serving(config) as url:
        result = await invoke(url, database, "--json", "--token-file", str(tmp_path / "absent"), token="")
    got = results(result)
    assert (got["settings"], got["database"], got["TCP"]) == ("failed", "ok", "ok")
    assert (got["API"], got["config"]) == ("skipped", "skipped")


async def test_a_proxys_password_is_in_no_line(database):
    result = await invoke("https://api.invalid", database, HTTPS_PROXY="http://ops:hush-proxy@127.0.0.1:9")
    assert result.exit_code == 1
    assert "127.0.0.1:9 Connection refused" in result.stdout


async def test_a_stream_without_unicode_gets_ascii(database):
    async with site(1) as config:
        config["equipment"][0]["name"] = "Füllstand ✓"
        async with serving(config) as url:
            result = await invoke(url, database, charset="ascii")
    assert result.exit_code == 0
    assert "+ token" in result.stdout
    assert "F\\xfcllstand \\u2713" in result.stdout


async def test_a_bar_shows_how_far_it_is_only_on_a_terminal(database, monkeypatch):
    """It goes to standard error, and is not mixed with the JSON."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    seen = SimpleNamespace(stderr=terminal, stdout=SimpleNamespace(encoding="utf-8"), exit=sys.exit)
    monkeypatch.setattr(doctor_commands, "sys", seen)  # CliRunner replaces sys.stderr itself
    async with site(1) as config:
        config["equipment"] = [config["equipment"][0] | {"id": str(i), "name": f"d{i}"} for i in range(12)]
        async with serving(config) as url:
            result = await invoke(url, database, "--json")
    assert result.exit_code == 0
    assert len([name for name in results(result) if name.startswith("d1")]) == 3
    assert "12 devices" in terminal.getvalue()


def test_help_shows_each_setting_but_the_token():
    result = CliRunner().invoke(doctor, ["--help"])
    assert result.exit_code == 0
    assert "DATABASE_PATH" in result.output
    assert "--token " not in result.output
    assert CliRunner().invoke(doctor, ["--token", "hush"]).exit_code == 2
    assert CliRunner().invoke(doctor, ["--timeout", "nan"]).exit_code == 2


async def test_one_device_is_shown_by_itself_with_what_is_refused_of_it(database):
    """None of the other checks, if they do not stand in the way; a device of which a sensor is refused is not all right."""
    async with site(2) as config:
        config["equipment"][0]["sensors"][0]["oid"] = "not an OID"
        async with serving(config) as url:
            result = await invoke(url, database, "--device", "Device d0")
            other = await invoke(url, database, "--device", "Device d1")
            nobody = await invoke(url, database, "--device", "Device d7")
    lines = result.stdout.splitlines()
    assert [line[:13] for line in lines[:2]] == ["! config     ", "! Device d0  "]
    assert "sensor d0-s0 of Device d0 refused: " in lines[0]
    assert "all 6 can be read; 1 more item of its configuration refused, see config" in lines[1]
    assert lines[2:] == ["2 to look at"]
    assert [line.split("  ")[0] for line in other.stdout.splitlines()] == ["✓ Device d1", "1 ok"]
    assert (nobody.exit_code, len(nobody.stdout.splitlines())) == (1, 2)


async def test_without_a_configuration_the_cause_is_shown_and_what_follows_from_it_is_skipped(database):
    """One failure, with a device asked for and without."""
    async with serving({}, fault=lambda faults: faults.answer(401)) as url:
        result = await invoke(url, database, "--json")
        one = await invoke(url, database, "--device", "North")
    assert [name for name, found in results(result).items() if found == "failed"] == ["token"]
    assert results(result)["config"] == "skipped"
    assert any(line.startswith("✗ token ") for line in one.stdout.splitlines())
