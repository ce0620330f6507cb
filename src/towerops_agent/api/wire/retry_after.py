"""Retry-After (RFC 9110 §10.2.3): how long to wait before the next request.

Pure: the clock is passed in. Seconds.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_S = 600.0
"""The longest wait that the agent obeys; a longer one is cut to it."""


def http_date(value: str | None) -> datetime | None:
    """The moment in an HTTP date, with its time zone; None if `value` is not one."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError, IndexError):  # the parser's exceptions for garbage
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The seconds, 0 to 600, that `value` asks for: a number, or a date relative to `now`. None if it is neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_S)
    moment = http_date(text)
    if moment is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), MOST_S)
