"""The units that devices write behind a number: which words are units, and how they convert.

`980 Mbps` and `1.2 Gbps` are of one dimension and a thousand apart; `1.2 KB` may be 1,200 octets or 1,229; `user` is not a unit.
Pure. Source: the SI Brochure (prefixes), and what devices write.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

BARE: Final = "1"
"""Words for no unit: the unit of dimension one."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. `dimension`: what it measures; only units of one dimension convert into each other.

    `factor`: how many of the dimension's basic unit it is; None if it is ambiguous (is a KB 1,000 octets?).
    `proportional`: whether its zero is nothing, so that zero is zero with any prefix; a zero of °C or dBm is not.
    """

    dimension: str
    factor: float | None = 1.0
    proportional: bool = True


def _by_name(names: dict[str, str]) -> dict[str, str]:
    """The dimension of each name, from the names of each dimension."""
    return {name: dimension for dimension, words in names.items() for name in words.split()}


def _each(names: str) -> dict[str, str]:
    """Names that are their own dimension."""
    return {name: name for name in names.split()}


_PREFIXES: Final = dict(
    zip("pnuµmcdhkKMGTP", (1e-12, 1e-9, 1e-6, 1e-6, 1e-3, 0.01, 0.1, 100.0, 1e3, 1e3, 1e6, 1e9, 1e12, 1e15), strict=True)
)
_RARE_PREFIXES: Final = {"c": "m l g", "d": "m l g", "h": "Pa", "p": "F s m", "P": "B bit bps"}
_BINARY_PREFIXES: Final = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}

_PREFIXABLE: Final = _by_name(
    _each("V A W VA Wh VAh Ah J Hz Pa bar m g s S eV lx lm")
    | {"l": "l L", "var": "var VAr VAR", "varh": "varh VArh", "Ω": "Ω ohm Ohm ohms Ohms"}
    | {"bit": "bit bits", "bit/s": "bps", "byte": "B byte bytes Byte Bytes", "byte/s": "Bps", "packet/s": "pps"}
)
_RATES: Final = frozenset(("Hz", "bit/s"))
"""Of these no device has thousandths: m means mega too, and K is certainly 1,000."""
_OCTETS: Final = frozenset(("byte", "byte/s"))
"""Of these K is 1,000 or 1,024."""
_SHOUTED: Final = frozenset("VAWsgmJ")
"""Of these M is mega, or milli in a text that is all in capitals."""

_SECONDS: Final = _by_name(
    {"1": "sec secs second seconds", "60": "min mins minute minutes", "3600": "h hr hrs hour hours", "86400": "d day days"}
    | {"604800": "week weeks"}
)
_METRES: Final = {"ft": 0.3048, "in": 0.0254, "inch": 0.0254, "mi": 1609.344}
_FARADS: Final = {"nF": 1e-9, "µF": 1e-6, "uF": 1e-6, "pF": 1e-12}
_OTHERS: Final = _by_name(
    {"V": "VDC VAC Vrms volt volts", "A": "ADC AAC Arms amp amps ampere amperes", "W": "watt watts", "Hz": "hertz"}
    | {"%": "% percent pct %RH %rH", "°": "° deg degree degrees", "rpm": "rpm r/min rev/min", "m2": "m2 m²", "m3": "m3 m³"}
    | _each("‰ ppm ppb psi mmHg inHg inH2O cmH2O mmH2O atm RH pH mph cfm CFM lpm LPM gpm GPM cm2 cm3")
)
_LEVELS: Final = _by_name(
    {"°C": "C celsius centigrade degc oc", "°F": "F fahrenheit degf of", "kelvin": "kelvin"}
    | _each("dB dBm dBi dBd dBc dBW dBµV dBuV dBmV")
)

_FIXED: Final = (
    {name: Unit("s", float(seconds)) for name, seconds in _SECONDS.items()}
    | {name: Unit("m", metres) for name, metres in _METRES.items()}
    | {name: Unit("F", farads) for name, farads in _FARADS.items()}
    | {name: Unit(dimension) for name, dimension in _OTHERS.items()}
    | {name: Unit(dimension, proportional=False) for name, dimension in _LEVELS.items()}
    | {letter: Unit(f"prefix {letter}", None) for letter in "kKMGT"}  # 1.2K: a thousand, or kelvin
)
_IN_ANY_CASE: Final = {name.lower(): unit for name, unit in _FIXED.items() if len(name) > 1 or name in "CF"} | {
    name.lower(): Unit(dimension) for name, dimension in _PREFIXABLE.items() if len(name) > 1 or name in "VAW"
}
_IN_ANY_CASE["bps"] = Unit("bit/s", None)  # octets, in BPS

_QUANTITIES: Final = (
    frozenset(("°C", "°F", "kelvin", "prefix K")),
    frozenset(("W", "dBm", "dBW")),
    frozenset(("V", "dBµV", "dBuV", "dBmV")),
    frozenset(("Pa", "bar", "psi", "mmHg", "inHg", "inH2O", "cmH2O", "mmH2O", "atm")),
)


@lru_cache(maxsize=1024)
def find_unit(word: str) -> Unit | None:
    """The unit of a word or of BARE; None if it is not known."""
    if word == BARE:
        return Unit(BARE)
    head, slash, tail = word.partition("/")
    if slash and word not in _FIXED:
        above, below = find_unit(head), find_unit(tail)
        if above is None or below is None:
            return None
        factor = None if above.factor is None or below.factor is None else above.factor / below.factor
        return Unit(f"{above.dimension}/{below.dimension}", factor)
    return _FIXED.get(word) or _prefixed(word) or _IN_ANY_CASE.get(word.lower()) or _prefixed_in_any_case(word)


def _prefixed(word: str) -> Unit | None:
    if word in _PREFIXABLE:
        return Unit(_PREFIXABLE[word])
    if word[:2] in _BINARY_PREFIXES and word[2:] in _PREFIXABLE:
        return Unit(_PREFIXABLE[word[2:]], _BINARY_PREFIXES[word[:2]])
    prefix, base = word[:1], word[1:]
    if base == "b" and prefix in ("k", "K", "M", "G", "T"):
        return Unit(word, None)  # bits, or octets
    if prefix not in _PREFIXES or base not in _PREFIXABLE or base not in _RARE_PREFIXES.get(prefix, base).split():
        return None
    dimension = _PREFIXABLE[base]
    if dimension in _OCTETS or (prefix == "M" and base in _SHOUTED):
        return Unit(dimension, None)
    return Unit(dimension, 1e6 if prefix == "m" and dimension in _RATES else _PREFIXES[prefix])


def _prefixed_in_any_case(word: str) -> Unit | None:
    """Such as MHZ, KBPS or kva, with its factor if the prefix can mean one thing only."""
    prefix, name = word[:1].upper(), word[1:]
    base = Unit(_PREFIXABLE[name]) if name in _PREFIXABLE else _IN_ANY_CASE.get(name.lower())
    if base is None or base.dimension not in _PREFIXABLE.values() or prefix not in ("K", "M", "G", "T"):
        return None
    certain = base.factor == 1.0 and (base.dimension in _RATES or (prefix != "M" and base.dimension not in _OCTETS))
    return Unit(base.dimension, _PREFIXES[prefix] if certain else None)


def same_quantity(one: Unit, other: Unit) -> bool:
    """Whether two units measure the same, so that a text may have one reading in both: `25 C (77 F)`, `0.5 mW / -3 dBm`."""
    return one.dimension == other.dimension or any({one.dimension, other.dimension} <= quantity for quantity in _QUANTITIES)


def conversion(word: str, first: str) -> Fraction | None:
    """The factor that converts a reading from the unit `word` to the unit `first`; None if it is not known."""
    if word == first:
        return Fraction(1)
    now, before = find_unit(word), find_unit(first)
    if now is None or before is None:  # `1 user`, `2 users`; but `980 kfoo`, `1.2 Mfoo`
        known = now or before
        prefixed = word[1:] in (first, first[1:]) or first[1:] == word
        return None if prefixed or (known is not None and known.factor != 1.0) else Fraction(1)
    if now.factor is None or before.factor is None:
        return None
    ratio = Fraction(repr(now.factor)) / Fraction(repr(before.factor))
    if now.dimension == before.dimension:
        return ratio
    if BARE in (word, first) and ratio == 1:
        return ratio  # the unit is left out now and then, or written out: that says nothing of a prefix
    return None


def is_nothing(word: str) -> bool:
    """Whether zero of this unit is nothing, whatever the prefix; and so for "", a unit that is not known yet."""
    unit = find_unit(word)
    return unit is None or unit.proportional
