"""The recorded devices that have no Counter64, as cases of the conformance tool over SNMPv1 (which has no such type)."""

import json
from pathlib import Path


def write_v1_cases(recordings: Path, folder: Path) -> int:
    """Write the cases into `folder`; how many devices they have."""
    config = json.loads((recordings / "config.json").read_text())
    expected = json.loads((recordings / "expected.json").read_text())
    equipment = [device for device in config["equipment"] if not _has_counter64(recordings, device["snmp"]["community"])]
    for device in equipment:
        device["snmp"]["version"] = "1"
    kept = {f"s:{sensor['id']}" for device in equipment for sensor in device["sensors"]}
    kept |= {f"i:{interface['id']}" for device in equipment for interface in device["interfaces"]}
    (folder / "config.json").write_text(json.dumps({**config, "equipment": equipment}))
    (folder / "expected.json").write_text(json.dumps({key: value for key, value in expected.items() if key in kept}))
    (folder / "snmprec").symlink_to(recordings / "snmprec")
    return len(equipment)


def _has_counter64(recordings: Path, name: str) -> bool:
    lines = (recordings / "snmprec" / f"{name}.snmprec").read_text(errors="replace").splitlines()
    return any(line.split("|")[1:2] == ["70"] for line in lines)
