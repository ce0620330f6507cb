"""Whether the body of a 2xx answer says that the server has what was sent.

client.py asks. A captive portal answers 200 to everything, and so does many a proxy with a page of its own. The server's word is
a JSON object that does not report an error, or no body at all. Pure. Source: docs/api.md.
"""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server has it. `received`: how many metrics it says it received; None if it does not say."""

    received: int | None = None


def acknowledgement(body: bytes) -> Acknowledgement | str:
    """The acknowledgement in the body; or what is wrong with it, to be continued by the beginning of the body."""
    if not body.strip():
        return Acknowledgement()
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "a body that is not JSON"
    if not isinstance(said, dict):
        return "a body that is not a JSON object"
    status = said.get("status")
    if isinstance(status, str) and status.lower() == "error":
        return "a body that reports an error"
    received = said.get("received")
    return Acknowledgement(received if isinstance(received, int) and not isinstance(received, bool) else None)
