#!/usr/bin/env python3
"""Write the table of docs/profiles.md from the profiles: `.venv/bin/python tools/profiles.py`. A test fails if it is stale."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from towerops_agent.discovery.course.profile import Profile, Rule
from towerops_agent.discovery.library import load_profiles
from towerops_agent.snmp.wire.ber import format_oid

PAGE = Path(__file__).parents[1] / "docs" / "profiles.md"
BEGIN, END = "<!-- from here on written by tools/profiles.py -->\n", "<!-- up to here -->\n"

ENTERPRISES = "1.3.6.1.4.1."


def page() -> str:
    """The page as it is to be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    profiles = sorted(load_profiles().profiles.values(), key=lambda profile: (profile.general, profile.name))
    table = "\n".join(_table(profiles))
    return f"{before}{BEGIN}\n{table}\n\n{END}{after}"


def _table(profiles: Sequence[Profile]) -> Iterator[str]:
    yield "| profile | vendor | for | values and columns |"
    yield "|---|---|---|---:|"
    for profile in profiles:
        vendor = "any" if profile.general else profile.vendor
        yield f"| `{profile.name}` | {vendor} | {_matched_by(profile)} | {len(profile.columns)} |"


def _matched_by(profile: Profile) -> str:
    rules = dict.fromkeys(map(_rule, profile.rules))
    return "; ".join(rules)


def _rule(rule: Rule) -> str:
    parts = []
    if rule.object_id is not None:
        parts.append(f"sysObjectID `{format_oid(rule.object_id).removeprefix(ENTERPRISES)}`")
    if rule.descr is not None:
        parts.append(f"sysDescr `{rule.descr.pattern}`".replace("|", "\\|"))
    if rule.probe is not None:
        parts.append(f"has `{format_oid(rule.probe).removeprefix(ENTERPRISES)}`")
    return ", ".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
