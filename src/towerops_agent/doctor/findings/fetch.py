"""What one GET of the configuration shows: whether the API answers and knows the token, how far the clock is off, the content.

The content: its counts, its unusable items with the reason, and its devices, one at a time, to be checked. It is read twice, to
count and for the devices, so that 10,000 of them are never in memory together.
Pure: outcome, clock and configuration are passed in. Seconds; a clock that is ahead is positive.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from towerops_agent.api.wire.outcomes import (
    MOST_SKEW_S,
    ConfigFetched,
    ConfigOutcome,
    NotFound,
    NotModified,
    Redirected,
    Rejected,
    Unauthorized,
    Unavailable,
)
from towerops_agent.config.document.equipment import Refusal, read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.doctor.findings.check import Check, Result, split_expected
from towerops_agent.model import Equipment
from towerops_agent.text import address, counted, duration

_API: Final = "API"
_TOKEN: Final = "token"  # noqa: S105 - a name

_REFUSED: Final = {
    401: Check(
        _TOKEN,
        Result.FAILED,
        "refused (401): the API does not know it",
        "is it complete, this agent's, and not revoked? Copy it from Towerops again",
    ),
    403: Check(
        _TOKEN,
        Result.FAILED,
        "known, but not allowed to do this (403)",
        "is the agent switched off in Towerops, or is it a token for something else? A proxy or firewall may say 403, too",
    ),
}
_NOT_GIVEN: Final = (
    "the server refuses to give the configuration: is TOWEROPS_API_URL right? "
    "A proxy or firewall on the way may answer in its place"
)
_PASSING: Final = frozenset((408, 425, 429))
"""Of the refusals, those that pass by themselves."""

_UNKNOWN: Final = Check(_TOKEN, Result.SKIPPED, "not known: the API did not say")


def check_api(outcome: ConfigOutcome[object], network_works: bool, took_s: float) -> list[Check]:
    """The checks of the API and the token. `network_works`: whether the layers below passed."""
    match outcome:
        case ConfigFetched() | NotModified():
            return [Check(_API, Result.OK, f"answers in {took_s * 1000:.0f} ms"), Check(_TOKEN, Result.OK, "accepted")]
        case Unauthorized(page=page) if page:
            return [Check(_API, Result.FAILED, outcome.reason, _NOT_GIVEN), _UNKNOWN]
        case Unauthorized(status):
            return [Check(_API, Result.OK, f"answers in {took_s * 1000:.0f} ms"), _REFUSED[status]]
        case NotFound(path):
            found = f"something answers, but has no {path} (404)"
            hint = "is TOWEROPS_API_URL right, with its path? It ends before /api/v1, which the agent adds"
            return [Check(_API, Result.FAILED, found, hint), _UNKNOWN]
        case Redirected(status, target):
            found = f"redirects to {target or 'nowhere'} ({status}); the token follows no redirect"
            return [
                Check(_API, Result.FAILED, found, "set TOWEROPS_API_URL to that URL, if you trust it"),
                _UNKNOWN,
            ]
        case Unavailable(reason, status) if status is None:
            if not network_works:
                return [Check(_API, Result.SKIPPED, "not reached: see above"), _UNKNOWN]
            hint = "is the server overloaded?" if outcome.timed_out else "does something on the way cut connections?"
            return [Check(_API, Result.FAILED, reason, hint), _UNKNOWN]
        case Unavailable(reason, status) if status is not None and 200 <= status < 300:
            hint = "is it the API that answers, or a login page (captive portal) or a proxy on the way?"
            return [Check(_API, Result.FAILED, reason, hint), _UNKNOWN]
        case Unavailable(reason, 429):
            hint = "the server wants fewer requests: the agent waits by itself, and loses nothing"
            return [Check(_API, Result.FAILED, reason, hint), _UNKNOWN]
        case Rejected(status, reason):
            return [Check(_API, Result.FAILED, f"status {status}: {reason}", _NOT_GIVEN), _UNKNOWN]
        case _ if 400 <= (outcome.status or 0) < 500 and outcome.status not in _PASSING:
            return [Check(_API, Result.FAILED, outcome.reason, _NOT_GIVEN), _UNKNOWN]
        case _:
            hint = "the server has a problem of its own: the agent tries again by itself, and loses nothing"
            return [Check(_API, Result.FAILED, outcome.reason, hint), _UNKNOWN]


CLOCK = "clock"

EARLIEST: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""A time before the agent was written: only a machine that lost its time shows it."""

