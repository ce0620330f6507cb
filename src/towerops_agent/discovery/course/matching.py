"""Which profiles a device has: its own, and the general ones beside it.

sysObjectID names the vendor, mostly; several wireless ones run on the Linux of somebody else, and there sysDescr decides, or a
value that only they have. The longest sysObjectID wins, then the rule that asks for more.
Pure.
"""

from collections.abc import Iterable, Sequence

from towerops_agent.discovery.course.findings import System
from towerops_agent.discovery.course.profile import Profile, Rule
from towerops_agent.snmp.wire.ber import Oid, is_within

LONGEST_DESCR = 1000
"""Of sysDescr, as patterns see it."""


def could_match(profiles: Iterable[Profile], system: System) -> list[tuple[Profile, Rule]]:
    """The rules that fit, but for their probe; the best first."""
    found = [(profile, rule) for profile in profiles for rule in profile.rules if _fits(rule, system)]
    return sorted(found, key=lambda each: _rank(each[1]), reverse=True)


def matching(found: Iterable[tuple[Profile, Rule]], there: Sequence[Oid]) -> list[Profile]:
    """The device's own profile, if it has one, then the general ones. `there`: the probes below which the device has a value."""
    own: list[Profile] = []
    general: list[Profile] = []
    for profile, rule in found:
        if rule.probe is not None and rule.probe not in there:
            continue
        if not profile.general:
            own = own or [profile]
        elif profile not in general:
            general.append(profile)
    without = own[0].without if own else frozenset()
    return own + sorted((each for each in general if each.name not in without), key=lambda each: each.name)


def _fits(rule: Rule, system: System) -> bool:
    if rule.object_id is not None and not is_within(system.object_id, rule.object_id):
        return False
    return rule.descr is None or rule.descr.search(system.descr[:LONGEST_DESCR]) is not None


def _rank(rule: Rule) -> tuple[int, bool, bool]:
    return len(rule.object_id or b""), rule.descr is not None, rule.probe is not None
