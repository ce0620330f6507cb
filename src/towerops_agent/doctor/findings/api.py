"""Does the API answer, and does it know the token: the outcome of one GET of the configuration, in the operator's words.

Pure.
"""

from typing import Final

from towerops_agent.api.wire.outcomes import (
    ConfigFetched,
    ConfigOutcome,
    NotFound,
    NotModified,
    Redirected,
    Unauthorized,
    Unavailable,
)
from towerops_agent.doctor.findings.check import Check, Mark

_API: Final = "API"
_TOKEN: Final = "token"  # noqa: S105 - a name

_REFUSED: Final = {
    401: Check(
        _TOKEN,
        Mark.FAILED,
        "refused (401): the API does not know it",
        "is it complete, this agent's, and not revoked? Copy it from Towerops again",
    ),
    403: Check(
        _TOKEN,
        Mark.FAILED,
        "known, but not allowed to do this (403)",
        "is the agent switched off in Towerops, or is it a token for something else? A proxy or firewall may say 403, too",
    ),
}
_UNKNOWN: Final = Check(_TOKEN, Mark.SKIPPED, "not known: the API did not say")


def check_api(outcome: ConfigOutcome[object], network_works: bool, took_s: float) -> list[Check]:
    """The checks of the API and the token. `network_works`: whether the layers below passed."""
    match outcome:
        case ConfigFetched() | NotModified():
            return [Check(_API, Mark.OK, f"answers in {took_s * 1000:.0f} ms"), Check(_TOKEN, Mark.OK, "accepted")]
        case Unauthorized(status):
            return [Check(_API, Mark.OK, f"answers in {took_s * 1000:.0f} ms"), _REFUSED[status]]
        case NotFound(path):
            found = f"something answers, but has no {path} (404)"
            return [Check(_API, Mark.FAILED, found, "is TOWEROPS_API_URL right, with its path?"), _UNKNOWN]
        case Redirected(status, target):
            found = f"redirects to {target or 'nowhere'} ({status}); the token follows no redirect"
            return [
                Check(_API, Mark.FAILED, found, "set TOWEROPS_API_URL to that URL, if you trust it"),
                _UNKNOWN,
            ]
        case Unavailable(reason, status) if status is None:
            if not network_works:
                return [Check(_API, Mark.SKIPPED, "not reached: see above"), _UNKNOWN]
            return [Check(_API, Mark.FAILED, reason, "does something on the way cut connections?"), _UNKNOWN]
        case Unavailable(reason, status) if status is not None and 200 <= status < 300:
            hint = "is it the API that answers, or a login page (captive portal) or a proxy on the way?"
            return [Check(_API, Mark.FAILED, reason, hint), _UNKNOWN]
        case _:
            hint = "the server has a problem of its own: the agent tries again by itself, and loses nothing"
            return [Check(_API, Mark.FAILED, outcome.reason, hint), _UNKNOWN]
