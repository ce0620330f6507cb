"""A configuration made of its parts."""

from collections.abc import Iterable

from towerops_agent.config.document.text import ConfigText, ConfigWriter


def config_of(members: dict[str, bytes], items: Iterable[bytes]) -> ConfigText:
    """The configuration of these members and devices, each as JSON."""
    writer = ConfigWriter()
    for item in items:
        writer.add(item)
    return writer.finish(members)
