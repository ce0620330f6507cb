"""Counts of what happened, by reason: whatever the agent drops, refuses, skips or evicts is counted here.

Each name below is documented in docs/operations.md; a test keeps the two in step.
Pure: a dictionary of integers, owned by the composition root and passed to the parts that count. Used on the event loop's thread
and the buffer's writer thread; an increment that another thread's increment races with may be lost, so each name has one
thread that counts it.
"""

from collections import Counter
from enum import StrEnum


class Count(StrEnum):
    """What is counted. The reason, if there are several, is the second half of the key."""

    POLLS = "polls"  # by result: complete, partial, silent
    POLLS_SKIPPED = "polls_skipped"  # late, still_running, many_slow, no_memory
    READINGS = "readings"  # metrics stored
    READINGS_MISSING = "readings_missing"  # by reason, as polling/course/interpret.py names them
    SNMP_REQUESTS = "snmp_requests"  # sent, retried; v3: repeated (after a report), examining (why it is silent)
    SNMP_DISCARDED = "snmp_datagrams_discarded"  # by reason, as snmp/wire/exchange.py names them
    SNMP_ENGINES = (
        "snmp_engine_changes"  # v3: discovered, restarted, replaced, boots_reset, as snmp/wire/usm_engine.py names them
    )
    PINGS = "pings"  # echoes sent, once their round has ended: answered, lost
    PINGS_UNSENT = "pings_unsent"  # by reason: an Unsent
    PINGS_DISCARDED = "ping_replies_discarded"  # by reason: a Stray
    DISCOVERIES = "discoveries"  # of devices with profile: auto: complete, cut_short, silent
    CONFIG_FETCHES = "config_fetches"  # updated, unchanged, failed
    CONFIG_REFUSED = "config_items_refused"  # equipment, sensor, interface
    METRICS_DELIVERED = "metrics_delivered"
    METRICS_UNCONFIRMED = "metrics_unconfirmed"  # delivered, and fewer are received by the server's own word
    METRICS_REFUSED = "metrics_refused"  # kept with the server's reason
    METRICS_EXPIRED = "metrics_expired"  # unsent for 24 h, by destination; "" is the API
    METRICS_DROPPED = "metrics_dropped"  # buffer_unavailable; damaged (one poll), corrupt (the file); as reasons.py says
    METRICS_EVICTED = "metrics_evicted"  # buffer_full, disk_low: never delivered; delivered: not kept for its day
    BATCHES = "batches"  # by outcome: delivered, retried, split, refused
    HEARTBEATS = "heartbeats"  # sent, failed
    GROUP_MEMBER_CHANGES = "group_member_changes"  # joined, lost, left, blind, returned
    GROUP_DEVICES_MOVED = "group_devices_moved"  # to this member or from it: taken, given
    GROUP_MESSAGES_REFUSED = "group_messages_refused"  # another_token, not_understood, old, same_name
    LOG_LINES_DROPPED = "log_lines_dropped"  # the log could not be written
    BUGS = "bugs"  # an unexpected exception, by the place that caught it


class Counters:
    """Counts since the start, by name and reason."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[tuple[Count, str]] = Counter()

    def add(self, name: Count, reason: str = "", n: int = 1) -> None:
        """Count `n` more of `name`, for `reason`."""
        self._counts[name, reason] += n

    def get(self, name: Count, reason: str = "") -> int:
        """The count of `name` for `reason`; 0 if there was none."""
        return self._counts[name, reason]

    def by_reason(self, name: Count) -> dict[str, int]:
        """All counts of `name`: reason -> count."""
        return {reason: n for (key, reason), n in self._counts.items() if key is name}

    def total(self, name: Count) -> int:
        """The count of `name` over all reasons."""
        return sum(self.by_reason(name).values())
