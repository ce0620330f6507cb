"""A guard against slow growth: what a running agent does not hold in memory, by the names of modules."""

from pathlib import Path

from support.agent import TOKEN, environment, running
from support.snmpd import run_snmpd
from towerops_lab.sandbox.server import Sandbox

UNWANTED = {
    "cryptography",  # 9 MB: needed at the start and after changes of the configuration, and done by a process of its own then
    "yaml",  # site files
    "click",  # 3 MB with the options of all commands: only for a command line that has some
    "towerops_agent.cli.main",
    "towerops_agent.cli.options",
    "prometheus_client",
    "nats",  # a group
    "rich",  # structlog loads it if it is there, as it is beside development tools; not where the agent is installed
    "towerops_agent.site",
    "towerops_agent.destinations",
    "towerops_agent.doctor",
    "towerops_agent.snmptool",
    "towerops_agent.group",
    "towerops_agent.snmp.wire.usm_privacy",
    "towerops_agent.telemetry.exposition",
    "towerops_agent.telemetry.views.history",
    "towerops_lab",
}

AGENT = """
import atexit, pathlib, sys
sys.modules["rich"] = None
atexit.register(lambda: pathlib.Path({path!r}).write_text("\\n".join(name for name, module in sys.modules.items() if module)))
from towerops_agent.__main__ import main
main()
"""


async def test_an_agent_of_the_api_holds_only_what_it_needs(tmp_path: Path):
    """It has fetched a configuration, kept it, polled a device and delivered its value."""
    names = tmp_path / "names"
    oid = "1.3.6.1.4.1.8072.9999.1.0"
    with run_snmpd(tmp_path / "snmpd", f"override {oid} integer 41") as snmpd:
        snmp = {"community": "public", "port": snmpd.port}
        device = {"id": "snmpd", "ip_address": "127.0.0.1", "snmp": snmp, "sensors": [{"id": "one", "oid": oid}]}
        sandbox = Sandbox({"version": "1", "equipment": [device]}, TOKEN)
        code = AGENT.format(path=str(names))
        async with (
            sandbox.serve() as url,
            running("run", env=environment(url, tmp_path / "agent.db"), code=code) as agent,
        ):
            await sandbox.store.wait_until(lambda store: bool(store.metric_count))
            assert await agent.stop() == 0, agent.log
    held = set(names.read_text().split())
    assert "towerops_agent.snmp.wire.message" in held
    assert {name for name in held if any(name == one or name.startswith(f"{one}.") for one in UNWANTED)} == set()
