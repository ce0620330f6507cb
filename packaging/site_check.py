"""What an agent is checked against: simulated devices and a sandbox over HTTPS, on loopback; and the lines that say what held.

Used by packaging/check-image and packaging/check-deb.
"""

# ruff: noqa: INP001, T201 - no package; it prints what held

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.fleet import FleetServer, fleet_config, make_fleet
from towerops_lab.simulator.profiles import PROFILES

TOKEN = "check-token"  # noqa: S105 -- of a sandbox that ends with the check
DEVICES = 3
INTERVAL_S = 5
METRICS = 60
"""How many metrics must arrive, and within how many seconds."""
WITHIN_S = 120.0


class Report:
    """What held and what did not, printed as it comes."""

    def __init__(self) -> None:
        self.failed = 0

    def check(self, name: str, holds: bool, found: object) -> None:
        """Print whether `name` holds, and what was found; count it if it does not."""
        self.failed += not holds
        print(f"{'ok    ' if holds else 'FAILED'}  {name}: {found}", flush=True)

    def note(self, text: str) -> None:
        """Print what is neither right nor wrong."""
        print(f"note    {text}", flush=True)


@asynccontextmanager
async def site(data: Path) -> AsyncIterator[tuple[Sandbox, dict[str, str]]]:
    """Simulated devices, a sandbox that serves them over HTTPS, and the variables of an agent whose volume is `data`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(data / "ca.pem"))
    with tempfile.TemporaryDirectory() as secret:
        pair = Path(secret, "chain.pem"), Path(secret, "key.pem")
        certificate = authority.issue_cert("127.0.0.1")
        pair[0].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        pair[1].write_bytes(certificate.private_key_pem.bytes())
        profiles = list(PROFILES.values())[:DEVICES]
        devices = FleetServer(make_fleet(profiles, DEVICES, "check", time.time()))
        async with devices.serve() as port:
            sandbox = Sandbox(fleet_config(profiles, DEVICES, "check", port, INTERVAL_S), TOKEN)
            async with sandbox.serve(tls=pair) as url:
                yield sandbox, {"TOWEROPS_API_URL": url, "TOWEROPS_AGENT_TOKEN": TOKEN, "TOWEROPS_CA_FILE": "/data/ca.pem"}
