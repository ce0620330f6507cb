"""What some of a sensor's values mean: the states that they stand for, and those that mean that there is nothing.

The keys `states` and `skip` of a sensor of a site file, and of a column of a profile. Pure.
"""

import re
from collections.abc import Mapping
from typing import Final

from towerops_agent.config.document.fields import shown
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Number
from towerops_agent.polling.course.interpret import LARGEST_INTEGER, SMALLEST_INTEGER
from towerops_agent.site.document.nodes import Mistake, Section, number, place_of, scalar, some

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}")
_STATE: Final = re.compile(r"-?[0-9]{1,10}")


def states_in(section: Section) -> dict[int, str]:
    """The word of each state, by its number; none if they are not given. Raises Mistake."""
    if "states" not in section:
        return {}
    states = Section(section.file, "states", section.nodes["states"], None)
    found = {}
    for key, place in states.keys.items():
        if not _STATE.fullmatch(key):
            raise Mistake(place, f"state {shown(key)}: expected a whole number")
        if int(key) in found:
            raise Mistake(place, f"state {shown(key)} is given twice: expected each number once")
        found[int(key)] = states.needed(key)
    return found


def states_member(states: Mapping[int, str]) -> dict[str, dict[str, str]]:
    """The member `states` of a sensor's metadata; none without states."""
    return {"states": {str(number): word for number, word in states.items()}} if states else {}


def skip_in(section: Section, states: Mapping[int, str], key: str = "skip") -> frozenset[Number]:
    """The numbers that mean that there is nothing, as the device sends them. Raises Mistake, also of one that is a state."""
    section.must_not_be_empty(key, "a number, or a list of numbers")
    found = numbers_in(section, key)
    for each in sorted(found & states.keys()):
        word = shown(states[int(each)])
        raise section.mistake(key, f"{key} has {each}, which is the state {word}: expected a number that is not a state")
    return found


def numbers_in(section: Section, key: str, called: str = "") -> frozenset[Number]:
    """The number at `key`, or those of the list there; none if it is not given. Raises Mistake.

    `called`: how messages call it, if not `key`.
    """
    found, called = set(), called or key
    for node in some(section, key):
        text = scalar(section.file, called, node, wanted="a number")
        try:
            value = number(called, text)
        except InvalidConfig as error:
            raise Mistake(place_of(section.file, node), str(error)) from None
        whole = int(text) if _WHOLE.fullmatch(text.strip()) else None  # of 64 bits, which a float may not have
        found.add(value if whole is None or not SMALLEST_INTEGER <= whole <= LARGEST_INTEGER else whole)
    return frozenset(found)
