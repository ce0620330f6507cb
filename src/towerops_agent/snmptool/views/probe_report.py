"""What a probe found out about a device: as aligned text, or JSON.

Pure. Times in seconds, sizes in octets of SNMP message, before UDP's and IP's headers.
"""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

import msgspec

from towerops_agent.reasons import Reason
from towerops_agent.text import counted

_REASONS: Final = {
    "silence": "not answered, though the device still answers less",
    "gone": "not answered, and the device answered nothing after it",
    Reason.TOO_BIG: "answered with tooBig",
    Reason.OMITTED: "answered in part",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """The most varbinds of a GET that were all answered. `refused_at`: the fewest that were not; None: no limit found.

    `reason`: why not: tooBig, silence, gone (silent for good), omitted (answered in part) or another error-status.
    """

    accepted: int
    refused_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A GETBULK for `asked` varbinds, and how many arrived. `reason`: why none arrived."""

    asked: int
    answered: int
    reason: str = ""


@dataclass(slots=True)
class ProbeReport:
    """A device's properties; a field is None if it could not be found out.

    `versions`: each version tried, and "answers", or why not. `version`: the one used for everything else.
    `system`: sysDescr, sysObjectID, sysName as texts, sysUpTime in days, hours, …. `rtts_s`: of the asks that were answered.
    `interfaces`: rows of ifTable. `wide_counters`: how many of them have ifHCInOctets.
    """

    address: str
    name: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    version: str | None = None
    system: dict[str, str | None] = field(default_factory=dict)
    rtts_s: list[float] = field(default_factory=list)
    rtt_asks: int = 0
    get: Limit | None = None
    bulk: list[Bulk] = field(default_factory=list)
    largest_answer_octets: int = 0
    if_number: int | None = None
    interfaces: int | None = None
    wide_counters: int | None = None


def report_json(report: ProbeReport) -> str:
    """The report as one JSON object, indented."""
    plain: dict[str, Any] = asdict(report)
    asks, rtts_s = plain.pop("rtt_asks"), plain.pop("rtts_s")
    plain["rtt"] = {
        "asked": asks,
        "answered": len(rtts_s),
        "min_s": min(rtts_s, default=None),
        "median_s": median(rtts_s) if rtts_s else None,
    }
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()


def report_text(report: ProbeReport) -> str:
    """The report for people: a heading, then a line for each thing, labels aligned."""
    rows = [("versions", ", ".join(f"{version} {result}" for version, result in report.versions.items()))]
    if report.version is not None:
        rows += [(label, value if value is not None else "not given") for label, value in report.system.items()]
        rows += [
            ("round trip", _rtt(report)),
            ("varbinds", _limit(report.get)),
            ("GETBULK", _bulk(report)),
            ("largest answer", f"{report.largest_answer_octets} octets seen"),
            ("interfaces", _interfaces(report)),
            ("64-bit counters", _wide(report)),
        ]
    width = max(len(label) for label, _ in rows)
    heading = f"{report.name} ({report.address})" if report.name else report.address
    return "\n".join([heading, *(f"  {label:<{width}}  {value}" for label, value in rows)])


def _rtt(report: ProbeReport) -> str:
    if not report.rtts_s:
        return f"unknown: none of {report.rtt_asks} answered"
    least, middle = min(report.rtts_s) * 1000, median(report.rtts_s) * 1000
    return f"{least:.1f} ms at least, {middle:.1f} ms median; {len(report.rtts_s)} of {report.rtt_asks} answered"


def _limit(limit: Limit | None) -> str:
    if limit is None:
        return "unknown"
    if limit.refused_at is None:
        return f"{limit.accepted} in a GET; more were not tried"
    return f"{limit.accepted} in a GET; {limit.refused_at} were {_REASONS.get(limit.reason, f'answered with {limit.reason}')}"


def _bulk(report: ProbeReport) -> str:
    if report.version == "1":
        return "not tried: SNMPv1 lacks it"
    parts = [
        f"{bulk.asked} asked, {_REASONS.get(bulk.reason, bulk.reason) if bulk.reason else f'{bulk.answered} in one answer'}"
        for bulk in report.bulk
    ]
    works = any(bulk.answered > 1 for bulk in report.bulk)
    return f"{'works' if works else 'does not work'}: {'; '.join(parts)}" if parts else "unknown"


def _interfaces(report: ProbeReport) -> str:
    number = "not given" if report.if_number is None else str(report.if_number)
    rows = "could not be read to its end" if report.interfaces is None else f"has {report.interfaces}"
    return f"ifNumber {number}, ifTable {rows}"


def _wide(report: ProbeReport) -> str:
    if report.version == "1":
        return "none: SNMPv1 has no Counter64"
    if report.wide_counters is None:
        return "unknown: ifHCInOctets could not be read to its end"
    if report.wide_counters == 0:
        return "none: no ifHCInOctets"
    return f"ifHCInOctets of {counted(report.wide_counters, 'interface')}"
