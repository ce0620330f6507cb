"""Why something is missing: each reason once, with all that any part of the agent knows about it.

Six enums, by what is missing, as a `late` datagram is something else than a `late` poll: a Reason for a reading or a device's
answer, a Discard for a datagram, a Skip for a poll, a Loss for metrics, an Unsent for a ping, a Stray for an echo reply.
A member is its word (a StrEnum): so it stands in counters, logs, `status --json` and what the API receives, and a word never
changes.
Pure. The tables of docs/operations.md are held to these by a test.
"""

from enum import StrEnum
from typing import Final, Self


class Fault(StrEnum):
    """Where to look first."""

    DEVICE = "device"
    NETWORK = "network"
    CONFIGURATION = "configuration"
    AGENT = "agent"  # or the machine that it runs on


class _Word(StrEnum):
    """A reason. `fault`: where to look first. `text`: what happened, in the operator's words. `hint`: what to do, or ""."""

    fault: Fault
    text: str
    hint: str

    def __new__(cls, word: str, fault: Fault, text: str, hint: str = "", **_more: object) -> Self:
        """The member with this word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.fault, member.text, member.hint = fault, text, hint
        return member


_HIDDEN_HINT: Final = (
    "such sensors or interfaces do not exist on this device (another model or firmware, a part not fitted), or a view hides "
    "them: correct them in the configuration"
)
_NUMBER_HINT: Final = "correct the sensors in the configuration: a reading is a number"
_FIRMWARE_HINT: Final = "the device's own fault: look for newer firmware"
_SLOW_HINT: Final = "it is slow, or loses much: look at the link to it; `towerops-agent snmp probe` measures it"
_ROUTE_HINT: Final = "check the route to it (ip route get …), and at its address"
_SAME_HINT: Final = "give it the same password and protocol at the device and in the configuration"
_AWAY_HINT: Final = (
    "it is read again once it is back; if it is gone for good, remove it from the configuration; if its name there is only your "
    "own label, write the device's name in its place, or none"
)
_TWO_HINT: Final = "two devices at one address? Else restart its SNMP"


class Reason(_Word):
    """Why a reading is missing, or a device gives no answer.

    An error-status that is not here has its name of message.error_name as its word, and neither fault, text nor hint.
    """

    # The device has no such reading, or it is not a number
    NO_SUCH_OBJECT = "noSuchObject", Fault.CONFIGURATION, "not there (noSuchObject)", _HIDDEN_HINT
    NO_SUCH_INSTANCE = "noSuchInstance", Fault.CONFIGURATION, "not there (noSuchInstance)", _HIDDEN_HINT
    END_OF_MIB_VIEW = "endOfMibView", Fault.CONFIGURATION, "not there (endOfMibView)", _HIDDEN_HINT
    NO_SUCH_NAME = "noSuchName", Fault.CONFIGURATION, "not there (noSuchName)", _HIDDEN_HINT
    NULL = "null", Fault.CONFIGURATION, "empty", _NUMBER_HINT
    NOT_A_NUMBER = "not_a_number", Fault.CONFIGURATION, "not a number", _NUMBER_HINT
    NOT_A_COUNTER = "not_a_counter", Fault.CONFIGURATION, "not a counter", _NUMBER_HINT
    AMBIGUOUS = (
        *("ambiguous", Fault.CONFIGURATION, "it may mean either of two numbers"),
        "take another OID of the same reading, if the device has one; else look for newer firmware",
    )
    UNIT_CHANGED = (
        "unit_changed",
        Fault.CONFIGURATION,
        "in another unit than its first text, or no longer a whole number, or one now, and can't be converted",
        (
            "if it was a whole number, correct its divisor; else, if it is to stay so, remove the sensor from the configuration, "
            "and add it again once the agent has that configuration"
        ),
    )
    NOTHING_THERE = (
        *("nothing_there", Fault.DEVICE, "a number by which the device says that there is nothing to read"),
        "nothing, if that is so: a link is down, a probe is not plugged in. It is read again once there is a value",
    )

    # It may not be seen
    NO_ACCESS = "noAccess", Fault.CONFIGURATION, "not there (noAccess)", _HIDDEN_HINT
    AUTHORIZATION_ERROR = "authorizationError", Fault.CONFIGURATION, "not there (authorizationError)", _HIDDEN_HINT

    # The device answers wrong
    NEGATIVE_COUNTER = "negative_counter", Fault.DEVICE, "a negative counter", _FIRMWARE_HINT
    NOT_FINITE = "not_finite", Fault.DEVICE, "infinite, or NaN", _FIRMWARE_HINT
    OUT_OF_RANGE = "out_of_range", Fault.DEVICE, "too large to be a reading", _FIRMWARE_HINT
    GEN_ERR = "genErr", Fault.DEVICE, "the device failed to read it (genErr)", _FIRMWARE_HINT
    TOO_BIG = "tooBig", Fault.DEVICE, "too big to be answered, even by itself (tooBig)", _FIRMWARE_HINT
    RESOURCE_UNAVAILABLE = (
        *("resourceUnavailable", Fault.DEVICE, "the device lacks memory or time for it (resourceUnavailable)"),
        "it is overloaded: read less of it, or less often",
    )
    UNREADABLE = "unreadable", Fault.DEVICE, "encoded wrong", _FIRMWARE_HINT
    OMITTED = "omitted", Fault.DEVICE, "left out of the answer", _FIRMWARE_HINT

    # No answer
    TIMEOUT = "timeout", Fault.NETWORK, "met with silence", _SLOW_HINT
    DEADLINE = "deadline", Fault.NETWORK, "not asked for lack of time", _SLOW_HINT
    UNRESOLVED = "unresolved", Fault.CONFIGURATION, "its name was not found", "correct its name, or look at DNS"
    UNREACHABLE = "unreachable", Fault.NETWORK, "can't be reached", _ROUTE_HINT
    REFUSED = (
        *("refused", Fault.CONFIGURATION, "nothing listens on this port of the device"),
        "switch SNMP on at the device, or correct its port; does it do SNMP over TCP? Most do only UDP; or is it a firewall?",
    )

    # SNMPv3: the device's word about the user, or the engine
    UNKNOWN_USER = (
        *("unknown_user", Fault.CONFIGURATION, "the device does not know this SNMPv3 user"),
        "create the user there, or correct its name",
    )
    WRONG_AUTH_PASSWORD = (
        *("wrong_auth_password", Fault.CONFIGURATION, "wrong authentication password or protocol"),
        _SAME_HINT,
    )
    WRONG_PRIV = (
        *("wrong_priv", Fault.CONFIGURATION, "wrong privacy password or protocol; the authentication is right"),
        _SAME_HINT,
    )
    UNSUPPORTED_SECURITY_LEVEL = (
        *("unsupported_security_level", Fault.CONFIGURATION, "this SNMPv3 user has no such security level at the device"),
        "give the user authentication and privacy there, or lower the level in the configuration to what it has",
    )
    UNKNOWN_CONTEXT = (
        *("unknown_context", Fault.CONFIGURATION, "the device has no such SNMPv3 context"),
        "correct its context in the configuration, or give the user a view there: a VLAN or a VRF may have a context of its own",
    )
    NOT_IN_TIME_WINDOW = (
        *("not_in_time_window", Fault.DEVICE, "the device accepts no request as timely, even by its own clock"),
        _TWO_HINT,
    )
    UNKNOWN_ENGINE_ID = (
        *("unknown_engine_id", Fault.DEVICE, "the device changes its SNMPv3 engine ID from answer to answer"),
        _TWO_HINT,
    )

    # Which interface is it?
    UNVERIFIED = (
        *("unverified", Fault.DEVICE, "it is not known which interface this is: the device did not give its interfaces' names"),
        _SLOW_HINT,
    )
    INTERFACE_AWAY = "interface_away", Fault.DEVICE, "the device has no interface of this name", _AWAY_HINT
    INTERFACE_AMBIGUOUS = (
        *("interface_ambiguous", Fault.DEVICE, "several interfaces have this name, and none of them stands out"),
        "give the device's interfaces names of their own",
    )

    # SNMP is silent, and ping is not
    PING_ONLY = (
        *("ping_only", Fault.CONFIGURATION, "answers ping, not SNMP"),
        "SNMP is off there, its community or user is another, or a firewall keeps it out: `towerops-agent doctor` finds out",
    )

    # The words of the API's contract for what it does not tell apart
    AUTH = "auth", Fault.CONFIGURATION, "SNMPv3's user, a password, a protocol or the security level is wrong", _SAME_HINT
    OTHER = "other", Fault.DEVICE, "a reason that has no word in the API's contract", _FIRMWARE_HINT


ABSENT: Final = frozenset(
    (
        *(Reason.NO_SUCH_OBJECT, Reason.NO_SUCH_INSTANCE, Reason.END_OF_MIB_VIEW, Reason.NO_SUCH_NAME),
        *(Reason.NULL, Reason.NOT_A_NUMBER, Reason.NOT_A_COUNTER, Reason.AMBIGUOUS, Reason.UNIT_CHANGED),
        Reason.NOTHING_THERE,
    )
)
"""A reading may lack so on a healthy device: it never had it, has it as a text, or has nothing to read now."""

HARMLESS: Final = ABSENT | {Reason.NEGATIVE_COUNTER, Reason.NOT_FINITE, Reason.OUT_OF_RANGE, Reason.UNREADABLE}
"""With what a device is up: also with numbers that can't be readings, by which firmware says that it lacks something (NaN of a
probe that is not there, -1 or 2^64 - 1 of a counter), and with what it encodes wrong. It says so for good, and asking again
brings nothing else."""

HIDDEN: Final = frozenset(
    (
        *(Reason.NO_SUCH_OBJECT, Reason.NO_SUCH_INSTANCE, Reason.END_OF_MIB_VIEW, Reason.NO_SUCH_NAME),
        *(Reason.AUTHORIZATION_ERROR, Reason.NO_ACCESS),
    )
)
"""As a device says that there is no such OID; and so it says of what a view hides (RFC 3415 §3.2, RFC 3416 §4.2.1)."""

CREDENTIALS: Final = frozenset(
    (Reason.UNKNOWN_USER, Reason.WRONG_AUTH_PASSWORD, Reason.WRONG_PRIV, Reason.UNSUPPORTED_SECURITY_LEVEL)
)
"""What the API's contract has one word for, `auth`; the log and `status` tell them apart."""

