"""Why a device does not answer: its own reason if it sent one (SNMPv3, TCP), else found by experiment.

If a device is silent over UDP, and no ICMP error explains it, the doctor tries the other of v1 and v2c with the same community,
and asks without a user for the SNMPv3 engine, which any device with SNMPv3 reports to anybody. If that answers, the address and
the path are right, and the community is wrong. Without it nobody can distinguish a wrong community from a firewall; but a
ping shows whether a device is there at all, if this machine lets the doctor ping.
I/O: SNMP, ICMP. Times in seconds.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from towerops_agent.doctor.ping import pinged, shown_tally
from towerops_agent.model import Equipment, SnmpVersion, Transport, UsmUser
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.polling.course.plan import SYS_UP_TIME
from towerops_agent.reasons import Reason
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire.exchange import NoReply, Peer, Reply
from towerops_agent.snmp.wire.message import Community, Request, Version
from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_agent.snmp.wire.usm_keys import Principal
from towerops_agent.text import is_loopback

_NOBODY_THERE: Final = (Reason.REFUSED, Reason.UNREACHABLE)

_ITS_ADDRESS: Final = "its address, "
_A_WRONG_ADDRESS: Final = "a wrong address, "
"""How the hint of a silence begins that may be one of nobody."""

_PROBE: Final = Request((SYS_UP_TIME,))


@dataclass(frozen=True, slots=True)
class Cause:
    """The most likely cause, and what to do."""

    found: str
    hint: str


async def explain_silence(
    client: SnmpClient,
    equipment: Equipment,
    peer: Peer,
    silence: NoReply,
    timeouts_s: tuple[float, ...],
    ping: PingClient | None = None,
) -> Cause:
    """The cause of the silence of `equipment` at `peer`. `ping`: None: without an experiment by ping."""
    reported = _reported(equipment, silence)
    if reported is not None:
        return reported
    version = equipment.credentials.version
    if equipment.transport is Transport.TCP:
        return Cause(
            f"no answer over TCP and SNMPv{version} (waited {_waited(timeouts_s)})",
            "does the device do SNMP over TCP? Most do only UDP; else its address, a firewall, or the credentials",
        )
    nobody = UsmSecurity(Principal(b""))
    others = [other for other in (SnmpVersion.V2C, SnmpVersion.V1) if other is not version]
    engine, *answers = await asyncio.gather(
        Session(client, peer, nobody, timeouts_s=timeouts_s).ask(_PROBE),
        *(Session(client, peer, _community(equipment, other), timeouts_s=timeouts_s).ask(_PROBE) for other in others),
    )
    answering = [other for other, answer in zip(others, answers, strict=True) if isinstance(answer, Reply)]
    if answering:
        whose = "the default community" if version is SnmpVersion.V3 else "the same community"
        return Cause(
            f"silent over SNMPv{version}, but answers over SNMPv{answering[0]} with {whose}",
            f"set its version to {answering[0]} in the configuration, or switch SNMPv{version} on at the device",
        )
    for answer in (engine, *answers):
        if isinstance(answer, NoReply) and answer.reason in _NOBODY_THERE:
            return _nobody_there(answer)
    speaks_v3 = not (isinstance(engine, NoReply) and engine.reason in (Reason.TIMEOUT, Reason.UNREACHABLE))
    cause = _silent(version, speaks_v3, timeouts_s)
    if ping is None or speaks_v3 or is_loopback(peer[0]):  # this machine itself would answer the ping
        return cause
    return _with_ping(cause, await pinged(ping, peer, until_first=True))


def _with_ping(cause: Cause, tally: Tally | NotSent) -> Cause:
    """The cause of silence to all of SNMP, after pings: they divide a device that is away from one whose SNMP is silent."""
    if isinstance(tally, NotSent):
        return cause
    hint = cause.hint.removeprefix(_ITS_ADDRESS).removeprefix(_A_WRONG_ADDRESS)
    if not tally.received:
        return Cause(f"{cause.found}; no answer to ping either", f"most likely its power, its link or its address; else {hint}")
    return Cause(f"{cause.found}; it {shown_tally(tally)}", f"a device is there, so rather {hint}")


def _reported(equipment: Equipment, silence: NoReply) -> Cause | None:
    """What is known without another question."""
    user = equipment.credentials.user
    if silence.reason is Reason.TIMEOUT:
        if silence.detail:
            return Cause(silence.detail, "look for newer firmware, or for another program at this address and port")
        if silence.answered_from is None:
            return None
        return Cause(
            f"an answer comes from another address: {silence.answered_from[0]}, port {silence.answered_from[1]}",
            "the device has several: configure the one that answers, or have it answer from the one that is asked",
        )
    if silence.reason in _NOBODY_THERE:
        return _nobody_there(silence)
    if silence.reason is Reason.UNKNOWN_CONTEXT:
        context = equipment.credentials.context_name
        return Cause(
            f"the device has no SNMPv3 context {context!r}" if context else "the device has no default context",
            silence.reason.hint,
        )
    return Cause(silence.reason.text + _of_user(user), silence.reason.hint)


def _nobody_there(silence: NoReply) -> Cause:
    return Cause(f"{silence.reason.text}: {silence.detail}", silence.reason.hint)


def _of_user(user: UsmUser | None) -> str:
    """The user whose requests the device does not answer, and the protocols."""
    if user is None:
        return ""
    return " (" + ", ".join([f"user '{user.name}'", *(pair[0].value for pair in (user.auth, user.priv) if pair)]) + ")"


def _silent(version: SnmpVersion, speaks_v3: bool, timeouts_s: tuple[float, ...]) -> Cause:
    waited = _waited(timeouts_s)
    if version is SnmpVersion.V3:
        if speaks_v3:
            return Cause(
                f"its SNMPv3 engine answers, but not the requests of this user (waited {waited})",
                "the address is right: check the user, passwords and protocols; this device does not say which is wrong",
            )
        return Cause(
            f"no answer over SNMPv3, nor v2c, nor v1 (waited {waited}); no ICMP error",
            f"{_ITS_ADDRESS}a firewall on the way, or SNMPv3 is off: a device with SNMPv3 would answer with its engine ID",
        )
    if speaks_v3:
        return Cause(
            f"silent to the community over SNMPv2c and v1, but its SNMPv3 engine answers (waited {waited})",
            "the address and the way are right: the community is wrong, this machine is not among those it is for, or v1 and v2c "
            "are off",
        )
    return Cause(
        f"no answer over SNMPv2c nor v1 (waited {waited}); no ICMP error",
        f"{_A_WRONG_ADDRESS}a firewall or SNMP switched off; or a wrong community, to which devices are silent as well: "
        "v1 and v2c can't tell",
    )


def _community(equipment: Equipment, version: SnmpVersion) -> Community:
    name = equipment.credentials.community.reveal().encode("utf-8", "surrogateescape")
    return Community(Version.V1 if version is SnmpVersion.V1 else Version.V2C, name)


def _waited(timeouts_s: tuple[float, ...]) -> str:
    return f"{sum(timeouts_s):g} s"
