"""What the server accepts in one request: the wire's `accepts` -> Accepts.

An extension of the contract. An absent object or field means the limits of a server that does not know the extension.
Pure. Sizes in octets.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from towerops_agent.config.document.fields import members, shown, value_of
from towerops_agent.errors import InvalidConfig

MOST_METRICS = 10_000
MOST_BODY_OCTETS = 16 << 20
"""The most that the agent uses if the server accepts more: a batch is built in memory."""

LEAST_BODY_OCTETS = 4096
"""Below this a single metric may not fit, and readings would be lost."""


@dataclass(frozen=True, slots=True)
class Accepts:
    """The limits of one request. `is_stated`: the server has stated them, so it knows the contract's extensions."""

    content_encodings: tuple[str, ...] = ()
    max_metrics: int = 1000
    max_body_octets: int = 1 << 20
    metric_types: tuple[str, ...] = ("sensor_reading", "interface_stat")
    is_stated: bool = False


def read_accepts(raw: Raw) -> tuple[Accepts, list[InvalidConfig]]:
    """The limits in `raw`, and its problems. A field that is absent, null or bad has its default."""
    wrong: list[InvalidConfig] = []
    try:
        is_stated = bool(raw) and bytes(raw) != b"null"
        fields = members(raw, "accepts") if is_stated else {}
    except InvalidConfig as error:
        return Accepts(), [error]

    def texts(field: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value: Any = value_of(fields.get(field))
        if value is None:
            return default
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        wrong.append(InvalidConfig(f"accepts.{field} is {shown(value)}: expected a list of texts; used {list(default)}"))
        return default

    def size(field: str, default: int, least: int, most: int) -> int:
        value: Any = value_of(fields.get(field))
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return min(value, most)
        wrong.append(InvalidConfig(f"accepts.{field} is {shown(value)}: expected an integer of at least {least}; used {default}"))
        return default

    default = Accepts()
    accepts = Accepts(
        texts("content_encodings", default.content_encodings),
        size("max_metrics", default.max_metrics, 1, MOST_METRICS),
        size("max_body_bytes", default.max_body_octets, LEAST_BODY_OCTETS, MOST_BODY_OCTETS),
        texts("metric_types", default.metric_types),
        is_stated,
    )
    return accepts, wrong


def encode_accepts(accepts: Accepts) -> bytes:
    """The limits as JSON, for the next start."""
    return msgspec.json.encode(accepts)


def decode_accepts(octets: bytes) -> Accepts | None:
    """The limits that encode_accepts was given; None if they can't be read."""
    try:
        kept = msgspec.json.decode(octets, type=Accepts)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    is_sound = 1 <= kept.max_metrics <= MOST_METRICS and LEAST_BODY_OCTETS <= kept.max_body_octets <= MOST_BODY_OCTETS
    return kept if is_sound else None
