"""The devices of a running agent as text: a list to be filtered and sorted, or one of them at length.

Pure: the time is passed in. `_us`: microseconds since 1970; `_ms`: milliseconds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from towerops_agent.model import NOT_POLLED, State
from towerops_agent.reasons import Reason, reason_of
from towerops_agent.telemetry.views.lines import Line, Tone, columns, cut, hanging, padded, section
from towerops_agent.telemetry.views.snapshot import DeviceReport, PingReport
from towerops_agent.telemetry.views.status import TONES, by_reason, limits
from towerops_agent.text import as_argument, counted, duration, printable

STATES: Final = (*(state.value for state in State), NOT_POLLED)

_HEADING: Final = ("STATE", "DEVICE", "ADDRESS", "RTT", "MISSING", "WHY")
_NUMBERS: Final = frozenset({"RTT", "MISSING"})
_GAP: Final = "  "

_ORDERS: Final[dict[str, Callable[[DeviceReport], Any]]] = {
    "state": lambda device: (-_badness(device.state), -device.lacks, device.name.casefold()),
    "name": lambda device: device.name.casefold(),
    "address": lambda device: _natural(device.address),
    "rtt": lambda device: -(device.rtt_ms or 0.0),
    "missing": lambda device: -device.lacks,
    "since": lambda device: -(device.since_us or 0),
}
ORDERS: Final = tuple(_ORDERS)
"""What the list can be sorted by: the worst, the slowest, the latest first; names and addresses upwards."""


def _badness(state: str) -> int:
    return (State.UP.value, NOT_POLLED, State.DEGRADED.value, State.DOWN.value).index(state)


def _natural(address: str) -> tuple[tuple[int, int | str], ...]:
    """So that 10.0.0.9 comes before 10.0.0.10."""
    pieces = address.replace("[", "").replace("]", "").replace(":", ".").split(".")
    return tuple((0, int(piece)) if piece.isascii() and piece.isdigit() else (1, piece) for piece in pieces)


def is_named(device: DeviceReport, text: str) -> bool:
    """Whether `text` is its id, name or address, with or without the port."""
    return text in (device.id, device.name, device.address, device.address.rpartition(":")[0].strip("[]"))


def select(
    reports: Iterable[DeviceReport], *, states: Sequence[str] = (), lacking: bool = False, text: str = "", order: str = "state"
) -> list[DeviceReport]:
    """The devices in one of these states (none given: in any), that lack values, and that have `text` in id, name or address."""
    wanted = text.casefold()
    found = [
        device
        for device in reports
        if (not states or device.state in states)
        and (not lacking or device.missing)
        and any(wanted in part.casefold() for part in (device.id, device.name, device.address))
    ]
    return sorted(found, key=_ORDERS[order])


def table(devices: Sequence[DeviceReport], now_us: int, width: int | None = None) -> list[tuple[str, Tone]]:
    """A heading and a line for each device, without columns in which no device has anything; no line is longer than `width`.

    If there is no room for it, why a device is not up goes below it, and a name is cut short.
    """
    rows = [_HEADING, *(tuple(map(printable, _row(device, now_us))) for device in devices)]
    filled = [i for i in range(len(_HEADING) - 1) if len(rows) == 1 or any(row[i] for row in rows[1:])]
    widths = {i: max(columns(row[i]) for row in rows) for i in filled}
    if width is not None:
        widths[1] = max(
            min(widths[1], width - sum(widths.values()) - len(_GAP) * (len(filled) - 1) + widths[1]), len(_HEADING[1])
        )
    tones = [Tone.PLAIN, *(TONES[device.state] for device in devices)]
    lines = []
    for row, tone in zip(rows, tones, strict=True):
        cells = _GAP.join(_aligned(row[i], widths[i], to_right=_HEADING[i] in _NUMBERS) for i in filled)
        why = row[-1] if row is not _HEADING or len(rows) == 1 or any(other[-1] for other in rows[1:]) else ""
        lines += [(line, tone) for line in _with_why(cells, why, widths[0], width)]
    return lines


def _with_why(cells: str, why: str, indent: int, width: int | None) -> list[str]:
    whole = f"{cells}{_GAP}{why}".rstrip()
    if width is None or columns(whole) <= width:
        return [whole]
    below = [] if why in ("", _HEADING[-1]) else hanging(" " * indent + _GAP, why, width)
    return [cut(cells.rstrip(), width), *below]


def _row(device: DeviceReport, now_us: int) -> tuple[str, ...]:
    why = device.reason
    if device.state in (State.DOWN, State.DEGRADED) and device.since_us is not None:
        why = f"{why}, for {duration((now_us - device.since_us) / 1e6)}"
    why = "; ".join(filter(None, (why, device.detail, by_reason(device.missing))))
    answers = device.rtt_ms is not None and device.state != State.DOWN
    rtt = f"{device.rtt_ms:.1f} ms" if answers else ""
    return (device.state, device.name, device.address, rtt, str(device.lacks or ""), why)


def _aligned(cell: str, width: int, *, to_right: bool) -> str:
    return f"{cell:>{width}}" if to_right else padded(cut(cell, width), width)


def device_lines(device: DeviceReport, now_us: int) -> list[Line]:
    """All that is known of one device."""
    unknown = "unknown" if device.detail else "not polled yet"
    state = unknown if device.since_us is None else f"{device.state} for {duration((now_us - device.since_us) / 1e6)}"
    why = "; ".join(filter(None, (state, _said(device.reason), device.detail)))
    lines = [
        *section("device", [Line(f"{device.name} ({device.address}), id {device.id}")]),
        *section("state", [Line(why, TONES[device.state]), *_advice(device)]),
        *section(
            "polled",
            [
                Line(
                    f"each {duration(device.interval_s)}: {counted(device.sensors, 'sensor')}, "
                    f"{counted(device.interfaces, 'interface')}; " + limits(device)
                )
            ],
        ),
    ]
    if device.rtt_ms is not None:
        last = " when it last did" if device.state == State.DOWN else ""
        lines += section("answers", [Line(f"in {device.rtt_ms:.1f} ms{last}")])
    if device.pings is not None:
        lines += section("pings", [Line(_pings(device.pings))])
    if device.missing:
        lines += section("lacks", [line for word, count in device.missing.items() for line in _lack(word, count)])
        lines += section("", [Line(f"`{_doctor(device)}` names each of them")])
    return lines


def _pings(pings: PingReport) -> str:
    came = f"{pings.received} of {pings.sent} came back"
    if pings.rtt_ms is None:
        return came
    jitter = "" if pings.jitter_ms is None else f", jitter {pings.jitter_ms:.2f} ms"
    return f"{came} in {pings.rtt_ms:.2f} ms on average{jitter}"


def _advice(device: DeviceReport) -> list[Line]:
    """What to do about its state. Silence has many causes, which the doctor distinguishes."""
    if device.state == State.DOWN and device.reason == Reason.TIMEOUT:
        return [Line(f"`{_doctor(device)}` looks for the cause", indent=2)]
    return _hint(device.reason)


def _doctor(device: DeviceReport) -> str:
    """The command that examines it. By its id, if a terminal can't show its name as it is."""
    return f"towerops-agent doctor --device {as_argument(device.name if device.name.isprintable() else device.id)}"


def _lack(word: str, count: int) -> list[Line]:
    return [Line(f"{counted(count, 'value')}: {_said(word)}", Tone.WARNING), *_hint(word)]


def _said(word: str) -> str:
    """The reason in words, with the word by which counters and the log call it."""
    reason = reason_of(word)
    if reason is None or word in reason.text:
        return word if reason is None else reason.text
    return f"{reason.text} ({word})"


def _hint(word: str) -> list[Line]:
    reason = reason_of(word)
    return [] if reason is None or not reason.hint else [Line(reason.hint, indent=2)]
