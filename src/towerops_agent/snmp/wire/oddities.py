"""What is odd about the replies of a device, and accepted once it was seen twice.

Some firmware returns another community than the request's, cuts the request-id to 16 bits, or appends a 0 to the names. Such
replies are accepted only over SNMPv1 and v2c, and only from the address that was asked. One oddity does not excuse another: a
reply with a cut request-id needs the right community, and one with another community the whole request-id, so that nobody off
the path has less to guess than one of the two. exchange.py enforces that.
Pure. Source: RFC 1157 §4.1 and RFC 3416 §4.1 and §4.2.1, all of which the oddities break.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from towerops_agent.snmp.wire.ber import Oid

ZERO = b"\x00"
"""The sub-identifier 0, encoded."""


class Oddity(StrEnum):
    """A way in which a device's replies differ from what the RFCs ask for. Its value is its word, on disk and in `status`."""

    OTHER_COMMUNITY = "other_community"
    CUT_REQUEST_ID = "cut_request_id"
    EXTRA_ZERO = "extra_zero"

    @property
    def text(self) -> str:
        """For the operator, after "the device"."""
        return _TEXTS[self]


_TEXTS = {
    Oddity.OTHER_COMMUNITY: "returns another community than the request's",
    Oddity.CUT_REQUEST_ID: "cuts request-ids to 16 bits",
    Oddity.EXTRA_ZERO: "appends a 0 to OIDs",
}


class Oddities:
    """Those of one device. `accepted`: the ones that were seen twice. `any_seen`: whether any was, which is rare."""

    __slots__ = ("_once", "accepted", "any_seen")

    def __init__(self) -> None:
        self.accepted: frozenset[Oddity] = frozenset()
        self.any_seen = False
        self._once: dict[Oddity, int] | None = None  # with the request-id of the reply that had it

    def see(self, oddity: Oddity, request_id: int) -> bool:
        """Note that the reply to the request with this id is odd, but otherwise right; whether to accept it."""
        if oddity in self.accepted:
            return True
        self.any_seen = True
        if self._once is None:
            self._once = {}
        if self._once.setdefault(oddity, request_id) == request_id:
            return False  # the first one, or a copy of it
        self.accepted |= {oddity}
        return True

    def accept(self, oddities: Iterable[Oddity]) -> None:
        """These are known."""
        self.accepted |= frozenset(oddities)
        self.any_seen = self.any_seen or bool(self.accepted)

    def see_none(self, request_id_is_whole: bool) -> None:
        """Note a reply with the right community, to the request's whole id or not: what was seen once before was not the device.

        A whole request-id also shows that a device no longer cuts them.
        """
        if self._once:
            self._once = {oddity: seen for oddity, seen in self._once.items() if oddity is Oddity.EXTRA_ZERO}
        if request_id_is_whole and Oddity.CUT_REQUEST_ID in self.accepted:
            self.accepted -= {Oddity.CUT_REQUEST_ID}


def without_extra_zeros(asked: Sequence[Oid], names: Sequence[Oid]) -> list[Oid] | None:
    """`names` as they were `asked`, without the 0 that is appended to some of them; None if it is appended to none.

    A name that was itself asked, or whose OID without the 0 is there too, is left as it is.
    """
    kept = {*names, *(name + ZERO for name in asked if name + ZERO in asked)}
    longer = {name + ZERO: name for name in asked if name not in kept and name + ZERO not in asked}
    return [longer.get(name, name) for name in names] if any(name in longer for name in names) else None
