"""A device asked for its name and its interfaces -> a first site file that polls it: `config init`.

I/O: SNMP. Pure but for that: `site_file` writes the text.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from towerops_agent.polling.course.evidence import folded, shown
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME
from towerops_agent.snmp.wire.ber import parse_oid, subidentifiers
from towerops_agent.snmptool.target import Target
from towerops_agent.snmptool.tool import TargetSession, get, open_session, walk_as_net_snmp

SYS_NAME: Final = parse_oid("1.3.6.1.2.1.1.5.0")

INDENT: Final = "      "


async def draft_site(target: Target, community: Sequence[str], remote_write: str | None, timeouts_s: tuple[float, ...]) -> str:
    """A site file that polls the device. `community`: the key and the value that its credentials have. Raises AskFailed."""
    async with open_session(target, timeouts_s) as session:
        answer = await get(session, [SYS_NAME])
        name = shown(answer.varbinds[0].value) if answer.varbinds else ""
        names = await _names(session, IF_NAME) or await _names(session, IF_DESCR)
    return site_file(target, name if name.isprintable() else "", names, community, remote_write)


async def _names(session: TargetSession, column: bytes) -> list[tuple[int, str]]:
    """The index and the name of each row of the column that has a name."""
    found = []
    async for row in walk_as_net_snmp(session, column):
        name = shown(row.value)
        if row.name.startswith(column) and row.name != column and name and name.isprintable():
            found.append((subidentifiers(row.name)[-1], name))
    return found


def site_file(
    target: Target, name: str, interfaces: Iterable[tuple[int, str]], community: Sequence[str], remote_write: str | None
) -> str:
    """The text. An interface whose name an earlier one has is named by its index."""
    key, value = community
    lines = [
        f"# A first site file for {target.address}, as `towerops-agent config init` found it. Leave out what you do not need.",
        "credentials:",
        f"  device: {{version: {target.credentials.version}, {key}: {_text(value)}}}",
        "devices:",
        f"  - address: {_text(target.host)}",
        *([f"    port: {target.port}"] if target.port != 161 else []),
        *([f"    name: {_text(name)}"] if name else []),
        "    credentials: device",
        "    interfaces:",
    ]
    seen: set[str] = set()
    for index, called in interfaces:
        lines.append(f"{INDENT}- {{index: {index}}} # {called}" if folded(called) in seen else f"{INDENT}- {_text(called)}")
        seen.add(folded(called))
    if not seen:
        lines[-1] += " []"
    lines += ["    sensors:", f"{INDENT}- {{name: uptime, oid: 1.3.6.1.2.1.1.3.0, divisor: 100, unit: seconds}}"]
    if remote_write:
        lines += ["destinations:", f"  - remote_write: {_text(remote_write)}"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """`text` for YAML: JSON's quotes are YAML's."""
    return json.dumps(text, ensure_ascii=False)
