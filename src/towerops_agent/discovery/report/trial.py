"""What a profile finds at a device, for whoever writes it. Pure."""

from collections.abc import Iterator

from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.course.profile import Profile
from towerops_agent.discovery.report.summary import left_out_texts, what_it_is
from towerops_agent.discovery.report.table import aligned
from towerops_agent.snmp.wire.ber import format_oid, is_within
from towerops_agent.text import printable


def trial_lines(profile: Profile, usual: Discovery, found: Discovery) -> Iterator[str]:
    """`usual`: what `discover` finds at the device; `found`: what this profile does, used there in any case."""
    object_id = format_oid(usual.system.object_id) if usual.system.object_id else "none"
    yield printable(f"{usual.system.name or 'a device without a name'}: {what_it_is(usual)}; sysObjectID {object_id}")
    if profile.name in usual.profiles:
        yield f"discover uses {profile.name} here"
    else:
        yield f"discover does not use {profile.name} here, but {', '.join(usual.profiles) or 'no profile'}: see match"
    ours = [sensor for sensor in found.sensors if sensor.source == profile.name]
    if ours:
        yield ""
        rows = [("sensor", "value", "oid")]
        for sensor in ours:
            word = (sensor.states or {}).get(int(sensor.value), "")
            value = f"{sensor.value / sensor.divisor:g} {sensor.unit}{f'({word})' if word else ''}"
            if sensor.value in sensor.skip:
                value = "nothing now"
            rows.append((sensor.name, value.strip(), format_oid(sensor.oid)))
        yield from aligned(rows)
    nothing = [column for column in profile.columns if not any(is_within(sensor.oid, column.oid) for sensor in ours)]
    if nothing:
        yield ""
        yield "without a value:"
        yield from aligned([(f"  {column.name}", format_oid(column.oid)) for column in nothing])
    texts = left_out_texts(found)
    if texts:
        yield ""
        yield from (f"left out: {printable(text)}" for text in texts)
