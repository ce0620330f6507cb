"""What a running agent has discovered, among the buffer's kept values: read by itself, and by commands.

Site files with it are the configuration that the agent polls by.

I/O: SQLite, read-only.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.discovery.course.renewal import KeptDevice

if TYPE_CHECKING:
    from towerops_agent.site.document.site import Compiled
    from towerops_agent.site.files import SiteFiles

KEY: Final = "discovered"

_decoder = msgspec.json.Decoder(dict[str, KeptDevice])


def decode_known(octets: bytes) -> dict[str, KeptDevice]:
    """What is known of each device, by its id. Raises msgspec.MsgspecError."""
    return _decoder.decode(octets)


def read_known(database: Path) -> dict[str, KeptDevice]:
    """The same, of the database at this path; nothing of another version, which the agent discovers again. Raises NotReadable."""
    with DatabaseReader(database) as reader:
        octets = reader.meta(KEY)
    try:
        return {} if octets is None else decode_known(octets)
    except msgspec.MsgspecError:
        return {}


def read_site(files: "SiteFiles", database: Path) -> "Compiled":
    """What the site files say, with what the agent of this database has discovered (`files.additions`).

    Raises SiteUnreadable; NotReadable, if the files have devices that are discovered.
    """
    compiled = files.read()
    if compiled.auto:
        files.additions = read_known(database)
        compiled = files.read()
    return compiled