MUTE: Final = frozenset((Reason.TIMEOUT, Reason.DEADLINE, Reason.UNREACHABLE, Reason.REFUSED))
"""Silence that a ping explains: nothing came by SNMP, so only the ping shows that the device is there."""

_STORED: Final[tuple[Reason | None, ...]] = (
    *(None, Reason.OTHER, Reason.TIMEOUT, Reason.UNREACHABLE, Reason.UNRESOLVED, Reason.REFUSED, Reason.AUTH, Reason.DEADLINE),
    *(Reason.OMITTED, Reason.UNREADABLE, Reason.TOO_BIG, Reason.GEN_ERR, Reason.NO_ACCESS, Reason.AUTHORIZATION_ERROR),
    *(Reason.RESOURCE_UNAVAILABLE, Reason.UNVERIFIED, Reason.INTERFACE_AWAY, Reason.NEGATIVE_COUNTER, Reason.NOT_FINITE),
    *(Reason.OUT_OF_RANGE, Reason.NOT_IN_TIME_WINDOW, Reason.UNKNOWN_ENGINE_ID),
    *(Reason.INTERFACE_AMBIGUOUS, Reason.UNKNOWN_CONTEXT, Reason.PING_ONLY),
)
"""By its code on disk, why a device is not up; None: it is up. A reason is added at the end, and none is taken out."""