_SET_IT: Final = "set it by NTP (chrony, systemd-timesyncd); `timedatectl` shows its state"


def check_clock(now: datetime, ahead_s: float | None) -> Check:
    """`ahead_s`: how far this clock is ahead of the server's, None if the server's is not known."""
    shown = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < EARLIEST:
        return Check(CLOCK, Result.FAILED, f"{shown}: this machine has lost its time (no battery-backed clock?)", _SET_IT)
    if ahead_s is None:
        return Check(CLOCK, Result.OK, f"{shown}; not compared, as no server sent its time")
    if abs(ahead_s) > MOST_SKEW_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        return Check(CLOCK, Result.FAILED, f"{shown}, {duration(abs(ahead_s))} {way} the server's", _SET_IT)
    return Check(CLOCK, Result.OK, f"{shown}, within {max(abs(ahead_s), 1):.0f} s of the server's")


CONFIG = "config"

MOST_REFUSALS = 20
"""Refused items that get a line each."""

MOST_SHARED: Final = 5
"""Addresses of several devices that get a line each."""


@dataclass(slots=True)
class Configured:
    """The devices, read again at each call of `devices`; `total`: how many. `checks`: what is to be said of the configuration.

    `refused`: how many sensors and interfaces of a device are refused, by its id. `of_devices`: those of `checks` that are about
    the devices that are to be checked. `digests`: of each of those, by its id, equal as long as its configuration is.
    `units`: see Memory.units. `pinged`: how many of them are to be pinged. `undiscovered`: the ids of those whose sensors and
    interfaces the agent is to discover, and has not.
    """

    checks: list[Check]
    of_devices: list[Check] = field(default_factory=list)
    refused: Mapping[str, int] = field(default_factory=dict)
    devices: Callable[[], Iterable[Equipment]] = field(default=lambda: ())
    total: int = 0
    digests: Mapping[str, bytes] = field(default_factory=dict)
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pinged: int = 0
    undiscovered: frozenset[str] = frozenset()

    @property
    def is_there(self) -> bool:
        """Whether there is a configuration to find devices in."""
        return self.checks[0].result not in (Result.FAILED, Result.SKIPPED)


