"""A site file for what was discovered: valid, with comments that say what is what.

Secrets are not in it: each set of credentials names its file or variable, or is one of another site file. Pure.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from towerops_agent.discovery.course.findings import FoundPort, FoundSensor
from towerops_agent.discovery.report.entry import Discovered
from towerops_agent.discovery.report.summary import left_out_texts, what_it_is
from towerops_agent.model import Number
from towerops_agent.snmp.wire.ber import format_oid

_INDENT: Final = "      "
_MOST_COMMENTS: Final = 20
_LARGEST_EXACT: Final = 1e15


def site_file(
    head: str, entries: Sequence[Discovered], sets: Mapping[str, Mapping[str, str]], remote_write: str | None = None
) -> str:
    """The text. `head`: its first comment. `sets`: credentials to be written, by name: the keys that a site file has for them."""
    lines = [f"# {line}" for line in head.splitlines()]
    if sets:
        lines.append("credentials:")
        lines += [
            f"  {_text(name)}: {{{', '.join(f'{key}: {_text(value)}' for key, value in keys.items())}}}"
            for name, keys in sets.items()
        ]
    lines.append("devices:" if entries else "devices: []")
    for entry in entries:
        lines += _device(entry)
    if remote_write:
        lines += ["destinations:", f"  - remote_write: {_text(remote_write)}"]
    return "\n".join(lines) + "\n"


def _device(entry: Discovered) -> Iterable[str]:
    found = entry.found
    yield ""
    yield f"  # {_comment(what_it_is(found))}"
    for other in entry.also_at:
        yield f"  # The same device answers at {_comment(other)}."
    yield f"  - address: {_text(entry.host)}"
    if entry.port != 161:
        yield f"    port: {entry.port}"
    if found.system.name:
        yield f"    name: {_text(found.system.name)}"
    yield f"    credentials: {_text(entry.credentials)}"
    yield "    interfaces:" if found.ports else "    interfaces: []"
    for port in found.ports:
        yield f"{_INDENT}- {_port(port)}"
    yield "    sensors:" if found.sensors else "    sensors: []"
    source = ""
    for sensor in found.sensors:
        if sensor.source != source:
            source = sensor.source
            yield f"{_INDENT}# {_comment(source)}"
        yield f"{_INDENT}- {_sensor(sensor)}"
    texts = left_out_texts(found)
    if texts:
        yield "    # Left out:"
        yield from (f"    #   {_comment(text)}" for text in texts[:_MOST_COMMENTS])


def _port(port: FoundPort) -> str:
    if port.name:
        return f"{_text(port.name)}{f' # {_comment(port.alias)}' if port.alias else ''}"
    return f"{{index: {port.if_index}}} # {_comment(port.label)}: several interfaces have this name"


def _sensor(sensor: FoundSensor) -> str:
    parts = [f"name: {_text(sensor.name)}", f"oid: {format_oid(sensor.oid)}"]
    if sensor.divisor != 1:
        parts.append(f"divisor: {_number(sensor.divisor)}")
    if sensor.unit:
        parts.append(f"unit: {_text(sensor.unit)}")
    if sensor.states:
        parts.append("states: {" + ", ".join(f"{number}: {_text(word)}" for number, word in sensor.states.items()) + "}")
    if sensor.skip:
        parts.append(f"skip: [{', '.join(map(_number, sorted(sensor.skip)))}]")
    return "{" + ", ".join(parts) + "}"


def _number(value: Number) -> str:
    """Exactly."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value == int(value) and abs(value) < _LARGEST_EXACT else repr(value)


def _text(text: str) -> str:
    """`text` for YAML: JSON's quotes are YAML's."""
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    """`text` in one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