_CODES: Final = {"" if reason is None else str(reason): code for code, reason in enumerate(_STORED)}

STATE_WORDS: Final = tuple(_CODES)
"""The words that the API may receive with a device's state, by their code on disk; the first is "", of a device that is up."""


def reason_of(word: str) -> Reason | None:
    """The Reason with this word; None if it is the name of another error-status."""
    return Reason._value2member_map_.get(word)  # type: ignore[return-value]  # its members are Reasons


def code_of(word: str) -> int:
    """The code on disk of a Reason, of "" or of an error-status: its own, or that of AUTH or OTHER."""
    return _CODES.get(Reason.AUTH if word in CREDENTIALS else word, _CODES[Reason.OTHER])


def word_of(code: object) -> str:
    """The word that a code on disk stands for. OTHER for one that only a later version of the agent knows."""
    return STATE_WORDS[code] if isinstance(code, int) and 0 <= code < len(STATE_WORDS) else Reason.OTHER


class Discard(_Word):
    """Why a datagram is not the reply to an open request. The system's errors have their names, such as ECONNREFUSED, instead."""

    MALFORMED = "malformed", Fault.DEVICE, "not an SNMP message", _FIRMWARE_HINT
    NOT_A_RESPONSE = "not_a_response", Fault.DEVICE, "a request or a trap", "send traps to another port"
    UNKNOWN_ID = "unknown_id", Fault.NETWORK, "a request-id that was never used"
    LATE = "late", Fault.NETWORK, "its request was given up or answered before: the link is slow, or doubles packets"
    FOREIGN_PEER = "foreign_peer", Fault.DEVICE, "from another address than the one asked"
    WRONG_VERSION = "wrong_version", Fault.DEVICE, "another SNMP version than the request's"
    WRONG_COMMUNITY = "wrong_community", Fault.DEVICE, "another community than the request's"
    WRONG_DIGEST = "wrong_digest", Fault.NETWORK, "SNMPv3: not authentic"
    WRONG_USER = "wrong_user", Fault.DEVICE, "SNMPv3: another user's"
    WRONG_CONTEXT = "wrong_context", Fault.DEVICE, "SNMPv3: from another context than the one asked"
    FOREIGN_ENGINE = "foreign_engine", Fault.DEVICE, "SNMPv3: another engine's"
    WRONG_SECURITY_LEVEL = "wrong_security_level", Fault.DEVICE, "SNMPv3: a response with less protection than the request"
    WRONG_REQUEST_ID = "wrong_request_id", Fault.DEVICE, "SNMPv3: the right message ID, and another request-id in it"
    NO_ENGINE_ID = "no_engine_id", Fault.DEVICE, "SNMPv3: a report without the engine's ID"
    REPEATED_REPORT = "repeated_report", Fault.NETWORK, "SNMPv3: a report that says nothing new"
    UNKNOWN_REPORT = "unknown_report", Fault.DEVICE, "SNMPv3: a report that the RFCs do not know"
    OS_ERROR = "os_error", Fault.NETWORK, "an error of the system without a name"