def check_config(
    config: ConfigText,
    wanted: Callable[[Equipment], bool],
    wants_name: Callable[[str], bool] = lambda _: False,
    *,
    place: str = "Towerops",
) -> Configured:
    """The configuration, made at `place`. `wanted`: which devices are to be checked, by name if they could not be read."""
    read = read_config(config)
    devices = sensors = interfaces = total = pinged = 0
    seen = len(read.refusals)  # so far those that its maker has found, in site files
    items = Counter(refusal.equipment for refusal in read.refusals if refusal.kind in ("sensor", "interface", "ping"))
    refused_of: dict[str, int] = {}
    names: set[str] = set()
    at: dict[tuple[object, ...], list[Equipment]] = {}
    digests: dict[str, bytes] = {}
    for digest, equipment in read.equipment:
        devices += 1
        if equipment.has_snmp:
            bare = replace(equipment, sensors=(), interfaces=())  # 10,000 of them are in memory together
            at.setdefault((equipment.host, equipment.port, equipment.transport, equipment.credentials), []).append(bare)
        total += wanted(equipment)
        if wanted(equipment):
            pinged += equipment.ping is not None
            names.add(equipment.name)
            digests[equipment.id] = digest
        own = _own(read.refusals[seen:]) + items[equipment.name]
        seen = len(read.refusals)
        if own:
            refused_of[equipment.id] = own
        sensors += len(equipment.sensors)
        interfaces += len(equipment.interfaces)
    refused = read.refused.total()
    found = f"{f'version {read.version}: ' if read.version else ''}{_counts(devices, sensors, interfaces)}"
    if read.disabled:
        found += f"; {read.disabled} more with SNMP switched off"
    if refused:
        found += f"; {refused} refused"
    result, hint = Result.WARNING if refused else Result.OK, ""
    if not devices:
        result, hint = Result.WARNING, f"assign devices to this agent in {place}"
    checks = [Check(CONFIG, result, found, hint), *(_refusal(refusal, place) for refusal in read.refusals[:MOST_REFUSALS])]
    theirs = [refusal for refusal in read.refusals if refusal.equipment in names or wants_name(refusal.equipment)]
    if refused > MOST_REFUSALS:
        checks.append(Check(CONFIG, Result.WARNING, f"and {refused - MOST_REFUSALS} more refused"))

    shared = [alike for alike in at.values() if len(alike) > 1]
    checks += _shared(shared, place)

    def again() -> Iterator[Equipment]:
        return (equipment for _, equipment in read_config(config).equipment if wanted(equipment))

    of_devices = [_refusal(refusal, place) for refusal in theirs[:MOST_REFUSALS]]
    of_devices += _shared([alike for alike in shared if any(map(wanted, alike))], place)
    return Configured(checks, of_devices, refused_of, again, total, digests, pinged=pinged)


def _shared(shared: Sequence[Sequence[Equipment]], place: str) -> Iterator[Check]:
    """Devices that are asked alike at one address: what one answers is taken for the values of each."""
    hint = f"if they are several, correct the address of the others in {place}"
    for first, *others in shared[:MOST_SHARED]:
        names = ", ".join(sorted(one.name for one in (first, *others))[:MOST_SHARED])
        more = f" and {len(others) + 1 - MOST_SHARED} more" if len(others) >= MOST_SHARED else ""
        where = address(first.host, first.port)
        found = f"{names}{more} have one address, {where}, and the same credentials: one device answers for all"
        yield Check(CONFIG, Result.WARNING, found, hint)
    if len(shared) > MOST_SHARED:
        addresses = counted(len(shared) - MOST_SHARED, "more address", "more addresses")
        yield Check(CONFIG, Result.WARNING, f"and {addresses} of several devices")


def _own(refusals: Sequence[Refusal]) -> int:
    """How many items of the device that was read last: those since the last one that is refused itself."""
    whole = max((i for i, refusal in enumerate(refusals) if refusal.kind == "equipment"), default=-1)
    return sum(refusal.kind in ("sensor", "interface", "ping") for refusal in refusals[whole + 1 :])


def kept_config(devices: list[Equipment], wanted: Callable[[Equipment], bool]) -> Configured:
    """The configuration that the agent kept, in place of the API's."""
    counts = _counts(
        len(devices), sum(len(device.sensors) for device in devices), sum(len(device.interfaces) for device in devices)
    )
    chosen = [device for device in devices if wanted(device)]
    check = Check(CONFIG, Result.WARNING, f"not fetched; the one kept in the database has {counts}", "the devices below are its")
    pinged = sum(device.ping is not None for device in chosen)
    return Configured([check], [check], {}, lambda: chosen, len(chosen), pinged=pinged)


def _refusal(refusal: Refusal, place: str) -> Check:
    whose = " of ".join(filter(None, (refusal.item, refusal.equipment)))
    found, wanted = split_expected(refusal.reason)
    shown = " ".join(filter(None, (refusal.kind, whose, f"refused: {found}")))
    return Check(CONFIG, Result.WARNING, shown, f"correct it in {place}{f': expected {wanted}' if wanted else ''}")


def _counts(devices: int, sensors: int, interfaces: int) -> str:
    kinds = ((devices, "device"), (sensors, "sensor"), (interfaces, "interface"))
    return ", ".join(counted(count, kind) for count, kind in kinds)
