"""Beats of imagined members."""

from typing import Any

from towerops_agent.group.course.wire import Beat, Presence

FIELDS: dict[str, Any] = {
    "boot": "boot1",
    "sequence": 0,
    "presence": Presence.READY,
    "weight": 1.0,
    "clock_s": 0.0,
    "wall_us": 0,
    "version": "1",
    "configuration": "c1",
    "owned": 0,
    "up": 0,
    "down": 0,
    "backlog": 0,
    "api_works": True,
}


def beat(member: str, sequence: int = 0, **fields: Any) -> Beat:
    return Beat(member, **{**FIELDS, "sequence": sequence, **fields})