class Skip(_Word):
    """Why a poll was not made, or not at its time."""

    LATE = (
        "late",
        Fault.AGENT,
        "late by a tenth of its interval, or by 10 s",
        "the machine is too slow for its devices, or was suspended",
    )
    STILL_RUNNING = "still_running", Fault.DEVICE, "the poll before had not ended", _SLOW_HINT
    MANY_SLOW = "many_slow", Fault.DEVICE, "1,000 other devices that take over 5 s were under way", _SLOW_HINT
    NO_MEMORY = "no_memory", Fault.AGENT, "the agent had no memory for it", "give the agent more memory, or fewer devices"


class Unsent(_Word):
    """Why a ping was not sent. It is never one that was lost."""

    NO_PERMISSION = (
        *("no_permission", Fault.AGENT, "the agent may not send pings"),
        "add its group to net.ipv4.ping_group_range, or give it CAP_NET_RAW (docs/ping.md)",
    )
    NO_ROUTE = "no_route", Fault.NETWORK, "this machine has no route to the device", _ROUTE_HINT
    FORBIDDEN = "forbidden", Fault.AGENT, "a firewall of this machine forbids it", "allow ICMP echo requests to go out"
    UNRESOLVED = "unresolved", Fault.CONFIGURATION, "the device's name was not found", "correct its name, or look at DNS"
    NO_BUFFERS = (
        "no_buffers",
        Fault.AGENT,
        "this machine's network queue was full",
        "less traffic at once, or a longer txqueuelen",
    )
    LATE = "late", Fault.AGENT, "its time had passed", "the machine is too slow for its devices, or was suspended"
    OS_ERROR = "os_error", Fault.AGENT, "an error of the system without a name here", "the log has the system's message"


