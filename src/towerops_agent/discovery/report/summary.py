"""What was discovered, in a few words. Pure."""

from collections import Counter
from typing import Final

from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.text import counted

_LONGEST_DESCR: Final = 60
_MOST_NAMED: Final = 3


def what_it_is(found: Discovery) -> str:
    """Vendor and model, else the beginning of sysDescr."""
    if found.vendor or found.model:
        return f"{found.vendor} {found.model}".strip()
    descr = found.system.descr
    return f"{descr[:_LONGEST_DESCR]}…" if len(descr) > _LONGEST_DESCR else descr or "it does not say what it is"


def polled(found: Discovery) -> str:
    """How many interfaces and sensors."""
    return f"{counted(len(found.ports), 'interface')}, {counted(len(found.sensors), 'sensor')}"


def left_out_texts(found: Discovery) -> list[str]:
    """A text for each reason, the commonest first: how many it costs, and some of them."""
    reasons = Counter(left.why for left in found.left_out)
    texts = []
    for why, count in reasons.most_common():
        named = [left.what for left in found.left_out if left.why == why]
        more = f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
        texts.append(f"{', '.join(named[:_MOST_NAMED])}{more}: {why}")
    if found.broken:
        texts.insert(0, f"the rest: {found.broken}")
    return texts
