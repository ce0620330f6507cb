"""The kinds of devices, by name. Types, OIDs and divisors are the vendors' MIBs'; the values are made up."""

from towerops_lab.simulator.profiles.airmax import AIRMAX, AIRMAX_876
from towerops_lab.simulator.profiles.apc import APC
from towerops_lab.simulator.profiles.eltek import ELTEK
from towerops_lab.simulator.profiles.epmp import EPMP
from towerops_lab.simulator.profiles.mikrotik import MIKROTIK, MIKROTIK_48
from towerops_lab.simulator.profiles.mimosa import MIMOSA
from towerops_lab.simulator.profiles.netonix import NETONIX
from towerops_lab.simulator.profiles.profile import Profile

PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (MIKROTIK, MIMOSA, AIRMAX, EPMP, NETONIX, APC, ELTEK, MIKROTIK_48, AIRMAX_876)
}
"""The profiles, by their name on the command line."""

USUAL: tuple[Profile, ...] = (MIKROTIK, MIMOSA, AIRMAX, EPMP, NETONIX, APC, ELTEK)
"""One of each vendor."""

__all__ = ["PROFILES", "USUAL", "Profile"]