class Stray(_Word):
    """Why an echo reply counts for nothing."""

    LATE = "late", Fault.NETWORK, "its round had ended, and it was lost by then: the link is slow", _SLOW_HINT
    DOUBLE = "double", Fault.NETWORK, "the same echo had come back before: the link doubles packets"
    FOREIGN_PEER = "foreign_peer", Fault.DEVICE, "from another address than the one that was pinged"
    FORGED = "forged", Fault.NETWORK, "not the octets that were sent: damaged on its way, or made up by somebody"
    MALFORMED = "malformed", Fault.DEVICE, "too short, or not an echo reply"
    OS_ERROR = "os_error", Fault.NETWORK, "an error of the system in place of a reply"


class Loss(_Word):
    """Why metrics are no longer on disk."""

    BUFFER_UNAVAILABLE = (
        *("buffer_unavailable", Fault.AGENT, "the database could not be written for so long that memory was full"),
        "look at the disk: `towerops-agent doctor`",
    )
    DAMAGED = "damaged", Fault.AGENT, "a stored poll could not be read", "look at the disk: SD cards wear out"
    CORRUPT = "corrupt", Fault.AGENT, "the database was corrupt", "look at the disk: SD cards wear out"
    CLOCK_UNSET = (
        *("clock_unset", Fault.AGENT, "this machine did not know the time when they were read, and has not learned it in time"),
        "have NTP set the clock at the start, or give the machine a clock with a battery",
    )
    TOO_LATE = (
        *("too_late", Fault.AGENT, "the destination has later values, and does not accept older ones any more"),
        "Prometheus: set out_of_order_time_window to the longest outage that it should cover",
    )
    TIME_AHEAD = (
        *("time_ahead", Fault.AGENT, "they were read at a time that is yet to come, so this machine's clock was wrong then"),
        "have NTP set the clock",
    )
    UNLABELLED = (
        *("unlabelled", Fault.AGENT, "nobody knows their labels: they were read for another kind of destination"),
        "nothing, unless it goes on: then please report it",
    )
    OUT_OF_RANGE = (
        *("out_of_range", Fault.AGENT, "InfluxDB's integers end at 2^63, and the counter is beyond"),
        "look at the device: a counter that large is seldom real",
    )
    BUFFER_FULL = (
        *("buffer_full", Fault.AGENT, "the database was as large as it may be, and they were the oldest"),
        "is the API down? Else raise BUFFER_MAX_MB",
    )
    DISK_LOW = "disk_low", Fault.AGENT, "the disk was nearly full, and they were the oldest", "make room on the disk"
    DELIVERED = "delivered", Fault.AGENT, "they had been delivered: nothing is lost but history"


DROPPED: Final = (
    *(Loss.BUFFER_UNAVAILABLE, Loss.DAMAGED, Loss.CORRUPT, Loss.CLOCK_UNSET),
    *(Loss.TOO_LATE, Loss.TIME_AHEAD, Loss.UNLABELLED, Loss.OUT_OF_RANGE),
)
"""Lost to the disk, for want of a time, or as no destination can have them."""

EVICTED: Final = (Loss.BUFFER_FULL, Loss.DISK_LOW, Loss.DELIVERED)
"""Removed to make room."""
