"""Which device HOST means: a configured one by its id or name, an address with credentials given, or a configured address.

Used by run.py. The kept configuration is read only if it can matter: that needs a key and some time.
I/O through what is passed in.
"""

from collections.abc import Callable
from dataclasses import replace

from towerops_agent.config.kept import is_at, is_called
from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.model import Equipment, Transport
from towerops_agent.snmptool.credentials import CredentialSource
from towerops_agent.snmptool.target import Place, Target, parse_place, target_at, target_of
from towerops_agent.text import is_ip_address

Devices = Callable[[Callable[[Equipment], bool]], list[Equipment]]
"""The configured devices that match; raises AgentError if the kept configuration can't be read."""


def choose_target(
    text: str, port: int | None, transport: Transport | None, source: CredentialSource, devices: Devices, *, direct: bool = False
) -> Target:
    """The device that the operator means by `text`. `port`, `transport`: from the options, else None.

    `direct`: `text` is an address, whatever is configured for it.

    A configured device is asked with its own credentials unless the command line has others; an address with the given ones, or,
    without any, with those of the configured device at that address. Raises SettingsError.
    """
    place = _place(text, port)
    if direct:
        if isinstance(place, SettingsError):
            raise place
        return target_at(place, source.of_options(), transport)
    if isinstance(place, Place) and is_ip_address(place.host) and source.suffices:
        return target_at(place, source.of_options(), transport)
    found, doubt = _configured(text, place, source, devices)
    if found is not None:
        target = target_of(found)
        target = replace(target, credentials=source.of_device(target.credentials))
        return replace(target, port=port or target.port, transport=transport or target.transport)
    if isinstance(place, SettingsError):
        raise SettingsError(_with(doubt, f"no configured device has the name or id {text[:80]!r}; as an address: {place}"))
    try:
        credentials = source.of_options()
    except SettingsError as error:
        raise SettingsError(_with(doubt, f"{place.host} is not a configured device; {error}")) from None
    return target_at(place, credentials, transport, doubt)


def _place(text: str, port: int | None) -> Place | SettingsError:
    """The address in `text`, or why it is not an address."""
    try:
        place = parse_place(text)
    except SettingsError as error:
        return error
    if port is None or port == place.port:
        return place
    if place.port is not None:
        return SettingsError(f"HOST says port {place.port} and --port {port}: expected one of them")
    return replace(place, port=port)


def _configured(
    text: str, place: Place | SettingsError, source: CredentialSource, devices: Devices
) -> tuple[Equipment | None, str]:
    """The configured device that `text` means; or None, and why the kept configuration could not be read, if so."""
    called = is_called(text)
    at = is_at(place.host, place.port) if isinstance(place, Place) and not source.suffices else lambda _: False
    try:
        candidates = devices(lambda equipment: equipment.has_snmp and (called(equipment) or at(equipment)))
    except AgentError as error:
        return None, f"the configured devices are not known: {error}"
    chosen = [device for device in candidates if device.id == text] or list(filter(called, candidates)) or candidates
    if len(chosen) > 1:
        ids = ", ".join(device.id for device in chosen[:5])
        raise SettingsError(f"{text[:80]!r} matches {len(chosen)} configured devices: expected the id of one of them ({ids})")
    return (chosen[0] if chosen else None), ""


def _with(doubt: str, error: str) -> str:
    return f"{error}\n{doubt}".rstrip()
